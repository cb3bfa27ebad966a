"""The wire against endpoints that behave, misbehave, stall and break off."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from hasten.clock import Clock, use_clock
from hasten.errors import (
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from hasten.model.base import Chunk, Message, Model, Request, Response, ToolCall, Usage
from hasten.model.http import Deadlines, Endpoint
from hasten.model.openai import OpenAIModel
from tests.model.endpoint import CHUNKED_END, OK, STREAM_OK, chunked, endpoint, event

ASK = Request.ask("Hello", system="Be brief.")
USAGE = (
    b'data: {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 3,'
    b' "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2}}}\n\n'
)
DONE = b"data: [DONE]\n\n"
STOP = event(finish_reason="stop")


async def _chunks(model: Model, request: Request = ASK) -> list[Chunk]:
    async with aclosing(model.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


def _stream(*parts: bytes | float, options: Endpoint | None = None) -> tuple[str, Response]:
    """Return the text as it came in pieces and the whole answer."""

    async def main() -> tuple[str, Response]:
        async with endpoint(*parts, options=options) as (model, _):
            *pieces, last = await _chunks(model)
        assert last.response is not None
        return "".join(piece.text for piece in pieces), last.response

    return asyncio.run(main())


def _complete(
    *parts: bytes | float, request: Request = ASK, options: Endpoint | None = None
) -> tuple[Response, dict[str, Any]]:
    """Return the answer to a plain call and the body that asked for it."""

    async def main() -> tuple[Response, dict[str, Any]]:
        async with endpoint(*parts, options=options) as (model, raw):
            return await model.complete(request), orjson.loads(raw.bodies[0])

    return asyncio.run(main())


def _body(message: dict[str, Any], **fields: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return orjson.dumps({"id": "c1", "model": "m1", "choices": [choice], **fields})


def test_a_plain_answer_is_read_whole() -> None:
    """Text, who wrote it, what it took."""
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None}
    response, body = _complete(OK, _body({"content": "Hi!"}, usage=usage))
    assert response == Response(text="Hi!", model="m1", usage=Usage(9, 2), id="c1")
    assert body == {
        "model": "m0",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
    }


def test_everything_in_the_request_reaches_the_wire_and_nothing_else_does() -> None:
    """Limits, schema, tools, turns with calls; ``task`` and ``section`` stay here."""
    call = ToolCall("t1", "look", '{"a": 1}')
    tool = {"type": "function", "function": {"name": "look"}}
    request = Request(
        messages=(
            Message("user", "Look"),
            Message("assistant", "", (call,)),
            Message("tool", "seen", tool_call_id="t1"),
        ),
        model="m9",
        max_tokens=5,
        temperature=0.0,
        seed=3,
        stop=("\n",),
        schema={"title": "A thing!", "type": "object"},
        tools=(tool,),
        task="secret-task",
        section="secret-section",
        extra={"top_p": 0.5, "model": "not this"},
    )
    options = Endpoint(max_tokens_field="max_completion_tokens")
    _, body = _complete(OK, _body({"content": "{}"}), request=request, options=options)
    assert body.pop("messages")[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"a": 1}'},
                }
            ],
        },
        {"role": "tool", "content": "seen", "tool_call_id": "t1"},
    ]
    assert body == {
        "model": "m9",
        "max_completion_tokens": 5,
        "temperature": 0.0,
        "seed": 3,
        "stop": ["\n"],
        "tools": [tool],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Athing", "schema": request.schema, "strict": False},
        },
        "top_p": 0.5,
    }


def test_tool_calls_come_whole_or_in_pieces() -> None:
    """Names and arguments are put together by index."""
    pieces = (
        {"index": 0, "id": "t1", "function": {"name": "look", "arguments": ""}},
        {"index": 1, "id": "t2", "function": {"name": "hear", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    )
    events = [
        b"data: " + orjson.dumps({"choices": [{"delta": {"tool_calls": [piece]}}]}) + b"\n\n"
        for piece in pieces
    ]
    body = b"".join([*events, event(finish_reason="tool_calls"), DONE])
    _, streamed = _stream(STREAM_OK, chunked(body), CHUNKED_END)
    expected = (ToolCall("t1", "look", '{"a": 1}'), ToolCall("t2", "hear", "{}"))
    assert (streamed.tool_calls, streamed.finish_reason) == (expected, "tool_calls")
    calls = [
        {"id": "t1", "function": {"name": "look", "arguments": '{"a": 1}'}},
        {"id": "t2", "function": {"name": "hear", "arguments": "{}"}},
    ]
    whole, _ = _complete(OK, _body({"content": None, "tool_calls": calls}))
    assert whole.tool_calls == expected


def test_a_stream_is_read_however_it_is_cut() -> None:
    """One byte at a time, with comments, CRLF and characters of several bytes."""
    body = b": hi\r\n\r\n" + event("Gr\u00fc\u00dfe, ") + event("\u20ac 5 \U0001f600") + STOP
    body = (body + USAGE + DONE).replace(b"\n", b"\r\n")
    cut = [chunked(bytes([byte])) for byte in body]
    text, response = _stream(STREAM_OK, *cut, CHUNKED_END)
    assert text == response.text == "Grüße, € 5 😀"
    assert response.usage == Usage(11, 3, 8, 2)


def test_a_stream_asks_for_its_usage_and_estimates_it_if_none_comes() -> None:
    """``include_usage`` is sent; an endpoint that ignores it still gets counted."""

    async def main() -> tuple[dict[str, Any], Response | None]:
        parts = (STREAM_OK, chunked(event("12345678") + STOP + DONE), CHUNKED_END)
        async with endpoint(*parts) as (model, raw):
            *_, last = await _chunks(model)
            return orjson.loads(raw.bodies[0]), last.response

    body, response = asyncio.run(main())
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert response is not None
    assert response.usage == Usage(5, 2)


def test_a_stream_without_done_is_whole_if_it_said_how_it_ended() -> None:
    """Some endpoints just close."""
    text, response = _stream(STREAM_OK, chunked(event("Hi") + STOP), CHUNKED_END)
    assert text == response.text == "Hi"


@pytest.mark.parametrize(
    "parts",
    [
        (STREAM_OK, chunked(event("Hi")), CHUNKED_END),
        (STREAM_OK, chunked(event("Hi") + DONE), CHUNKED_END),
        (STREAM_OK, chunked(event("Hi"))),
        (STREAM_OK, chunked(event("Hi")[:20])),
        (STREAM_OK, chunked(event("Hi") + b"data: {garbage\n\n"), CHUNKED_END),
        (STREAM_OK, chunked(event("Hi") + b"data: 17\n\n"), CHUNKED_END),
        (STREAM_OK, chunked(event("Hi") + b"data: \xff\xfe\n\n"), CHUNKED_END),
        (STREAM_OK, b"nonsense where a chunk should be\r\n"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>Welcome!</html>",),
        (),
        (b"not HTTP at all\r\n\r\n",),
    ],
)
def test_a_stream_that_breaks_is_unavailable(parts: tuple[bytes, ...]) -> None:
    """However it breaks, it is our error and one worth a retry, and there is no last chunk."""
    with pytest.raises(ModelUnavailable) as caught:
        _stream(*parts)
    assert caught.value.retryable


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"message": {}}]}',
        b'{"choices": 5}',
    ],
)
def test_a_plain_answer_that_is_none_is_unavailable(body: bytes) -> None:
    """A proxy's page, an empty body, an answer without an end."""
    with pytest.raises(ModelUnavailable):
        _complete(OK, body)


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_error_in_place_of_an_answer_is_raised(*, is_stream: bool) -> None:
    """A 200 whose body, or whose stream half-way, holds an error object."""
    told = b'{"error": {"message": "slow down", "type": "rate_limit_exceeded"}}'
    body = chunked(event("Hi") + b"data: " + told + b"\n\n")
    with pytest.raises(RateLimited, match="slow down"):
        _stream(STREAM_OK, body, CHUNKED_END) if is_stream else _complete(OK, told)


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(302, ModelRejected), (401, ModelRejected), (422, ModelRejected), (500, ModelUnavailable)],
)
def test_statuses_become_errors(status: int, kind: type[ModelError], *, is_stream: bool) -> None:
    """Streamed or not, and a redirect is not followed with the key."""
    head = (
        f"HTTP/1.1 {status} X\r\nConnection: close\r\nLocation: http://elsewhere.example/\r\n\r\n"
    )
    parts = (head.encode(), b'{"error": {"message": "no"}}')
    with pytest.raises(kind, match=f"{status}: no"):
        _stream(*parts) if is_stream else _complete(*parts)


