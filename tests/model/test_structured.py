"""Structured answers: found, checked, repaired within their budget."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.errors import InvalidOutput
from hasten.model.base import Request, Response, ToolCall, Usage, count_tokens
from hasten.model.cached import CachedModel
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.model.structured import Parsed, StructuredModel, check, parse, read
from hasten.model.traced import TracedModel
from hasten.testing.model import FakeModel, Script
from tests.model.recording import recorded


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


SCHEMA = Idea.model_json_schema()
ASK_JSON = Request.ask("Name one idea", schema=SCHEMA)


def test_in_the_chain_a_bad_answer_is_repaired_and_what_it_cost_is_said() -> None:
    """The answer is the JSON alone, its usage that of both calls; the counters say the rest."""

    async def main() -> None:
        wire = FakeModel(BAD, f"Sorry! ```json\n{GOOD}\n```")
        counting = TracedModel(wire)
        model = StructuredModel(counting)
        with recorded() as recorder:
            events: list[Any] = []
            recorder.listeners.append(events.append)
            response = await model.complete(ASK_JSON)
        assert response.text == GOOD
        assert counting.repairs == 1
        first = response.usage.tokens_in - counting.repair_usage.tokens_in
        assert 0 < first < counting.repair_usage.tokens_in
        (said,) = [event.data for event in events if event.type == "model.repaired"]
        assert said["repairs"] == 1
        assert said["tokens_in"] == counting.repair_usage.tokens_in

    virtual.run(main())


def test_in_the_chain_a_stream_of_json_is_checked_before_it_is_shown() -> None:
    """One piece, valid; a stream without a schema passes as it is."""

    async def main() -> None:
        model = StructuredModel(FakeModel(BAD, GOOD, "one two three"))
        async with aclosing(model.stream(ASK_JSON)) as chunks:
            assert [chunk.text async for chunk in chunks] == [GOOD, ""]
        async with aclosing(model.stream(ASK)) as chunks:
            assert [chunk.text async for chunk in chunks] == ["one", " two", " three", ""]

    virtual.run(main())


def test_in_the_chain_one_clear_error_comes_when_the_budget_is_spent_or_the_answer_was_cut() -> (
    None
):
    """It says which; a cut answer costs no repair."""
    model = FakeModel(BAD)
    with pytest.raises(InvalidOutput, match=r"score: .*\(after \d+ repairs"):
        virtual.run(StructuredModel(model, 400).complete(ASK_JSON))
    cut = FakeModel(Response(text='{"name": "Cl', model="m", finish_reason="length"))
    short = msgspec.structs.replace(ASK_JSON, max_tokens=4)
    with pytest.raises(InvalidOutput, match="cut at max_tokens=4"):
        virtual.run(StructuredModel(cut).complete(short))
    assert len(cut.requests) == 1


def test_a_tool_call_has_no_form_to_check() -> None:
    """It comes in place of the JSON."""
    call = Response(
        text="", model="m", finish_reason="tool_calls", tool_calls=(ToolCall("1", "f", "{}"),)
    )
    assert virtual.run(StructuredModel(FakeModel(call)).complete(ASK_JSON)).tool_calls


def test_five_hundred_calls_of_which_one_in_twenty_is_malformed_give_no_error() -> None:
    """Through the chain, 25 or so are repaired; every answer satisfies its schema."""

    async def main() -> tuple[int, int]:
        wire = SimulatedModel(SimProfile(malformed_rate=0.05))
        counting = TracedModel(wire)
        chain = CachedModel(StructuredModel(counting), Cache())
        asks = [Request.ask(f"Name idea number {n}", schema=SCHEMA) for n in range(500)]
        answers = await asyncio.gather(*(chain.complete(ask) for ask in asks))
        for answer in answers:
            Idea.model_validate_json(answer.text)
        plain = await asyncio.gather(*(wire.complete(ask) for ask in asks))
        malformed = sum(not _is_valid(one.text) for one in plain)
        assert malformed > 10
        return counting.repairs - malformed, counting.repair_usage.tokens_out

    more, tokens = virtual.run(main())
    assert 0 <= more <= 5
    assert tokens > 0


def _is_valid(text: str) -> bool:
    try:
        Idea.model_validate_json(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"type": 5},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"type": "string", "pattern": "(?=a)b"},
    ],
)
def test_a_schema_that_cannot_be_read_checks_nothing_and_follows_nothing(
    schema: dict[str, Any],
) -> None:
    """No request goes out, and no error comes."""
    assert check("anything", schema) == "anything"


def test_a_pattern_cannot_hang_anybody() -> None:
    """A pattern that takes other engines years is checked in linear time."""
    schema = {"type": "string", "pattern": "^(a+)+$"}
    with pytest.raises(InvalidOutput):
        check(f'["{"a" * 50_000}!"]', {"type": "array", "items": schema})


@given(st.text(max_size=200))
def test_no_text_makes_check_raise_anything_else(text: str) -> None:
    """Whatever comes, the error is ours."""
    try:
        check(text, SCHEMA)
    except InvalidOutput:
        return
