"""How much an endpoint bears: how many calls a second, and how many at once.

Owns the decision, from outcomes and ``now``. Leaves waiting to ``limited``. Pure:
no I/O, no clock; times are seconds on any clock that does not go back.

Nothing is held back before the endpoint has said that it is too much (429, 529, no
answer in time): a burst of calls at its first start is not slower for a limit that
nobody has met. From then on the rate follows the consultant plan ("Adaptive Rate
Limiting"): an error rate over 10 % lowers it by 20 %, one under 1 % raises it by 10 %.
It starts at what the endpoint took in its fullest second of late, or at the plan's 10
a second if that was next to nothing.

The calls at once follow AIMD (Chiu and Jain, "Analysis of the Increase and Decrease
Algorithms for Congestion Avoidance", 1989): one more a round of good calls that needed
all there were, a quarter fewer when the endpoint complains or takes much longer for
each token than it used to. Fewer than were under way, that is, and not than might have
been (RFC 5681 section 3.1, equation 4); a limit that is set lower than its most doubles
each round until the first such sign (slow start, the same section).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "error", "overload", "void"]
"""How a call ended: well, badly, badly because there were too many, or without telling."""

_FEW_TOKENS = 16
"""Answers shorter than this say nothing about time per token."""

_USUAL_SHARE, _LATEST_SHARE = 0.02, 0.3
"""How much one answer moves the usual time per token, and the latest."""

_SAMPLES = 20
_ROUNDING = 1e-9

FIRST_RATE_PER_S = 10.0
"""Where the plan's rule starts when no second had as many calls as ``FEW_CALLS``."""

FEW_CALLS = 5
"""Fewer calls in a second say how little was asked, not how much is borne."""

LATE_S = 10.0
"""The fullest second is looked for in so many."""

