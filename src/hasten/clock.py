"""Time: the only module that reads a clock or sleeps (its virtual twin is ``virtual``).

Owns ``Clock`` and the context variable that carries the one in force. A run
sets it for its tasks; models, stores, caches and recorders ask
``current_clock()``. A clock may run at a *speed*: at speed 4 a simulated call
of 8 s takes 2 real seconds and is still recorded as 8 s.

Only durations have a speed. What time it is, is the same for everybody at any
speed: what one run stores, another reads on a clock of its own, and ages, expiry
and dates must come out right between the two.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

ClockKind = Literal["real", "virtual"]

_ORIGIN_S = time.perf_counter()
"""A small number keeps its fractions when it is multiplied by a speed."""


class Clock:
    """The real clock, at ``speed`` times its pace. All times are seconds.

    ``now()`` is seconds since the Unix epoch, by the wall. ``monotonic()`` never goes
    back and advances ``speed`` seconds for each second on the wall; all clocks of one
    speed agree on it, whenever they were made, so that a run may read what another noted.
    """

    kind: ClockKind = "real"

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < float("inf"):
            message = f"speed must be a number above 0, not {speed}"
            raise ValueError(message)
        self.speed = speed

    def monotonic(self) -> float:
        """Return seconds since the process began, more or less; for durations."""
        return (time.perf_counter() - _ORIGIN_S) * self.speed

    def now(self) -> float:
        """Return seconds since the Unix epoch, whatever the speed; for timestamps and ages."""
        return time.time()

    def loop_delay(self, seconds: float) -> float:
        """Return how long the event loop must wait for ``seconds`` of this clock to pass."""
        return seconds / self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait until ``seconds`` of this clock have passed."""
        await asyncio.sleep(self.loop_delay(seconds))

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """Return ``asyncio.timeout`` in seconds of this clock; ``None`` never fires."""
        return asyncio.timeout(None if seconds is None else self.loop_delay(seconds))


_current: ContextVar[Clock | None] = ContextVar("hasten_clock", default=None)
_real = Clock()


def current_clock() -> Clock:
    """Return the clock in force here: the run's own, or the real one."""
    return _current.get() or _real


def set_clock(clock: Clock) -> None:
    """Put ``clock`` in force for this task and the tasks it starts."""
    _current.set(clock)


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Put ``clock`` in force for this block and for the tasks started inside it."""
    token = _current.set(clock)
    try:
        yield clock
    finally:
        _current.reset(token)
