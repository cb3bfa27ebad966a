"""Running one step to a settled end: its tries, its time, its fallback.

Owns what a step's policy means in practice; leaves when a step starts to
``schedule`` and what its end means for the run to ``run``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from hasten.cache.cached import current_cache
from hasten.cache.decide import Miss
from hasten.cache.policy import PLAIN, Directives
from hasten.cache.trail import current_trail, inherit, taint
from hasten.codec import to_plain
from hasten.errors import CodecError, StepError, StepFailed, StepTimeout
from hasten.graph.schedule import Result
from hasten.trace.recorder import OpenSpan, describe, emit_text, status_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from hasten.cache.cache import Cache
    from hasten.cache.policy import CachePolicy
    from hasten.graph.alarm import Alarm, AlarmClock
    from hasten.graph.durable import StepRecord
    from hasten.graph.step import Step

_log = logging.getLogger(__name__)

CANCEL_AGAIN_S = 1.0
"""A step that swallows its cancellation is cancelled again after this time."""


class Settled(msgspec.Struct, frozen=True):
    """How a step ended.

    ``value`` is there unless ``result`` is ``none``, and ``plain`` is its form
    for the record if it is an output. ``error`` is what went wrong, if anything.
    """

    result: Result
    value: Any = None
    plain: Any = None
    error: StepError | None = None

    @property
    def reason(self) -> str:
        """In a few words what its ``error`` came to; empty if there is none."""
        if self.error is None:
            return ""
        root: BaseException = self.error
        while isinstance(root, StepFailed) and root.__cause__ is not None:
            root = root.__cause__
        what = "fallback after" if self.result == "tainted" else "no value:"
        return f"{what} {describe(root)['code']}"


@dataclass(slots=True)
class StepAttempt:
    """One step about to run: its inputs by name, its time, and what its span says so far.

    ``is_tainted``: its inputs are not as good as they should be, so its value is not kept.
    ``directives`` are what the run asks of the cache. ``age_s`` is how old its value
    is if the cache gave it, or 0 if it was computed for another run at the same time;
    ``None`` if this attempt made it. ``record`` keeps what it settles to, or did before.
    """

    step: Step[..., Any]
    values: Mapping[str, Any]
    alarms: AlarmClock
    attributes: dict[str, Any]
    is_output: bool = False
    is_tainted: bool = False
    directives: Directives = PLAIN
    record: StepRecord | None = None
    age_s: float | None = None

    async def run(self) -> Settled:
        """Run the step, unless its record knows how it settled; raises only cancellation."""
        if self.record is None:
            return await self._run()
        settled = self.record.find(self.step)
        if settled is None:
            settled = await self._run()
            await self.record.keep(self.step, settled)
        elif self.is_output:
            settled = msgspec.structs.replace(settled, plain=to_plain(settled.value))
        return settled

    async def _run(self) -> Settled:
        """Run the step and return how it settled.

        Its timeout bounds all tries together. When they are spent its fallback,
        if it has one, gets the same time once more, and its value is tainted. A
        value made with the fallback of a step called inside is tainted, too.
        """
        with OpenSpan(self.step.kind, self.step.name, self.attributes) as here:
            try:
                return self._as_inside(here, await self._in_time(self._work(here)))
            except StepError as error:
                here.set(error=describe(error))
                here.set_status(status_of(error))
                first = error
            fallback = self.step.policy.fallback
            if fallback is None:
                return Settled("none", error=first)
            names = self.step.fallback_takes
            values = {name: self.values[name] for name in names if name in self.values}
            try:
                settled = await self._in_time(fallback(**values))
            except StepError as error:
                error.__context__ = first
                return Settled("none", error=error)
            here.set(fallback=True)
            here.set_status("degraded")
            return msgspec.structs.replace(settled, result="tainted", error=first)

    async def _in_time(self, work: Awaitable[Any]) -> Settled:
        """Await ``work``; whatever goes wrong with it becomes a ``StepError``."""
        limit = StepLimit(self.alarms, self.step.policy.timeout_s)
        try:
            with limit:
                value = await work
                plain = to_plain(value) if self.is_output else None
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            if _is_cancelled():
                raise asyncio.CancelledError from error
            if limit.is_up:
                raise self._late() from None
            raise failed(self.step, error) from error
        if limit.is_up:
            # It swallowed the cancellation; what it returned after that is no answer.
            raise self._late()
        return Settled("ok", value, plain)

    def _as_inside(self, here: OpenSpan, settled: Settled) -> Settled:
        if not here.is_degraded:
            return settled
        here.set_status("degraded")
        return msgspec.structs.replace(settled, result="tainted")

    def _work(self, here: OpenSpan) -> Awaitable[Any]:
        cache, policy = current_cache(), self.step.cache
        if cache is None or policy is None:
            return self._compute(here)
        return self._reuse(cache, policy, here)

    async def _reuse(self, cache: Cache, policy: CachePolicy, here: OpenSpan) -> Any:
        """Return the step's value from the cache, computed if need be."""
        inputs = current_trail()

        async def compute() -> Any:
            inherit(inputs)
            if self.is_tainted:
                taint("made of degraded inputs")
            return await self._compute(here)

        try:
            key = cache.key(policy, **{**self.step.defaults, **self.values})
        except CodecError as error:
            _log.warning("%r is not cached: %s", self.step, error)
            return await self._compute(here)
        asked = self.directives
        answer = await cache.answer(key, compute, policy, directives=asked, here=here)
        if answer.is_collapsed or not isinstance(answer.decision, Miss):
            self.age_s = getattr(answer.decision, "age_s", 0.0)
            if self.step.policy.section:
                emit_text(self.section, answer.value)
        return answer.value

    @property
    def section(self) -> str:
        """The title of the text its step writes, for these values."""
        return self.step.policy.section.format_map(self.values)

    def _compute(self, here: OpenSpan) -> Awaitable[Any]:
        once = self.step.policy.retry.attempts == 1
        return self.step.function(**self.values) if once else self._tries(here)

    async def _tries(self, here: OpenSpan) -> Any:
        retry = self.step.policy.retry
        for number in range(1, retry.attempts):
            try:
                return await self.step.function(**self.values)
            except Exception as error:
                if _is_cancelled() or not retry.on(error):
                    raise
            here.set(attempts=number + 1)
            await self.alarms.clock.sleep(retry.backoff_s * 2 ** (number - 1))
        return await self.step.function(**self.values)

    def _late(self) -> StepTimeout:
        name, timeout_s = self.step.name, self.step.policy.timeout_s
        return StepTimeout(f"step {name!r} did not end within {timeout_s:g} s", step=name)


