"""Asking an upstream: passed through in its own protocol, else through formats and the chain.

Owns an errand: the choice among upstreams, the answer as it came, what is stored of it,
and the run it leaves. Leaves connections to ``forward``, formats to ``model/*_wire`` and
everything between a request and a model to its chain. ``gateway`` sends errands, mostly
from inside the cache: then one errand serves everybody who asks the same.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from hasten.caller import set_caller
from hasten.clock import current_clock
from hasten.errors import HastenError, InvalidInput, ModelError, ModelTimeout
from hasten.model import embed_wire
from hasten.model.base import Response, Usage, count_tokens
from hasten.model.openai_errors import retry_after_s
from hasten.model.simulated_embed import SimulatedEmbedding
from hasten.model.traced import note_usage
from hasten.model.wire_format import simulated_name
from hasten.serve.gateway.answer import (
    StoredAnswer,
    new_answer_id,
    stored_answer,
    streamed_response,
    used,
    whole_response,
)
from hasten.serve.gateway.calls import new_run
from hasten.serve.gateway.refusal import Lines, Told
from hasten.serve.gateway.routes import CHAT, COUNT, EMBEDDINGS, RESPONSES
from hasten.serve.gateway.upstreams import is_failing, no_upstream
from hasten.trace.recorder import Recorder, describe, enter_run, span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from hasten.model.base import Model
    from hasten.model.price import PriceTable
    from hasten.serve.gateway.calls import GatewayCalls
    from hasten.serve.gateway.forward import ForwardReply
    from hasten.serve.gateway.routes import Question
    from hasten.serve.gateway.terms import Terms
    from hasten.serve.gateway.upstreams import Upstream, Upstreams
    from hasten.settings import UpstreamSettings
    from hasten.store.keys import KeyRecord
    from hasten.trace.recorder import OpenSpan

JSON = ("content-type", "application/json")
EVENTS = ("content-type", "text/event-stream; charset=utf-8")
STREAM_HEADERS: Lines = [EVENTS, ("cache-control", "no-cache"), ("x-accel-buffering", "no")]

MOST_READ_BYTES = 8 * 1024 * 1024
"""A stream longer than this is passed on, but neither stored nor read for its usage."""

MOST_HELD_BYTES = 64 * 1024
_DROPPED = frozenset(
    {
        b"alt-svc",
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_OK, _REDIRECTS = 200, 300


class Relayed(ModelError):
    """An upstream's own refusal, which is passed on as it is."""

    code = "relayed"

    def __init__(self, told: Told, *, model: str) -> None:
        super().__init__(f"{model}: the upstream answered {told.status}", model=model)
        self.told = told


class StreamHead(NamedTuple):
    """The first piece of a stream: its headers."""

    headers: Lines


@dataclass(eq=False, slots=True)
class Errand:
    """A question on its way. ``told`` is the answer as it came, for whoever sent the errand.

    ``stored`` is what may be stored of it, ``run_id`` the run it left. ``is_kept_out``:
    nothing shall be stored.
    """

    question: Question
    terms: Terms
    key: KeyRecord
    told: Told | None = None
    stored: StoredAnswer | None = None
    run_id: str = ""
    cost_usd: float = 0.0
    is_kept_out: bool = False


