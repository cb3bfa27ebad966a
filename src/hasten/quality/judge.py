"""A blind judge: any model, shown two answers without their names, in both orders.

Owns the question and taking the order out of the answer. Leaves what the scores
mean to ``experiment``. A judge that prefers whatever stands first (Zheng et al.,
"Judging LLM-as-a-Judge", 2023, section 3.3) gives both answers the same here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field

from hasten.model.base import Request
from hasten.model.structured import parse

if TYPE_CHECKING:
    from hasten.model.base import Model
    from hasten.quality.answer import Answer

CHARS = 12_000
"""So much of each answer is shown; what is longer is cut."""

TOKENS = 400

QUESTION = """Two answers to the same request are below. Judge each by its relevance to the
request, its completeness and its accuracy, from 1 (useless) to 10 (could not be better). Their
order says nothing, nor does their length.

Request:
{asked}

Answer A:
{first}

Answer B:
{second}

Give the JSON object with "a", "b" and, in one sentence, "reason"."""


class Judgement(BaseModel):
    """What the judge says of one order."""

    a: int = Field(ge=1, le=10)
    b: int = Field(ge=1, le=10)
    reason: str = Field("", max_length=600)


class Judged(NamedTuple):
    """The scores of baseline and variant, each the mean of both orders, and the reasons."""

    baseline: float
    variant: float
    reasons: tuple[str, str]


async def judge(model: Model, baseline: Answer, variant: Answer) -> Judged:
    """Ask about both orders. Raises what the model raises, and ``InvalidOutput``."""
    first = await _ask(model, baseline, variant)
    second = await _ask(model, variant, baseline)
    return Judged((first.a + second.b) / 2, (first.b + second.a) / 2, (first.reason, second.reason))


async def _ask(model: Model, first: Answer, second: Answer) -> Judgement:
    asked = "\n".join(f"{name}: {value}" for name, value in first.inputs.items())
    question = QUESTION.format(
        asked=asked[:CHARS], first=first.text[:CHARS], second=second.text[:CHARS]
    )
    request = Request.ask(question, task="judge", max_tokens=TOKENS, temperature=0.0)
    return (await parse(model, request, Judgement)).value
