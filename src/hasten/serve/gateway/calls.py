"""What the gateway's calls came to: counters, the latest in a ring, and rows in the database.

Owns counting and remembering. A call costs a few counters and a place in the ring; what
was asked of an upstream also leaves a run with its spans, and so does one hit in
``SAMPLE``. ``serve/metrics`` and the console read it. No text of anybody's is kept.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.clock import current_clock
from hasten.errors import StoreError
from hasten.graph.outcome import new_run_id
from hasten.trace.event import RunRecord
from hasten.trace.span import Span
from hasten.trace.stats import add_prompt_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.caller import Caller
    from hasten.store.keys import KeyStore
    from hasten.store.sql.run_table import RunTable

APP = "gateway"
"""The application's name that the gateway's runs have."""

REMEMBERED = 1_000
SAMPLE = 100
"""One hit in so many leaves a row."""

ROWS_PER_S = 200
"""No more rows are written in a second; what is beyond is counted and in the ring only."""

WRITE_EVERY_S = 0.5
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_log = logging.getLogger(__name__)


CallResult = Literal["hit", "stale", "miss", "collapsed", "bypass", "refused"]
"""What a call came to: given from the cache, asked of an upstream, or turned away."""


class GatewayCall(msgspec.Struct, frozen=True):
    """One call. ``saved_usd`` and ``saved_s`` are what its stored answer had taken to make.

    Times are seconds, ``at_s`` since the Unix epoch. ``run_id`` is there if it left a run.
    """

    at_s: float
    route: str
    model: str
    tenant: str
    user: str
    result: CallResult
    status: int
    took_s: float
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    saved_s: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens_in: int = 0
    cache_write_tokens_in: int = 0
    is_stream: bool = False
    run_id: str = ""


class GatewayCalls:
    """The calls of this process.

    ``requests`` counts them by route, result and status; ``buckets`` and ``total_s`` how
    long they took, by result; ``tokens``, ``cost_usd``, ``saved_usd`` and ``saved_s`` go by
    route, as do ``prompt_tokens`` and ``prompt_usd``, which are of the providers' prompt caches.
    ``unwritten`` are those that left no row although they should have.
    """

    def __init__(self, sink: RunTable, keys: KeyStore) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.latest: deque[GatewayCall] = deque(maxlen=REMEMBERED)
        self.tokens: Counter[tuple[str, str]] = Counter()
        self.cost_usd: dict[str, float] = {}
        self.saved_usd: dict[str, float] = {}
        self.saved_s: dict[str, float] = {}
        self.prompt_tokens: Counter[tuple[str, ...]] = Counter()
        self.prompt_usd: dict[tuple[str, ...], float] = {}
        self.total_s: dict[str, float] = {}
        self.unwritten = 0
        self.buckets: dict[str, list[int]] = {}
        self._hits = 0
        self._sink = sink
        self._keys = keys
        self._waiting: list[tuple[RunRecord, Sequence[Span]]] = []
        self._clock = current_clock()

    def add(self, call: GatewayCall) -> None:
        """Count a call and remember it."""
        result = call.result
        self.requests[call.route, result, str(call.status)] += 1
        self.latest.append(call)
        self.total_s[result] = self.total_s.get(result, 0.0) + call.took_s
        counts = self.buckets.get(result)
        if counts is None:
            counts = self.buckets[result] = [0] * (len(BUCKETS_S) + 1)
        counts[bisect_left(BUCKETS_S, call.took_s)] += 1
        if call.saved_usd:
            self.saved_usd[call.route] = self.saved_usd.get(call.route, 0.0) + call.saved_usd
        if call.saved_s:
            self.saved_s[call.route] = self.saved_s.get(call.route, 0.0) + call.saved_s
        if result == "hit":
            self._hits += 1
            if self._hits % SAMPLE == 1:
                self.keep(_hit_run(call, self._clock), ())

    def add_run(self, run: RunRecord, spans: Sequence[Span], key_id: str) -> None:
        """Count what was asked of an upstream, charge it to its key, and keep its run."""
        route = run.graph
        self.tokens[route, "in"] += run.tokens_in
        self.tokens[route, "out"] += run.tokens_out
        self.cost_usd[route] = self.cost_usd.get(route, 0.0) + run.cost_usd
        for span in spans:
            add_prompt_cache(span.attributes, (route,), self.prompt_tokens, self.prompt_usd)
        if key_id and run.cost_usd:
            self._keys.charge(key_id, run.cost_usd)
        self.keep(run, spans)

    def keep(self, run: RunRecord, spans: Sequence[Span]) -> None:
        """Have a run written with the next batch, unless there are too many already."""
        if len(self._waiting) < ROWS_PER_S * WRITE_EVERY_S:
            self._waiting.append((run, spans))
        else:
            self.unwritten += 1

    async def write_now_and_then(self) -> None:
        """Write runs and what keys have spent, again and again, until cancelled."""
        while True:
            await self._clock.sleep(WRITE_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write what waits; a database that is gone costs rows, never a call."""
        waiting, self._waiting = self._waiting, []
        try:
            if waiting:
                await self._sink.save_ended(waiting)
            await self._keys.save_spent()
        except StoreError as error:
            self.unwritten += len(waiting)
            _log.warning("%d calls of the gateway are not stored: %s", len(waiting), error)


def new_run(route: str, model: str, caller: Caller) -> RunRecord:
    """Return the record of a call that begins now."""
    clock = current_clock()
    return RunRecord(
        run_id=new_run_id(clock),
        app=APP,
        graph=route,
        mode=model,
        tenant=caller.tenant,
        user=caller.user,
        clock=clock.kind,
        speed=clock.speed,
        simulated=False,
        started_s=clock.now(),
    )


def _hit_run(call: GatewayCall, clock: Any) -> RunRecord:
    return RunRecord(
        run_id=new_run_id(clock),
        app=APP,
        graph=call.route,
        mode=call.model,
        tenant=call.tenant,
        user=call.user,
        clock=clock.kind,
        speed=clock.speed,
        simulated=False,
        started_s=call.at_s,
        ended_s=call.at_s + call.took_s,
        status="complete",
        cache_hits=1,
        reuse={"cached": True},
    )
