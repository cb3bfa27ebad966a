"""The board: objectives with their key results, what a message adds to it, the phase.

Owns reading objectives and key results out of what somebody said, in their own words: a
line that says so (``Objective: …``, ``KR: …``), else a sentence with a wish (an objective)
or with a verb of change and a figure (a key result). Leaves judging them to ``scoring``
and keeping them to ``storage``. Pure.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

Phase = Literal["discovery", "refinement", "key_results", "validation"]
PHASES: tuple[Phase, ...] = ("discovery", "refinement", "key_results", "validation")

ENOUGH_KEY_RESULTS = 2
REFINED_SCORE = 60
MAX_ITEM_CHARS = 300
MAX_ITEMS = 60

_TITLED = re.compile(
    r"^\s*(?:[-*•]\s*)?\**(objective|goal|o|key result|kr)\s*\d*\s*\**\s*[:–]\s*\**\s*(.+)$",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"^(?:we|i|our team)\s+(?:want|need|aim|plan|intend|would like|hope)s?\s+to\s+(.+)$"
    r"|^our (?:goal|aim|objective) is to\s+(.+)$",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"^(?:(?:we|i)\s+(?:want|need|aim|plan)\s+to\s+)?((?:increase|raise|grow|lift|improve|reduce|"
    r"cut|lower|decrease|reach|achieve|double|ship|launch|sign|hire|win|close|bring|keep|answer)"
    r"\b.*\d.*)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")


class Item(BaseModel):
    """An objective, or a key result of the objective ``objective_id``."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    objective_id: str = ""
    text: str

    @property
    def is_objective(self) -> bool:
        """Whether it is an objective."""
        return not self.objective_id


Board = tuple[Item, ...]


def drafted(board: Board, said: str) -> Board:
    """Return the items that ``said`` adds to ``board``; what is on it already is not added."""
    new: list[Item] = []
    known = {item.text.casefold() for item in board}
    for kind, text in _found_in(said):
        whole = (*board, *new)
        objectives = [item for item in whole if item.is_objective]
        if text.casefold() in known or len(whole) >= MAX_ITEMS:
            continue
        if kind == "objective":
            new.append(Item(item_id=_next_id(whole, "o"), text=text))
        elif objectives:
            last = objectives[-1].item_id
            made = _next_id(whole, f"{last}-k")
            new.append(Item(item_id=made, objective_id=last, text=text))
        else:
            continue  # a figure before there is an objective is part of the story
        known.add(text.casefold())
    return tuple(new)


def proposed(said: str) -> tuple[str, ...]:
    """Return the wordings that the coach proposes: only lines that say what they are."""
    lines = (_TITLED.match(line) for line in said.splitlines())
    return tuple(match[0].strip().strip("*-• ") for match in lines if match)


def phase_of(board: Board, scores: dict[str, int]) -> Phase:
    """Return what comes next: ``scores`` are those of the items by id, 0 to 100."""
    objectives = [item for item in board if item.is_objective]
    if not objectives:
        return "discovery"
    if min(scores[item.item_id] for item in board) < REFINED_SCORE and len(board) > 1:
        return "refinement"
    if any(len(key_results(board, one)) < ENOUGH_KEY_RESULTS for one in objectives):
        return "key_results" if len(board) > 1 else "refinement"
    return "validation"


def tidied(text: str) -> str:
    """Return an item's wording as one line, which it is in a prompt."""
    line = " ".join(text.strip().strip("*").rstrip(".!;").split())[:MAX_ITEM_CHARS]
    return line[:1].upper() + line[1:]


def key_results(board: Board, objective: Item) -> list[Item]:
    """Return the key results of an objective."""
    return [item for item in board if item.objective_id == objective.item_id]


def _found_in(said: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in _SENTENCE.split(said):
        sentence = part.strip()
        if titled := _TITLED.match(sentence):
            kind = "objective" if titled[1].lower() in {"objective", "goal", "o"} else "key result"
            found.append((kind, titled[2]))
        elif sentence.endswith("?"):
            continue
        elif change := _CHANGE.match(sentence):
            found.append(("key result", change[1]))
        elif wish := _WISH.match(sentence):
            found.append(("objective", wish[1] or wish[2]))
    lines = ((kind, tidied(text)) for kind, text in found)
    return [(kind, line) for kind, line in lines if line]


def _next_id(board: Board, start: str) -> str:
    numbers = [
        int(item.item_id.removeprefix(start))
        for item in board
        if item.item_id.startswith(start) and item.item_id.removeprefix(start).isdigit()
    ]
    return f"{start}{max(numbers, default=0) + 1}"
