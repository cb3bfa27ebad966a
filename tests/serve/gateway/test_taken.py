"""What an answer that passes through took, in each protocol's words, and where a stream is cut."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.base import Usage
from hasten.serve.gateway.routes import CHAT, MESSAGES, RESPONSES, Route, read_question
from hasten.serve.gateway.taken import WholeEvents, taken_plain, taken_stream

CHAT_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 8},
}
RESPONSE_USAGE = {
    "input_tokens": 20,
    "output_tokens": 3,
    "input_tokens_details": {"cached_tokens": 8},
}
MESSAGE_USAGE = {"input_tokens": 10, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2}
STREAMS = [
    (
        CHAT,
        [
            {"model": "m-1", "choices": [{"index": 0, "delta": {"content": "x"}}], "usage": None},
            {"model": "m-1", "choices": [], "usage": CHAT_USAGE},
        ],
        Usage(20, 3, 8),
    ),
    (
        RESPONSES,
        [
            {"type": "response.created", "response": {"model": "m-1", "usage": None}},
            {"type": "response.completed", "response": {"model": "m-1", "usage": RESPONSE_USAGE}},
        ],
        Usage(20, 3, 8),
    ),
    (
        MESSAGES,
        [
            {
                "type": "message_start",
                "message": {"model": "m-1", "usage": {**MESSAGE_USAGE, "output_tokens": 1}},
            },
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}},
        ],
        Usage(20, 3, 8, 2),
    ),
]


def _stream(events: list[object]) -> bytes:
    return b"".join(b"data: " + orjson.dumps(one) + b"\n\n" for one in events)


def _question(route: Route) -> object:
    return read_question(route, b'{"model":"m","stream":true}')


@pytest.mark.parametrize(("route", "events", "usage"), STREAMS)
def test_a_stream_kept_out_of_the_cache_is_counted_from_what_it_says(
    route: Route, events: list[object], usage: Usage
) -> None:
    """The tokens are the provider's own, those from its prompt cache apart; nothing is stored."""
    whole = _stream(events)
    pieces = [whole[:30], whole[30:]]
    stored, response = taken_stream(_question(route), pieces, 0.0, is_stored=False)
    assert response is not None
    assert (response.model, response.usage) == ("m-1", usage)
    assert not stored.is_whole
    assert (stored.tokens_in, stored.tokens_out, stored.cached_tokens_in) == (20, 3, 8)


def test_a_plain_answer_kept_out_of_the_cache_pays_less_for_cached_tokens() -> None:
    """What came from the provider's prompt cache is counted as that."""
    body = orjson.dumps({"model": "m-1", "usage": CHAT_USAGE})
    _, response = taken_plain(_question(CHAT), body, is_stored=False)
    assert response is not None
    assert response.usage == Usage(20, 3, 8)


@pytest.mark.parametrize("body", [b"", b"[]", b"not JSON", b'{"usage":7}', b'{"usage":{}}'])
def test_an_answer_that_says_nothing_took_nothing(body: bytes) -> None:
    """Whatever else an upstream sends is passed on without being counted."""
    stored, response = taken_plain(_question(CHAT), body, is_stored=False)
    assert response is None
    assert (stored.is_whole, stored.tokens_in) == (False, 0)


def test_a_stream_that_says_nothing_of_tokens_is_estimated() -> None:
    """A budget is held although an upstream leaves the usage out."""
    events = [{"choices": [{"index": 0, "delta": {"content": "a b c"}, "finish_reason": "stop"}]}]
    whole = _stream(events) + b"data: [DONE]\n\n"
    _, response = taken_stream(_question(CHAT), [whole], 0.0, is_stored=False)
    assert response is not None
    assert response.usage.tokens_out > 0


@given(st.lists(st.sampled_from([b"data: a\n\n", b"data: bb\n\n", b"data: ccc\n\n"])), st.data())
def test_a_stream_is_cut_between_events_and_nothing_is_lost(
    events: list[bytes], data: st.DataObject
) -> None:
    """However the bytes arrive, each piece that leaves ends with an event."""
    whole, cutter, told = b"".join(events), WholeEvents(), []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        told.append(cutter.add(whole[:size]))
        whole = whole[size:]
    assert b"".join([*told, cutter.rest]) == b"".join(events)
    assert all(not one or one.endswith(b"\n\n") for one in told)


def test_what_never_ends_is_let_go() -> None:
    """An event without an end does not pile up in memory."""
    cutter = WholeEvents()
    assert cutter.add(b"x" * 65_536) == b"x" * 65_536
    assert cutter.rest == b""
