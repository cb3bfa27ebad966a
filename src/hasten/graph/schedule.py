"""Which step may start now: pure decisions, data and time in, starts out.

Owns the order of a run. It knows no event loop, no clock and no step's code,
so the very same schedule drives a live run (``run``) and a simulated one
(``plan/simulate``). Leaves executing to its driver, which tells it what
settled and asks what to start.

A step starts once all its hard inputs have values and each soft input has
settled or its wait is over. A step whose hard input has no value is skipped.
A result is *tainted* when a fallback gave it, when a soft input was missed,
or when anything it was made from is tainted.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Result = Literal["ok", "tainted", "none"]
"""How a step settled: a value, a value not to be reused, or no value at all."""


class Node(msgspec.Struct, frozen=True):
    """One step as the schedule sees it: edges are positions in the node list.

    ``soft`` pairs a position with the seconds to wait for it, counted from the
    moment every hard input is there.
    """

    name: str
    hard: tuple[int, ...] = ()
    soft: tuple[tuple[int, float], ...] = ()
    limit: str = ""


class Start(msgspec.Struct, frozen=True):
    """Start this step now, without the soft inputs in ``missed``.

    ``is_tainted``: something it is given is not to be reused.
    """

    node: int
    missed: tuple[int, ...] = ()
    is_tainted: bool = False


class Skip(msgspec.Struct, frozen=True):
    """Never start this step: ``because`` is the hard input that has no value."""

    node: int
    because: int


Decision = Start | Skip


class Schedule:
    """The state of one run's order. Give it events in time order; it answers with decisions.

    ``nodes`` come so that each is after those it takes. ``limits`` caps how many
    steps of a limit group run at once; waiting steps start first come, first served.
    """

    def __init__(self, nodes: Sequence[Node], limits: Mapping[str, int] | None = None) -> None:
        self._nodes = nodes
        self._free = dict(limits or {})
        self._waiting: dict[str, deque[int]] = {group: deque() for group in self._free}
        self._missing = [len(node.hard) for node in nodes]
        self._soft_open = [len(node.soft) for node in nodes]
        self._ready_s: list[float | None] = [None] * len(nodes)
        self._has_begun = [False] * len(nodes)
        self._began_s: list[float | None] = [None] * len(nodes)
        self._results: list[Result | None] = [None] * len(nodes)
        self._is_tainted = [False] * len(nodes)
        self._wakes: list[tuple[float, int]] = []
        self._needed_by: list[list[int]] = [[] for _ in nodes]
        self._wished_by: list[list[int]] = [[] for _ in nodes]
        for position, node in enumerate(nodes):
            for needed in node.hard:
                self._needed_by[needed].append(position)
            for wished, _ in node.soft:
                self._wished_by[wished].append(position)

    def start(self, now_s: float) -> list[Decision]:
        """Begin the run: return the steps that need nothing."""
        decisions: list[Decision] = []
        for position, missing in enumerate(self._missing):
            if missing == 0:
                self._hard_ready(position, now_s, decisions)
        return decisions

    def settle(self, position: int, result: Result, now_s: float) -> list[Decision]:
        """Note that a started step settled; return what that lets start or be skipped."""
        decisions: list[Decision] = []
        if result == "ok" and self._is_tainted[position]:
            result = "tainted"
        group = self._nodes[position].limit
        if group in self._free:
            self._free[group] += 1
        self._settle(position, result, now_s, decisions)
        if group in self._free:
            self._admit(group, now_s, decisions)
        return decisions

    def tick(self, now_s: float) -> list[Decision]:
        """Note that time has passed; return the steps whose wait for soft inputs is over."""
        decisions: list[Decision] = []
        while self._wakes and self._wakes[0][0] <= now_s:
            self._try_begin(heapq.heappop(self._wakes)[1], now_s, decisions)
        return decisions

    def next_wake_s(self) -> float | None:
        """Return when ``tick`` has something to decide, or ``None``."""
        while self._wakes and self._has_begun[self._wakes[0][1]]:
            heapq.heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def result(self, position: int) -> Result | None:
        """Return how a step settled, or ``None`` if it has not."""
        return self._results[position]

    def remaining_s(
        self, wanted: Iterable[int], expected_s: Mapping[str, float], now_s: float
    ) -> float | None:
        """Return the seconds until the last of ``wanted`` should settle; ``None`` if unknown.

        ``expected_s`` is the usual duration by step name; a name that is missing
        and matters makes the answer unknown. A step over its usual time is taken
        to end now; time spent queueing for a limit is not foreseen.
        """
        ends_s: list[float] = []
        for position, node in enumerate(self._nodes):
            end_s = now_s
            if self._results[position] is None:
                begin_s = self._began_s[position]
                if begin_s is None:
                    begin_s = self._expected_begin_s(position, ends_s, now_s)
                end_s = max(begin_s + expected_s.get(node.name, inf), now_s)
            ends_s.append(end_s)
        last_s = max((ends_s[position] for position in wanted), default=now_s)
        return None if last_s == inf else last_s - now_s

    def _expected_begin_s(self, position: int, ends_s: Sequence[float], now_s: float) -> float:
        """Return when a step should begin, given when those before it should end."""
        node = self._nodes[position]
        ready_s = self._ready_s[position]
        if ready_s is None:
            ready_s = max((ends_s[needed] for needed in node.hard), default=now_s)
        waits_s = (min(ends_s[wished], ready_s + wait_s) for wished, wait_s in node.soft)
        return max(now_s, ready_s, *waits_s)

    def _settle(
        self, position: int, result: Result, now_s: float, decisions: list[Decision]
    ) -> None:
        settling = deque(((position, result),))
        while settling:
            position, result = settling.popleft()
            self._results[position] = result
            for reader in self._needed_by[position]:
                if result == "none":
                    if not self._has_begun[reader]:
                        self._has_begun[reader] = True
                        decisions.append(Skip(reader, position))
                        settling.append((reader, "none"))
                    continue
                self._is_tainted[reader] |= result == "tainted"
                self._missing[reader] -= 1
                if self._missing[reader] == 0:
                    self._hard_ready(reader, now_s, decisions)
            for reader in self._wished_by[position]:
                self._soft_open[reader] -= 1
                if self._ready_s[reader] is not None:
                    self._try_begin(reader, now_s, decisions)

    def _hard_ready(self, position: int, now_s: float, decisions: list[Decision]) -> None:
        self._ready_s[position] = now_s
        self._try_begin(position, now_s, decisions)
        if not self._has_begun[position]:
            for wished, wait_s in self._nodes[position].soft:
                if self._results[wished] is None and wait_s != inf:
                    heapq.heappush(self._wakes, (now_s + wait_s, position))

    def _try_begin(self, position: int, now_s: float, decisions: list[Decision]) -> None:
        if self._has_begun[position] or (
            self._soft_open[position] and self._must_wait(position, now_s)
        ):
            return
        self._has_begun[position] = True
        group = self._nodes[position].limit
        if group in self._free:
            self._waiting[group].append(position)
            self._admit(group, now_s, decisions)
        else:
            decisions.append(self._begin(position, now_s))

    def _must_wait(self, position: int, now_s: float) -> bool:
        ready_s = self._ready_s[position]
        return ready_s is not None and any(
            self._results[wished] is None and ready_s + wait_s > now_s
            for wished, wait_s in self._nodes[position].soft
        )

    def _admit(self, group: str, now_s: float, decisions: list[Decision]) -> None:
        waiting = self._waiting[group]
        while waiting and self._free[group] > 0:
            self._free[group] -= 1
            decisions.append(self._begin(waiting.popleft(), now_s))

    def _begin(self, position: int, now_s: float) -> Start:
        """Fix what the step goes without. What came while it queued is taken after all."""
        self._began_s[position] = now_s
        missed = []
        for wished, _ in self._nodes[position].soft:
            result = self._results[wished]
            if result is None or result == "none":
                missed.append(wished)
            elif result == "tainted":
                self._is_tainted[position] = True
        start = Start(position, tuple(missed), self._is_tainted[position])
        if missed:
            self._is_tainted[position] = True
        return start