FEW_AT_ONCE = 16
"""Where fewer were under way, a complaint does not say that they were too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPolicy:
    """Where the limit starts and how far it may go.

    ``rate_per_s`` calls a second with bursts of ``burst``, from the first call on; by
    default no rate until the endpoint's first complaint, and bursts of a second's worth
    then, of ``burst`` at most. The rate is judged after every ``judged_calls`` outcomes
    and kept between ``least_rate_per_s`` and ``most_rate_per_s``. At most ``concurrency``
    calls at once, in the end between ``least_concurrency`` and ``most_concurrency``. A
    time per output token that is ``slow_factor`` times the usual one counts as too many
    at once.
    """

    rate_per_s: float = math.inf
    burst: int = 20
    least_rate_per_s: float = 0.5
    most_rate_per_s: float = math.inf
    judged_calls: int = 20
    concurrency: int = 256
    least_concurrency: int = 1
    most_concurrency: int = 256
    slow_factor: float = 2.5

    def __post_init__(self) -> None:
        """Refuse bounds that nothing fits in. Raises ``ValueError``."""
        rates = (self.least_rate_per_s, self.rate_per_s, self.most_rate_per_s)
        counts = (1, self.least_concurrency, self.concurrency, self.most_concurrency)
        if rates[0] <= 0 or sorted(rates) != list(rates) or sorted(counts) != list(counts):
            message = f"a limit starts between its least, above 0, and its most: {self}"
            raise ValueError(message)
        if self.burst < 1 or self.judged_calls < 1 or self.slow_factor <= 1:
            message = f"burst and judged_calls are at least 1, slow_factor is above 1: {self}"
            raise ValueError(message)


HIGH_ERRORS, LOWER_RATE = 0.10, 0.8
LOW_ERRORS, RAISE_RATE = 0.01, 1.1
FEWER_AT_ONCE = 0.75


class Limit:
    """One endpoint's limit as it is now. ``begin`` each call, ``end`` it; ask ``wait_s`` before.

    ``rate_per_s`` is ``inf`` as long as there is no rate; ``known_s`` is since when there
    is one.
    """

    def __init__(self, policy: LimitPolicy, now_s: float = 0.0) -> None:
        self.rate_per_s = policy.rate_per_s
        self.concurrency = float(policy.concurrency)
        self.under_way = 0
        self.known_s = math.inf if math.isinf(policy.rate_per_s) else -math.inf
        self._policy = policy
        self._tokens = float(policy.burst)
        self._filled_at_s = now_s
        self._paused_until_s = -math.inf
        self._lowered_at_s = -math.inf
        self._judged_from_s = -math.inf
        self._outcomes = self._errors = 0
        self._usual_s = self._latest_s = 0.0
        self._timed = 0
        self._begun: deque[tuple[int, int]] = deque()
        self._fullest = (-1, 0)

    def wait_s(self, now_s: float) -> float:
        """Return in how many seconds a call may begin; ``inf``: when another one has ended."""
        if self.under_way >= int(self.concurrency):
            return math.inf
        self._fill(now_s)
        lacking = max(0.0, 1.0 - self._tokens)
        by_rate_s = lacking / self.rate_per_s if lacking > _ROUNDING else 0.0
        return max(by_rate_s, self._paused_until_s - now_s, 0.0)

    def begin(self, now_s: float) -> None:
        """Note that a call begins."""
        self.under_way += 1
        if math.isinf(self.rate_per_s):
            self._see(now_s)
        else:
            self._fill(now_s)
            self._tokens -= 1.0

    def end(
        self, outcome: Outcome, *, began_s: float, now_s: float, retry_after_s: float | None = None
    ) -> None:
        """Note how a call that began at ``began_s`` ended; nothing begins for ``retry_after_s``."""
        was_full = self.under_way >= int(self.concurrency)
        if outcome == "overload":
            self._refuse(began_s, now_s)
            self._lower(began_s, now_s)
        self.under_way -= 1
        if retry_after_s is not None:
            self._paused_until_s = max(self._paused_until_s, now_s + retry_after_s)
        if outcome == "void":
            return
        if outcome == "ok" and was_full:
            has_been_too_much = self._lowered_at_s > -math.inf
            grown = self.concurrency + (1.0 / self.concurrency if has_been_too_much else 1.0)
            self.concurrency = min(grown, float(self._policy.most_concurrency))
        if began_s >= self._judged_from_s:
            self._judge(is_error=outcome != "ok", now_s=now_s)

    def time(self, took_s: float, tokens_out: int, *, began_s: float, now_s: float) -> None:
        """Note how long an answer of so many tokens took; one far slower than usual lowers."""
        if tokens_out < _FEW_TOKENS:
            return
        per_token_s = took_s / tokens_out
        if not self._timed:
            self._usual_s = self._latest_s = per_token_s
        self._timed += 1
        self._latest_s += (per_token_s - self._latest_s) * _LATEST_SHARE
        if self._timed > _SAMPLES and self._latest_s > self._usual_s * self._policy.slow_factor:
            self._lower(began_s, now_s)
        self._usual_s += (per_token_s - self._usual_s) * _USUAL_SHARE

    def was_blind(self, began_s: float) -> bool:
        """Whether a call that began then did so before anything was known of the rate."""
        return began_s <= self.known_s < math.inf

    def _see(self, now_s: float) -> None:
        """Count a call that began while there is no rate, by seconds, the latest of them."""
        second = int(now_s)
        if self._begun and self._begun[-1][0] == second:
            self._begun.append((second, self._begun.pop()[1] + 1))
        else:
            self._begun.append((second, 1))
        while self._begun[0][0] < now_s - LATE_S:
            self._begun.popleft()

    def _refuse(self, began_s: float, now_s: float) -> None:
        """Set the rate if there is none; count out a call that was taken for one let in."""
        if math.isinf(self.rate_per_s):
            self._learn(now_s)
        second, taken = self._fullest
        if taken > 1 and int(began_s) == second and began_s <= self.known_s:
            fewer = self.rate_per_s * (taken - 1) / taken
            self.rate_per_s = max(fewer, self._policy.least_rate_per_s)
            self._fullest = second, taken - 1

    def _learn(self, now_s: float) -> None:
        """Set the rate to what was seen of late, to the plan's if that is too little."""
        self._fullest = max(self._begun, key=lambda one: one[1], default=(-1, 0))
        seen = float(self._fullest[1])
        if seen < FEW_CALLS:
            self._fullest, seen = (-1, 0), FIRST_RATE_PER_S
        self._begun.clear()
        self.rate_per_s = max(seen, self._policy.least_rate_per_s)
        self._tokens, self._filled_at_s = 0.0, now_s
        self.known_s = self._judged_from_s = now_s
        self._outcomes = self._errors = 0

    def _fill(self, now_s: float) -> None:
        """Add what the rate has given since; the bucket holds a burst."""
        if math.isinf(self.rate_per_s):
            return
        holds = float(self._policy.burst)
        if math.isinf(self._policy.rate_per_s):
            holds = min(holds, max(1.0, self.rate_per_s))
        gained = max(0.0, now_s - self._filled_at_s) * self.rate_per_s
        self._tokens = min(holds, self._tokens + gained)
        self._filled_at_s = max(self._filled_at_s, now_s)

    def _judge(self, *, is_error: bool, now_s: float) -> None:
        """Raise or lower the rate by the share of errors; who began before says nothing new."""
        self._outcomes += 1
        self._errors += is_error
        if self._outcomes < self._policy.judged_calls:
            return
        share = self._errors / self._outcomes
        self._outcomes = self._errors = 0
        if share > HIGH_ERRORS:
            if math.isinf(self.rate_per_s):
                self._learn(now_s)
            self._fill(now_s)
            self.rate_per_s = max(self.rate_per_s * LOWER_RATE, self._policy.least_rate_per_s)
            self._judged_from_s = now_s
        elif share < LOW_ERRORS:
            self._fill(now_s)
            self.rate_per_s = min(self.rate_per_s * RAISE_RATE, self._policy.most_rate_per_s)

    def _lower(self, began_s: float, now_s: float) -> None:
        """Allow fewer at once; calls that began before the last time say nothing new."""
        if began_s < self._lowered_at_s:
            return
        self._lowered_at_s = now_s
        at_once = min(self.concurrency, float(max(self.under_way, FEW_AT_ONCE)))
        self.concurrency = max(at_once * FEWER_AT_ONCE, float(self._policy.least_concurrency))
