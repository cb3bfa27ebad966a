"""What a prompt asks for and what it tells, read the way the simulated model needs it.

Owns the reading: the facts in a prompt, the sections it wants, and how many
words. Leaves writing to ``simulated_text`` and ``simulated_json``. Pure.

What it understands, anywhere in the user's turns:

- a fact: a line ``Label: value`` (a list mark before it does no harm), or a
  string or number in JSON, ``"label": "value"``
- sections, in the last turn, once for each: ``'Title' in about 120 words``, or
  ``section 'Title'`` without a length; any kind of quotes
- a length for the whole: ``about 150 words``
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hasten.model.base import Request

SECTION_WORDS = 120
"""How long a section gets when the prompt does not say."""

MAX_VALUE_CHARS = 72
"""A longer value is quoted up to a word boundary."""

_LINE = re.compile(
    r"^[ \t]*(?:[-*•] |\d+[.)] )?([A-Z][\w &/()-]{1,39}):[ \t]+([^\s{[].*)$", re.MULTILINE
)
_JSON = re.compile(r'"([A-Za-z]\w{1,39})"\s*:\s*(?:"([^"\\\n]{2,400})"|(-?\d[\d.]*))')
_QUOTED = r"""(?<!\w)['"‘“`](?P<{0}>\S[^\n]{{1,79}}?)['"’”`](?!\w)"""
_ABOUT = r"(?:about|around|roughly|~)\s*(\d{1,5})\s+words"
_SIZED = rf"{_QUOTED.format('sized')},?\s+\(?(?:in|with|of)?\s*{_ABOUT}"
_NAMED = rf"\bsections?\s+(?:titled\s+|called\s+)?{_QUOTED.format('named')}"
_SECTION = re.compile(f"{_SIZED}|{_NAMED}(?!,?\\s+\\(?(?:in|with|of)?\\s*{_ABOUT})", re.IGNORECASE)
_WORDS = re.compile(rf"\b{_ABOUT}", re.IGNORECASE)
_ORDERS = frozenset(
    (
        *("answer", "constraint", "constraints", "example", "format", "instruction"),
        *("instructions", "language", "length", "note", "notes", "output", "rule", "rules"),
        *("schema", "section", "sections", "style", "system", "task", "tone"),
    )
)
"""Labels of lines that tell the model what to do and not what is so."""


class Fact(NamedTuple):
    """One thing the prompt says: ``label`` in lower case, ``value`` as written, shortened."""

    label: str
    value: str


class Section(NamedTuple):
    """One section asked for; ``words`` is its wanted length."""

    title: str
    words: int


def read_prompt(request: Request) -> str:
    """Return what was told to the model, without the rules and without its own words."""
    return "\n".join(turn.content for turn in request.messages if turn.role in ("user", "tool"))


def last_turn(request: Request) -> str:
    """Return the last thing the user said."""
    said = [turn.content for turn in request.messages if turn.role == "user"]
    return said[-1] if said else ""


def facts_in(prompt: str) -> tuple[Fact, ...]:
    """Return the facts in ``prompt``, each once, in order; an order (``Format: ...``) is none."""
    found = [(match.start(), match[1], match[2]) for match in _LINE.finditer(prompt)]
    found += [
        (match.start(), match[1].replace("_", " "), match[2] or match[3])
        for match in _JSON.finditer(prompt)
    ]
    facts = (Fact(_label(label), shorten(value)) for _, label, value in sorted(found))
    return tuple(dict.fromkeys(fact for fact in facts if fact.label not in _ORDERS and fact.value))


def sections_in(turn: str) -> tuple[Section, ...]:
    """Return the sections that ``turn`` asks for, in order, each title once."""
    wanted: dict[str, int] = {}
    for match in _SECTION.finditer(turn):
        title = (match["sized"] or match["named"]).strip()
        wanted.setdefault(title, int(match[2] or SECTION_WORDS))
    return tuple(Section(title, words) for title, words in wanted.items())


def words_in(turn: str) -> int | None:
    """Return the length in words that ``turn`` asks for, if it does."""
    match = _WORDS.search(turn)
    return int(match[1]) if match else None


def shorten(value: str, limit: int = MAX_VALUE_CHARS) -> str:
    """Cut a long ``value`` so that it can be quoted inside a sentence.

    At the colon after its name if it has one, else at a clause or a word.
    """
    plain = " ".join(value.replace("**", "").replace("`", "").split()).strip(" .;,\"'")
    if len(plain) <= limit:
        return plain
    named = plain.find(": ")
    if 0 < named <= limit // 2:
        return plain[:named]
    cut = plain[: limit + 1]
    clause = max(cut.rfind(mark) + len(mark) for mark in (", ", "; ", ". ", "? ", " – "))
    end = clause if clause > limit // 3 else max(cut.rfind(" "), limit // 2)
    return _closed(cut[:end]).rstrip(" .;,–-")


def _closed(cut: str) -> str:
    """Return ``cut`` without a parenthesis or quotation that the cut left open."""
    for opening, closing in ("()", "“”"):
        if cut.count(opening) > cut.count(closing):
            cut = cut[: cut.rindex(opening)]
    return cut


def _label(label: str) -> str:
    words = label.strip().split()
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)
