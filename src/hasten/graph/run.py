"""A run: one execution of a graph, from its first event to its outcome.

Owns the tasks of a run and their end: whatever happens, none is left behind.
It asks ``schedule`` what to start, lets ``attempt`` run it, and records all of
it. Leaves storing and following to ``trace/log``. ``Graph.start`` and
``Graph.run`` make one.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hasten.caller import LOCAL, Caller, set_caller
from hasten.clock import Clock, current_clock, set_clock
from hasten.codec import to_plain
from hasten.errors import DeadlineExceeded, HastenError, RunCancelled
from hasten.graph.attempt import Settled, attempt
from hasten.graph.schedule import Decision, Schedule, Skip, Start, remaining_s
from hasten.trace.event import RunEvent, RunRecord, RunStatus
from hasten.trace.log import RunLog, Sink
from hasten.trace.recorder import Recorder, describe, enter_run
from hasten.virtual import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from pydantic import BaseModel

    from hasten.graph.graph import Graph
    from hasten.trace.span import Span

_log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 0.1
"""Progress is told at most once in this time."""

CANCEL_AGAIN_S = 1.0
CANCEL_TIMES = 5
"""A step that swallows its cancellation is cancelled again, so often and this far apart."""

_EARLY_S = 1e-6
"""A timer may fire this early: the loop's clock and ours round differently."""

