"""Try again what may be tried again: the only place where provider calls are repeated.

Owns when and how long to wait (full jitter, after Brooker, "Exponential
Backoff and Jitter", AWS 2015; ``Retry-After`` is obeyed), and how many retries all
calls together may take (Google, "Site Reliability Engineering", chapter 21: an
endpoint in trouble must not get a multiple of its traffic). Leaves what is
retryable to ``errors``. ``chain`` puts it outside the limit, so that nobody holds a
slot while waiting.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hasten.clock import Clock, current_clock
from hasten.errors import ModelError, RateLimited
from hasten.model.base import OuterModel
from hasten.model.budget import CallBudget
from hasten.model.draw import digest_of, draw
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Model, Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient a caller is.

    At most ``attempts`` calls in all, and at most ``budget_s`` seconds of
    waiting between them. The wait before a retry is drawn between 0 and
    ``base_s`` doubled for each failure so far, up to ``cap_s``; from ``seed``
    and the request, so that a run can be repeated.

    All calls of the last ``window_s`` together may take ``share`` of their number in
    retries, and ``floor`` in any case.
    """

    attempts: int = 3
    base_s: float = 0.5
    cap_s: float = 8.0
    budget_s: float = 30.0
    seed: int = 0
    share: float = 0.2
    floor: int = 3
    window_s: float = 60.0

    def wait_s(self, request: Request, failures: int, error: ModelError) -> float:
        """Return the seconds to wait after the ``failures``-th failure, which was ``error``."""
        most_s = min(self.cap_s, self.base_s * 2 ** (failures - 1))
        drawn_s = draw(self.seed, digest_of(request), failures).uniform(0.0, most_s)
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        return drawn_s if asked_s is None else asked_s + drawn_s


class RetryingModel(OuterModel):
    """Repeats calls of ``inner`` that failed with a retryable error.

    A stream is repeated only until its first chunk: what was said cannot be
    taken back. Raises the last error when attempts, patience or the budget of all
    calls are used up. ``retries`` counts those that were made, ``refused`` those that the
    budget had nothing left for.
    """

    def __init__(self, inner: Model, policy: RetryPolicy | None = None) -> None:
        super().__init__(inner)
        self._policy = policy or RetryPolicy()
        self._budgets: WeakKeyDictionary[Clock, CallBudget] = WeakKeyDictionary()
        self.retries = self.refused = 0

    def retries_left(self) -> int:
        """Return how many retries the budget of all calls would give now."""
        return self._budget().left(current_clock().monotonic())

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece, from the first attempt that gives a piece."""
        failures, waited_s = 0, 0.0
        self._budget().note_call(current_clock().monotonic())
        while True:
            has_begun = False
            try:
                async with aclosing(self._inner.stream(request)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield chunk
            except ModelError as error:
                if has_begun:
                    raise
                failures += 1
                waited_s += await self._wait(request, failures, waited_s, error)
            else:
                return

    async def complete(self, request: Request) -> Response:
        """Answer whole, from the first attempt that does."""
        failures, waited_s = 0, 0.0
        self._budget().note_call(current_clock().monotonic())
        while True:
            try:
                return await self._inner.complete(request)
            except ModelError as error:
                failures += 1
                waited_s += await self._wait(request, failures, waited_s, error)

    def _budget(self) -> CallBudget:
        clock = current_clock()
        found = self._budgets.get(clock)
        if found is None:
            found = self._budgets[clock] = CallBudget(
                share=self._policy.share, floor=self._policy.floor, window_s=self._policy.window_s
            )
        return found

    async def _wait(
        self, request: Request, failures: int, waited_s: float, error: ModelError
    ) -> float:
        """Wait as long as the policy says and return that; raise ``error`` when it is final."""
        if not error.retryable or failures >= self._policy.attempts:
            raise error
        wait_s = self._policy.wait_s(request, failures, error)
        if waited_s + wait_s > self._policy.budget_s:
            raise error
        if not self._budget().take(current_clock().monotonic()):
            self.refused += 1
            raise error
        self.retries += 1
        with span("queue", f"retry of {self.name}", failures=failures, after=error.code):
            await current_clock().sleep(wait_s)
        return wait_s
