"""How good an objective or a key result is: specific, measurable, achievable, relevant, time-bound.

Owns the rules; each gives 0 to 100 and its reason in words. They judge wording, which
rules can: whether a figure is ambitious for this team only people who know it can say, so
``achievable`` looks at how far a figure moves and at absolutes, no further. Pure.
"""

from __future__ import annotations

import re
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from hasten.apps.okr.board import Board, Item, key_results

if TYPE_CHECKING:
    from collections.abc import Iterable

CriterionName = Literal["specific", "measurable", "achievable", "relevant", "time-bound"]

MANY = 5
FEW_WORDS, MANY_WORDS = 4, 24
FAR, VERY_FAR = 2.0, 4.0

_VAGUE = re.compile(
    r"\b(better|great|good|nice|improve things|stuff|things|optimi[sz]e|various|etc|more"
    r"|best|world[- ]class|synergy|excellent)\b",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(
    r"\b(all|every|always|never|nobody|everyone|perfect|zero)\b|\b100\s*%", re.IGNORECASE
)
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_FROM_TO = re.compile(r"\bfrom\s+\D{0,6}(\d[\d.,]*)\D*?\bto\s+\D{0,6}(\d[\d.,]*)", re.IGNORECASE)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_TIME = re.compile(
    rf"\bq[1-4]\b|\b(?:{_MONTHS})[a-z]*\b|\b20\d\d\b|\b(?:quarter|half[- ]year|end of the year"
    r"|this year|next year|next month|this month)\b|\bwithin\s+\d+\s+(?:days|weeks|months)\b",
    re.IGNORECASE,
)
_FOR_WHOM = re.compile(
    r"\b(customer|user|client|team|patient|buyer|partner|employee|people|candidate|developer|"
    r"clinic|visitor|member|student|colleague)s?\b|\bso that\b|\bbecause\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z]{4,}")
_COMMON = frozenset(("from", "with", "that", "their", "them", "this", "will", "have", "into"))


class Criterion(BaseModel):
    """One of the five, 0 to 100, and why."""

    model_config = ConfigDict(frozen=True)

    name: CriterionName
    score: int
    reason: str


class Scored(BaseModel):
    """An item of the board with its score, the mean of the five."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    objective_id: str
    text: str
    score: int
    criteria: tuple[Criterion, ...]


def score_board(board: Board) -> tuple[Scored, ...]:
    """Return every item of the board with its score, in the board's order."""
    by_id = {item.item_id: item for item in board}
    return tuple(
        _scored(item, _objective(item, key_results(board, item)))
        if item.is_objective
        else _scored(item, _key_result(item, by_id.get(item.objective_id)))
        for item in board
    )


def overall(scored: Iterable[Scored]) -> int:
    """Return the board's score: the mean of its items, 0 for an empty one."""
    found = [one.score for one in scored]
    return round(fmean(found)) if found else 0


def _scored(item: Item, criteria: tuple[Criterion, ...]) -> Scored:
    score = round(fmean(one.score for one in criteria))
    return Scored(**item.model_dump(), score=score, criteria=criteria)


def _objective(item: Item, results: list[Item]) -> tuple[Criterion, ...]:
    measured = sum(bool(_FIGURE.search(one.text)) for one in results)
    whole = " ".join((item.text, *(one.text for one in results)))
    return (
        _specific(item.text),
        _measurable_by(measured),
        _achievable_objective(item.text, len(results)),
        _given(
            "relevant",
            _FOR_WHOM.search(item.text),
            "Says whom it is for or why",
            "Say for whom or why it matters",
            50,
        ),
        _timed(whole),
    )


def _measurable_by(measured: int) -> Criterion:
    if measured == 0:
        return _no("measurable", 20, "No key result with a figure says when it is reached")
    if measured == 1:
        return _no("measurable", 60, "One key result has a figure: two or three show more")
    return _yes("measurable", f"{measured} key results have figures")


def _achievable_objective(text: str, results: int) -> Criterion:
    if absolute := _ABSOLUTE.search(text):
        return _no("achievable", 40, f"“{absolute[0]}” leaves no room: nobody reaches it")
    if results > MANY:
        return _no("achievable", 60, f"{results} key results are more than a team can follow")
    return _yes("achievable", "Asks for no absolutes")


def _key_result(item: Item, objective: Item | None) -> tuple[Criterion, ...]:
    text = item.text
    shared = _words(text) & _words("" if objective is None else objective.text)
    return (
        _specific(text),
        _measurable(text),
        _achievable(text),
        _given(
            "relevant",
            shared or None,
            f"Speaks of its objective: {', '.join(sorted(shared))}",
            "Shares no word with its objective: say how it shows that it is reached",
            60,
        ),
        _timed(text),
    )


def _specific(text: str) -> Criterion:
    words = len(text.split())
    if vague := _VAGUE.search(text):
        return _no("specific", 40, f"“{vague[0]}” means something else to everyone")
    if words < FEW_WORDS:
        return _no("specific", 40, f"{words} words say too little")
    if words > MANY_WORDS:
        return _no("specific", 60, f"{words} words: nobody will remember it")
    return _yes("specific", "Says one thing in few words")


def _measurable(text: str) -> Criterion:
    if _FROM_TO.search(text):
        return _yes("measurable", "Says from where to where")
    if _FIGURE.search(_TIME.sub("", text)):
        return _no("measurable", 70, "Has a figure: say where it starts from, too")
    return _no("measurable", 10, "Has no figure")


def _achievable(text: str) -> Criterion:
    if absolute := _ABSOLUTE.search(text):
        return _no("achievable", 40, f"“{absolute[0]}” leaves no room: nobody reaches it")
    found = _FROM_TO.search(text)
    if found is None:
        return _no("achievable", 60, "Without a start nobody can tell how far it is")
    start, end = (_number(part) for part in found.groups())
    if not start or not end:
        return _no("achievable", 60, "From or to nothing is hard to judge")
    factor = max(start, end) / min(start, end)
    if factor <= FAR:
        return _yes("achievable", f"A change by {_percent(start, end)} % is within reach")
    if factor <= VERY_FAR:
        return _no("achievable", 70, f"{factor:.1f} times is ambitious: say what makes it possible")
    return _no("achievable", 40, f"{factor:.0f} times is a dream: take a first step")


def _timed(text: str) -> Criterion:
    return _given("time-bound", _TIME.search(text), "Says by when", "Says no date: by when?", 20)


def _given(name: CriterionName, found: object, yes: str, no: str, else_score: int) -> Criterion:
    return _yes(name, yes) if found is not None else _no(name, else_score, no)


def _yes(name: CriterionName, reason: str) -> Criterion:
    return Criterion(name=name, score=100, reason=reason)


def _no(name: CriterionName, score: int, reason: str) -> Criterion:
    return Criterion(name=name, score=score, reason=reason)


def _words(text: str) -> set[str]:
    """Return the words of a text that say something, plural or not."""
    return {word.removesuffix("s") for word in _WORD.findall(text.lower())} - _COMMON


def _number(text: str) -> float:
    plain = text.rstrip(".,").replace(",", "")
    try:
        return float(plain)
    except ValueError:
        return 0.0


def _percent(start: float, end: float) -> str:
    return f"{(end / start - 1) * 100:+.0f}"
