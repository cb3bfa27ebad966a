"""Structured answers: found, checked, repaired within their budget."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from hasten import virtual
from hasten.errors import InvalidOutput
from hasten.model.base import Request, Usage, count_tokens
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.model.structured import Parsed, parse, read
from hasten.testing.model import FakeModel, Script


class Idea(BaseModel):
    """A small record."""

    name: str = Field(min_length=2)
    score: int = Field(ge=1, le=10)


ASK = Request.ask("Name one idea")
GOOD = '{"name": "Clear Desk", "score": 7}'
BAD = '{"name": "Clear Desk", "score": 70}'
EXPECTED = Idea(name="Clear Desk", score=7)


def _parse(*script: Script, **options: Any) -> tuple[Parsed[Idea], FakeModel]:
    model = FakeModel(*script)
    return virtual.run(parse(model, ASK, Idea, **options)), model


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  \n{GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Here is the idea you asked for:\n\n```\n{GOOD}\n```\nI hope it helps.",
        f"Sure! {GOOD} Anything else?",
        f"In brackets [sic] and braces {{so}}: {GOOD}",
        f'First {{"name": "x"}}, then rather {GOOD}',
    ],
)
def test_the_value_is_found_wherever_it_stands(text: str) -> None:
    """Alone, in a fence, amid prose, after something that only looks like it."""
    assert read(text, Idea) == EXPECTED


@pytest.mark.parametrize("text", ["", "no JSON here", "{", "[" * 5000, GOOD[:-5], "null", "[1, 2]"])
def test_what_holds_no_value_is_invalid_output(text: str) -> None:
    """Whatever comes, the error is ours and carries the text."""
    with pytest.raises(InvalidOutput) as caught:
        read(text, Idea)
    assert caught.value.text == text


@given(st.text(max_size=300))
def test_no_text_raises_anything_else(text: str) -> None:
    """No parse error reaches the caller in a form of its own."""
    try:
        read(text, Idea)
    except InvalidOutput:
        return


def test_a_good_answer_needs_no_repair() -> None:
    """One call, with the schema in it, and nothing spent on repair."""
    parsed, model = _parse(GOOD)
    assert parsed.value == EXPECTED
    assert (parsed.repairs, parsed.repair_usage) == (0, Usage())
    assert model.requests[0].schema == Idea.model_json_schema()
    assert parsed.usage == parsed.response.usage


def test_a_bad_answer_is_shown_with_what_is_wrong() -> None:
    """The repair sees the answer and the field, and its tokens are reported apart."""
    parsed, model = _parse(BAD, GOOD)
    assert parsed.value == EXPECTED
    assert parsed.repairs == 1
    *_, shown, asked = model.requests[1].messages
    assert (shown.role, shown.content) == ("assistant", BAD)
    assert "score: Input should be less than or equal to 10" in asked.content
    assert parsed.repair_usage == parsed.response.usage
    assert parsed.usage.tokens_out == 2 * parsed.repair_usage.tokens_out


def test_repairs_stop_when_the_budget_is_spent() -> None:
    """The tokens of all repairs together stay within the budget, then the error comes."""
    model = FakeModel(BAD)
    with pytest.raises(InvalidOutput, match="score") as caught:
        virtual.run(parse(model, ASK, Idea, repair_tokens=600))
    assert caught.value.text == BAD
    repairs = model.requests[1:]
    read_tokens = sum(count_tokens(turn.content) for ask in repairs for turn in ask.messages)
    assert repairs
    assert read_tokens + len(repairs) * count_tokens(BAD) <= 600
    assert all(0 < (ask.max_tokens or 0) <= 600 for ask in repairs)


def test_without_a_budget_there_is_no_repair() -> None:
    """Zero tokens, zero further calls."""
    model = FakeModel(BAD)
    with pytest.raises(InvalidOutput, match="0 repairs"):
        virtual.run(parse(model, ASK, Idea, repair_tokens=0))
    assert len(model.requests) == 1


def test_a_model_that_spoils_a_third_of_its_answers_is_repaired() -> None:
    """Out of 100 questions to such a model every one ends in a value."""

    async def main() -> list[int]:
        model = SimulatedModel(SimProfile(malformed_rate=0.33))
        asks = [Request.ask(f"Name idea number {number}") for number in range(100)]
        return [(await parse(model, ask, Idea)).repairs for ask in asks]

    repairs = virtual.run(main())
    assert 15 <= sum(count > 0 for count in repairs) <= 55
