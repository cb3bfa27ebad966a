"""The simulated model behind the protocols of the providers: any client in any language can ask.

Owns the routes and which status each error gets, in each protocol's own shape.
Leaves the formats to the wires in ``model`` and the answers to
``model/simulated``. ``hasten sim`` serves it; tests of the wires run against it.
"""

from __future__ import annotations

import math
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from hasten.clock import current_clock
from hasten.errors import (
    HastenError,
    InvalidInput,
    ModelRejected,
    ModelTimeout,
    NotFound,
    RateLimited,
)
from hasten.model import (
    anthropic_errors,
    anthropic_wire,
    openai_errors,
    openai_wire,
    responses_wire,
)
from hasten.model.base import Message
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.model.simulated_answer import tokens_asked
from hasten.model.wire_format import Asked, Head, choice_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from hasten.model.base import Chunk
    from hasten.model.base import Request as Question
    from hasten.model.base import Response as Answer

_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class _Protocol:
    """What differs between the protocols: how to read, to answer, to stream, to name an error."""

    read: Callable[[bytes], Asked]
    answer: Callable[[Answer, Head, Question], dict[str, Any]]
    writer: Callable[[Head, Asked], Any]
    id_prefix: str = ""


_CHAT = _Protocol(
    openai_wire.read_request,
    lambda response, head, _: openai_wire.answer_out(response, head),
    openai_wire.EventWriter,
)
_RESPONSES = _Protocol(
    responses_wire.read_request,
    responses_wire.answer_out,
    responses_wire.EventWriter,
    responses_wire.ID_PREFIX,
)
_MESSAGES = _Protocol(
    anthropic_wire.read_request,
    lambda response, head, _: anthropic_wire.answer_out(response, head),
    anthropic_wire.EventWriter,
    anthropic_wire.ID_PREFIX,
)


def create_sim_app(profile: SimProfile | None = None) -> FastAPI:
    """Return the ASGI application that answers as ``profile`` says."""
    model = SimulatedModel(profile)
    app = FastAPI(title="Hasten simulated model", docs_url=None, redoc_url=None)
    _add_answers(app, model)
    _add_models(app, model)
    app.add_exception_handler(HastenError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


def _add_answers(app: FastAPI, model: SimulatedModel) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _answer(model, _CHAT, request)

    @app.post("/v1/responses")
    async def responses(request: Request) -> Response:
        return await _answer(model, _RESPONSES, request)

    @app.post("/v1/messages")
    async def messages(request: Request) -> Response:
        return await _answer(model, _MESSAGES, request)

    @app.post("/v1/messages/count_tokens")
    async def count_tokens(request: Request) -> Response:
        asked = anthropic_wire.read_request(await request.body(), is_count=True)
        return _json(anthropic_wire.count_out(tokens_asked(_plain(asked.request))))


def _add_models(app: FastAPI, model: SimulatedModel) -> None:
    started_s = current_clock().now()
    created = datetime.fromtimestamp(started_s, UTC).isoformat()

    def described(request: Request, name: str) -> dict[str, Any]:
        if _speaks_anthropic(request):
            return anthropic_wire.model_out(name, created)
        return openai_wire.model_out(name, started_s)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        page = {"has_more": False, "first_id": model.name, "last_id": model.name}
        listed = {"object": "list", "data": [described(request, model.name)]}
        return _json(listed | page if _speaks_anthropic(request) else listed)

    @app.get("/v1/models/{name}")
    async def one_model(request: Request, name: str) -> Response:
        return _json(described(request, name))


async def _answer(model: SimulatedModel, protocol: _Protocol, request: Request) -> Response:
    """Answer whole or begin a stream; an error before the first piece still has its status."""
    asked = protocol.read(await request.body())
    _refuse_several(asked)
    question = _plain(asked.request)
    id_, name = model.sign(question)
    head = Head(protocol.id_prefix + id_, name, current_clock().now(), is_simulated=True)
    if not asked.stream:
        return _json(protocol.answer(await model.complete(question), head, asked.request))
    chunks = model.stream(question)
    first = await anext(chunks)
    events = _events(
        protocol.writer(head, asked), first, chunks, is_anthropic=_speaks_anthropic(request)
    )
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM_HEADERS)


def _refuse_several(asked: Asked) -> None:
    count = asked.request.extra.get("n", 1)
    if count != 1:
        message = f"n is {count!r}: the simulated model gives one answer (n)"
        raise InvalidInput(message, field="n", value=count, allowed=["1"])


def _plain(request: Question) -> Question:
    """Return what of ``request`` the simulated model heeds, the same from every protocol."""
    turns = tuple(
        Message(turn.role, turn.content, turn.tool_calls, turn.tool_call_id)
        for turn in request.messages
    )
    choice = choice_of(request.extra)
    kept: dict[str, Any] = {}
    if choice is not None:
        named = {"type": "function", "function": {"name": choice.name}}
        kept["tool_choice"] = named if choice.kind == "tool" else choice.kind
    return msgspec.structs.replace(request, messages=turns, extra=kept, wire="")


async def _events(
    writer: Any, first: Chunk, rest: AsyncGenerator[Chunk, None], *, is_anthropic: bool
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream; one that breaks ends with an error instead."""
    async with aclosing(rest):
        try:
            async for chunk in _together(first, rest):
                yield b"".join(writer.write(chunk))
        except HastenError as error:
            _, told, _ = _describe(error, is_anthropic=is_anthropic)
            yield writer.error(told)


async def _together(first: Chunk, rest: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    yield first
    async for chunk in rest:
        yield chunk


def _speaks_anthropic(request: Request) -> bool:
    return request.url.path.startswith("/v1/messages") or "anthropic-version" in request.headers


async def _answer_error(request: Request, error: Exception) -> Response:
    status, told, headers = _describe(error, is_anthropic=_speaks_anthropic(request))
    return _json(told, status, headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if _speaks_anthropic(request):
        return _json(anthropic_errors.error_out(str(error), status), status)
    return _json(openai_errors.error_out(str(error), "invalid_request_error"), status)


def _describe(
    error: Exception, *, is_anthropic: bool
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the status, body and headers that the provider's server gives for ``error``."""
    status, kind, param, code = _named(error)
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s or 0.0
        headers = {
            "Retry-After": str(math.ceil(wait_s)),
            "retry-after-ms": str(math.ceil(wait_s * 1e3)),
        }
    if is_anthropic:
        return status, anthropic_errors.error_out(str(error), status), headers
    return status, openai_errors.error_out(str(error), kind, param=param, code=code), headers


def _named(error: Exception) -> tuple[int, str, str | None, str | None]:
    """Return the status, and OpenAI's type, parameter and code."""
    if isinstance(error, InvalidInput):
        return 400, "invalid_request_error", error.field or None, None
    if isinstance(error, ModelRejected):
        return error.status, "invalid_request_error", "response_format", None
    if isinstance(error, NotFound):
        return 404, "invalid_request_error", None, None
    if isinstance(error, RateLimited):
        return 429, "requests", None, "rate_limit_exceeded"
    if isinstance(error, ModelTimeout):
        return 504, "server_error", None, None
    return 503, "server_error", None, None


def _json(
    body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    content = orjson.dumps(body)
    return Response(content, status, headers=headers, media_type="application/json")
