"""The simulated model behind the protocols of the providers: any client in any language can ask.

Owns the routes of OpenAI, Anthropic and Gemini. Leaves the formats to the wires
in ``model``, the errors in each protocol's shape to ``sim_errors``, and the
answers to ``model/simulated`` and ``model/embed``. ``hasten sim`` serves it;
tests of the wires run against it.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from hasten.clock import current_clock
from hasten.errors import HastenError, InvalidInput, NotFound
from hasten.model import anthropic_wire, embed_wire, gemini_wire, openai_wire, responses_wire
from hasten.model.base import Message
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.model.simulated_answer import tokens_asked
from hasten.model.simulated_embed import SimulatedEmbedding
from hasten.model.wire_format import Asked, Head, choice_of
from hasten.serve.sim_errors import (
    answer_error,
    answer_http_error,
    describe,
    protocol_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from hasten.model.base import Chunk
    from hasten.model.base import Request as Question
    from hasten.model.base import Response as Answer

_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class _Writer(Protocol):
    def write(self, chunk: Chunk) -> list[bytes]: ...

    def error(self, told: dict[str, Any]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Format:
    """How one protocol's answers are written."""

    answer: Callable[[Answer, Head, Question], dict[str, Any]]
    writer: Callable[[Head, Asked], _Writer]
    id_prefix: str = ""


_CHAT = _Format(
    lambda response, head, _: openai_wire.answer_out(response, head), openai_wire.EventWriter
)
_RESPONSES = _Format(
    responses_wire.answer_out, responses_wire.EventWriter, responses_wire.ID_PREFIX
)
_MESSAGES = _Format(
    lambda response, head, _: anthropic_wire.answer_out(response, head),
    anthropic_wire.EventWriter,
    anthropic_wire.ID_PREFIX,
)
_GEMINI = _Format(
    lambda response, head, _: gemini_wire.answer_out(response, head), gemini_wire.EventWriter
)


def create_sim_app(profile: SimProfile | None = None) -> FastAPI:
    """Return the ASGI application that answers as ``profile`` says."""
    model = SimulatedModel(profile)
    app = FastAPI(title="Hasten simulated model", docs_url=None, redoc_url=None)
    _add_answers(app, model)
    _add_gemini(app, model)
    _add_embeddings(app, SimulatedEmbedding(model.profile))
    _add_models(app, model)
    app.add_exception_handler(HastenError, answer_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    return app


def _add_answers(app: FastAPI, model: SimulatedModel) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        asked = openai_wire.read_request(await request.body())
        return await _answer(model, _CHAT, asked, request)

    @app.post("/v1/responses")
    async def responses(request: Request) -> Response:
        asked = responses_wire.read_request(await request.body())
        return await _answer(model, _RESPONSES, asked, request)

    @app.post("/v1/messages")
    async def messages(request: Request) -> Response:
        asked = anthropic_wire.read_request(await request.body())
        return await _answer(model, _MESSAGES, asked, request)

    @app.post("/v1/messages/count_tokens")
    async def count_tokens(request: Request) -> Response:
        asked = anthropic_wire.read_request(await request.body(), is_count=True)
        return _json(anthropic_wire.count_out(tokens_asked(_plain(asked.request))))


def _add_gemini(app: FastAPI, model: SimulatedModel) -> None:
    @app.post("/v1beta/models/{call:path}")
    async def generate(call: str, request: Request) -> Response:
        name, _, method = call.rpartition(":")
        body = await request.body()
        if method == "countTokens":
            asked = gemini_wire.read_request(body, model=name)
            return _json(gemini_wire.count_out(tokens_asked(_plain(asked.request))))
        if method not in ("generateContent", "streamGenerateContent"):
            message = f"there is no method {method!r}"
            raise NotFound(message)
        asked = gemini_wire.read_request(body, model=name, stream=method != "generateContent")
        return await _answer(model, _GEMINI, asked, request)

    @app.get("/v1beta/models")
    async def models() -> Response:
        return _json({"models": [gemini_wire.model_out(model.name)]})


def _add_embeddings(app: FastAPI, model: SimulatedEmbedding) -> None:
    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        asked, encoding = embed_wire.read_request(await request.body())
        return _json(embed_wire.answer_out(await model.embed(asked), encoding=encoding))


def _add_models(app: FastAPI, model: SimulatedModel) -> None:
    started_s = current_clock().now()
    created = datetime.fromtimestamp(started_s, UTC).isoformat()

    def described(request: Request, name: str) -> dict[str, Any]:
        if protocol_of(request) == "anthropic":
            return anthropic_wire.model_out(name, created)
        return openai_wire.model_out(name, started_s)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        page = {"has_more": False, "first_id": model.name, "last_id": model.name}
        listed = {"object": "list", "data": [described(request, model.name)]}
        return _json(listed | page if protocol_of(request) == "anthropic" else listed)

    @app.get("/v1/models/{name}")
    async def one_model(request: Request, name: str) -> Response:
        return _json(described(request, name))


async def _answer(
    model: SimulatedModel, written: _Format, asked: Asked, request: Request
) -> Response:
    """Answer whole or begin a stream; an error before the first piece still has its status."""
    _refuse_several(asked)
    question = _plain(asked.request)
    id_, name = model.sign(question)
    head = Head(written.id_prefix + id_, name, current_clock().now(), is_simulated=True)
    if not asked.stream:
        return _json(written.answer(await model.complete(question), head, asked.request))
    chunks = model.stream(question)
    first = await anext(chunks)
    events = _events(written.writer(head, asked), first, chunks, protocol_of(request))
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
    writer: _Writer, first: Chunk, rest: AsyncGenerator[Chunk, None], protocol: str
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream; one that breaks ends with an error instead."""
    async with aclosing(rest):
        try:
            async for chunk in _together(first, rest):
                yield b"".join(writer.write(chunk))
        except HastenError as error:
            _, told, _ = describe(error, protocol)
            yield writer.error(told)


async def _together(first: Chunk, rest: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    yield first
    async for chunk in rest:
        yield chunk


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
