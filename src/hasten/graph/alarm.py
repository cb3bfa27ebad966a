"""Many alarms on one timer: a run's deadline, its steps' timeouts, its waits for soft inputs.

Owns ``AlarmClock``. Most alarms of a run are dropped unheard, since steps end
in time; here setting one is a push on a heap and dropping one is free, where a
timer of the loop costs a fifth of a whole step.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.clock import Clock


class Alarm:
    """One alarm that was set; ``drop()`` makes it one that was not."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[], object]) -> None:
        self.act: Callable[[], object] | None = act

    def drop(self) -> None:
        """Do nothing when the time comes."""
        self.act = None


class AlarmClock:
    """Calls what it was given when its time has come, in the context it was made in.

    Times are seconds of ``clock``. ``stop()``, or leaving its ``with`` block,
    drops every alarm and takes no more.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def after(self, delay_s: float, act: Callable[[], object]) -> Alarm:
        """Set an alarm ``delay_s`` from now."""
        return self.at(self.clock.monotonic() + delay_s, act)

    def at(self, when_s: float, act: Callable[[], object]) -> Alarm:
        """Set an alarm at ``when_s`` of the clock's ``monotonic()``."""
        alarm = Alarm(act)
        heapq.heappush(self._alarms, (when_s, next(self._numbers), alarm))
        if when_s < self._armed_s:
            self._arm(when_s)
        return alarm

    def stop(self) -> None:
        """Drop every alarm and take no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._alarms.clear()
        self._armed_s = -inf

    def _arm(self, when_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = when_s
        delay_s = self.clock.loop_delay(when_s - self.clock.monotonic())
        self._timer = self._loop.call_later(delay_s, self._ring, context=self._context)

    def _ring(self) -> None:
        """Call whose time has come; a timer that fired a rounding error early is set once more."""
        self._armed_s = inf
        now_s = self.clock.monotonic()
        while self._alarms and (self._alarms[0][0] <= now_s or self._alarms[0][2].act is None):
            act = heapq.heappop(self._alarms)[2].act
            if act is not None:
                act()
        if self._alarms and self._alarms[0][0] < self._armed_s:
            self._arm(self._alarms[0][0])
