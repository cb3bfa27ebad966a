"""Trying an application out: one fresh set of stores, a few runs, a figure.

Owns ``Trial`` and measuring an application's targets with it. A virtual trial
runs on a virtual clock with a cache and tables in memory; a real one on a
``Runtime`` of its own in a folder that is deleted afterwards. Both ask the
simulated model, whatever the settings name. Leaves what is measured to the
application and the verdict to ``quality/target``. ``hasten check``, ``hasten
race`` and tests call it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.caller import Caller
from hasten.clock import current_clock
from hasten.errors import HastenError, InvalidInput, NotFound
from hasten.graph.outcome import RunOptions
from hasten.interpreter import as_in_a_server
from hasten.quality.answer import answer_of
from hasten.quality.experiment import conclude
from hasten.quality.judge import judge
from hasten.quality.target import reading
from hasten.settings import load_settings
from hasten.wire import Runtime
from hasten.wire_jobs import RuntimeJobs
from hasten.wire_models import simulated_model
from hasten.wire_runs import start_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from hasten.app import App
    from hasten.clock import Clock
    from hasten.graph.outcome import Outcome
    from hasten.jobs.job import JobRecord
    from hasten.model.base import Model
    from hasten.quality.answer import Answer
    from hasten.quality.experiment import Experiment, ExperimentResult
    from hasten.quality.judge import Judged
    from hasten.quality.results import Result
    from hasten.quality.target import Reading, Target
    from hasten.store.sql import Tables

T = TypeVar("T")

BASELINE = "baseline"
TENANT = "trial"
TIMES = 21
"""How often a thing is done whose median is taken."""


JOBS_AT_ONCE = 64
"""So many jobs a real trial does at once: more than any target asks for."""


class PickUp(NamedTuple):
    """How long a job waited: until a worker had it, and until its first step began."""

    queued_s: float
    begun_s: float


class Trial(ABC):
    """An application with nothing remembered yet, in one mode; what a target measures with.

    ``tables`` and ``cache`` are its own, ``model`` is the simulated one, and ``clock``
    says whose seconds pass.
    """

    def __init__(
        self, app: App, mode: str, cache: Cache, model: Model, tables: Tables | None
    ) -> None:
        self.app = app
        self.mode = mode
        self.cache = cache
        self.model = model
        self._tables = tables

    @property
    def tables(self) -> Tables:
        """The application's tables. Raises ``NotFound`` for one that has none."""
        if self._tables is None:
            message = f"app {self.app.name!r} has no tables"
            raise NotFound(message)
        return self._tables

    @property
    def clock(self) -> Clock:
        """The clock the trial runs on."""
        return current_clock()

    async def run(
        self,
        inputs: Mapping[str, Any] | str = "",
        *,
        operation: str = "",
        user: str = "ann",
        mode: str | None = None,
        speed: float | None = None,
    ) -> Outcome:
        """Run to the end and return the outcome, that of a failed run too.

        ``inputs`` may be the name of a sample, by default the first. ``operation`` is one
        of the application's. ``speed`` is for a real trial: what only fills the cache may
        go fast, but its deadlines go as fast, so that above 20 or so steps time out.
        """
        app = self.app.operation(operation) if operation else self.app
        given = sample_of(app, inputs) if isinstance(inputs, str) else inputs
        return await self._run(app, given, _caller(user), mode or self.mode, speed)

    async def duration_s(self, inputs: Mapping[str, Any] | str = "", **options: Any) -> float:
        """Return how long a run took that came through. Raises its error, or if it was degraded."""
        outcome = await self.run(inputs, **options)
        outcome.value()
        if outcome.degraded_by:
            message = f"the run was degraded: {'; '.join(outcome.degraded_by)}"
            raise HastenError(message)
        return outcome.record.duration_s

    async def compare(self, experiment: Experiment) -> ExperimentResult:
        """Return what an experiment shows by its checks alone."""
        return conclude(self.app.name, experiment, await self.pairs(experiment))

    async def pairs(self, experiment: Experiment) -> list[tuple[Answer, Answer]]:
        """Answer the experiment's inputs in both arms; each has a fresh cache and tables.

        In virtual time only.
        """
        if not experiment.inputs:
            message = f"experiment {experiment.name!r} has no inputs"
            raise HastenError(message)
        before = await self._answers(experiment, experiment.baseline)
        after = await self._answers(experiment, experiment.variant)
        return list(zip(before, after, strict=True))

    async def _answers(self, experiment: Experiment, arm: Mapping[str, Any]) -> list[Answer]:
        options = {name: value for name, value in arm.items() if name != "changes"}
        fresh = await self._fresh(dataclasses.replace(self.app, **arm.get("changes", {})))
        return [answer_of(await fresh.run(one, **options)) for one in experiment.inputs]

    async def first_text_s(self, inputs: Mapping[str, Any] | str = "", **options: Any) -> float:
        """Return when there was something to read: at the end for what comes whole."""
        outcome = await self.run(inputs, **options)
        outcome.value()
        first_s = outcome.record.first_text_s
        return outcome.record.duration_s if first_s is None else first_s

    async def again_s(self, inputs: Mapping[str, Any] | str = "", **options: Any) -> float:
        """Return how long the second of two equal runs takes."""
        await self.run(inputs, **options)
        return await self.duration_s(inputs, **options)

    async def forget(self, what: str) -> None:
        """Invalidate what a selector such as ``"tag=market:AI"`` names, for everyone."""
        await self.cache.invalidate(what, tenants=[TENANT, ""])

    async def median_s(self, work: Callable[[], Awaitable[object]], times: int = TIMES) -> float:
        """Return the median of how long ``work`` takes on the trial's clock, done so often."""
        took_s = []
        for _ in range(times):
            began_s = self.clock.monotonic()
            await work()
            took_s.append(self.clock.monotonic() - began_s)
        return statistics.median(took_s)

    async def pick_ups(self, asked: Sequence[Mapping[str, Any]], every_s: float) -> list[PickUp]:  # noqa: ARG002 - the interface's
        """Keep a job for each of the inputs, so far apart; return how long each waited.

        All are under way until the last has begun, then they are cancelled. On the real clock
        only.
        """
        message = f"jobs of {self.app.name!r} are measured on the real clock"
        raise HastenError(message)

    @abstractmethod
    async def _fresh(self, app: App) -> Trial:
        """Return a trial of ``app`` that remembers nothing."""

    @abstractmethod
    async def _run(
        self, app: App, inputs: Mapping[str, Any], caller: Caller, mode: str, speed: float | None
    ) -> Outcome:
        """Run ``app``, an application or its operation, to the end."""


