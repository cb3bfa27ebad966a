"""The three outputs as Markdown: the model's sections with the tools' figures beneath.

Owns how an output is put together and its short form. Figures are placed here
and never retyped by a model, so both modes print the same. A section that did
not come says so in its place. Pure; ``baseline`` and ``hasten`` call it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hasten import HastenError
from hasten.apps.discovery.prompts import PERSON, SECTIONS, Section, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.apps.discovery.findings import Finding, Ideas

TASK_TIMEOUT_S = 45.0
"""How long each task may take before its short form is given (discovery plan 1.3)."""

TITLES: dict[Task, str] = {
    "profile_analysis": "Profile Analysis",
    "idea_research": "Startup Ideas Research",
    "recommendation": "Personalized Recommendations",
}

SHORT_FORM = "_This section is in its short form: the text could not be written in time._"

_HEADING = re.compile(r"^#{1,6}[ \t]*(.+?)[ \t#]*$", re.MULTILINE)


def assemble(task: Task, given: Mapping[str, Any]) -> str:
    """Return one output: ``given`` holds person, texts by section, findings by tool, and ideas.

    What is absent or ``None`` gets its short form.
    """
    sections = (_section(section, given) for section in SECTIONS[task])
    return "\n\n".join((f"# {TITLES[task]}", *sections))


def split(task: Task, text: str, person: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of the sections in one answer, by section name.

    Headings that were not asked for stay part of the section they stand in.
    Raises ``HastenError`` naming the sections that are missing or empty.
    """
    names = {section.heading(person).casefold(): section.name for section in SECTIONS[task]}
    texts: dict[str, str] = {}
    name, begin = "", 0
    for match in _HEADING.finditer(text):
        found = names.get(match[1].casefold())
        if found is None or found in texts:
            continue
        if name:
            texts[name] = text[begin : match.start()].strip()
        name, begin = found, match.end()
        texts[name] = ""
    if name:
        texts[name] = text[begin:].strip()
    missing = [name for name in names.values() if not texts.get(name)]
    if missing:
        message = f"the answer lacks the sections {', '.join(missing)}"
        raise HastenError(message)
    return texts


def _section(section: Section, given: Mapping[str, Any]) -> str:
    heading = section.heading(given)
    parts = [f"## {heading}", _body(section, heading, given)]
    if section.name == "idea_fit" and given.get("ideas") is not None:
        parts.append(_list(given["ideas"]))
    parts += [_list(given[tool]) for tool in section.tools if given.get(tool) is not None]
    return "\n\n".join(part for part in parts if part)


def _body(section: Section, heading: str, given: Mapping[str, Any]) -> str:
    text = given.get(section.name)
    if text:
        first = _HEADING.match(text)
        if first is not None and first[1].casefold() == heading.casefold():
            return str(text[first.end() :].strip())
        return str(text)
    known = [name for name in section.person if name != "experience_summary"]
    told = "\n".join(f"- **{PERSON[name]}:** {given[name]}" for name in known)
    return f"{SHORT_FORM}\n\n{told}".strip()


def _list(found: Finding | Ideas) -> str:
    return "\n".join(f"- **{label}:** {value}" for label, value in found.lines().items())
