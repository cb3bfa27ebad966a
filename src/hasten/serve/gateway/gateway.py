"""The gateway: what all its calls share, and what becomes of one that fails.

Owns putting the parts together, the memo from raw bodies to canonical keys, and each
call's policy. Leaves a call's way to ``visit``, HTTP to ``door``, upstreams to ``relay``
and what may be reused to ``cache``. ``door`` asks it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hasten.cache.policy import CachePolicy
from hasten.caller import LOCAL
from hasten.clock import current_clock
from hasten.errors import HastenError, Unauthenticated
from hasten.serve.admission import Admission, Refusal
from hasten.serve.gateway.answer import StoredAnswer, is_whole
from hasten.serve.gateway.calls import GatewayCalls
from hasten.serve.gateway.door import BodyWatch
from hasten.serve.gateway.limits import KeyMeters
from hasten.serve.gateway.refusal import told_error, told_refusal
from hasten.serve.gateway.relay import Relay, Relayed
from hasten.serve.gateway.terms import Terms, TermsRead
from hasten.serve.gateway.upstreams import upstreams_of
from hasten.serve.gateway.visit import Visit
from hasten.store.keys import KeyRecord
from hasten.wire_models import prices_of, upstream_model

if TYPE_CHECKING:
    from hasten.serve.gateway.door import Exchange
    from hasten.serve.gateway.routes import Question, Route
    from hasten.wire_stores import Stores

ANYBODY = KeyRecord("", LOCAL, "everybody on this machine", 0.0, None)
"""Who asks as long as no key was made."""

MEMO_ENTRIES = 20_000
EMBEDDING_TTL_S = 30 * 86_400.0
WAIT_S = 60.0
"""How long to wait for another server that is asking the same."""

_FAULT = Refusal(500, "internal", "this is our fault; the server's log says more")
_log = logging.getLogger(__name__)


class Known(NamedTuple):
    """What the memo knows of a raw body: its key's digest, and what else a hit needs."""

    digest: bytes
    model: str
    is_stream: bool
    wants_usage: bool


class Gateway:
    """Answers the calls below ``/v1``, out of ``stores`` or into them."""

    def __init__(self, stores: Stores) -> None:
        settings = stores.settings
        self.max_body_bytes = settings.max_body_bytes
        self.keys = stores.keys
        self.cache = stores.cache
        self.clock = current_clock()
        self.began_s = self.clock.now()
        self.worker, self.workers = stores.peers.name, settings.workers
        self.upstreams = upstreams_of(settings)
        self.calls = GatewayCalls(stores.sink, stores.keys)
        self.meters = KeyMeters(stores.keys)
        prices = prices_of(settings)
        model_of = partial(upstream_model, speed=settings.speed, prices=prices)
        self.relay = Relay(self.upstreams, self.calls, model_of, prices)
        self.terms = TermsRead(Admission(settings))
        self.bodies = BodyWatch()
        self.memo: dict[tuple[Terms, str, str, bytes], Known] = {}
        answers = CachePolicy(
            use="gateway",
            ttl_s=settings.gateway_ttl_s,
            returns=StoredAnswer,
            is_storable=is_whole,
            wait_s=WAIT_S if settings.redis_url else 0.0,  # else nobody else computes it
        )
        lasting = dataclasses.replace(answers, use="embedding", ttl_s=EMBEDDING_TTL_S)
        self._policies = {one.use: one for one in (answers, lasting)}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to write down what calls come to, and to look after bodies that never come."""
        for work in (self.calls.write_now_and_then(), self.bodies.look()):
            self._tasks.append(asyncio.create_task(work, name="gateway upkeep"))

    async def close(self) -> None:
        """Write the rest down and give the connections back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.calls.write()
        await self.upstreams.close()

    async def answer(self, call: Exchange) -> None:
        """Answer one call, whatever it is."""
        visit = Visit(self, call)
        try:
            await visit.answer()
        except Relayed as error:
            await visit.refuse(error.told)
        except HastenError as error:
            await visit.refuse(told_error(error, visit.protocol))
        except (ConnectionError, asyncio.CancelledError):
            visit.count_gone()
            if not visit.is_abandoned:
                raise
        except Exception:  # noqa: BLE001 - the caller is told in their protocol, the log the rest
            _log.exception("a call of the gateway failed")
            await visit.refuse(told_refusal(_FAULT, visit.protocol))

    def recall(self, terms: Terms) -> KeyRecord | None:
        """Return whose call it is, if that is known without asking anybody."""
        if self.keys.lets_everybody_in:
            return ANYBODY
        return self.keys.recall(terms.secret) if terms.secret else None

    async def find(self, terms: Terms) -> KeyRecord:
        """Return whose call it is. Raises ``Unauthenticated``.

        As long as no key was made anybody may ask, whatever key for another service
        their client sends.
        """
        if not await self.keys.any():
            return ANYBODY
        found = await self.keys.find(terms.secret) if terms.secret else None
        if found is not None:
            return found
        message = (
            "this key is unknown or was revoked"
            if terms.secret
            else "send a key: Authorization: Bearer hst_… or x-api-key: hst_…"
        )
        raise Unauthenticated(message)

    def policy(self, route: Route, terms: Terms, key: KeyRecord) -> CachePolicy:
        """Return how the cache behaves for one call; terms and key only ever tighten it."""
        policy = self._policies[route.use]
        if key.limits.cache_scope != policy.scope:
            policy = policy.tightened(scope=key.limits.cache_scope)
        if terms.scope or terms.ttl_s:
            policy = policy.tightened(scope=terms.scope, ttl_s=terms.ttl_s)
        return dataclasses.replace(policy, tags=terms.tags) if terms.tags else policy

    def maker(self, question: Question, terms: Terms) -> str:
        """Return what answers a question: route, upstreams, and headers that steer them.

        What one upstream answered is never given where another would be asked.
        """
        upstreams = self.upstreams.maker(question.model, question.route.protocol)
        return f"{question.route.name} of {upstreams} {terms.keyed or ''}".rstrip()

    def remember(
        self, asked: tuple[Terms, str, str, bytes], digest: bytes, question: Question
    ) -> None:
        """Let the next call with the same body and headers find its key at once."""
        if len(self.memo) >= MEMO_ENTRIES:
            self.memo.clear()
        self.memo[asked] = Known(digest, question.model, question.is_stream, question.wants_usage)
