"""Plain English as the simulated model writes it: readable, of the wanted length, not repeating.

Owns how sentences are put together from ``simulated_phrases`` and the facts of
a prompt. Leaves reading the prompt to ``simulated_prompt``. Pure: all chance
comes from the generator that is passed in. ``simulated`` calls it.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, TypeVar

from hasten.model.simulated_phrases import (
    ASPECTS,
    FACT_FRAMES,
    FEW,
    GENERAL,
    PERIODS,
    PLAIN_FRAMES,
    SHARES,
    THEMES,
    Theme,
)
from hasten.model.simulated_prompt import Fact, facts_in, sections_in, shorten, words_in

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from hasten.model.simulated_prompt import Section

T = TypeVar("T")

ANSWER_WORDS = 90
"""How long an answer is when nothing says how long it should be."""

MAX_WORDS = 5_000
"""No section gets longer than this, whatever the prompt says."""

MAX_SECTIONS = 50
"""Nor are there more: a prompt that lists thousands must not hold up a whole server."""

_PARAGRAPH_WORDS = 60
_LIST_FROM_WORDS = 80
_LIST_ITEMS = 2
_LIST_WORDS = 30
_QUOTE_FROM_WORDS = 5
_LAST_SENTENCE_WORDS = 32
_LAST_TRIES = 4
_CHARS_PER_WORD = 5.77
_CLOSE_ENOUGH_WORDS = 7
_FACT_SHARE = 0.5
_ANY_THEME = Theme((), (), ())
_NUMBERING = re.compile(r"^[#\s]*(?:\d+[.)]\s*)?")


def write_text(prompt: str, turn: str, rng: random.Random) -> str:
    """Answer ``turn``, the last thing said, with the facts of the whole ``prompt``.

    Each section that is asked for becomes a heading and a body, together about
    as long as wanted; anything else becomes paragraphs.
    """
    facts = facts_in(prompt)
    sections = sections_in(turn)[:MAX_SECTIONS]
    if sections:
        return "\n\n".join(_write_section(section, facts, rng) for section in sections)
    question = shorten(turn.strip().partition("\n")[0])
    if question:
        facts = (Fact("your question", question), *facts)
    return Prose("the matter at hand", facts, rng).write(words_in(turn) or ANSWER_WORDS)


def _write_section(section: Section, facts: Sequence[Fact], rng: random.Random) -> str:
    heading = section.title if section.title.startswith("#") else f"## {section.title}"
    words = section.words - _count(heading)
    return f"{heading}\n\n{Prose(_topic_of(section.title), facts, rng).write(words)}"


class Prose:
    """Text on one ``topic``, a noun as it reads inside a sentence.

    Facts of interest come first and each once; no clause comes twice while
    there are others, across all that one ``Prose`` writes.
    """

    def __init__(self, topic: str, facts: Sequence[Fact], rng: random.Random) -> None:
        theme = _theme_of(topic)
        self._topic = topic
        self._rng = rng
        self._facts = iter(_by_interest(facts, theme, rng))
        self._clauses: Iterator[str] = _endless(theme.clauses, GENERAL, rng=rng)
        self._aspects = _endless(ASPECTS, rng=rng)
        self._fact_frames = _endless(FACT_FRAMES, rng=rng)
        self._plain_frames = _endless(PLAIN_FRAMES, rng=rng)

    def write(self, words: float) -> str:
        """Write about ``words`` words: paragraphs, with a list before the last in longer texts."""
        words = min(words, MAX_WORDS)
        in_list = max(words / 3, _LIST_WORDS) if words >= _LIST_FROM_WORDS else 0
        last = words / 5 if in_list else 0
        blocks: list[str] = []

        def left() -> float:
            return words - sum(map(_count, blocks))

        while left() - in_list - last > _CLOSE_ENOUGH_WORDS:
            lead = left() - in_list - last
            blocks.append(
                self._paragraph(lead if lead < 2 * _PARAGRAPH_WORDS else _PARAGRAPH_WORDS)
            )
        if in_list:
            blocks.append(self._list(left() - last))
        if left() > _CLOSE_ENOUGH_WORDS or not blocks:
            blocks.append(self._paragraph(left()))
        return "\n\n".join(blocks)

    def _paragraph(self, words: float) -> str:
        sentences = [self._sentence(words, has_fact=True)]
        left = words - _count(sentences[0])
        while left > _CLOSE_ENOUGH_WORDS:
            sentences.append(self._sentence(left, has_fact=self._rng.random() < _FACT_SHARE))
            left -= _count(sentences[-1])
        return " ".join(sentences)

    def _list(self, words: float) -> str:
        items: list[str] = []
        left = words
        while left > _CLOSE_ENOUGH_WORDS or len(items) < _LIST_ITEMS:
            items.append(f"- **{next(self._aspects)}:** {self._filled(next(self._clauses))}.")
            left -= _count(items[-1])
        return "\n".join(items)

    def _sentence(self, left: float, *, has_fact: bool) -> str:
        """Return the next sentence; near the end, of several the one that fits best."""
        fact = next(self._facts, None) if has_fact else None
        frames = self._plain_frames if fact is None else self._fact_frames
        tries = _LAST_TRIES if left < _LAST_SENTENCE_WORDS else 1
        chosen = [next(frames) for _ in range(tries)]
        clauses = [next(self._clauses) for _ in range(tries)]
        made = {self._fill(frame, clause, fact): clause for frame in chosen for clause in clauses}
        best = min(made, key=lambda sentence: abs(left - _count(sentence)))
        clauses.remove(made[best])
        self._clauses = itertools.chain(clauses, self._clauses)
        return best

    def _fill(self, frame: str, clause: str, fact: Fact | None) -> str:
        clause = self._filled(clause)
        places = {"clause": clause, "Clause": _capital(clause), "period": self._pick(PERIODS)}
        if fact is not None:
            value = fact.value
            if len(value.split()) >= _QUOTE_FROM_WORDS and "“" not in value:
                value = f"“{value}”"
            places |= {"label": fact.label, "value": value, "Value": _capital(value)}
        return frame.format_map(places)

    def _filled(self, clause: str) -> str:
        return clause.format(
            topic=self._topic,
            few=self._pick(FEW),
            share=self._pick(SHARES),
            period=self._pick(PERIODS),
        )

    def _pick(self, words: Sequence[str]) -> str:
        return self._rng.choice(words)


def _topic_of(title: str) -> str:
    """Return a title as it reads inside a sentence: ``2. Skill Gaps`` is ``skill gaps``."""
    words = _NUMBERING.sub("", title).split()
    return " ".join(word.lower() if word[1:].islower() else word for word in words)


def _theme_of(topic: str) -> Theme:
    """Return the theme with the longest stem in ``topic``; the earlier word wins a tie."""
    lowered = topic.lower()
    found = [
        (len(stem), -lowered.index(stem), theme)
        for theme in THEMES
        for stem in theme.stems
        if re.search(rf"\b{stem}", lowered)
    ]
    return max(found, key=lambda match: match[:2])[2] if found else _ANY_THEME


def _by_interest(facts: Sequence[Fact], theme: Theme, rng: random.Random) -> list[Fact]:
    """Return the facts whose label the theme wants first, each group in drawn order."""
    drawn = rng.sample(facts, len(facts))
    return sorted(drawn, key=lambda fact: not any(word in fact.label for word in theme.labels))


def _endless(*groups: Sequence[T], rng: random.Random) -> Iterator[T]:
    """Yield every item, group after group and each group in drawn order, over and over."""
    while True:
        for group in groups:
            yield from rng.sample(group, len(group))


def _count(text: str) -> float:
    """Measure ``text`` in words of usual length, so that as many words are as many tokens."""
    return len(text) / _CHARS_PER_WORD


def _capital(text: str) -> str:
    at = 1 if text.startswith("“") else 0
    return text[:at] + text[at : at + 1].upper() + text[at + 1 :]
