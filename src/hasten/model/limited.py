"""So much at once and no more: a dozen sections side by side must not drown an endpoint.

Owns the queue before an endpoint, first come first served: a call waits for its
turn instead of failing. The wait is recorded as a ``queue`` span and ends with the
caller's own deadline: who is cancelled leaves the queue. A call that was refused while
nothing was known of the endpoint's rate goes back into the queue, once: it was sent to
find that out. Leaves how much an endpoint bears to ``limit``, and every other repeat to
``retrying``. ``chain`` puts it around the wire.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import aclosing
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hasten.clock import Clock, current_clock
from hasten.errors import ModelError, ModelTimeout, ModelUnavailable, RateLimited
from hasten.model.base import OuterModel
from hasten.model.limit import Limit, LimitPolicy, Outcome
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Model, Request, Response

_MANY_TOKENS = 200
"""In a plain call the first token's time is unknown; it matters little in so long an answer."""


@dataclass(frozen=True, slots=True)
class LimitNow:
    """How a limit stands: calls a second (``inf``: no rate), at once, under way, waiting."""

    rate_per_s: float
    concurrency: float
    under_way: int
    waiting: int

    def __add__(self, other: LimitNow | None) -> LimitNow:
        """Return both together, as of two endpoints of one name."""
        if other is None:
            return self
        pairs = zip(astuple(self), astuple(other), strict=True)
        return LimitNow(*(one + more for one, more in pairs))


class LimitedModel(OuterModel):
    """Lets calls of ``inner`` run as the limit has room for them, on each event loop.

    ``concurrency`` is a bound that holds whatever the policy would allow; without a
    policy it is all there is. ``waits`` counts the calls that found no room at once,
    ``wait_s`` is how long they waited together.
    """

    def __init__(
        self, inner: Model, concurrency: int | None = None, policy: LimitPolicy | None = None
    ) -> None:
        if concurrency is not None and concurrency < 1:
            message = f"concurrency must be at least 1, not {concurrency}"
            raise ValueError(message)
        super().__init__(inner)
        self._most = math.inf if concurrency is None else concurrency
        self._policy = policy
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, _Gate] = WeakKeyDictionary()
        self.waits = 0
        self.wait_s = 0.0

    def now(self) -> LimitNow:
        """Return how the limit of the running event loop stands."""
        return self._gate().now()

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Wait for a turn, then hold it until the stream ends or is closed."""
        while True:
            turn = await self._turn()
            try:
                with turn:
                    async with aclosing(self._inner.stream(request)) as chunks:
                        async for chunk in chunks:
                            turn.note_piece()
                            if chunk.response is not None:
                                turn.note(chunk.response)
                            yield chunk
            except RateLimited:
                if not turn.was_blind:
                    raise
            else:
                return

    async def complete(self, request: Request) -> Response:
        """Wait for a turn, then ask."""
        while True:
            turn = await self._turn()
            try:
                with turn:
                    response = await self._inner.complete(request)
                    turn.note(response)
                    return response
            except RateLimited:
                if not turn.was_blind:
                    raise

    async def _turn(self) -> _Turn:
        gate = self._gate()
        if not gate.try_enter():
            self.waits += 1
            began_s = gate.clock.monotonic()
            try:
                with span("queue", f"slot for {self.name}", model=self.name):
                    await gate.wait()
            finally:
                self.wait_s += gate.clock.monotonic() - began_s
        return _Turn(gate)

    def _gate(self) -> _Gate:
        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = _Gate(current_clock(), self._most, self._policy)
        return gate


class _Gate:
    """The limit and the queue on one event loop, on the clock of whoever came first."""

    def __init__(self, clock: Clock, most: float, policy: LimitPolicy | None) -> None:
        self.clock = clock
        self.limit = None if policy is None else Limit(policy, clock.monotonic())
        self.under_way = 0
        self._most = most
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> LimitNow:
        """Return how it stands; the narrower of its bounds is what holds."""
        limit = self.limit
        rate_per_s = math.inf if limit is None else limit.rate_per_s
        at_once = self._most if limit is None else min(self._most, limit.concurrency)
        return LimitNow(rate_per_s, at_once, self.under_way, len(self._queue))

    def try_enter(self) -> bool:
        """Enter if nobody waits and there is room."""
        if self._queue or self._wait_s() > 0:
            return False
        self._enter()
        return True

    async def wait(self) -> None:
        """Wait in the queue, and enter."""
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self.let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave("void", self.clock.monotonic())
            elif turn in self._queue:
                self._queue.remove(turn)
                self.let_in()
            raise

    def leave(self, outcome: Outcome, began_s: float, retry_after_s: float | None = None) -> None:
        """Note that a call ended, and let in who waits."""
        self.under_way -= 1
        if self.limit is not None:
            now_s = self.clock.monotonic()
            self.limit.end(outcome, began_s=began_s, now_s=now_s, retry_after_s=retry_after_s)
        self.let_in()

    def let_in(self) -> None:
        """Let in as many as there is room for; come back when there will be more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            wait_s = self._wait_s()
            if wait_s > 0:
                if wait_s < math.inf:
                    loop, delay_s = asyncio.get_running_loop(), self.clock.loop_delay(wait_s)
                    self._timer = loop.call_later(delay_s, self.let_in)
                return
            turn = self._queue.popleft()
            if not turn.done():
                self._enter()
                turn.set_result(None)

    def _wait_s(self) -> float:
        if self.under_way >= self._most:
            return math.inf
        return 0.0 if self.limit is None else self.limit.wait_s(self.clock.monotonic())

    def _enter(self) -> None:
        self.under_way += 1
        if self.limit is not None:
            self.limit.begin(self.clock.monotonic())


class _Turn:
    """One call under way: leaving the block tells the gate how it ended."""

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate
        self._began_s = gate.clock.monotonic()
        self._first_s: float | None = None
        self._is_over = False

    @property
    def was_blind(self) -> bool:
        """Whether it began before anybody knew how much the endpoint takes, and heard nothing."""
        limit = self._gate.limit
        return limit is not None and self._first_s is None and limit.was_blind(self._began_s)

    def note_piece(self) -> None:
        """Note when the first piece came: time per token counts from there."""
        if self._first_s is None:
            self._first_s = self._gate.clock.monotonic()

    def note(self, response: Response) -> None:
        """Note the whole answer; whoever has it need not read to the end of a stream."""
        self._is_over = True
        limit, now_s = self._gate.limit, self._gate.clock.monotonic()
        tokens_out = response.usage.tokens_out
        if limit is not None and (self._first_s is not None or tokens_out >= _MANY_TOKENS):
            since_s = self._began_s if self._first_s is None else self._first_s
            limit.time(now_s - since_s, tokens_out, began_s=self._began_s, now_s=now_s)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        outcome: Outcome = "ok" if self._is_over else _outcome_of(error)
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        self._gate.leave(outcome, self._began_s, asked_s)


def _outcome_of(error: BaseException | None) -> Outcome:
    """Return what ``error`` says about the endpoint; a caller who left says nothing."""
    if isinstance(error, (RateLimited, ModelTimeout)):
        return "overload"
    if isinstance(error, ModelUnavailable):
        return "error"
    return "ok" if isinstance(error, ModelError) else "void"
