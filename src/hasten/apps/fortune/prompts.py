"""What the model is asked: five sections of one interpretation, and the prompts for them.

Owns the sections with their lengths and what each one sees. ``baseline`` asks
for all of them in one request, ``hasten`` for each alone with only what it
needs; titles, facts and lengths are the same in both. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hasten import Request
from hasten.apps.fortune.inputs import Language, language_of
from hasten.apps.fortune.temple import deities

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hasten.apps.fortune.temple import Passage, Poem

SYSTEM = (
    "You interpret temple poems for people of today, as 'you': warm, concrete, without promises. "
    "Title each section with a ## heading."
)

_LANGUAGES: dict[Language, str] = {"en": "English", "zh": "Traditional Chinese"}
_PASSAGES_EACH = 1


@dataclass(frozen=True, slots=True)
class Section:
    """One section; ``sees_question`` is false for what is the same whoever asks."""

    name: str
    title: tuple[str, str]
    words: int
    brief: str
    sees_question: bool = True

    def heading(self, language: Language) -> str:
        """Return its title."""
        return self.title[0] if language == "zh" else self.title[1]

    def order(self, language: Language) -> str:
        """Return the line that asks for it."""
        return f"'{self.heading(language)}' in about {self.words} words: {self.brief}."


SECTIONS = (
    Section(
        "meaning",
        ("籤詩意涵", "What the poem says"),
        300,
        "its images line by line, and how lucky it is",
        sees_question=False,
    ),
    Section("love", ("感情", "Love and family"), 290, "what it says to those close to you"),
    Section("work", ("事業", "Work and money"), 290, "what it says to work and to spending"),
    Section("health", ("身心", "Body and mind"), 280, "what it says to rest and to worry"),
    Section("advice", ("指引", "Advice"), 290, "an answer to the question and three small steps"),
)
"""The sections in the order they are read."""


def section_request(
    section: Section,
    poem: Poem,
    question: str,
    language: Language | None,
    passages: Iterable[Passage] = (),
) -> Request:
    """Ask for one section alone."""
    spoken = language_of(question, language)
    parts = [
        _verse(poem, spoken) if section.name == "meaning" else _gist(poem, spoken),
        f"Question: {_flat(question)}" if section.sees_question else "",
        _related(list(passages)[:_PASSAGES_EACH], spoken),
        f"Answer in {_LANGUAGES[spoken]}. Write {section.order(spoken)}",
    ]
    return Request.ask(_joined(parts), system=SYSTEM, task=section.name)


def whole_request(
    poem: Poem, question: str, language: Language | None, passages: Iterable[Passage]
) -> Request:
    """Ask for all sections at once, with everything that was found."""
    spoken = language_of(question, language)
    orders = "\n".join(section.order(spoken) for section in SECTIONS)
    parts = [
        _verse(poem, "zh"),
        _verse(poem, "en"),
        f"Question: {_flat(question)}",
        *(_related(passages, tongue) for tongue in _LANGUAGES),
        f"Answer in {_LANGUAGES[spoken]}. Write these sections in this order:\n{orders}",
    ]
    return Request.ask(_joined(parts), system=SYSTEM, task="interpretation")


def _verse(poem: Poem, language: Language) -> str:
    name, about = (pair[language == "en"] for pair in _told_of(poem))
    lines = " / ".join(poem.lines(language))
    return f"Deity: {name}\nKnown for: {about}\n{_gist(poem, language)}\nVerse: {lines}"


def _told_of(poem: Poem) -> tuple[tuple[str, str], tuple[str, str]]:
    deity = deities()[poem.deity_id]
    return deity.name, deity.about


def _gist(poem: Poem, language: Language) -> str:
    title, gist = (pair[language == "en"] for pair in (poem.title, poem.gist))
    return f"Poem: {poem.number}, {title}\nLuck: {poem.luck}\nGist: {gist}"


def _related(passages: Iterable[Passage], language: Language) -> str:
    return "\n".join(
        f"Related poem: {passage.text[language == 'en']} ({passage.source})" for passage in passages
    )


def _flat(question: str) -> str:
    """Return the question in one line: its own line breaks must not look like ours."""
    return " ".join(question.split())


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)