class Relay:
    """Sends errands to ``upstreams`` and tells ``calls`` of them."""

    def __init__(
        self,
        upstreams: Upstreams,
        calls: GatewayCalls,
        model_of: Callable[[UpstreamSettings, str], Model],
        prices: PriceTable,
    ) -> None:
        self._upstreams = upstreams
        self._calls = calls
        self._model_of = model_of
        self._prices = prices

    def who(self, question: Question) -> list[Upstream]:
        """Return who may answer, whom to ask first in front. Raises ``NotFound``."""
        found = self._upstreams.order(question.model, question.route.protocol)
        if question.route is EMBEDDINGS:
            found = [one for one in found if one.protocol in {"openai", "simulated"}]
        if not found:
            raise no_upstream(question.model)
        return found

    async def plain(self, errand: Errand) -> StoredAnswer:
        """Return the whole answer. Raises ``Relayed``, ``ModelError`` and ``InvalidInput``."""
        with self._run(errand):
            who = self.who(errand.question)
            if who[0].protocol == errand.question.route.protocol:
                stored = await self._passed(errand, who)
            else:
                stored = await self._chained(errand, who[0])
            errand.stored = stored
            return stored

    async def stream(self, errand: Errand) -> AsyncGenerator[StreamHead | bytes, None]:
        """Yield a ``StreamHead``, then the answer's events; raises as ``plain`` does."""
        with self._run(errand):
            who = self.who(errand.question)
            is_native = who[0].protocol == errand.question.route.protocol
            source = self._passed_on(errand, who) if is_native else self._written(errand, who[0])
            async with aclosing(source) as pieces:
                async for piece in pieces:
                    yield piece

    def whole(self, errand: Errand) -> StoredAnswer:
        """Return what to store of a stream that has ended."""
        return errand.stored or StoredAnswer(tail=b"", is_whole=False)

    @contextmanager
    def _run(self, errand: Errand) -> Iterator[None]:
        """Record the block as a run of its own."""
        clock, caller = current_clock(), errand.key.caller
        run = new_run(errand.question.route.name, errand.question.model, caller)
        recorder = Recorder(run, clock)
        enter_run(recorder)
        set_caller(caller)
        errand.run_id = run.run_id
        run.status = "complete"
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            run.status = "cancelled"
            raise
        except BaseException as error:
            run.status, run.error = "failed", describe(error)
            raise
        finally:
            run.ended_s = recorder.now()
            recorder.finish_span(recorder.root, "ok" if run.status == "complete" else "failed")
            errand.cost_usd = run.cost_usd
            self._calls.add_run(run, recorder.spans, errand.key.key_id)

    def _model(self, upstream: Upstream) -> Model:
        """Return what answers for an upstream that does not speak the caller's protocol."""
        if upstream.model is None:
            upstream.model = self._model_of(upstream.settings, upstream.api_key)
        return upstream.model

    async def _ask(self, errand: Errand, who: Sequence[Upstream]) -> ForwardReply:
        """Return the beginning of an answer: of the first upstream that does not fail."""
        question, passed = errand.question, errand.terms.passed
        body = orjson.dumps(_with_usage(question))
        for place, upstream in enumerate(who, 1):
            is_last = place == len(who)
            head = upstream.head("POST", question.route.path, passed, len(body))
            try:
                reply = await upstream.forwarder.send(head, body)
            except ModelError as error:
                upstream.note(0)
                if is_last or isinstance(error, ModelTimeout):
                    raise
                continue
            upstream.note(reply.status, _patience_s(reply))
            if is_last or not is_failing(reply.status):
                return reply
            reply.close()
        raise no_upstream(question.model)

    async def _passed(self, errand: Errand, who: Sequence[Upstream]) -> StoredAnswer:
        question = errand.question
        with span("model", question.model, model=question.model) as here:
            reply = await self._ask(errand, who)
            try:
                body = await reply.read()
            finally:
                reply.close()
            errand.told = Told(reply.status, passed_headers(reply), body)
            if not _OK <= reply.status < _REDIRECTS:
                raise Relayed(errand.told, model=question.model)
            if errand.is_kept_out:
                told = used(body, question.model)
                response = Response(text="", model=told.model, usage=told.usage)
                note_usage(here, response, self._prices)
                return told
            stored, found = _stored(question, body)
            if found is not None:
                note_usage(here, found, self._prices)
        return stored

    async def _passed_on(
        self, errand: Errand, who: Sequence[Upstream]
    ) -> AsyncGenerator[StreamHead | bytes, None]:
        question, clock = errand.question, current_clock()
        began_s = clock.monotonic()
        with span("model", question.model, model=question.model) as here:
            reply = await self._ask(errand, who)
            try:
                headers = passed_headers(reply)
                if not _is_stream(reply):
                    raise Relayed(
                        Told(reply.status, headers, await reply.read()), model=question.model
                    )
                yield StreamHead(headers)
                read: list[bytes] = []
                read_bytes = 0
                async with aclosing(_events_only(reply, question)) as pieces:
                    async for piece in pieces:
                        if not read:
                            here.set(first_token_s=clock.monotonic() - began_s)
                        read_bytes += len(piece)
                        if read_bytes <= MOST_READ_BYTES:
                            read.append(piece)
                        yield piece
            finally:
                reply.close()
            if read_bytes <= MOST_READ_BYTES:
                errand.stored = self._note_stream(question, read, here)

    def _note_stream(
        self, question: Question, read: Sequence[bytes], here: OpenSpan
    ) -> StoredAnswer:
        route, now_s = question.route, current_clock().now()
        try:
            response = streamed_response(route, read, question.model)
            told = answer_out(question, response, question.asked.request, now_s)
        except (HastenError, InvalidInput):
            return StoredAnswer(tail=b"", is_whole=False)
        note_usage(here, response, self._prices)
        return stored_answer(route, told, response, is_kept=question.is_kept)

    async def _chained(self, errand: Errand, upstream: Upstream) -> StoredAnswer:
        question = errand.question
        route, now_s = question.route, current_clock().now()
        if route is EMBEDDINGS:
            wanted, encoding = embed_wire.read_request(orjson.dumps(question.body))
            vectors = await SimulatedEmbedding().embed(wanted)
            told = embed_wire.answer_out(vectors, encoding=encoding)
            errand.told = Told(_OK, [JSON], orjson.dumps(told))
            return StoredAnswer(tail=errand.told.body[1:], has_new_id=False)
        body = orjson.dumps(question.body)
        if route is COUNT:
            asked = route.wire.read_request(body, is_count=True)
            tokens = sum(count_tokens(turn.content) for turn in asked.request.messages)
            errand.told = Told(_OK, [JSON], orjson.dumps(route.wire.count_out(tokens)))
            return StoredAnswer(tail=errand.told.body[1:], has_new_id=False)
        asked = route.wire.read_request(body)
        response = await self._model(upstream).complete(asked.request)
        upstream.note(_OK)
        told = answer_out(question, response, asked.request, now_s)
        errand.told = Told(_OK, [JSON], orjson.dumps(told))
        return stored_answer(route, told, response, is_kept=False)

    async def _written(
        self, errand: Errand, upstream: Upstream
    ) -> AsyncGenerator[StreamHead | bytes, None]:
        question, now_s = errand.question, current_clock().now()
        route = question.route
        asked = route.wire.read_request(orjson.dumps(question.body))
        model = self._model(upstream)
        async with aclosing(model.stream(asked.request)) as chunks:
            first = await anext(chunks)
            id_ = new_answer_id(route).decode()
            is_simulated = upstream.protocol == "simulated"
            name = simulated_name(question.model) if is_simulated else question.model
            head = route.head(id_, name, now_s, is_simulated=is_simulated)
            writer = route.wire.EventWriter(head, asked)
            yield StreamHead(STREAM_HEADERS)
            yield b"".join(writer.write(first))
            response = first.response
            async for chunk in chunks:
                response = chunk.response or response
                if told := writer.write(chunk):
                    yield b"".join(told)
        upstream.note(_OK)
        if response is not None:
            told = answer_out(question, response, asked.request, now_s)
            errand.stored = stored_answer(route, told, response, is_kept=False)


