"""One computation and everybody who waits for it.

Owns single-flight in a process. A computation belongs to the cache: a waiter that
is cancelled leaves the others undisturbed, and when the last one has left the
computation is stopped. A stream is kept from its start, so whoever joins late
reads all of it. Nobody joins what was begun before an invalidation. Leaves what is
computed to ``fill``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.cache.decide import Decision, Fresh, Miss, Stale
from hasten.cache.entry import CacheEntry, Provenance
from hasten.cache.key import mark
from hasten.cache.trail import CacheTrail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence

    from hasten.cache.generation import CacheGenerations
    from hasten.cache.key import Key
    from hasten.cache.look import CacheCall

_log = logging.getLogger(__name__)


class Answer(msgspec.Struct, frozen=True):
    """What the cache gives back: the value, and why it is this one.

    ``tier`` is where it came from, empty if it was computed. ``entry`` is there if it is
    stored, ``stored`` says so, or why not. ``is_collapsed``: another caller's
    computation gave it.
    """

    value: Any
    decision: Decision
    tier: str = ""
    entry: CacheEntry | None = None
    stored: str = ""
    is_collapsed: bool = False


def said_of(call: CacheCall, answer: Answer) -> dict[str, Any]:
    """Return an answer as the attributes of the span of its call."""
    decision = answer.decision
    said: dict[str, Any] = {"use": call.policy.use, "tier": answer.tier}
    if call.is_given:
        said["result"] = "stored" if answer.entry is not None else "not stored"
        return said if answer.entry is not None else {**said, "reason": answer.stored}
    if isinstance(decision, Miss):
        return {**said, "result": "miss", "reason": decision.reason, "stored": answer.stored}
    if isinstance(decision, Stale):
        said["reason"] = decision.reason
    origin = answer.entry.provenance if answer.entry is not None else Provenance()
    return {
        **said,
        "result": "hit" if isinstance(decision, Fresh) else "stale",
        "cache_hit": True,
        "saved_ms": origin.compute_s * 1e3,
        "saved_usd": origin.cost_usd,
        **call.policy.saves(answer.value),
    }


class CacheFlight:
    """A computation under way for those who wait for ``digest``.

    ``trail`` is what has gone into it so far, ``pieces`` are those of a stream.
    ``on_left`` is called when the last waiter has left before the end.
    """

    def __init__(self, digest: bytes, trail: CacheTrail) -> None:
        self.digest = digest
        self.trail = trail
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.on_left: Callable[[CacheFlight], None] = _stay
        self.pieces: list[Any] = []
        self._waiters = 0
        self._readers: list[asyncio.Future[None]] = []

    def wait(self) -> Awaitable[Answer]:
        """Join now; what it returns waits for the answer and raises what the computation raised."""
        self._waiters += 1
        return self._wait()

    async def _wait(self) -> Answer:
        try:
            return await asyncio.shield(self.answer)
        finally:
            self._leave()

    async def read(self, ended: Callable[[Answer], None]) -> AsyncGenerator[Any, None]:
        """Yield the pieces of the stream from its start, and hand the answer to ``ended``.

        Raises what the computation raised in the end.
        """
        self._waiters += 1
        count = 0
        loop, pieces = asyncio.get_running_loop(), self.pieces
        try:
            while True:
                while count < len(pieces):
                    yield pieces[count]
                    count += 1
                if self.answer.done():
                    ended(self.answer.result())
                    return
                news = loop.create_future()
                self._readers.append(news)
                await news
        finally:
            self._leave()

    def add_piece(self, piece: Any) -> None:
        """Pass on the next piece of a stream."""
        self.pieces.append(piece)
        self._tell()

    def settle(self, answer: Answer) -> None:
        """Give everybody the answer."""
        if not self.answer.done():
            self.answer.set_result(answer)
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Give everybody the error."""
        if self.answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(error)
            self.answer.exception()  # what nobody waits for may fail unheard
        self._tell()

    def let_end(self) -> None:
        """Go on to the end though nobody waits: what is left is to store it."""
        self.on_left = _stay

    def _tell(self) -> None:
        for news in self._readers:
            if not news.done():  # else its reader has left
                news.set_result(None)
        self._readers.clear()

    def _leave(self) -> None:
        self._waiters -= 1
        if not self._waiters and not self.answer.done():
            self.on_left(self)


class CacheFlights:
    """The computations under way in this process."""

    def __init__(self, view: CacheGenerations) -> None:
        self._view = view
        self._flights: dict[bytes, CacheFlight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled_by: dict[asyncio.Task[None], Sequence[CacheFlight]] = {}

    def joinable(self, digest: bytes) -> CacheFlight | None:
        """Return the computation to join, unless something it uses was invalidated since."""
        flight = self._flights.get(digest)
        return flight if flight is not None and flight.trail.is_alive(self._view) else None

    def new(self, key: Key, tags: Sequence[str], *, is_joinable: bool) -> CacheFlight:
        """Return a computation that ``start`` has to begin."""
        guard = mark("fill", key.tenant)
        flight = CacheFlight(key.digest, CacheTrail(self._view.epoch, key.marks(tags), guard))
        if is_joinable:
            self._flights[key.digest] = flight
        return flight

    def start(self, work: Coroutine[Any, Any, None], flights: Sequence[CacheFlight]) -> None:
        """Begin ``work``, which settles ``flights``; stop it once nobody waits for any of them."""
        task = self.run(work, "cache fill")
        self._settled_by[task] = flights
        task.add_done_callback(self._ended)
        waited = set(flights)

        def leave(flight: CacheFlight) -> None:
            self.land(flight)
            waited.discard(flight)
            if not waited:
                task.cancel()

        for flight in flights:
            flight.on_left = leave

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let go of what points back at its flights: they are freed at once, uncollected."""
        for flight in self._settled_by.pop(task):
            flight.let_end()

    def land(self, flight: CacheFlight) -> None:
        """Let nobody join ``flight`` any more."""
        if self._flights.get(flight.digest) is flight:
            del self._flights[flight.digest]

    def run(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` in the background until it ends or the cache is closed."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Tell of what nobody awaits as it breaks, not when its task is garbage.

        Then it could be in the middle of anything: CPython 3.11 answers a traceback that is
        formatted within ``ast.parse`` by a ``SystemError`` (python/cpython#106905).
        """
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s broke", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Stop what is under way, but let what was given out already be written."""
        tasks = list(self._tasks)
        for task in tasks:
            flights = self._settled_by.get(task, ())
            if not flights or not all(flight.answer.done() for flight in flights):
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stay(_flight: CacheFlight) -> None:
    """Let a computation go on that nobody has to wait for."""
