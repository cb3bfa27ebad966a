"""The simulated model as an OpenAI-compatible endpoint: any client in any language can talk to it.

Owns the routes ``/v1/chat/completions`` and ``/v1/models`` and which status
each error gets. Leaves the shapes to ``sim_wire`` and the answers to
``model/simulated``. ``hasten sim`` serves it; tests of the wire run against it.
"""

from __future__ import annotations

import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from hasten.clock import current_clock
from hasten.errors import HastenError, InvalidInput, ModelRejected, RateLimited
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.serve.sim_wire import (
    ChatBody,
    ChunkWriter,
    answer_out,
    error_out,
    model_out,
    read_body,
    to_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk

_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def create_sim_app(profile: SimProfile | None = None) -> FastAPI:
    """Return the ASGI application that answers as ``profile`` says."""
    model = SimulatedModel(profile)
    app = FastAPI(title="Hasten simulated model", docs_url=None, redoc_url=None)
    started_s = current_clock().now()

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = read_body(await request.body())
        return await (_stream(model, body) if body.stream else _whole(model, body))

    @app.get("/v1/models")
    async def models() -> Response:
        return _json({"object": "list", "data": [model_out(model.name, started_s)]})

    @app.get("/v1/models/{name}")
    async def one_model(name: str) -> Response:
        return _json(model_out(name, started_s))

    app.add_exception_handler(HastenError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


async def _whole(model: SimulatedModel, body: ChatBody) -> Response:
    response = await model.complete(to_request(body))
    return _json(answer_out(response, current_clock().now()))


async def _stream(model: SimulatedModel, body: ChatBody) -> Response:
    """Begin a stream; an error before the first piece is still an answer with its status."""
    request = to_request(body)
    id_, name = model.sign(request)
    writer = ChunkWriter(id_, name, current_clock().now(), wants_usage=body.wants_usage)
    chunks = model.stream(request)
    first = await anext(chunks)
    return StreamingResponse(
        _events(writer, first, chunks), media_type="text/event-stream", headers=_STREAM_HEADERS
    )


async def _events(
    writer: ChunkWriter, first: Chunk, rest: AsyncGenerator[Chunk, None]
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream; one that breaks ends with an error and without ``[DONE]``."""
    async with aclosing(rest):
        yield _event(writer.first())
        try:
            async for chunk in _together(first, rest):
                if chunk.response is None:
                    yield _event(writer.text(chunk.text))
                    continue
                for last in writer.last(chunk.response):
                    yield _event(last)
        except HastenError as error:
            _, told, _ = _describe(error)
            yield _event(told)
            return
    yield b"data: [DONE]\n\n"


async def _together(first: Chunk, rest: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    yield first
    async for chunk in rest:
        yield chunk


async def _answer_error(_request: Request, error: Exception) -> Response:
    status, told, headers = _describe(error)
    return _json(told, status, headers)


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _json(error_out(str(error), "invalid_request_error"), status)


def _describe(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the status, body and headers that OpenAI's server gives for ``error``."""
    message, kind = str(error), "invalid_request_error"
    if isinstance(error, InvalidInput):
        return 400, error_out(message, kind, param=error.field or None), {}
    if isinstance(error, ModelRejected):
        return error.status, error_out(message, kind, param="response_format"), {}
    if isinstance(error, RateLimited):
        wait_s = error.retry_after_s or 0.0
        headers = {
            "Retry-After": str(math.ceil(wait_s)),
            "retry-after-ms": str(math.ceil(wait_s * 1e3)),
        }
        return 429, error_out(message, "requests", code="rate_limit_exceeded"), headers
    return 503, error_out(message, "server_error"), {}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _json(
    body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    content = orjson.dumps(body)
    return Response(content, status, headers=headers, media_type="application/json")