def answer_out(question: Question, response: Response, request: Any, now_s: float) -> Any:
    """Return the plain body of an answer that did not come in the caller's protocol."""
    route = question.route
    head = route.head(
        response.id or new_answer_id(route).decode(),
        response.model,
        now_s,
        is_simulated=response.simulated,
    )
    if route is RESPONSES:
        return route.wire.answer_out(response, head, request)
    return route.wire.answer_out(response, head)


def passed_headers(reply: ForwardReply) -> Lines:
    """Return the upstream's headers that are the caller's business."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in reply.headers
        if name not in _DROPPED
    ]


def _with_usage(question: Question) -> dict[str, Any]:
    """Return the body with its usage asked for, which OpenAI's streams otherwise leave out."""
    if question.route is not CHAT or not question.is_stream or question.wants_usage:
        return question.body
    options = question.body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        return question.body
    return {**question.body, "stream_options": {**(options or {}), "include_usage": True}}


def without_usage(piece: bytes) -> bytes:
    """Return the events of a piece but for that of the usage, which the caller did not ask for."""
    if b'"usage":' not in piece or b'"choices":' not in piece:
        return piece
    events = piece.split(b"\n\n")
    return b"\n\n".join(one for one in events if not _is_usage(one))


def _is_usage(event: bytes) -> bool:
    packed = event.replace(b" ", b"")
    return b'"choices":[]' in packed and b'"usage":{' in packed


async def _events_only(reply: ForwardReply, question: Question) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a stream; chat's cut between events, so that one can be left out."""
    held = b""
    async with aclosing(reply.pieces()) as pieces:
        async for piece in pieces:
            if question.route is not CHAT or (not held and piece.endswith(b"\n\n")):
                yield piece
                continue
            held += piece
            end = held.rfind(b"\n\n") + 2
            if end < 2 and len(held) < MOST_HELD_BYTES and not held.endswith(b"\r\n\r\n"):  # noqa: PLR2004 - not found
                continue
            end = len(held) if end < 2 else end  # noqa: PLR2004 - not found
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _is_stream(reply: ForwardReply) -> bool:
    kinds = [value for name, value in reply.headers if name == b"content-type"]
    is_ok = _OK <= reply.status < _REDIRECTS
    return is_ok and bool(kinds) and kinds[0].startswith(b"text/event-stream")


def _patience_s(reply: ForwardReply) -> float | None:
    if not is_failing(reply.status):
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    named = {"Retry-After": headers.get("retry-after", ""), "Date": headers.get("date", "")}
    return retry_after_s({**headers, **named}, current_clock().now())


def _stored(question: Question, body: bytes) -> tuple[StoredAnswer, Response | None]:
    """Return what to store of a plain answer as it came, and what it says, if it is one."""
    route = question.route
    try:
        told = orjson.loads(body)
        if not isinstance(told, dict):
            return StoredAnswer(tail=body, is_whole=False), None
        if not route.id_prefix:
            usage = told.get("usage")
            tokens = usage.get("prompt_tokens", 0) if isinstance(usage, dict) else 0
            response = Response(text="", model=question.model, usage=Usage(int(tokens or 0)))
            return StoredAnswer(tail=orjson.dumps(told)[1:], has_new_id=False), response
        response = whole_response(route, body, question.model)
    except (HastenError, ValueError, TypeError):
        return StoredAnswer(tail=body, is_whole=False), None
    return stored_answer(route, told, response, is_kept=question.is_kept), response
