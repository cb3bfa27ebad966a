"""What a route of an application works with.

Owns ``AppContext``, the one thing an application's routes need of the server.
Leaves mounting the routes to ``serve/app`` and the work to ``wire.Runtime``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastapi.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotation

from hasten.app import App, pick_app
from hasten.cache.cache import Cache
from hasten.cache.cached import set_cache, use_cache
from hasten.cache.policy import PLAIN, Directives
from hasten.caller import Caller, set_caller
from hasten.clock import Clock, current_clock
from hasten.errors import NotFound
from hasten.model.base import Model
from hasten.serve.auth import caller_of
from hasten.serve.follow import follower_of
from hasten.serve.stream.feed import parse_seen
from hasten.serve.stream.send import as_messages
from hasten.store.sql import Tables
from hasten.trace.log import RunFilter
from hasten.wire import Runtime
from hasten.wire_jobs import RuntimeJobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fastapi.sse import ServerSentEvent

    from hasten.graph.outcome import Outcome
    from hasten.graph.run import Run
    from hasten.jobs.job import JobRecord
    from hasten.trace.event import RunEvent, RunRecord

APPS = "/apps"
"""Applications are found below here, each under its name."""


@dataclass(frozen=True)
class AppContext:
    """One request to an application, or one WebSocket, and all its route may ask for.

    A route asks for it with ``Annotated[AppContext, Depends(AppContext.of)]``. ``caller``
    is who asks, by the credential. ``tables`` are the application's, ``cache`` is the
    server's, in force for the route together with the caller, and ``model`` is what the
    graphs ask.
    """

    app: App
    caller: Caller
    cache: Cache
    clock: Clock
    model: Model
    _tables: Tables | None
    _runtime: Runtime
    _jobs: RuntimeJobs

    @classmethod
    async def of(cls, connection: HTTPConnection) -> Self:
        """Return the context of a request below ``/apps/<name>``. Raises ``Unauthenticated``.

        A WebSocket, and what is only read, may show a ticket (``?ticket=``) in place of a key.
        """
        runtime: Runtime = connection.app.state.runtime
        caller = await (follower_of if _is_reading(connection) else caller_of)(connection)
        app = pick_app(runtime.apps, connection.url.path.split("/")[2])
        model = runtime.model(app)
        set_caller(caller)
        set_cache(runtime.cache, model.name)
        tables = runtime.tables.get(app.name)
        jobs: RuntimeJobs = connection.app.state.jobs
        return cls(app, caller, runtime.cache, current_clock(), model, tables, runtime, jobs)

    @property
    def tables(self) -> Tables:
        """The application's tables. Raises ``LookupError`` for one that declares none."""
        if self._tables is None:
            message = f"app {self.app.name!r} has no tables: its manifest names none"
            raise LookupError(message)
        return self._tables

    @property
    def resources(self) -> Mapping[str, Any]:
        """What the graphs take besides inputs, made anew."""
        is_simulated = self._runtime.settings.is_simulated
        return self.app.given(self.model, self._tables, is_simulated=is_simulated)

    async def start(
        self,
        inputs: Mapping[str, Any],
        *,
        operation: str = "",
        mode: str | None = None,
        speed: float | None = None,
        directives: Directives = PLAIN,
    ) -> Run:
        """Start a run in the caller's name; it goes on when the client goes away.

        ``operation`` is one of the application's, by default its main one. Raises
        ``NotFound`` for it, ``InvalidInput`` for inputs or mode.
        """
        with use_cache(None):  # a mode that reuses gets its cache from the runtime
            return await self._runtime.start(
                self._name(operation),
                inputs,
                mode=mode,
                caller=self.caller,
                speed=speed,
                directives=directives,
            )

    async def run(self, inputs: Mapping[str, Any], **options: Any) -> Outcome:
        """Run to the end; ``options`` are those of ``start``. Raises the error of a failed run."""
        run = await self.start(inputs, **options)
        outcome = await run.outcome()
        outcome.value()
        return outcome

    async def submit(
        self, inputs: Mapping[str, Any], *, operation: str = "", **asked: Any
    ) -> JobRecord:
        """Keep a job of the caller's; its run, ``run_id``, can be followed from now on.

        ``asked`` is what else a job may be given: ``mode``, ``key``, ``priority``,
        ``due_s``, ``attempts``.
        """
        return await self._jobs.submit(self._name(operation), inputs, self.caller, **asked)

    def _name(self, operation: str) -> str:
        return f"{self.app.name}.{operation}" if operation else self.app.name

    async def record(self, run_id: str) -> RunRecord:
        """Return the line of a run of the application's, with its outputs. Raises ``NotFound``."""
        record = await self._runtime.record(run_id, self.caller)
        if record.app.partition(".")[0] != self.app.name:
            message = f"no run {run_id!r} of app {self.app.name!r}"
            raise NotFound(message)
        return record

    async def runs(self, limit: int = 20) -> list[RunRecord]:
        """Return the caller's own runs of the application, newest first."""
        caller = self.caller
        which = RunFilter(tenant=caller.tenant, user=caller.user, app=self.app.name, limit=limit)
        return await self._runtime.runs(which)

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield a run's events numbered above ``after``, stored and then live, to its end."""
        async for event in self._runtime.follow(run_id, self.caller, after):
            yield event

    async def messages(self, run_id: str, after: int | str = 0) -> AsyncIterator[ServerSentEvent]:
        """Yield a run's events as ``GET /api/runs/{run_id}/events`` sends them.

        ``after`` is the id of the last message that came. Raises ``InvalidInput`` for no such id.
        """
        seen = parse_seen(str(after))
        async for message in as_messages(self.follow(run_id), seen):
            yield message

    async def cancel(self, run_id: str) -> RunRecord:
        """Cancel a run and return its line once it has ended."""
        return await self._runtime.cancel(run_id, self.caller)


def _is_reading(connection: HTTPConnection) -> bool:
    method: str = connection.scope.get("method", "GET")  # a WebSocket has none
    return method == "GET"