class VirtualTrial(Trial):
    """A trial inside ``virtual.run``."""

    async def _fresh(self, app: App) -> Trial:
        cache = Cache()
        model = simulated_model(app, self.mode, cache)
        return VirtualTrial(app, self.mode, cache, model, await app.open_tables(None, cache))

    def _model(self, app: App, mode: str) -> Model:
        """Return the model of the trial, or, for a run in another mode, what that mode asks."""
        return self.model if mode == self.mode else simulated_model(app, mode, self.cache)

    async def _run(
        self, app: App, inputs: Mapping[str, Any], caller: Caller, mode: str, speed: float | None
    ) -> Outcome:
        if speed is not None:
            message = "virtual time has no speed: leave it out, or measure on the real clock"
            raise HastenError(message)
        model = self._model(app, mode)
        options = RunOptions(
            app=app.name,
            mode=mode,
            caller=caller,
            cache=self.cache if mode in app.reusing else None,
            simulated=True,
            made_by=model.name,
            rerun=app.rerun,
        )
        return await start_run(app, inputs, model, options, self._tables).outcome()


class RealTrial(Trial):
    """A trial on a runtime with stores on disk."""

    def __init__(self, app: App, mode: str, runtime: Runtime) -> None:
        super().__init__(
            app, mode, runtime.cache, runtime.model(app, mode), runtime.tables[app.name]
        )
        self.runtime = runtime
        self._jobs: RuntimeJobs | None = None

    async def close(self) -> None:
        """Do no more jobs."""
        if self._jobs is not None:
            await self._jobs.drain()

    async def pick_ups(self, asked: Sequence[Mapping[str, Any]], every_s: float) -> list[PickUp]:
        """Keep jobs and return how long each waited."""
        if self._jobs is None:
            self._jobs = RuntimeJobs(self.runtime)
            self._jobs.work()
        kept = []
        for inputs in asked:
            await self.clock.sleep(every_s)
            kept.append(await self._jobs.submit(self.app.name, inputs, _caller(), mode=self.mode))
        begun_s = await asyncio.gather(*map(self._begun_s, kept))
        waits = []
        for job, at_s in zip(kept, begun_s, strict=True):
            taken = await self._jobs.queue.cancel(job.job_id, _caller())
            waits.append(PickUp(taken.waited_s or 0.0, at_s - job.created_s))
        return waits

    async def _begun_s(self, job: JobRecord) -> float:
        async for event in self.runtime.follow(job.run_id, _caller()):
            if event.type == "span.started" and event.data["kind"] in {"step", "tool"}:
                return event.at_s
        message = f"run {job.run_id} of {self.app.name!r} ended before a step of it began"
        raise HastenError(message)

    async def _fresh(self, app: App) -> Trial:
        message = f"experiments of {app.name!r} run on the virtual clock"
        raise HastenError(message)

    async def _run(
        self, app: App, inputs: Mapping[str, Any], caller: Caller, mode: str, speed: float | None
    ) -> Outcome:
        run = await self.runtime.start(app.name, inputs, mode=mode, caller=caller, speed=speed)
        return await run.outcome()


