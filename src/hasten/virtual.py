"""A seeded event loop whose time jumps when every task waits.

Owns virtual time; leaves what runs in it to its callers: tests, the planner
and ``hasten run --clock virtual``. A 95-second pipeline runs in milliseconds,
and the same seed gives the same interleaving, so a race found once is found
again.

Three promises. Time moves only when no task can run, and then straight to the
next timer. With ``shuffle`` the order of tasks that are ready in the same
instant is drawn from the seed, because code that is right must not depend on
it. No thread and no socket exist in here: reaching for one raises.

The loop is a ``BaseEventLoop`` with its own ``_run_once``, after the idea of
Trio's autojumping ``MockClock``.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import base_events, events
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from hasten.clock import Clock, use_clock

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

EPOCH_S = 1_767_225_600.0
"""Where ``now()`` starts unless told otherwise: 2026-01-01T00:00:00Z."""


class VirtualDeadlock(RuntimeError):
    """Every task waits and no timer is set: nothing can ever happen again."""


class VirtualTask(asyncio.Task[T]):
    """A task that hashes by its number: sets of tasks have one order, not that of addresses.

    ``TaskGroup`` and ``asyncio.wait`` keep their tasks in sets and cancel or
    watch them in the set's order, so without this a seed would not fix the trace.
    """

    def __init__(self, work: Coroutine[Any, Any, T], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(base_events.BaseEventLoop):
    """The loop. ``seed`` fixes interleavings; ``random`` draws latencies from the same seed."""

    def __init__(self, seed: int = 0, *, shuffle: bool = True) -> None:
        super().__init__()
        self.random = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self._shuffle = shuffle
        self._time_s = 0.0
        self._tasks_made = 0

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._time_s

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> Any:
        """Make a task; one without a name is called by its number in this loop."""
        self._tasks_made += 1
        name = f"task {self._tasks_made}" if name is None else str(name)
        return VirtualTask(coro, number=self._tasks_made, loop=self, name=name, **options)

    def run_in_executor(self, *_args: object) -> NoReturn:
        """Refuse: a thread would run in real time."""
        message = "virtual time touches no thread: run blocking work on the real clock"
        raise RuntimeError(message)

    async def create_connection(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse: a socket would answer in real time."""
        message = "virtual time touches no socket: connect on the real clock"
        raise RuntimeError(message)

    create_server = create_connection
    create_datagram_endpoint = create_connection

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                self._raise_deadlock()
            self._time_s = max(self._time_s, timers[0]._when)
        while timers and timers[0]._when <= self._time_s:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            ready.append(handle)
        count = len(ready)
        if self._shuffle and count > 1:
            batch = list(ready)
            self.random.shuffle(batch)
            ready.clear()
            ready.extend(batch)
        for _ in range(count):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _raise_deadlock(self) -> NoReturn:
        waiting = sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())
        message = f"every task waits and no timer is set; waiting: {', '.join(waiting)}"
        raise VirtualDeadlock(message)

    def _timer_handle_cancelled(self, _handle: object) -> None:
        """Do nothing: cancelled timers are dropped as they surface."""

    def _process_events(self, _event_list: object) -> None:
        """There are no sockets to poll."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake us."""


class VirtualClock(Clock):
    """The clock of a ``VirtualLoop``: its time is the loop's, counted from ``epoch_s``."""

    kind = "virtual"

    def __init__(self, loop: VirtualLoop, epoch_s: float = EPOCH_S) -> None:
        super().__init__()
        self.loop = loop
        self.epoch_s = epoch_s

    def monotonic(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self.loop.time()

    def now(self) -> float:
        """Return virtual seconds since the Unix epoch."""
        return self.epoch_s + self.loop.time()


def run(
    main: Coroutine[Any, Any, T],
    *,
    seed: int = 0,
    shuffle: bool = True,
    epoch_s: float = EPOCH_S,
) -> T:
    """Run ``main`` in virtual time, which starts at ``epoch_s``, and return its value.

    Tasks it leaves behind are cancelled and awaited, as ``asyncio.run`` does.
    Raises what ``main`` raises, and ``VirtualDeadlock`` when nothing can go on.
    """
    if events._get_running_loop() is not None:
        main.close()
        message = "virtual.run() cannot be called from a running event loop; use a thread"
        raise RuntimeError(message)
    loop = VirtualLoop(seed, shuffle=shuffle)
    with use_clock(VirtualClock(loop, epoch_s)):
        try:
            return loop.run_until_complete(main)
        finally:
            _close(loop)


def latency(low_s: float, high_s: float) -> float:
    """Draw a latency in seconds from the running virtual loop's seed."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        message = "latency() draws from a virtual loop's seed; call it inside virtual.run()"
        raise TypeError(message)
    return loop.random.uniform(low_s, high_s)


def _close(loop: VirtualLoop) -> None:
    """Cancel what is left, let it end, close the loop."""
    try:
        left = sorted(asyncio.all_tasks(loop), key=hash)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
