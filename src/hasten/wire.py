"""From settings to a working whole: the only place where objects are put together.

Owns ``Runtime``: applications and their runs under way, on the stores that
``wire_stores`` opens and the models that ``wire_models`` makes, started by ``wire_runs``.
Knows no web framework; ``serve`` and ``cli`` sit on it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from hasten.app import App, find_apps, log_listeners, pick_app
from hasten.cache.policy import PLAIN, Directives
from hasten.caller import LOCAL, Caller
from hasten.clock import current_clock
from hasten.errors import InvalidInput, NotFound, RunCancelled
from hasten.graph.outcome import RunOptions
from hasten.jobs.queue import JobQueue
from hasten.quality.alert import AlertWatch
from hasten.quality.feedback import FeedbackStore
from hasten.quality.results import ResultStore
from hasten.store.news import RunNews
from hasten.store.sql import SqlSink
from hasten.store.tickets import TicketStore
from hasten.trace.elsewhere import OPEN, RunsElsewhere
from hasten.trace.stats import RunStats
from hasten.trace.textlog import TextLog
from hasten.trace.usual import UsualSteps
from hasten.wire_alerts import AlertPosts
from hasten.wire_models import AppModels
from hasten.wire_runs import start_run
from hasten.wire_stores import Stores, open_cache, open_database, open_peers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from pydantic import BaseModel

    from hasten.cache.cache import Cache
    from hasten.cache.explain import Explanation
    from hasten.cache.policy import CachePolicy
    from hasten.graph.run import Run
    from hasten.model.base import Model
    from hasten.settings import Settings
    from hasten.store.peers import Peers
    from hasten.store.sql import SqlStore, Tables
    from hasten.trace.event import RunEvent, RunRecord
    from hasten.trace.log import RunFilter
    from hasten.trace.span import Span

UNSTORED_RUNS = 50
"""How many ended runs stay readable in memory when the database would not take them."""

CANCEL_WITHIN_S = 5.0
"""So long a run that was cancelled in another process is given to end."""


def _is_given_up(run: Run) -> bool:
    """Whether a run of a job has ended here without ending: another process goes on with it."""
    return run.record.status == "queued" or (run.log is not None and run.log.is_lost)


class Runtime(Stores):
    """Everything a server or a command works with. ``open()`` it, ``close()`` it."""

    def __init__(
        self,
        settings: Settings,
        apps: Mapping[str, App],
        sql: SqlStore,
        cache: Cache,
        peers: Peers,
    ) -> None:
        super().__init__(settings, sql, cache, peers)
        self.apps = dict(apps)
        self.news = RunNews(peers, sql, settings.redis_url)
        told = partial(self.news.say, "told")
        self.sink: SqlSink = SqlSink(sql, told)
        self.feedback = FeedbackStore(sql)
        self.results = ResultStore(sql)
        self.tickets = TicketStore(sql)
        self.queue = JobQueue(sql, peers, told=told)
        self.tables: dict[str, Tables | None] = {}
        self.run_stats = RunStats()
        self._alert_posts = AlertPosts(settings)
        rules = {name: app.alerts for name, app in apps.items()}
        self.alerts = AlertWatch(rules, self._alert_posts)
        timing = logging.getLogger("hasten.timing")
        is_told = timing.isEnabledFor(logging.INFO)  # else its lines would be made for nobody
        self._text_logs = (TextLog(timing.info),) if is_told else ()
        self.models = AppModels(settings, apps, cache)
        self._live: dict[str, Run] = {}
        self._usual = UsualSteps(self.sink)
        self._unstored: dict[str, Run] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._elsewhere = RunsElsewhere(self.sink)
        self.news.subscribe("told", self._elsewhere.hear)
        self.news.subscribe("cancel", self._cancel_here)

    @classmethod
    async def open(cls, settings: Settings, apps: Mapping[str, App] | None = None) -> Self:
        """Open the stores and bring their schema up to date. Raises as ``open_database`` does."""
        apps = find_apps() if apps is None else apps
        branches = [app.migrations for app in apps.values() if app.migrations is not None]
        sql = await open_database(settings, branches)
        peers = open_peers(settings)
        cache = await open_cache(settings, sql, peers).__aenter__()
        runtime = cls(settings, apps, sql, cache, peers)
        runtime.news.open()
        for name, app in apps.items():
            runtime.tables[name] = await app.open_tables(sql, cache)
        await runtime.bury()
        return runtime

    async def bury(self) -> None:
        """See to what processes left that were killed: their runs have failed, their jobs wait."""
        for name in self.peers.dead():
            await self.sink.end_runs_of(name, current_clock().now())
            await self.queue.bury(name)
            self.peers.forget(name)

    def cancel_runs(self, *, of_jobs: bool = False) -> None:
        """Cancel the runs under way, of jobs only if told, and start none from now on."""
        self._is_closing = True
        for run in self._live.values():
            if of_jobs or run.options.attempt is None:
                run.cancel()
        self._elsewhere.close()

    async def close(self) -> None:
        """Cancel what runs, store how it ended, and give everything back."""
        self.cancel_runs(of_jobs=True)
        await asyncio.gather(*self._endings, return_exceptions=True)
        await self._alert_posts.close()
        await self.models.close()
        await super().close()
        await self.news.close()

    @property
    def live_runs(self) -> int:
        """How many runs are under way."""
        return len(self._live)

    def model(self, app: App, mode: str | None = None) -> Model:
        """Return the model ``app`` runs on, inside its chain."""
        return self.models.of(app, mode)

    async def start(
        self,
        app_name: str,
        inputs: Mapping[str, Any],
        *,
        mode: str | None = None,
        caller: Caller = LOCAL,
        speed: float | None = None,
        directives: Directives = PLAIN,
        anew: frozenset[str] = frozenset(),
    ) -> Run:
        """Start a run that outlives whoever asked for it.

        Raises ``NotFound`` for the app, ``InvalidInput`` for mode, inputs or speed,
        ``RunCancelled`` once ``close`` or ``cancel_runs`` was called.
        """
        app = pick_app(self.apps, app_name)
        parsed = app.graph(mode).parse(inputs)
        options = await self.options(
            app, mode=mode, caller=caller, speed=speed, directives=directives, anew=anew
        )
        return self.launch(app, parsed, options)

    async def options(
        self,
        app: App,
        *,
        mode: str | None,
        caller: Caller,
        speed: float | None,
        directives: Directives = PLAIN,
        anew: frozenset[str] = frozenset(),
    ) -> RunOptions:
        """Return how a run of ``app`` is to be executed here. Raises ``InvalidInput``."""
        clock = self.settings.clock(speed)
        mode = mode or app.default_mode
        simulated = self.settings.is_simulated
        return RunOptions(
            app=app.name,
            mode=mode,
            caller=caller,
            sink=self.sink,
            clock=clock,
            simulated=simulated,
            cache=self.cache if mode in app.reusing else None,
            made_by=self.model(app, mode).name,
            rerun=app.rerun,
            directives=directives,
            anew=anew,
            expected_s=await self._usual.of(app.name, mode, clock, simulated=simulated),
            listeners=(*self._text_logs, *log_listeners(app)),
            worker=self.peers.name,
        )

    def launch(self, app: App, inputs: BaseModel, options: RunOptions) -> Run:
        """Start a run as ``options`` say, and know of it until it has ended.

        Raises ``RunCancelled`` once ``close`` or ``cancel_runs`` was called.
        """
        if self._is_closing:
            message = "no run is started any more: the server is stopping"
            raise RunCancelled(message)
        model = self.model(app, options.mode)
        run = start_run(app, inputs, model, options, self.tables.get(app.family))
        self._live[run.run_id] = run
        ending = asyncio.create_task(self._await_end(run), name=f"end of {run.run_id}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return run

    async def record(self, run_id: str, caller: Caller) -> RunRecord:
        """Return a run's line. Raises ``NotFound`` too when ``caller`` may not see it."""
        run = self._held(run_id)
        found = run.record if run is not None else await self._elsewhere.record(run_id)
        if not caller.may_see(found.tenant, found.user):
            message = f"no run {run_id!r}"
            raise NotFound(message)
        return found

    async def trace(self, run_id: str, caller: Caller) -> tuple[RunRecord, list[Span]]:
        """Return a run's line and its spans, those of a run under way included."""
        record = await self.record(run_id, caller)
        run = self._held(run_id)
        return record, run.recorder.spans if run is not None else await self.sink.spans(run_id)

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """Return the runs that match, newest first; the caller is part of the filter."""
        return await self.sink.runs(which)

    async def follow(self, run_id: str, caller: Caller, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield a run's events above ``after``: live to its end, or as they were stored."""
        await self.record(run_id, caller)
        while (run := self._held(run_id)) is not None:
            async for event in run.follow(after):
                yield event
                after = event.seq or after
            if not _is_given_up(run):
                return
        here = partial(self._held, run_id)
        async for event in self._elsewhere.follow(run_id, after, here):
            yield event
            after = event.seq or after
        if here() is not None:
            async for event in self.follow(run_id, caller, after):
                yield event

    async def cancel(self, run_id: str, caller: Caller) -> RunRecord:
        """Cancel a run and return its line once it has ended."""
        record = await self.record(run_id, caller)
        run = self._live.get(run_id)
        if run is not None and not _is_given_up(run):
            run.cancel()
            return (await run.outcome()).record
        if record.status not in OPEN:
            return record
        try:
            job = await self.queue.find_run(run_id, caller)
        except NotFound:
            self.news.say("cancel", run_id)
            await self._elsewhere.end_of(run_id, CANCEL_WITHIN_S)
        else:
            await self.queue.cancel(job.job_id, caller)
        return await self.sink.run(run_id)

    def _cancel_here(self, run_id: str) -> None:
        if run_id in self._live:
            self._live[run_id].cancel()

    async def explain(
        self,
        app_name: str,
        inputs: Mapping[str, Any],
        caller: Caller,
        *,
        mode: str | None = None,
        step: str = "",
    ) -> Explanation:
        """Say what a run's whole answer, or one step of it, would get from the cache now.

        For a step, ``inputs`` are its own. Raises ``NotFound`` for the app and
        ``InvalidInput`` for mode, inputs or a step that nothing is kept of.
        """
        app = pick_app(self.apps, app_name)
        graph = app.graph(mode)
        policy: CachePolicy | None
        if step:
            kept = {one.name: one for one in graph.steps if one.cache is not None}
            if step not in kept:
                message = f"no step {step!r} of app {app_name!r} is kept in the cache"
                raise InvalidInput(message, field="step", value=step, allowed=sorted(kept))
            policy, fields = kept[step].cache, {**kept[step].defaults, **inputs}
        else:
            policy = app.rerun
            parsed = graph.parse(inputs).model_dump(mode="json")
            fields = {"app": app.name, "graph": graph.name, "inputs": parsed}
        if policy is None:
            message = f"whole answers of app {app_name!r} are not kept in the cache"
            raise InvalidInput(message, field="app", value=app_name)
        key = policy.key(fields, caller, made_by=self.model(app, mode).name)
        return await self.cache.explain(key, policy)

    async def erase(self, tenant: str, user: str) -> dict[str, int]:
        """Delete everything of one person: runs, cache entries, rows of applications' tables.

        What they have under way is cancelled first. Returns how many runs, copies of
        entries and rows went. Raises ``StoreUnavailable`` if a store could not be asked:
        do it again.
        """

        def is_theirs(run: Run) -> bool:
            return (run.record.tenant, run.record.user) == (tenant, user)

        under_way = [run for run in self._live.values() if is_theirs(run)]
        for run in under_way:
            run.cancel()
        await asyncio.gather(*(run.outcome() for run in under_way))
        await self.queue.erase(tenant, user)
        runs = await self.sink.erase(tenant, user)
        self._unstored = {key: run for key, run in self._unstored.items() if not is_theirs(run)}
        await self.feedback.erase(tenant, user)
        rows = [await one.erase(tenant, user) for one in self.tables.values() if one is not None]
        entries = await self.cache.erase(tenant, user)  # last: they are made of the others
        return {"runs": runs, "entries": entries, "rows": sum(rows)}

    def _held(self, run_id: str) -> Run | None:
        run = self._live.get(run_id) or self._unstored.get(run_id)
        return None if run is None or _is_given_up(run) else run

    async def _await_end(self, run: Run) -> None:
        try:
            outcome = await run.outcome()
        finally:
            del self._live[run.run_id]
        if _is_given_up(run):
            return
        self.run_stats.add(outcome.record, outcome.spans)
        if run.record.mode == pick_app(self.apps, run.record.app).default_mode:
            self.alerts.add(outcome.record, outcome.spans)
        self._usual.add(outcome.record, outcome.spans)
        if run.log is not None and not run.log.is_stored:
            self._unstored[run.run_id] = run
            while len(self._unstored) > UNSTORED_RUNS:
                del self._unstored[next(iter(self._unstored))]
