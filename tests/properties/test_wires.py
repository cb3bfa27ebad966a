"""The wire formats on any body: nothing is lost on the way through, nothing breaks a reader."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.errors import InvalidInput, ModelUnavailable
from hasten.model import anthropic_wire, openai_wire, responses_wire
from hasten.model.base import Request

WIRES: dict[str, Any] = {
    "openai": openai_wire,
    "responses": responses_wire,
    "anthropic": anthropic_wire,
}
every_wire = pytest.mark.parametrize("name", WIRES)

ASK = Request.ask("Hello")
FIELDS = ("messages", "input", "model", "max_tokens", "system", "tools", "text", "choices", "usage")

texts = st.text(max_size=20)
things: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
unknown = st.dictionaries(st.from_regex(r"x_[a-z]{1,8}", fullmatch=True), things, max_size=3)


def _part(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    text = st.builds(lambda text, more: {**more, "type": kind, "text": text}, texts, unknown)
    strange = unknown.map(lambda more: {"type": "strange", **more})
    return text | strange


def _chat_turn() -> st.SearchStrategy[dict[str, Any]]:
    content = texts | st.lists(_part("text"), min_size=1, max_size=3)
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    odd = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}}
    calls = st.lists(st.sampled_from([call, odd]), min_size=1, max_size=2)
    plain = st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": content}
    )
    asked = st.builds(lambda c: {"role": "assistant", "content": None, "tool_calls": c}, calls)
    told = st.builds(lambda c: {"role": "tool", "content": c, "tool_call_id": "c1"}, content)
    return st.builds(lambda turn, more: {**more, **turn}, plain | asked | told, unknown)


def _anthropic_turn() -> st.SearchStrategy[dict[str, Any]]:
    result = st.builds(
        lambda content, more: {
            **more,
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": content,
        },
        texts | st.lists(_part("text"), min_size=1, max_size=2),
        unknown,
    )
    use = unknown.map(
        lambda more: {**more, "type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    )
    said = texts | st.lists(_part("text") | use, min_size=1, max_size=3)
    told = st.builds(
        lambda results, parts: [*results, *parts],
        st.lists(result, max_size=2),
        st.lists(_part("text"), min_size=1, max_size=2),
    )
    return st.builds(lambda c: {"role": "assistant", "content": c}, said) | st.builds(
        lambda c: {"role": "user", "content": c}, texts | told
    )


def _item() -> st.SearchStrategy[dict[str, Any]]:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    thought = {"type": "reasoning", "id": "r1", "summary": []}
    spoken = st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant", "developer"]),
        texts | st.lists(_part("input_text"), min_size=1, max_size=2),
    )
    return st.builds(
        lambda item, more: {**more, **item},
        spoken | st.sampled_from([call, result, thought]),
        unknown,
    )


BODIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "openai": st.builds(
        lambda turns, more: {**more, "model": "m1", "messages": turns},
        st.lists(_chat_turn(), min_size=1, max_size=4),
        unknown,
    ),
    "responses": st.builds(
        lambda items, more: {**more, "model": "m1", "input": items},
        texts | st.lists(_item(), min_size=1, max_size=4),
        unknown,
    ),
    "anthropic": st.builds(
        lambda turns, more: {**more, "model": "m1", "max_tokens": 9, "messages": turns},
        st.lists(_anthropic_turn(), min_size=1, max_size=4),
        unknown,
    ),
}


@every_wire
@given(data=st.data())
def test_a_request_goes_out_as_it_came_in(name: str, data: st.DataObject) -> None:
    """Turns, parts, calls, results and every unknown field, wherever it stands."""
    body = data.draw(BODIES[name])
    asked = WIRES[name].read_request(orjson.dumps(body))
    assert WIRES[name].to_body(asked.request, model="other", stream=False) == body


@every_wire
@given(body=things | st.dictionaries(st.sampled_from(FIELDS), things))
def test_no_body_breaks_a_reader(name: str, body: Any) -> None:
    """Any JSON is a request or an ``InvalidInput``; none of it is an answer."""
    with suppress(InvalidInput):
        WIRES[name].read_request(orjson.dumps(body))
    with pytest.raises(ModelUnavailable):
        WIRES[name].Reading(ASK, model="m").take_whole(orjson.dumps(body))