def test_retry_after_comes_along() -> None:
    """From the header into the error."""
    head = b"HTTP/1.1 429 X\r\nConnection: close\r\nRetry-After: 12\r\n\r\n"
    with pytest.raises(RateLimited) as caught:
        _complete(head, b"{}")
    assert caught.value.retry_after_s == 12.0


def test_a_refusal_is_said_in_its_own_words() -> None:
    """Whole, and in pieces."""
    with pytest.raises(ModelRefused, match="I cannot"):
        _complete(OK, _body({"content": None, "refusal": "I cannot do that"}))
    pieces = b"".join(
        b"data: " + orjson.dumps({"choices": [{"delta": {"refusal": part}}]}) + b"\n\n"
        for part in ("I ", "cannot")
    )
    with pytest.raises(ModelRefused, match="I cannot"):
        _stream(STREAM_OK, chunked(pieces + STOP + DONE), CHUNKED_END)


def test_the_key_is_in_no_message() -> None:
    """Errors go to logs and traces; the key must not."""
    with pytest.raises(ModelRejected) as caught:
        _complete(b"HTTP/1.1 401 X\r\nConnection: close\r\n\r\n", b"who are you?")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("deadlines", "parts"),
    [
        (Deadlines(read_s=0.05), (30.0, OK)),
        (Deadlines(total_s=0.05), (OK, 30.0)),
        (Deadlines(read_s=0.05), (STREAM_OK, chunked(event("Hi")), 30.0)),
        (Deadlines(total_s=0.1), (STREAM_OK, *(chunked(event("Hi")), 0.03) * 1000)),
    ],
    ids=["headers", "body", "stalled stream", "endless stream"],
)
def test_each_deadline_ends_the_call(
    deadlines: Deadlines, parts: tuple[bytes | float, ...]
) -> None:
    """Slow headers, a slow body, a stream that stalls, one that never ends."""

    async def main() -> bool:
        options = Endpoint(deadlines=deadlines)
        async with endpoint(*parts, options=options) as (model, raw):
            with pytest.raises(ModelTimeout):
                await _chunks(model)
            await asyncio.wait_for(raw.has_left.wait(), 10.0)
            return raw.has_left.is_set()

    clock = Clock()
    began_s = clock.monotonic()
    assert asyncio.run(main())
    assert clock.monotonic() - began_s < 20.0