def _caller(user: str = "ann") -> Caller:
    return Caller(TENANT, user)


def try_virtually(
    app: App, measure: Callable[[Trial], Awaitable[T]], mode: str, *, seed: int = 0
) -> T:
    """Return what ``measure`` makes of a fresh virtual trial."""

    async def main() -> T:
        async with Cache() as cache:
            tables = await app.open_tables(None, cache)
            model = simulated_model(app, mode, cache)
            return await measure(VirtualTrial(app, mode, cache, model, tables))

    return virtual.run(main(), seed=seed)


def try_really(app: App, measure: Callable[[Trial], Awaitable[float]], mode: str) -> float:
    """Return what ``measure`` makes of a fresh trial on the real clock."""

    async def main() -> float:
        with tempfile.TemporaryDirectory(prefix="hasten-trial-") as folder:
            settings = load_settings(
                home=Path(folder),
                database_url="",
                redis_url="",
                model="",
                speed=1.0,
                job_concurrency=JOBS_AT_ONCE,
            )
            runtime = await Runtime.open(settings, {app.name: app})
            trial = RealTrial(app, mode, runtime)
            try:
                with as_in_a_server():
                    return await measure(trial)
            finally:
                await trial.close()
                await runtime.close()

    return asyncio.run(main())


def measure_target(
    app: App, target: Target, *, loads: Sequence[Result] = (), seed: int = 0
) -> Reading:
    """Measure one target; what it raises is in the reading's ``why``.

    ``loads`` are the application's load tests, newest first.
    """
    if target.measure is None:
        return _read_load(app, target, loads)
    tried = dataclasses.replace(app, **target.changes)
    try:
        if target.clock == "virtual":
            value = try_virtually(tried, target.measure, tried.default_mode, seed=seed)
        else:
            value = try_really(tried, target.measure, tried.default_mode)
    except Exception as error:  # noqa: BLE001 - a figure that cannot be had is not held, and says why
        return reading(app.name, target, None, why=f"{type(error).__name__}: {error}")
    baseline = None
    if target.how_baseline is not None and BASELINE in tried.graphs:
        try:
            baseline = try_virtually(tried, target.how_baseline, BASELINE, seed=seed)
        except HastenError as error:
            return reading(app.name, target, value, why=f"baseline: {error}")
    return reading(app.name, target, value, baseline)


def _read_load(app: App, target: Target, loads: Sequence[Result]) -> Reading:
    """Return the figure of the newest load test that was as its profile has it."""
    profile, _, figure = target.load.partition(".")
    whole = [one for one in loads if one.name == profile and one.data.get("is_whole")]
    if not whole:
        why = f"no whole load test yet: hasten loadtest --app {app.name} --profile {profile}"
        return reading(app.name, target, None, why=why)
    value = whole[0].data.get(figure)
    if value is None:
        known = ", ".join(name for name, one in whole[0].data.items() if isinstance(one, float))
        why = f"a load test has no {figure!r}; it has {known}"
        return reading(app.name, target, None, why=why, at_s=whole[0].at_s)
    return reading(app.name, target, float(value), at_s=whole[0].at_s)


def measure_targets(
    app: App,
    *,
    is_race: bool = False,
    loads: Sequence[Result] = (),
    tell: Callable[[Target], object] = lambda _: None,
) -> list[Reading]:
    """Measure an application's targets one after another; ``tell`` hears which is next.

    ``loads`` are load tests, newest first, of this application and others.
    """
    ours = [one for one in loads if one.app == app.name]
    found: list[Reading] = []
    for target in app.targets:
        if target.is_raced or not is_race:
            tell(target)
            found.append(measure_target(app, target, loads=ours))
    return found


def measure_experiment(
    app: App, experiment: Experiment, judge_by: Callable[[], Model] | None = None
) -> ExperimentResult:
    """Make an experiment in virtual time; ``judge_by`` makes the judge, asked on the real clock.

    Raises what a run or the judge raises.
    """
    pairs = try_virtually(app, lambda trial: trial.pairs(experiment), app.default_mode)

    async def judged(make: Callable[[], Model]) -> list[Judged]:
        model = make()
        try:
            return [await judge(model, *pair) for pair in pairs]
        finally:
            await model.close()

    if judge_by is None or not experiment.is_judged:
        return conclude(app.name, experiment, pairs)
    return conclude(app.name, experiment, pairs, asyncio.run(judged(judge_by)))


def sample_of(app: App, name: str = "") -> dict[str, Any]:
    """Return a sample of ``app``'s inputs, by default the first. Raises ``InvalidInput``."""
    wanted = name or next(iter(app.samples), "")
    if wanted not in app.samples:
        known = sorted(app.samples)
        message = f"app {app.name!r} has no sample {wanted!r}; it has {', '.join(known) or 'none'}"
        raise InvalidInput(message, field="sample", value=wanted, allowed=known)
    return dict(app.samples[wanted])
