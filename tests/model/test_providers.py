"""The wire is chosen by the word before the model's name, and errors mean the same on each."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from hasten.errors import (
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from hasten.model.anthropic import AnthropicModel
from hasten.model.base import Message, Request, Usage
from hasten.model.gemini import GeminiModel
from hasten.model.http import Deadlines, Endpoint
from hasten.model.openai import OpenAIModel, ResponsesModel
from hasten.model.providers import named, provider_model
from tests.model.endpoint import CHUNKED_END, OK, STREAM_OK, RawEndpoint, chunked, endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten.model.providers import Protocol

ASK = Request.ask("Hello", system="Be brief.")


@pytest.mark.parametrize(
    ("told", "protocol", "model", "kind"),
    [
        ("gpt-4o", "openai", "gpt-4o", OpenAIModel),
        ("openai/gpt-4o", "openai", "gpt-4o", OpenAIModel),
        ("meta-llama/llama-4", "openai", "meta-llama/llama-4", OpenAIModel),
        ("openai/anthropic/claude", "openai", "anthropic/claude", OpenAIModel),
        ("responses/gpt-4o", "responses", "gpt-4o", ResponsesModel),
        ("anthropic/claude-x", "anthropic", "claude-x", AnthropicModel),
        ("gemini/gemini-x", "gemini", "gemini-x", GeminiModel),
        ("anthropic", "openai", "anthropic", OpenAIModel),
    ],
)
def test_the_word_before_a_name_chooses(told: str, protocol: str, model: str, kind: Any) -> None:
    """Only a protocol's own word is taken off."""
    found = named(told)
    assert found == (protocol, model)
    made = provider_model(found.protocol, base_url="http://x", model=found.model)
    assert type(made) is kind
    assert made.name == model


def _ask(
    protocol: Protocol,
    parts: tuple[bytes | float, ...],
    ask: Callable[[Any], Awaitable[Any]],
    options: Endpoint | None = None,
) -> tuple[Any, RawEndpoint]:
    """Return what ``ask`` makes of a model of ``protocol`` whose endpoint sends ``parts``."""

    async def main() -> tuple[Any, RawEndpoint]:
        async with endpoint(*parts, options=options, protocol=protocol) as (model, raw):
            return await ask(model), raw

    return asyncio.run(main())