class StepLimit:
    """``with StepLimit(alarms, seconds):`` – cancels the block's task when its time is up.

    Unlike ``asyncio.timeout`` it does not stop at that: a block that swallows
    its cancellation is cancelled again, so it cannot outlive its time for good.
    What it cancelled is taken back at the end; ``is_up`` says that it did.
    """

    __slots__ = ("_alarm", "_alarms", "_cancels", "_seconds", "_task")

    def __init__(self, alarms: AlarmClock, seconds: float | None) -> None:
        self._alarms = alarms
        self._seconds = seconds
        self._cancels = 0
        self._task: asyncio.Task[Any] | None = None
        self._alarm: Alarm | None = None

    @property
    def is_up(self) -> bool:
        """Whether the time was up before the block ended."""
        return self._cancels > 0

    def __enter__(self) -> Self:
        if self._seconds is not None:
            self._task = asyncio.current_task()
            self._alarm = self._alarms.after(self._seconds, self._cancel)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._alarm is not None and self._task is not None:
            self._alarm.drop()
            for _ in range(self._cancels):
                self._task.uncancel()
            self._task = None  # the traceback of a cancelled task has this block, thus itself

    def _cancel(self) -> None:
        if self._task is not None:
            self._cancels += 1
            self._task.cancel()
            self._alarm = self._alarms.after(CANCEL_AGAIN_S, self._cancel)


def failed(step: Step[..., Any], error: BaseException) -> StepFailed:
    """Return ``error`` as the failure of ``step``; its cause is set."""
    reason = str(error) or type(error).__name__
    failure = StepFailed(f"step {step.name!r} failed: {reason}", step=step.name)
    failure.__cause__ = error
    return failure


def _is_cancelled() -> bool:
    """Whether this task was told to stop; a cancellation from inside the step does not count."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