def test_deadlines_are_seconds_of_the_clock_in_force() -> None:
    """At speed 100 ten seconds are over in a tenth of one."""

    async def main() -> None:
        with use_clock(Clock(speed=100.0)):
            options = Endpoint(deadlines=Deadlines(read_s=10.0))
            async with endpoint(30.0, OK, options=options) as (model, _):
                with pytest.raises(ModelTimeout):
                    await model.complete(ASK)

    clock = Clock()
    began_s = clock.monotonic()
    asyncio.run(main())
    assert 0.1 <= clock.monotonic() - began_s < 20.0


def test_nobody_listening_is_unavailable() -> None:
    """A port where nothing is."""

    async def main() -> None:
        async with endpoint() as (model, _):
            gone = OpenAIModel(base_url="http://127.0.0.1:9/v1", model="m0")
            with pytest.raises(ModelUnavailable):
                await gone.complete(ASK)
            await gone.close()
            assert model.name == "m0"

    asyncio.run(main())


def test_a_reader_who_leaves_ends_the_call_upstream() -> None:
    """Closing the generator closes the connection at once."""

    async def main() -> None:
        async with endpoint(STREAM_OK, chunked(event("Hi")), 30.0) as (model, raw):
            async with aclosing(model.stream(ASK)) as chunks:
                assert (await anext(chunks)).text == "Hi"
            await asyncio.wait_for(raw.has_left.wait(), 10.0)

    asyncio.run(main())


def test_a_cancelled_plain_call_ends_upstream() -> None:
    """As does a task that is cancelled."""

    async def main() -> None:
        async with endpoint(30.0, OK) as (model, raw):
            task = asyncio.create_task(model.complete(ASK))
            await raw.is_asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(raw.has_left.wait(), 10.0)

    asyncio.run(main())


def test_a_finished_stream_leaves_its_connection_for_the_next_call() -> None:
    """Three streams one after the other use one connection."""

    async def main() -> int:
        parts = (STREAM_OK, chunked(event("Hi") + STOP + DONE), CHUNKED_END)
        async with endpoint(*parts) as (model, raw):
            for _ in range(3):
                await _chunks(model)
            return raw.connections

    assert asyncio.run(main()) == 1


def test_a_closed_model_may_be_used_again() -> None:
    """The next call makes new connections, also on another loop."""
    models: list[OpenAIModel] = []

    async def main() -> None:
        async with endpoint(OK, _body({"content": "Hi"})) as (model, _):
            models.append(model)
            await model.complete(ASK)
            await model.close()
            await model.complete(ASK)

    asyncio.run(main())
    assert models[0].name == "m0"
