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
from hasten.errors import ModelError, ModelTimeout
from hasten.model.base import Response, count_tokens
from hasten.model.openai_errors import retry_after_s
from hasten.model.traced import note_usage
from hasten.model.wire_format import simulated_name
from hasten.serve.gateway.answer import (
    StoredAnswer,
    new_answer_id,
    stored_answer,
)
from hasten.serve.gateway.calls import new_run
from hasten.serve.gateway.embedding import embed
from hasten.serve.gateway.refusal import Lines, Told
from hasten.serve.gateway.routes import CHAT, COUNT, EMBEDDINGS
from hasten.serve.gateway.taken import StreamTaken, WholeEvents, answer_out, taken_plain
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
            if _wants_together(errand, who[0]):
                stored = await self._embedded(errand, who)
            elif who[0].protocol == errand.question.route.protocol:
                stored = await self._passed(errand, who)
            else:
                stored = await self._chained(errand, who[0])
            errand.stored = stored
            return stored

    def stream(self, errand: Errand) -> AsyncGenerator[StreamHead | bytes, None]:
        """Yield a ``StreamHead``, then the answer's events; raises as ``plain`` does."""
        who = self.who(errand.question)
        if who[0].protocol == errand.question.route.protocol:
            return self._passed_on(errand, who)
        return self._written(errand, who[0])

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
            stored, response = taken_plain(question, body, is_stored=not errand.is_kept_out)
            self._note(here, response)
        return stored

    async def _passed_on(
        self, errand: Errand, who: Sequence[Upstream]
    ) -> AsyncGenerator[StreamHead | bytes, None]:
        question, clock = errand.question, current_clock()
        began_s = clock.monotonic()
        with self._run(errand), span("model", question.model, model=question.model) as here:
            reply = await self._ask(errand, who)
            try:
                headers = passed_headers(reply)
                if not _is_stream(reply):
                    raise Relayed(
                        Told(reply.status, headers, await reply.read()), model=question.model
                    )
                yield StreamHead(headers)
                taken = StreamTaken(question, is_stored=not errand.is_kept_out)
                events = WholeEvents() if question.route is CHAT else None
                piece = await reply.piece()
                here.set(first_token_s=clock.monotonic() - began_s)
                while piece:
                    told = piece if events is None else events.add(piece)
                    if told:
                        yield told
                    taken.add(piece)
                    piece = await reply.piece()
                if events is not None and events.rest:
                    yield events.rest
            finally:
                reply.close()
            errand.stored, response = taken.end(clock.now())
            self._note(here, response)

    def _note(self, here: OpenSpan, response: Response | None) -> None:
        if response is not None:
            note_usage(here, response, self._prices)

    async def _embedded(self, errand: Errand, who: Sequence[Upstream]) -> StoredAnswer:
        question = errand.question
        with span("model", question.model, model=question.model) as here:
            found, told = await embed(who, orjson.dumps(question.body))
            self._note(here, Response(text="", model=found.model, usage=found.usage))
        errand.told = Told(_OK, [JSON], orjson.dumps(told))
        tokens_in = found.usage.tokens_in
        return StoredAnswer(tail=errand.told.body[1:], has_new_id=False, tokens_in=tokens_in)

    async def _chained(self, errand: Errand, upstream: Upstream) -> StoredAnswer:
        question = errand.question
        route, now_s = question.route, current_clock().now()
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
        with self._run(errand):
            asked = route.wire.read_request(orjson.dumps(question.body))
            async with aclosing(self._model(upstream).stream(asked.request)) as chunks:
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


def _wants_together(errand: Errand, upstream: Upstream) -> bool:
    """Whether an errand is for embeddings that need not go through as they are.

    One with headers that may change the answer goes by itself.
    """
    if errand.question.route is not EMBEDDINGS:
        return False
    is_batched = bool(upstream.settings.embed_window_s) and not errand.terms.keyed
    return is_batched or upstream.protocol == "simulated"


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
