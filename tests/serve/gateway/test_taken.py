"""What an answer that passes through took, in each protocol's words, and where a stream is cut."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.base import Response, Usage
from hasten.serve.gateway.routes import CHAT, MESSAGES, RESPONSES, Route, read_question
from hasten.serve.gateway.taken import StreamTaken, WholeEvents, taken_plain

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


def _taken(route: Route, pieces: list[bytes], *, is_stored: bool) -> tuple[Any, Response | None]:
    taken = StreamTaken(_question(route), is_stored=is_stored)
    for piece in pieces:
        taken.add(piece)
    return taken.end(0.0)


@pytest.mark.parametrize(("route", "events", "usage"), STREAMS)
def test_a_stream_kept_out_of_the_cache_is_counted_from_what_it_says(
    route: Route, events: list[object], usage: Usage
) -> None:
    """The tokens are the provider's own, those from its prompt cache apart; nothing is stored."""
    whole = _stream(events)
    pieces = [whole[:30], whole[30:]]
    stored, response = _taken(route, pieces, is_stored=False)
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
    _, response = _taken(CHAT, [whole], is_stored=False)
    assert response is not None
    assert response.usage.tokens_out > 0


@given(st.data())
def test_a_stream_is_stored_the_same_however_its_bytes_arrive(data: st.DataObject) -> None:
    """What is stored is what the events add up to, also when characters are cut in two."""
    events = [
        {"model": "m-1", "choices": [{"index": 0, "delta": {"content": text}}]} for text in "té☕"
    ]
    ending = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": CHAT_USAGE}
    whole = _stream([*events, ending]) + b"data: [DONE]\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    places = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(places)]
    stored, response = _taken(CHAT, pieces, is_stored=True)
    assert stored.is_whole
    assert "té☕".encode() in stored.tail
    assert response is not None
    assert response.usage == Usage(20, 3, 8)


@pytest.mark.parametrize("cut", [b"data: [DO", b"data: {", b"", b"\xff\n\n"])
def test_half_a_stream_is_not_stored(cut: bytes) -> None:
    """Only an answer that said it was over is given again."""
    events = [{"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}]
    stored, _ = _taken(CHAT, [_stream(events) + cut], is_stored=True)
    assert not stored.is_whole


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_stream_too_long_is_let_pass_unread(is_stored: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Memory holds no endless stream."""
    pieces = [b"data: {}\n\n" * 100_000] * 10
    stored, response = _taken(CHAT, pieces, is_stored=is_stored)
    assert (stored.is_whole, response) == (False, None)


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
