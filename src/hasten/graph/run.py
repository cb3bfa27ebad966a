"""A run: one execution of a graph, from its first event to its outcome.

Owns the tasks of a run and their end: whatever happens, none is left behind.
It asks ``schedule`` what to start, lets ``attempt`` run it, and records all of
it. Leaves storing and following to ``trace/log``. ``Graph.start`` and
``Graph.run`` make one.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from hasten.cache.cached import current_cache, set_cache
from hasten.cache.request import enter_request
from hasten.cache.trail import CacheTrail, current_trail, set_trail
from hasten.caller import set_caller
from hasten.clock import current_clock, set_clock
from hasten.errors import (
    DeadlineExceeded,
    FreshnessRefused,
    HastenError,
    NotCached,
    RunCancelled,
)
from hasten.graph.alarm import AlarmClock
from hasten.graph.attempt import CANCEL_AGAIN_S, Settled, StepAttempt, failed
from hasten.graph.freshness import RunFreshness
from hasten.graph.outcome import Outcome, RunOptions, new_run_id
from hasten.graph.progress import RunProgress
from hasten.graph.rerun import Rerun
from hasten.graph.schedule import Decision, Schedule, Skip, Start
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.log import RunLog
from hasten.trace.recorder import Recorder, describe, enter_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pydantic import BaseModel

    from hasten.graph.graph import Graph

_log = logging.getLogger(__name__)

CANCEL_TIMES = 5
"""How often the steps left at the end of a run are cancelled, ``CANCEL_AGAIN_S`` apart."""

Reason = Literal["done", "failed", "cancelled", "deadline"]


class Run:
    """A started run. It goes on by itself; ``outcome()`` waits, ``cancel()`` ends it."""

    def __init__(
        self,
        graph: Graph,
        inputs: BaseModel,
        resources: Mapping[str, Any],
        options: RunOptions | None = None,
    ) -> None:
        self.graph = graph
        self.options = options = options or RunOptions()
        self.clock = options.clock or current_clock()
        attempt = options.attempt
        earlier = attempt.earlier if attempt is not None else ()
        self.record = self._new_record(inputs, earlier)
        self.recorder = Recorder(self.record, self.clock)
        self.recorder.listeners.extend(options.listeners)
        sink = options.sink
        self.log = RunLog(self.recorder, sink, earlier) if sink is not None else None
        self._deadline_s = _tightest(graph.deadline_s, options.deadline_s)
        self._loop = asyncio.get_running_loop()
        self._values = {name: getattr(inputs, name) for name in type(inputs).model_fields}
        self._values.update(resources)
        self._schedule = Schedule(graph.nodes, graph.limits)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._trails: dict[int, CacheTrail] = {}
        self._errors: dict[int, HastenError] = {}
        self._open_ends = {graph.position[name] for name in (*graph.outputs, *graph.effects)}
        self._error: HastenError | None = None
        self._over: asyncio.Future[Reason] = self._loop.create_future()
        self._wake_s = inf
        self._outer_trail = current_trail()
        self._session = str(getattr(inputs, graph.session)) if graph.session else ""
        self._is_reusing = bool(options.cache or current_cache() or self._outer_trail)
        self._context = contextvars.copy_context()
        self._context.run(self._enter)
        self._alarms = self._context.run(AlarmClock, self.clock)
        self._progress = RunProgress(
            graph,
            self._schedule,
            self._alarms,
            options.expected_s,
            self._tasks,
            self._open_ends,
            self.recorder,
        )
        self._rerun = self._context.run(Rerun.of, self.record, options)
        self._fresh = RunFreshness.of(graph, inputs, options.directives)
        self._task = self._loop.create_task(
            self._main(), name=f"run {self.run_id}", context=self._context
        )
        if self._rerun is not None:
            rerun = self._rerun
            self._task.add_done_callback(lambda _: rerun.release())

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.run_id

    def cancel(self) -> None:
        """End the run; its outcome is ``cancelled`` unless it has ended already."""
        self._finish("cancelled")

    async def outcome(self) -> Outcome:
        """Wait for the end. Cancelling the waiter does not cancel the run."""
        return await asyncio.shield(self._task)

    async def follow(self, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield the run's stored events numbered above ``after``, to its end; needs a sink."""
        if self.log is None:
            message = "only a run with a sink can be followed: RunOptions(sink=MemorySink())"
            raise HastenError(message)
        async for event in self.log.follow(after):
            yield event

    def _new_record(self, inputs: BaseModel, earlier: Sequence[RunEvent]) -> RunRecord:
        options = self.options
        return RunRecord(
            run_id=options.run_id or new_run_id(self.clock),
            app=options.app or self.graph.name,
            graph=self.graph.name,
            mode=options.mode,
            tenant=options.caller.tenant,
            user=options.caller.user,
            clock=self.clock.kind,
            speed=self.clock.speed,
            simulated=options.simulated,
            started_s=earlier[0].at_s if earlier else self.clock.now(),
            worker=options.worker,
            inputs=inputs.model_dump(mode="json"),
        )

    def _enter(self) -> None:
        """Set what every task of this run finds in its context."""
        set_clock(self.clock)
        set_caller(self.options.caller)
        enter_run(self.recorder)
        self._request = enter_request(self._session)
        if self.options.cache is not None:
            set_cache(self.options.cache, self.options.made_by)

    async def _main(self) -> Outcome:
        attempt = self.options.attempt
        if attempt is not None and attempt.earlier:
            attempt.resume(self.recorder, self.graph.steps)
        else:
            self._emit("run.started", **_headline(self.record))
        if self._deadline_s is not None:
            self._alarms.after(self._deadline_s, functools.partial(self._finish, "deadline"))
        try:
            await self._set_out()
            reason: Reason = await self._over
        except asyncio.CancelledError:
            # The run owns this task: whoever cancels it, as a closing loop does, ends the run.
            reason = "cancelled"
            self._alarms.stop()
        if self._fresh is not None and reason == "done":
            self._error = self._fresh.close(self.record)
            reason = "failed" if self._error else "done"
        try:
            await self._stop_tasks()
        finally:
            self._request.close()
            await self._end(reason)
        return self._outcome()

    async def _set_out(self) -> None:
        """Give a stored answer again, or start the first steps."""
        try:
            stored = None if self._rerun is None else await self._rerun.find(self._over)
        except NotCached as error:
            self._error = error
            self._finish("failed")
            return
        if self._over.done():
            return
        if stored is None:
            if self._fresh is not None:
                await self._fresh.plan(self._values)
            self._apply(self._schedule.start(self.clock.monotonic()))
            return
        for name, value in stored.outputs.items():
            self._values[name] = self.record.outputs[name] = value
            phase = self.graph.steps[self.graph.position[name]].policy.phase
            self._emit("output", name=name, phase=phase, value=value)
        self.record.reuse = stored.reuse_of_again
        self._finish("done")

    def _apply(self, decisions: list[Decision]) -> None:
        """Carry out what the schedule decided, as long as the run is not over."""
        for decision in decisions:
            if self._over.done():
                break
            if isinstance(decision, Start):
                self._begin(decision)
            else:
                self._skip(decision)
        if not self._over.done():
            self._arm()
            self._progress.tell()

    def _begin(self, start: Start) -> None:
        position, graph = start.node, self.graph
        step, after = graph.steps[position], graph.after[position]
        values = {name: self._values.get(name) for name in graph.takes[position]}
        attributes: dict[str, Any] = {"after": after}
        if start.missed:
            missed = [self._name(found) for found in start.missed]
            attributes = {"after": [name for name in after if name not in missed], "missed": missed}
            self._degrade(position, f"without {', '.join(missed)}")
        if step.policy.phase:
            attributes["phase"] = step.policy.phase
        if step.policy.log_fields:
            attributes["params"] = step.logged(values)
        is_tainted = start.is_tainted or bool(start.missed)
        asked = self.options.directives
        if self._fresh is not None:
            asked = self._fresh.directives(step.name, asked)
        if step.name in self.options.anew:
            asked = replace(asked, no_cache=True)
        attempt = StepAttempt(
            step,
            values,
            self._alarms,
            attributes,
            graph.is_output[position],
            is_tainted,
            asked,
            None if self.options.attempt is None else self.options.attempt.steps,
        )
        work = self._run_step(position, attempt)
        task = self._loop.create_task(work, name=step.name, context=self._step_context(position))
        task.add_done_callback(functools.partial(self._step_gone, position), context=self._context)
        self._tasks[position] = task

    def _step_context(self, position: int) -> contextvars.Context:
        """Return the context of a step: the run's, with the trail of what the step is made of."""
        context = self._context.copy()
        if not self._is_reusing:
            return context
        node = self.graph.nodes[position]
        trail = self._trails[position] = CacheTrail()
        for before in (*node.hard, *(soft for soft, _ in node.soft)):
            if before in self._trails and before not in self._tasks:
                trail.add(self._trails[before])
        context.run(set_trail, trail)
        return context

    async def _run_step(self, position: int, attempt: StepAttempt) -> None:
        fresh = self._fresh
        work = attempt.run() if fresh is None else fresh.run(attempt, self._give_anew)
        try:
            self._settle(position, await work)
        except FreshnessRefused as error:
            self._error = error
            self._finish("failed")

    def _give_anew(self, name: str, settled: Settled) -> None:
        """Put a value in the place of the one its step gave before."""
        self._values[name] = settled.value
        if name in self.record.outputs:
            self._answer(self.graph.position[name], settled)

    def _skip(self, skip: Skip) -> None:
        if self._fresh is not None:
            self._fresh.skip(self._name(skip.node))
        self._errors[skip.node] = self._errors[skip.because]
        self._degrade(skip.node, f"skipped: no {self._name(skip.because)}")
        self._mark(skip.node, None)

    def _step_gone(self, position: int, task: asyncio.Task[None]) -> None:
        """Settle a step whose task ended without doing so, as one cancelled by a stranger does."""
        if position in self._tasks:
            error = None if task.cancelled() else task.exception()
            step = self.graph.steps[position]
            failure = failed(step, error or asyncio.CancelledError())
            self._settle(position, Settled("none", error=failure))

    def _settle(self, position: int, settled: Settled) -> None:
        """Take in what a step came to; whatever that is, the run goes on or ends."""
        del self._tasks[position]
        if self._outer_trail is not None:
            self._outer_trail.add(self._trails[position])
        if self._over.done():
            return
        step = self.graph.steps[position]
        if settled.error is not None:
            self._errors[position] = settled.error
            self._degrade(position, settled.reason)
        if settled.result != "none":
            self._values[step.name] = settled.value
        decisions = self._schedule.settle(position, settled.result, self.clock.monotonic())
        self._mark(position, settled)
        self._apply(decisions)

    def _mark(self, position: int, settled: Settled | None) -> None:
        """Note that a step is over (``None``: skipped), and whether that ends the run."""
        self._progress.settled_count += 1
        if position not in self._open_ends:
            return
        self._open_ends.discard(position)
        if self.graph.is_output[position]:
            self._answer(position, settled)
        if not self._open_ends:
            self._finish("done")

    def _answer(self, position: int, settled: Settled | None) -> None:
        """Give out an output, or end the run for want of it."""
        step = self.graph.steps[position]
        if settled is not None and settled.result != "none":
            told, value = self.record.outputs, settled.plain
            if step.name not in told or told[step.name] != value:
                told[step.name] = value
                self._emit("output", name=step.name, phase=step.policy.phase, value=value)
        elif step.name not in self.graph.optional:
            self._error = self._errors[position]
            self._finish("failed")

    def _arm(self) -> None:
        """Set the alarm for the next soft deadline."""
        wake_s = self._schedule.next_wake_s()
        if wake_s is not None and wake_s < self._wake_s:
            self._wake_s = wake_s
            self._alarms.at(wake_s, self._tick)

    def _tick(self) -> None:
        self._wake_s = inf
        if not self._over.done():
            self._apply(self._schedule.tick(self.clock.monotonic()))

    def _finish(self, reason: Reason) -> None:
        if not self._over.done():
            self._over.set_result(reason)
            self._alarms.stop()

    async def _stop_tasks(self) -> None:
        """Cancel what still runs and wait for it; a step that swallows it is cancelled again."""
        left = set(self._tasks.values())
        for _ in range(CANCEL_TIMES):
            if not left:
                return
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=self.clock.loop_delay(CANCEL_AGAIN_S))
        if left:
            names = ", ".join(task.get_name() for task in left)
            _log.error("run %s: steps ignore cancellation: %s", self.run_id, names)

    async def _end(self, reason: Reason) -> None:
        record = self.record
        if reason == "done":
            record.status = "degraded" if record.degraded_by else "complete"
            self._emit("progress", progress=1.0, eta_ms=0, current_step="", phase="")
        elif reason == "failed":
            record.status = "failed"
        elif reason == "deadline":
            record.status = "failed"
            message = f"run {self.run_id} did not end within {self._deadline_s:g} s"
            self._error = DeadlineExceeded(message)
        else:
            record.status = "cancelled"
            self._error = RunCancelled(f"run {self.run_id} was cancelled")
        record.error = describe(self._error) if self._error else None
        self.recorder.flush_text()
        if await self._is_put_off():
            return
        if (
            self._rerun is not None
            and record.status == "complete"
            and not record.reuse.get("cached")
        ):
            took_s = self.recorder.now() - record.started_s
            await self._rerun.keep(record, took_s, self._trails.values())
        status: Any = {"complete": "ok"}.get(record.status, record.status)
        self.recorder.finish_span(self.recorder.root, status)
        record.ended_s = self.recorder.root.end_s
        self._emit(
            "run.finished",
            status=record.status,
            degraded_by=record.degraded_by,
            error=record.error,
            reuse=record.reuse,
            duration_ms=record.duration_s * 1e3,
        )
        if self.log is not None:
            await self.log.close()

    async def _is_put_off(self) -> bool:
        """End this attempt but not the run, if there shall be another one; whether that is so."""
        attempt, record = self.options.attempt, self.record
        if attempt is None or record.status != "failed" or self._error is None:
            return False
        again_s = attempt.again_s(self._error)
        if again_s is None:
            return False
        record.status = "queued"
        self._emit("run.interrupted", error=record.error, again_s=again_s)
        if self.log is not None:
            await self.log.close()
        return True

    def _outcome(self) -> Outcome:
        there = self.record.outputs
        outputs = {name: self._values[name] for name in self.graph.outputs if name in there}
        return Outcome(
            self.run_id,
            self.record.status,
            outputs,
            tuple(self.record.degraded_by),
            self._error,
            self.record,
            self.recorder.spans,
        )

    def _name(self, position: int) -> str:
        return self.graph.steps[position].name

    def _degrade(self, position: int, reason: str) -> None:
        self.recorder.degrade(self._name(position), reason, self.recorder.root)

    def _emit(self, type_: str, **data: Any) -> None:
        self.recorder.emit(type_, self.recorder.root.span_id, data)


def _tightest(*limits_s: float | None) -> float | None:
    return min((found for found in limits_s if found is not None), default=None)


def _headline(record: RunRecord) -> dict[str, Any]:
    names = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated")
    return {name: getattr(record, name) for name in names}
