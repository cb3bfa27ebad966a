"""Requests on their way: fewer tokens in, nothing of the caller's lost."""

from __future__ import annotations

import json
from contextlib import aclosing

from hasten import virtual
from hasten.model.base import Message, Request, count_tokens
from hasten.model.compacted import CompactedModel
from hasten.testing.model import FakeModel
from tests.model.test_prompt import SCHEMA, WORDY


def test_each_turn_goes_through_the_rules_and_the_rest_stays() -> None:
    """The system's words and the schema are shortened, the model's own turn is not."""
    turns = (
        Message("system", f"{WORDY}\n\n```json\n{json.dumps(SCHEMA)}\n```"),
        Message("user", WORDY),
        Message("assistant", WORDY),
        Message("user", "Score it.", parts=({"type": "text", "text": "Score it."},)),
    )
    wire = FakeModel("ok")
    model = CompactedModel(wire)
    request = Request(messages=turns, schema=SCHEMA, model="m", temperature=0.2)
    virtual.run(model.complete(request))
    asked = wire.requests[0]
    assert asked.messages[0].content.startswith("- Write in plain English")
    assert "properties" not in asked.messages[0].content
    assert asked.messages[1:] == turns[1:]
    assert (asked.model, asked.temperature, asked.schema) == ("m", 0.2, SCHEMA)
    before, after = (
        sum(count_tokens(turn.content) for turn in one.messages) for one in (request, asked)
    )
    assert model.saved_tokens_in == before - after > 50


def test_a_stream_is_asked_for_with_the_same_words() -> None:
    """And a turn that would be left empty stays."""
    wire = FakeModel("one two")
    model = CompactedModel(wire)
    only = Request(messages=(Message("user", json.dumps(SCHEMA)),), schema=SCHEMA)

    async def main() -> str:
        async with aclosing(model.stream(only)) as chunks:
            return "".join([chunk.text async for chunk in chunks])

    assert virtual.run(main()) == "one two"
    assert wire.requests[0].messages == only.messages
