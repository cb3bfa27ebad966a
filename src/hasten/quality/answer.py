"""What can be said of an answer without asking anybody: deterministic checks.

Owns ``Answer``, what is looked at, and one function a check; each gives a score
from 0 to 1. Leaves which checks an experiment makes to ``experiment``. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from hasten.codec import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.graph.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what was asked, what came, its text, how fresh it was, what it took.

    ``outputs`` is empty when the run failed.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    text: str
    fresh_share: float
    duration_s: float
    tokens_in: int
    tokens_out: int
    cost_usd: float


def answer_of(outcome: Outcome) -> Answer:
    """Return what a run came to as an answer; a rerun is fresh as its original was."""
    record = outcome.record
    outputs = {} if outcome.error is not None else outcome.outputs
    return Answer(
        record.inputs,
        outputs,
        text_of(outputs),
        record.reuse.get("fresh_share", 1.0),
        record.duration_s,
        record.tokens_in,
        record.tokens_out,
        record.cost_usd,
    )


def text_of(outputs: Mapping[str, Any]) -> str:
    """Return an answer as a reader sees it: texts as they are, values as JSON."""
    parts = (
        value
        if isinstance(value, str)
        else json.dumps(to_plain(value), ensure_ascii=False, indent=1)
        for value in outputs.values()
    )
    return "\n\n".join(parts)


def sections_score(answer: Answer, sections: Sequence[str]) -> float:
    """Return the share of ``sections`` that stand in the text as headings or as keys."""
    text = answer.text.casefold()
    return _share([_is_there(text, one.casefold()) for one in sections])


def schema_score(answer: Answer, schemas: Mapping[str, type[BaseModel]]) -> float:
    """Return the share of outputs that are valid values of their type."""
    return _share([_is_valid(answer.outputs.get(name), one) for name, one in schemas.items()])


def facts_score(answer: Answer, facts: Sequence[str]) -> float:
    """Return the share of the person's facts that the text makes use of, in any case."""
    text = answer.text.casefold()
    return _share([fact.casefold() in text for fact in facts])


def words_score(answer: Answer, low: int, high: int) -> float:
    """Return 1 when the text has so many words, else how near it comes, as a share."""
    words = len(answer.text.split())
    if words < low:
        return words / low
    return 1.0 if words <= high else high / words


def fresh_score(answer: Answer, at_least: float) -> float:
    """Return 1 when enough was made for this request, else 0."""
    return float(answer.fresh_share >= at_least)


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found) if found else 1.0


def _is_there(text: str, section: str) -> bool:
    name = re.escape(section)
    as_heading, as_key = rf"^\s*(#+\s*|\W{{0,3}}){name}(?!\w)", rf"\"{name}\"\s*:"
    return re.search(f"{as_heading}|{as_key}", text, re.MULTILINE) is not None


def _is_valid(value: Any, schema: type[BaseModel]) -> bool:
    if isinstance(value, schema):
        return True
    try:
        if isinstance(value, str):
            schema.model_validate_json(value)
        else:
            schema.model_validate(value)
    except ValidationError:
        return False
    return True
