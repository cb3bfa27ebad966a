"""The interpretation as Markdown: the poem, then its sections; as both modes give it.

Owns how sections are put together, and parted again when one call wrote them all.
Pure; both modes call it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hasten import HastenError
from hasten.apps.fortune.prompts import SECTIONS
from hasten.apps.fortune.review import body
from hasten.apps.fortune.temple import deities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.apps.fortune.inputs import Language
    from hasten.apps.fortune.temple import Poem

SHORT_FORM = {
    "zh": "_此段未能及時完成,先以籤意代之。_",
    "en": "_This part could not be written in time; the poem's gist stands in for it._",
}

_HEADING = re.compile(r"^#{1,6}[ \t]*(.+?)[ \t#]*$", re.MULTILINE)


def split(text: str, language: Language) -> dict[str, str]:
    """Return the sections of one long answer by name; one that is missing is left out."""
    names = {section.heading(language).casefold(): section.name for section in SECTIONS}
    found: dict[str, str] = {}
    name, begin = "", 0
    for match in (*_HEADING.finditer(text), None):
        if match is not None and match[1].casefold() not in names:
            continue
        if name:
            found[name] = text[begin : match.start() if match else None].strip()
        if match is not None:
            name, begin = names[match[1].casefold()], match.end()
    return found


def assemble(poem: Poem, texts: Mapping[str, str | None], language: Language) -> str:
    """Return the whole report. Raises ``HastenError`` when no section came at all."""
    if not any(texts.values()):
        message = f"no section of the interpretation of {poem.label} could be written"
        raise HastenError(message)
    at = language == "en"
    name = deities()[poem.deity_id].name[at]
    verse = "  \n".join(f"> {line}" for line in poem.lines(language))
    parts = [f"# {name} · {poem.number} · {poem.title[at]}", verse]
    for section in SECTIONS:
        text = texts.get(section.name)
        parts += [
            f"## {section.heading(language)}",
            body(text) if text else f"{SHORT_FORM[language]}\n\n{poem.gist[at]}",
        ]
    return "\n\n".join(parts) + "\n"
