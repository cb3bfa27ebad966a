"""How many further calls all calls together may take: a share of the traffic of late.

Owns the count. ``retrying`` and ``hedged`` ask it. Pure: times come from outside.
"""

from __future__ import annotations

from collections import deque


class CallBudget:
    """Further calls up to ``share`` of the calls of the last ``window_s``, and ``floor`` always."""

    def __init__(self, *, share: float, floor: int = 0, window_s: float = 60.0) -> None:
        self._share = share
        self._floor = floor
        self._window_s = window_s
        self._seconds: deque[tuple[int, int, int]] = deque()
        self.calls = self.taken = 0

    def note_call(self, now_s: float) -> None:
        """Count a call."""
        self._add(now_s, 1, 0)

    def take(self, now_s: float) -> bool:
        """Take one further call, if there is one left."""
        if not self.left(now_s):
            return False
        self._add(now_s, 0, 1)
        return True

    def left(self, now_s: float) -> int:
        """Return how many further calls may be taken now."""
        self._forget(now_s)
        return max(0, max(self._floor, int(self._share * self.calls)) - self.taken)

    def _add(self, now_s: float, calls: int, taken: int) -> None:
        self._forget(now_s)
        self.calls += calls
        self.taken += taken
        if self._seconds and self._seconds[-1][0] >= int(now_s):
            second, had_calls, had_taken = self._seconds.pop()
            self._seconds.append((second, had_calls + calls, had_taken + taken))
        else:
            self._seconds.append((int(now_s), calls, taken))

    def _forget(self, now_s: float) -> None:
        while self._seconds and self._seconds[0][0] <= now_s - self._window_s:
            _, calls, taken = self._seconds.popleft()
            self.calls -= calls
            self.taken -= taken