def _refused(status: int, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n".encode()


async def _complete(model: Any) -> Any:
    return await model.complete(ASK)


async def _stream(model: Any) -> Any:
    async with aclosing(model.stream(ASK)) as chunks:
        return [chunk async for chunk in chunks]


def _event(data: dict[str, Any]) -> bytes:
    return chunked(b"data: " + orjson.dumps(data) + b"\n\n")


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
TOO_LONG = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
EXHAUSTED = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
START = {"type": "message_start", "message": {"id": "m", "model": "m1", "usage": {}}}

REFUSALS: list[tuple[Protocol, bytes, Any, type[ModelError]]] = [
    ("anthropic", _refused(529, "Retry-After: 7\r\n"), OVERLOADED, RateLimited),
    ("anthropic", _refused(429, "Retry-After: 7\r\n"), OVERLOADED, RateLimited),
    ("anthropic", _refused(400), TOO_LONG, ModelRejected),
    ("anthropic", _refused(413), TOO_LONG, ModelRejected),
    ("anthropic", _refused(504), {}, ModelTimeout),
    ("anthropic", _refused(500), {}, ModelUnavailable),
    ("gemini", _refused(429, "Retry-After: 7\r\n"), EXHAUSTED, RateLimited),
    ("gemini", _refused(503), {"error": {"code": 503, "message": "over"}}, ModelUnavailable),
    ("gemini", _refused(403), {"error": {"code": 403, "message": "no"}}, ModelRejected),
    ("responses", _refused(429, "Retry-After: 7\r\n"), {}, RateLimited),
]


@pytest.mark.parametrize("ask", [_complete, _stream])
@pytest.mark.parametrize(("protocol", "head", "body", "kind"), REFUSALS)
def test_statuses_become_errors(
    protocol: Protocol, head: bytes, body: Any, kind: type[ModelError], ask: Any
) -> None:
    """With the provider's words and its wish for patience."""
    with pytest.raises(kind) as caught:
        _ask(protocol, (head, orjson.dumps(body)), ask)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after_s == 7.0
    told = body.get("error", {}).get("message", "")
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


BROKEN: list[tuple[Protocol, tuple[bytes, ...], type[ModelError]]] = [
    ("anthropic", (_event(START), _event(OVERLOADED), CHUNKED_END), RateLimited),
    ("anthropic", (_event(START), CHUNKED_END), ModelUnavailable),
    ("anthropic", (_event({"type": 5}), CHUNKED_END), ModelUnavailable),
    ("anthropic", (_event(START),), ModelUnavailable),
    ("gemini", (_event(EXHAUSTED), CHUNKED_END), RateLimited),
    ("gemini", (_event({"candidates": []}), CHUNKED_END), ModelUnavailable),
    ("gemini", (_event({"promptFeedback": {"blockReason": "SAFETY"}}), CHUNKED_END), ModelRefused),
    ("responses", (_event({"type": "error", "code": "server_error"}),), ModelUnavailable),
    ("responses", (_event({"type": "response.created"}), CHUNKED_END), ModelUnavailable),
]


@pytest.mark.parametrize(("protocol", "events", "kind"), BROKEN)
def test_a_stream_that_breaks_is_an_error(
    protocol: Protocol, events: tuple[bytes, ...], kind: type[ModelError]
) -> None:
    """Said in the stream, or broken off."""
    with pytest.raises(kind):
        _ask(protocol, (STREAM_OK, *events), _stream)


@pytest.mark.parametrize("protocol", ["responses", "anthropic", "gemini"])
def test_deadlines_hold_and_a_reader_who_leaves_ends_the_call(protocol: Protocol) -> None:
    """Nothing in time is a timeout; a cancelled call closes its connection."""
    soon = Endpoint(deadlines=Deadlines(read_s=0.05))
    with pytest.raises(ModelTimeout):
        _ask(protocol, (30.0, OK), _complete, soon)

    async def leave() -> None:
        async with endpoint(30.0, OK, protocol=protocol) as (model, raw):
            task = asyncio.create_task(model.complete(ASK))
            await raw.is_asked.wait()
            task.cancel()
            await asyncio.wait([task])
            await asyncio.wait_for(raw.has_left.wait(), 10.0)

    asyncio.run(leave())


def test_anthropic_says_what_it_read_from_its_cache_and_wrote_into_it() -> None:
    """All of it is input; the parts stay apart. The headers of a request go along."""
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1},
        "output_tokens": 1,
    }
    body = {
        "id": "m",
        "model": "m1",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "refusal",
        "usage": usage,
    }

    async def ask(model: Any) -> Any:
        return await model.complete(Request(messages=ASK.messages, headers={"anthropic-beta": "b"}))

    response, raw = _ask("anthropic", (OK, orjson.dumps(body)), ask)
    assert (response.usage, response.finish_reason) == (
        Usage(9, 1, 4, 2, 1),
        "content_filter",
    )
    assert b"anthropic-beta: b" in raw.heads[0]
    assert b"x-api-key: secret" in raw.heads[0]
    assert b"anthropic-version: 2023-06-01" in raw.heads[0]


def test_anthropic_counts_tokens() -> None:
    """By its own count, for the request as it would be asked; anything else is an error."""

    async def count(model: Any) -> Any:
        return await model.count_tokens(ASK)

    counted, raw = _ask("anthropic", (OK, b'{"input_tokens": 14}'), count)
    sent = orjson.loads(raw.bodies[0])
    assert (counted, sent["system"], "max_tokens" in sent) == (14, "Be brief.", False)
    with pytest.raises(ModelUnavailable):
        _ask("anthropic", (OK, b"{}"), count)


def test_gemini_thinks_calls_and_counts() -> None:
    """Thoughts are no text but are kept; a call without an id gets one; cached tokens are told."""
    parts = [
        {"text": "hm", "thought": True},
        {"functionCall": {"name": "look", "args": {"a": 1}}, "thoughtSignature": "s"},
    ]
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 3,
            "cachedContentTokenCount": 4,
        },
        "modelVersion": "m1",
        "responseId": "r1",
    }
    response, _ = _ask("gemini", (OK, orjson.dumps(body)), _complete)
    assert (response.text, response.finish_reason) == ("", "tool_calls")
    assert response.usage == Usage(9, 5, 4)
    (call,) = response.tool_calls
    assert (call.name, call.arguments, bool(call.id)) == ("look", '{"a":1}', True)
    said = Message("assistant", "", response.tool_calls, parts=response.parts)
    told = Message("tool", "seen", tool_call_id=call.id)

    async def again(model: Any) -> Any:
        asked = Request(messages=(*ASK.messages, said, told), wire=response.wire)
        return await model.complete(asked)

    _, raw = _ask("gemini", (OK, orjson.dumps(body)), again)
    contents = orjson.loads(raw.bodies[0])["contents"]
    assert contents[1]["parts"] == parts
    assert contents[2]["parts"][0]["functionResponse"]["name"] == "look"
