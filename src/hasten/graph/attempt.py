"""Running one step to a settled end: its tries, its time, its fallback.

Owns what a step's policy means in practice; leaves when a step starts to
``schedule`` and what its end means for the run to ``run``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hasten.errors import StepError, StepFailed, StepTimeout
from hasten.trace.recorder import OpenSpan, describe, span, status_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hasten.clock import Clock
    from hasten.graph.schedule import Result
    from hasten.graph.step import Step


@dataclass(frozen=True, slots=True)
class Settled:
    """How a step ended: ``value`` unless ``result`` is ``none``; ``error`` says what went wrong."""

    result: Result
    value: Any = None
    error: StepError | None = None


async def attempt(
    step: Step[..., Any], values: Mapping[str, Any], clock: Clock, attributes: dict[str, Any]
) -> Settled:
    """Run ``step`` with ``values`` and return how it settled; raises only cancellation.

    Its timeout bounds all tries together. When they are spent its fallback, if
    it has one, gets the same time once more, and its value is tainted.
    """
    with span(step.kind, step.name, **attributes) as here:
        try:
            return Settled("ok", await _in_time(step, clock, _tries(step, values, clock, here)))
        except StepError as error:
            here.set(error=describe(error))
            if step.policy.fallback is None:
                here.set_status(status_of(error))
                return Settled("none", error=error)
            first = error
        try:
            value = await _in_time(step, clock, _fall_back(step, step.policy.fallback, values))
        except StepError as error:
            here.set_status(status_of(first))
            error.__context__ = first
            return Settled("none", error=error)
        here.set(fallback=True)
        here.set_status("degraded")
        return Settled("tainted", value, first)


async def _in_time(step: Step[..., Any], clock: Clock, work: Awaitable[Any]) -> Any:
    """Await ``work``; turn whatever goes wrong into a ``StepError``."""
    timeout_s = step.policy.timeout_s
    try:
        if timeout_s is None:
            return await work
        async with clock.timeout(timeout_s) as limit:
            return await work
    except StepError:
        raise
    except TimeoutError as error:
        if timeout_s is not None and limit.expired():
            message = f"step {step.name!r} did not end within {timeout_s:g} s"
            raise StepTimeout(message, step=step.name) from None
        raise _failed(step, error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled us: something inside was, and that is this step's failure.
        raise _failed(step, error) from error
    except Exception as error:
        raise _failed(step, error) from error


async def _tries(
    step: Step[..., Any], values: Mapping[str, Any], clock: Clock, here: OpenSpan
) -> Any:
    retry = step.policy.retry
    for number in range(1, retry.attempts):
        try:
            return await step.function(**values)
        except Exception as error:
            if not retry.on(error):
                raise
            here.set(attempts=number + 1)
        await clock.sleep(retry.backoff_s * 2 ** (number - 1))
    return await step.function(**values)


async def _fall_back(
    step: Step[..., Any], fallback: Callable[..., Awaitable[Any]], values: Mapping[str, Any]
) -> Any:
    names = step.fallback_takes
    return await fallback(**{name: values[name] for name in names if name in values})


def _failed(step: Step[..., Any], error: BaseException) -> StepFailed:
    reason = str(error) or type(error).__name__
    return StepFailed(f"step {step.name!r} failed: {reason}", step=step.name)