Reason = Literal["done", "failed", "cancelled", "deadline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run needs to know besides its inputs; everything has a default.

    ``sink`` keeps the run and lets others follow it. ``expected_s`` are the
    usual seconds of each step, for the ETA. ``simulated`` says that a simulated
    model answers. ``listeners`` are told each event as it happens.
    """

    app: str = ""
    mode: str = ""
    run_id: str = ""
    caller: Caller = LOCAL
    sink: Sink | None = None
    clock: Clock | None = None
    deadline_s: float | None = None
    simulated: bool = False
    expected_s: Mapping[str, float] = field(default_factory=dict)
    listeners: tuple[Callable[[RunEvent], None], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``outputs`` are the values as the steps returned them.

    ``degraded_by`` says, in words, what went on without what it wanted; a
    degraded outcome must not fill any cache.
    """

    run_id: str
    status: RunStatus
    outputs: dict[str, Any]
    degraded_by: tuple[str, ...]
    error: HastenError | None
    record: RunRecord
    spans: list[Span]

    def value(self) -> dict[str, Any]:
        """Return the outputs, or raise the error of a run that failed or was cancelled."""
        if self.error is not None:
            raise self.error
        return self.outputs


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
        self.record = self._new_record(inputs)
        self.recorder = Recorder(self.record, self.clock)
        self.recorder.listeners.extend(options.listeners)
        self.log = RunLog(self.recorder, options.sink) if options.sink is not None else None
        self._loop = asyncio.get_running_loop()
        self._values = {name: getattr(inputs, name) for name in type(inputs).model_fields}
        self._values.update(resources)
        self._schedule = Schedule(graph.nodes, graph.limits)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._began_s: dict[int, float] = {}
        self._settled: set[int] = set()
        self._open_outputs = {graph.position[name] for name in graph.outputs}
        self._error: HastenError | None = None
        self._over: asyncio.Future[Reason] = self._loop.create_future()
        self._wake: asyncio.TimerHandle | None = None
        self._wake_s = float("inf")
        self._told_s = float("-inf")
        self._context = contextvars.copy_context()
        self._context.run(self._enter)
        self._task = self._loop.create_task(
            self._main(), name=f"run {self.record.run_id}", context=self._context
        )

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

    def _new_record(self, inputs: BaseModel) -> RunRecord:
        options = self.options
        return RunRecord(
            run_id=options.run_id or _new_run_id(self.clock),
            app=options.app or self.graph.name,
            graph=self.graph.name,
            mode=options.mode,
            tenant=options.caller.tenant,
            user=options.caller.user,
            clock=self.clock.kind,
            speed=self.clock.speed,
            simulated=options.simulated,
            started_s=self.clock.now(),
            inputs=inputs.model_dump(mode="json"),
        )

    def _enter(self) -> None:
        """Set what every task of this run finds in its context."""
        set_clock(self.clock)
        set_caller(self.options.caller)
        enter_run(self.recorder)

    async def _main(self) -> Outcome:
        self._emit("run.started", **_headline(self.record))
        limits_s = (self.graph.deadline_s, self.options.deadline_s)
        deadline_s = min((found for found in limits_s if found is not None), default=None)
        timer = deadline_s and self._loop.call_later(
            self.clock.loop_delay(deadline_s), self._finish, "deadline"
        )
        self._apply(self._schedule.start(self.clock.monotonic()))
        reason: Reason = "cancelled"
        try:
            reason = await self._over
        finally:
            if timer:
                timer.cancel()
            if self._wake is not None:
                self._wake.cancel()
            await self._stop_tasks()
            await self._end(reason, deadline_s)
        return self._outcome()

    def _apply(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Start):
                self._begin(decision)
            else:
                self._skip(decision)
        self._arm()

    def _begin(self, start: Start) -> None:
        position = start.node
        if start.missed:
            missed = ", ".join(self.graph.steps[found].name for found in start.missed)
            self._degrade(position, f"without {missed}")
        self._began_s[position] = self.clock.monotonic()
        work: Coroutine[Any, Any, None] = self._run_step(position, start.missed)
        self._tasks[position] = self._loop.create_task(
            work, name=self.graph.steps[position].name, context=self._context.copy()
        )

    async def _run_step(self, position: int, missed: tuple[int, ...]) -> None:
        step, node = self.graph.steps[position], self.graph.nodes[position]
        values = {name: self._values.get(name) for name in self.graph.takes[position]}
        for found in missed:
            values[self.graph.steps[found].name] = None
        attributes: dict[str, Any] = {"after": [self.graph.nodes[one].name for one in node.hard]}
        attributes["after"] += [
            self.graph.nodes[one].name for one, _ in node.soft if one not in missed
        ]
        if missed:
            attributes["missed"] = [self.graph.nodes[one].name for one in missed]
        if step.policy.phase:
            attributes["phase"] = step.policy.phase
        if step.policy.log_fields:
            attributes["params"] = step.logged(values)
        self._tell_progress(position)
        settled = await attempt(step, values, self.clock, attributes)
        self._step_settled(position, settled)

    def _step_settled(self, position: int, settled: Settled) -> None:
        name = self.graph.steps[position].name
        del self._tasks[position]
        if settled.error is not None:
            what = "fallback after" if settled.result == "tainted" else "no value:"
            self._degrade(position, f"{what} {settled.error.code}")
            self._error = self._error or settled.error
        if settled.result != "none":
            self._values[name] = settled.value
        decisions = self._schedule.settle(position, settled.result, self.clock.monotonic())
        self._mark(position, has_value=settled.result != "none")
        if not self._over.done():
            self._apply(decisions)

    def _skip(self, skip: Skip) -> None:
        self._degrade(skip.node, f"skipped: no {self.graph.steps[skip.because].name}")
        self._mark(skip.node, has_value=False)

    def _mark(self, position: int, *, has_value: bool) -> None:
        """Note that a step is over, and whether that ends the run."""
        self._settled.add(position)
        step = self.graph.steps[position]
        if position in self._open_outputs:
            self._open_outputs.discard(position)
            if has_value:
                value = self.record.outputs[step.name] = to_plain(self._values[step.name])
                self._emit("output", name=step.name, phase=step.policy.phase, value=value)
            elif step.name not in self.graph.optional:
                self._finish("failed")
        self._tell_progress(position)
        if not self._open_outputs:
            self._finish("done")

    def _arm(self) -> None:
        """Set the timer for the next soft deadline."""
        wake_s = self._schedule.next_wake_s()
        if wake_s is None or wake_s >= self._wake_s:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_s = wake_s
        delay_s = max(wake_s - self.clock.monotonic(), 0.0)
        self._wake = self._loop.call_later(
            self.clock.loop_delay(delay_s), self._tick, context=self._context
        )

    def _tick(self) -> None:
        self._wake_s = float("inf")
        if not self._over.done():
            self._apply(self._schedule.tick(self.clock.monotonic() + _EARLY_S))

    def _finish(self, reason: Reason) -> None:
        if not self._over.done():
            self._over.set_result(reason)

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

    async def _end(self, reason: Reason, deadline_s: float | None) -> None:
        record = self.record
        if reason == "done":
            record.status = "degraded" if record.degraded_by else "complete"
            self._error = None
        elif reason == "failed":
            record.status = "failed"
        elif reason == "deadline":
            record.status = "failed"
            message = f"run {self.run_id} did not end within {deadline_s:g} s"
            self._error = DeadlineExceeded(message)
        else:
            record.status = "cancelled"
            self._error = RunCancelled(f"run {self.run_id} was cancelled")
        record.error = describe(self._error) if self._error else None
        self.recorder.flush_text()
        status: Any = {"complete": "ok"}.get(record.status, record.status)
        self.recorder.finish_span(self.recorder.root, status)
        record.ended_s = self.recorder.root.end_s
        self._emit(
            "run.finished",
            status=record.status,
            degraded_by=record.degraded_by,
            error=record.error,
            duration_ms=record.duration_s * 1e3,
        )
        if self.log is not None:
            await self.log.close()

    def _outcome(self) -> Outcome:
        outputs = {name: self._values[name] for name in self.record.outputs}
        return Outcome(
            self.run_id,
            self.record.status,
            outputs,
            tuple(self.record.degraded_by),
            self._error,
            self.record,
            self.recorder.spans,
        )

    def _degrade(self, position: int, reason: str) -> None:
        name = self.graph.steps[position].name
        self.record.degraded_by.append(f"{name}: {reason}")
        self._emit("degraded", step=name, reason=reason)

    def _tell_progress(self, position: int) -> None:
        """Say how far the run is and when it should end, now and then and at the end."""
        now_s = self.clock.monotonic()
        if self._open_outputs and now_s - self._told_s < PROGRESS_EVERY_S:
            return
        self._told_s = now_s
        policy = self.graph.steps[position].policy
        eta_s = None
        if self.options.expected_s:
            elapsed_s = {one: now_s - self._began_s[one] for one in self._tasks}
            eta_s = remaining_s(self.graph.nodes, self.options.expected_s, elapsed_s, self._settled)
        self._emit(
            "progress",
            progress=round(len(self._settled) / len(self.graph.nodes), 3),
            eta_ms=None if eta_s is None else round(eta_s * 1e3),
            current_step=policy.label or self.graph.steps[position].name,
            phase=policy.phase,
        )

    def _emit(self, type_: str, **data: Any) -> None:
        self.recorder.emit(type_, self.recorder.root.span_id, data)


def _headline(record: RunRecord) -> dict[str, Any]:
    names = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated")
    return {name: getattr(record, name) for name in names}


def _new_run_id(clock: Clock) -> str:
    """Return an id that sorts by time; in virtual time it comes from the seed."""
    loop = asyncio.get_running_loop()
    tail = (
        f"{loop.random.getrandbits(40):010x}"
        if isinstance(loop, VirtualLoop)
        else secrets.token_hex(5)
    )
    return f"run_{int(clock.now() * 1e3):012x}{tail}"
