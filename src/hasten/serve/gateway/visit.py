"""One call's way through the gateway, from its headers to its last byte.

Owns the order of things: headers, key, body, memo, limits, cache, upstream, and the
answer in the form asked for. A hit in memory parses nothing: the hash of its raw body
leads to its key, and the answer is bytes ready to send. ``gateway`` starts a visit for
each call and tells a failure in the caller's protocol.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hasten.cache.decide import Stale
from hasten.cache.entry import Provenance
from hasten.cache.reading import CacheReading
from hasten.errors import NotCached, NotFound
from hasten.model.base import Request, Usage
from hasten.model.wire_format import Asked
from hasten.serve.admission import Refusal
from hasten.serve.gateway import models
from hasten.serve.gateway.answer import StoredAnswer, plain_of, stream_of
from hasten.serve.gateway.calls import GatewayCall
from hasten.serve.gateway.headers import given_headers, hit_headers, made_headers
from hasten.serve.gateway.refusal import Told, told_refusal
from hasten.serve.gateway.relay import (
    JSON,
    STREAM_HEADERS,
    Errand,
    StreamHead,
    without_usage,
)
from hasten.serve.gateway.routes import CHAT, OTHER, ROUTES, read_question

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from hasten.cache.flight import Answer
    from hasten.cache.key import Key
    from hasten.cache.memory import HeldEntry
    from hasten.serve.gateway.calls import CallResult
    from hasten.serve.gateway.door import Exchange
    from hasten.serve.gateway.gateway import Gateway, Known
    from hasten.serve.gateway.refusal import Lines
    from hasten.serve.gateway.routes import Route
    from hasten.serve.gateway.terms import Terms
    from hasten.store.keys import KeyRecord

WATCH_AFTER_S = 0.02
"""A call that takes longer is watched: when its client leaves, so does it."""

_GONE = 499
_OK = 200


class Visit:
    """One call."""

    __slots__ = (
        "_began_s",
        "_call",
        "_gateway",
        "_has_begun",
        "_is_stream",
        "_key",
        "_model",
        "_route",
        "is_abandoned",
    )

    def __init__(self, gateway: Gateway, call: Exchange) -> None:
        self.is_abandoned = False
        self._gateway = gateway
        self._call = call
        self._route = ROUTES.get(call.path)
        self._began_s = gateway.clock.monotonic()
        self._model = ""
        self._key: KeyRecord | None = None
        self._is_stream = False
        self._has_begun = False

    @property
    def protocol(self) -> str:
        """In whose protocol the caller is told what is wrong."""
        if self._route is not None:
            return self._route.protocol
        return "anthropic" if self._call.path.startswith("/v1/messages") else "openai"

    async def answer(self) -> None:
        """Answer the call. Raises ``HastenError`` before the answer has begun."""
        gateway, call, route = self._gateway, self._call, self._route
        terms = gateway.terms.of(call.method, call.headers)
        if terms.refusal is not None:
            await gateway.bodies.read(call.read_away(4 * gateway.max_body_bytes))
            await self.refuse(told_refusal(terms.refusal, self.protocol))
            return
        key = self._key = gateway.recall(terms) or await gateway.find(terms)
        if route is None or call.method != "POST":
            await self._answer_other(terms, key)
            return
        data = await gateway.bodies.read(call.body(gateway.max_body_bytes))
        if not terms.is_plain:
            await self._answer_new(route, terms, key, data)
            return
        asked = (terms, key.key_id, call.path, sha256(data).digest())
        known = gateway.memo.get(asked)
        held = None if known is None else gateway.cache.plain_hit(known.digest)
        if known is None or held is None:
            await self._answer_new(route, terms, key, data, asked)
            return
        gateway.meters.check(key, known.model)
        await self._answer_held(route, known, held)

    async def refuse(self, told: Told) -> None:
        """Tell what is wrong, in place of an answer or at the end of one that broke."""
        self.count("refused", told.status)
        if self._has_begun:
            if self._is_stream:
                await self._call.write(_broken(self.protocol, told.body))
            await self._call.end()
            return
        headers = told.headers
        if self._key is not None:
            headers = [*headers, *self._gateway.meters.left(self._key).items()]
        await self._call.reply(told.status, headers, told.body)

    def count_gone(self) -> None:
        """Count a call whose client has left."""
        self.count("refused", _GONE)

    def count(self, result: CallResult, status: int, **more: Any) -> None:
        """Count the call."""
        gateway = self._gateway
        caller = self._key.caller if self._key is not None else None
        gateway.calls.add(
            GatewayCall(
                gateway.clock.now(),
                self._route.name if self._route is not None else OTHER,
                self._model,
                caller.tenant if caller is not None else "",
                caller.user if caller is not None else "",
                result,
                status,
                gateway.clock.monotonic() - self._began_s,
                is_stream=self._is_stream,
                **more,
            )
        )

    async def _answer_held(self, route: Route, known: Known, held: HeldEntry) -> None:
        """Answer with what memory holds."""
        gateway = self._gateway
        stored: StoredAnswer = held.read(StoredAnswer)
        now_s = gateway.clock.now()
        self._model = known.model
        took_s = gateway.clock.monotonic() - self._began_s
        headers = hit_headers(held.entry, "memory", now_s, took_s)
        if known.is_stream:
            self._is_stream = True
            asked = Asked(Request(messages=(), model=known.model), True, known.wants_usage)  # noqa: FBT003 - a stream
            body = stream_of(route, stored, asked, now_s)
            await self._call.reply(_OK, [*STREAM_HEADERS, *headers], body)
        else:
            await self._call.reply(_OK, [JSON, *headers], plain_of(route, stored, now_s))
        origin = held.entry.provenance
        self.count("hit", _OK, saved_usd=origin.cost_usd, saved_s=origin.compute_s)

    async def _answer_new(
        self,
        route: Route,
        terms: Terms,
        key: KeyRecord,
        data: bytes,
        asked: tuple[Terms, str, str, bytes] | None = None,
    ) -> None:
        """Answer what the memo does not know, or memory does not hold."""
        gateway = self._gateway
        question = read_question(route, data)
        self._model, self._is_stream = question.model, question.is_stream
        gateway.meters.check(key, question.model)
        errand = Errand(question, terms, key)
        if terms.is_off or question.is_stateful:
            if terms.directives.only_if_cached:
                message = "only-if-cached: this call keeps the cache out"
                raise NotCached(message)
            await self._pass_by(errand)
            return
        policy = gateway.policy(route, terms, key)
        made_by = gateway.maker(question, terms)
        cache_key = policy.key(question.fields, key.caller, session=terms.session, made_by=made_by)
        if asked is not None:
            gateway.remember(asked, cache_key.digest, question)
        work = self._stream if question.is_stream else self._plain
        await self._watched(work(errand, cache_key, policy))

    async def _plain(self, errand: Errand, key: Key, policy: Any) -> None:
        gateway = self._gateway
        ask = partial(gateway.relay.plain, errand)
        answer = await gateway.cache.answer(key, ask, policy, directives=errand.terms.directives)
        stored: StoredAnswer = answer.value
        if errand.told is not None and not answer.is_collapsed:
            await self._give_plain(errand, errand.told.headers, errand.told.body, answer, key)
        elif not stored.is_whole:
            await self._pass_by(errand)
        else:
            body = plain_of(errand.question.route, stored, gateway.clock.now())
            await self._give_plain(errand, [JSON], body, answer, key)

    async def _give_plain(
        self, errand: Errand, headers: Lines, body: bytes, answer: Answer, key: Key
    ) -> None:
        more = self._said(errand, answer, key)
        await self._call.reply(_OK, [*headers, *more], body)
        self._count_answer(errand, answer)

    async def _stream(self, errand: Errand, key: Key, policy: Any) -> None:
        gateway = self._gateway
        found = await gateway.cache.open_stream(
            key,
            partial(gateway.relay.stream, errand),
            policy,
            lambda _: gateway.relay.whole(errand),
            directives=errand.terms.directives,
        )
        if isinstance(found, CacheReading):
            said = "fwd=miss" if found.is_mine else "fwd=miss; collapsed"
            async with aclosing(found.pieces()) as pieces:
                if await self._pour(errand, pieces, said, key.digest):
                    self._count_made(errand, "miss" if found.is_mine else "collapsed")
                    return
            found = found.answer  # type: ignore[assignment]  # a flight without pieces has one
        assert not isinstance(found, CacheReading)  # noqa: S101 - it was replaced just now
        stored: StoredAnswer = found.value
        if not stored.is_whole:
            await self._pass_by(errand)
            return
        body = stream_of(errand.question.route, stored, errand.question.asked, gateway.clock.now())
        headers = [*STREAM_HEADERS, *self._said(errand, found, key)]
        await self._call.reply(_OK, headers, body)
        self._count_answer(errand, found)

    async def _pour(
        self, errand: Errand, pieces: AsyncGenerator[Any, None], said: str, digest: bytes
    ) -> bool:
        """Send a stream's pieces as they come; whether there were any."""
        first = await anext(pieces, None)
        if not isinstance(first, StreamHead):
            return False
        took_s = self._gateway.clock.monotonic() - self._began_s
        more = made_headers(said, digest, took_s)
        if errand.run_id:
            more.append(("hasten-run-id", errand.run_id))
        await self._call.start(_OK, [*first.headers, *more])
        self._has_begun = True
        is_cut = errand.question.route is CHAT and not errand.question.wants_usage
        async for piece in pieces:
            sent = without_usage(piece) if is_cut else piece
            if sent:
                await self._call.write(sent)
        await self._call.end()
        return True

    async def _pass_by(self, errand: Errand) -> None:
        """Ask the upstream and nobody else."""
        relay = self._gateway.relay
        errand.is_kept_out = True
        if not errand.question.is_stream:
            await self._watched(relay.plain(errand))
            assert errand.told is not None  # noqa: S101 - an errand that ends well has been told
            said = self._made(errand, "fwd=bypass", b"")
            await self._call.reply(
                errand.told.status, [*errand.told.headers, *said], errand.told.body
            )
        else:
            async with aclosing(relay.stream(errand)) as pieces:
                await self._watched(self._pour(errand, pieces, "fwd=bypass", b""))
        self._count_made(errand, "bypass")

    async def _watched(self, work: Awaitable[Any]) -> None:
        """Do ``work``, and stop it when the client leaves."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        watch: asyncio.Task[None] | None = None

        def leave(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and task is not None:
                done.exception()
                self.is_abandoned = True
                task.cancel()

        def begin() -> None:
            nonlocal watch
            watch = loop.create_task(self._call.gone(), name="watch for leaving")
            watch.add_done_callback(leave)

        alarm = loop.call_later(WATCH_AFTER_S, begin)
        try:
            await work
        finally:
            alarm.cancel()
            if watch is not None:
                watch.remove_done_callback(leave)
                watch.cancel()

    def _said(self, errand: Errand, answer: Answer, key: Key) -> Lines:
        clock = self._gateway.clock
        took_s = clock.monotonic() - self._began_s
        headers = given_headers(answer, key.digest, clock.now(), took_s)
        if errand.run_id and not answer.is_collapsed:
            headers += [
                ("hasten-run-id", errand.run_id),
                ("hasten-cost-usd", f"{errand.cost_usd:.6f}"),
            ]
        return headers

    def _made(self, errand: Errand, said: str, digest: bytes) -> Lines:
        took_s = self._gateway.clock.monotonic() - self._began_s
        headers = made_headers(said, digest, took_s)
        headers.append(("hasten-run-id", errand.run_id))
        headers.append(("hasten-cost-usd", f"{errand.cost_usd:.6f}"))
        return headers

    def _count_answer(self, errand: Errand, answer: Answer) -> None:
        if answer.is_collapsed:
            self._count_made(errand, "collapsed")
        elif errand.run_id:
            self._count_made(errand, "miss")
        else:
            result: CallResult = "stale" if isinstance(answer.decision, Stale) else "hit"
            origin = answer.entry.provenance if answer.entry is not None else Provenance()
            self.count(result, _OK, saved_usd=origin.cost_usd, saved_s=origin.compute_s)

    def _count_made(self, errand: Errand, result: CallResult) -> None:
        usage = errand.stored.usage if errand.stored is not None else Usage()
        self.count(
            result,
            _OK,
            cost_usd=errand.cost_usd,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cached_tokens_in=usage.cached_tokens_in,
            cache_write_tokens_in=usage.cache_write_tokens_in,
            run_id=errand.run_id,
        )

    async def _answer_other(self, terms: Terms, key: KeyRecord) -> None:
        """Answer what is no question: the models, or that there is nothing here."""
        call = self._call
        await self._gateway.bodies.read(call.body(self._gateway.max_body_bytes))
        if self._route is not None:
            refusal = Refusal(405, "method_not_allowed", f"POST to {call.path}")
            await self.refuse(told_refusal(refusal, self.protocol))
            return
        if call.method != "GET" or not call.path.startswith("/v1/models"):
            message = f"there is nothing at {call.method} {call.path[:200]}"
            raise NotFound(message)
        upstreams = self._gateway.upstreams
        body = await models.listing(upstreams, key, call.path, is_anthropic=terms.is_anthropic)
        await call.reply(_OK, [JSON], body)
        self.count("bypass", _OK)


def _broken(protocol: str, body: bytes) -> bytes:
    """Return the event that ends a stream which cannot go on; its usual end does not follow."""
    named = b"event: error\n" if protocol == "anthropic" else b""
    return named + b"data: " + body + b"\n\n"
