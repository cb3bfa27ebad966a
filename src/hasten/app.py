"""An App: the manifest that tells Hasten everything about one application.

Owns the manifest, its check, and how manifests are found (entry points of the
group ``hasten.apps``, the user's own beside ours). Leaves what the graphs do to
the application and putting it to work to ``wire`` and ``serve``.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from hasten.errors import InvalidInput, NotFound, SettingsError
from hasten.graph.rerun import RERUN
from hasten.model.chain import ChainPolicy
from hasten.quality.alert import AlertRule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
    from pathlib import Path
    from random import Random

    from fastapi import APIRouter
    from pydantic import BaseModel
    from sqlalchemy import MetaData, Select, Table

    from hasten.cache.cache import Cache
    from hasten.cache.policy import CachePolicy
    from hasten.graph.graph import Graph
    from hasten.jobs.cron import Cron
    from hasten.model.base import Model
    from hasten.model.simulated import SimProfile
    from hasten.quality.experiment import Experiment
    from hasten.quality.target import Target
    from hasten.store.sql import SqlStore, Tables
    from hasten.trace.event import RunEvent

    Visit = Generator[tuple[str, str, Mapping[str, Any] | None], Any, None]

ENTRY_POINTS = "hasten.apps"
"""The entry-point group; each entry names a module attribute that holds an ``App``."""

DEFAULT_APP = "discovery"
"""The application that is meant where none is named."""

STORAGE_S = 0.002
"""How long a call of an application's tables takes in virtual time unless it says otherwise."""


UNPARSED = AlertRule(figure="parse_errors", level="critical", above=0.01)
"""The persona plan's rule that holds for any application: parse errors above 1 %."""

_lines = logging.getLogger("hasten.timing")


def _model_only(model: Model, **_given: Any) -> Mapping[str, Any]:
    return {"model": model}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Something an application does besides its main one; called ``<app>.<operation>``.

    It has inputs, a graph a mode, phases and samples of its own, and shares all
    else with its application: profile, resources, tables. Its runs are runs of
    ``<app>.<operation>`` everywhere: ``hasten run``, ``/api/run``, jobs, metrics.
    """

    title: str
    about: str
    inputs: type[BaseModel]
    graphs: Mapping[str, Graph]
    phases: Mapping[str, str]
    samples: Mapping[str, Mapping[str, Any]]
    reusing: frozenset[str] = frozenset({"hasten"})
    rerun: CachePolicy | None = RERUN


@dataclass(frozen=True, kw_only=True)
class App:
    """One application.

    ``graphs`` maps a mode (``baseline``, ``hasten``) to its graph; all take
    ``inputs`` and give the same outputs. ``phases`` names the parts of a run in
    the order people read them, with a title each. ``samples`` are inputs to try.
    The modes in ``reusing`` may use the cache, whole answers by ``rerun``; the others
    compute everything, on a plain model; ``chain`` is what surrounds the model in the
    others. ``profile`` says how the simulated model behaves for it. ``resources`` makes
    what its graphs take besides inputs, from the model in use. ``operations`` are
    what else it does, by name.

    ``tables`` is the SQLAlchemy metadata of its own tables, whose names begin with
    ``<name>_``, and ``migrations`` the folder of its Alembic branch: the first
    revision has ``down_revision = None`` and ``branch_labels = ("<name>",)``, and
    revision ids begin with ``<name>_``. The runtime brings them up to date. A graph
    that declares the resource ``tables`` gets them as ``Tables``, and ``resources``
    is given them, too, by that name. ``queries`` are, by the name of an index declared
    on them, the query it must serve (``hasten db indexes verify``). ``kept_tables`` are
    those of which ``Tables.query`` may keep answers: each write of one of them is told to
    every process, which costs about as much as the write. ``seed`` fills
    them with samples whenever they are opened, and must be harmless to repeat. In
    virtual time they are in memory, and a call takes ``storage_s``. A table with the
    columns ``tenant`` and ``user`` is cleared when a person is erased.

    ``routes`` returns a FastAPI router, mounted under ``/apps/<name>``; its routes
    ask for an ``AppContext``. ``page`` is a folder served below
    ``/apps/<name>/page/``: its ``page.js`` exports, as default, the component shown at
    ``/apps/<name>``, and ``page.css`` is loaded with it; without it that page is made
    from the inputs. ``log`` is told every event of its runs and returns the
    lines to write to the log. ``targets`` are the figures it states, which
    ``hasten check`` and ``hasten race`` measure, ``experiments`` the comparisons that
    ``hasten check`` makes. ``load`` is a user of a load test, a generator made
    for each: given the profile's name and what to draw from, it yields requests (method,
    path, JSON body) and is sent the JSON of each answer, of an event stream the last
    message; by default samples of its operations are run. ``alerts`` are the rules over
    its recent runs. ``cron`` are the jobs it wants done at set times.
    """

    name: str
    title: str
    about: str
    inputs: type[BaseModel]
    graphs: Mapping[str, Graph]
    phases: Mapping[str, str]
    samples: Mapping[str, Mapping[str, Any]]
    profile: SimProfile
    chain: ChainPolicy = field(default_factory=ChainPolicy)
    default_mode: str = "hasten"
    reusing: frozenset[str] = frozenset({"hasten"})
    rerun: CachePolicy | None = RERUN
    resources: Callable[..., Mapping[str, Any]] = field(default=_model_only)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    tables: MetaData | None = None
    kept_tables: tuple[Table, ...] = ()
    migrations: Path | None = None
    queries: Mapping[str, Select[Any]] = field(default_factory=dict)
    seed: Callable[[Tables], Awaitable[None]] | None = None
    storage_s: float = STORAGE_S
    routes: Callable[[], APIRouter] | None = None
    page: Path | None = None
    log: Callable[[RunEvent], Iterable[str]] | None = None
    targets: tuple[Target, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    alerts: tuple[AlertRule, ...] = (UNPARSED,)
    cron: tuple[Cron, ...] = ()
    load: Callable[[str, Random], Visit] | None = None

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for a manifest that cannot be put to work."""
        self._check_cron()
        if self.tables is None:
            return
        if self.migrations is None:
            self._refuse("has tables, so it needs migrations: the folder of its Alembic branch")
        foreign = [one for one in self.tables.tables if not one.startswith(f"{self.family}_")]
        if foreign:
            self._refuse(f"has tables that do not begin with '{self.family}_': {foreign}")
        strange = [one.name for one in self.kept_tables if one.metadata is not self.tables]
        if strange:
            self._refuse(f"keeps answers of tables that are not its own: {strange}")

    @property
    def family(self) -> str:
        """The name of the whole application: what stands before the operation's."""
        return self.name.partition(".")[0]

    def graph(self, mode: str | None = None) -> Graph:
        """Return the graph of ``mode``, by default ``default_mode``. Raises ``InvalidInput``."""
        wanted = mode or self.default_mode
        if wanted not in self.graphs:
            modes = sorted(self.graphs)
            message = f"app {self.name!r} has no mode {wanted!r}; it has {', '.join(modes)}"
            raise InvalidInput(message, field="mode", value=wanted, allowed=modes)
        return self.graphs[wanted]

    def operation(self, name: str) -> App:
        """Return one of ``operations`` as an application of its own. Raises ``NotFound``."""
        if name not in self.operations:
            known = ", ".join(self.operations) or "none"
            message = f"app {self.name!r} has no operation {name!r}; there are: {known}"
            raise NotFound(message)
        what = self.operations[name]
        own = {one.name: getattr(what, one.name) for one in dataclasses.fields(what)}
        return dataclasses.replace(self, name=f"{self.name}.{name}", operations={}, cron=(), **own)

    def given(
        self, model: Model, tables: Tables | None, *, is_simulated: bool
    ) -> Mapping[str, Any]:
        """Return what its graphs may take besides inputs."""
        if tables is None:
            return self.resources(model, is_simulated=is_simulated)
        made = self.resources(model, is_simulated=is_simulated, tables=tables)
        return {"tables": tables, **made}

    async def open_tables(self, sql: SqlStore | None, cache: Cache | None = None) -> Tables | None:
        """Return its tables on ``sql``, or in memory for virtual time, seeded; if it has any.

        Answers of its ``kept_tables`` are kept in ``cache`` wherever that is in force.
        """
        from hasten.cache.query import QueryCache
        from hasten.store.sql import MemoryTables, SqlTables

        if self.tables is None:
            return None
        tables: Tables
        if sql is None:
            tables = MemoryTables(self.tables, self.storage_s)
        else:
            tables = SqlTables(self.tables, sql)
        if self.kept_tables and cache is not None:
            tables.queries = QueryCache(cache, [one.name for one in self.kept_tables])
        if self.seed is not None:
            await self.seed(tables)
        return tables

    def _check_cron(self) -> None:
        names = [one.name for one in self.cron]
        if len(set(names)) < len(names):
            self._refuse(f"has two crons of one name: {names}")
        for one in self.cron:
            if one.operation and one.operation not in self.operations:
                known = ", ".join(self.operations) or "none"
                self._refuse(f"has no operation {one.operation!r} for cron {one.name!r}; {known}")

    def _refuse(self, why: str) -> None:
        message = f"app {self.name!r} {why}"
        raise SettingsError(message)


def find_apps() -> dict[str, App]:
    """Load every installed application's manifest, by name: the default one, then by letter."""
    apps = [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    ordered = sorted(apps, key=lambda app: (app.name != DEFAULT_APP, app.name))
    return {app.name: app for app in ordered}


def pick_app(apps: Mapping[str, App], name: str) -> App:
    """Return the application called ``name``, or the operation ``<app>.<operation>``.

    Raises ``NotFound`` naming those there are.
    """
    family, _, operation = name.partition(".")
    if family not in apps:
        message = f"no app {family!r}; there are: {', '.join(apps) or 'none'}"
        raise NotFound(message)
    return apps[family].operation(operation) if operation else apps[family]


def log_listeners(app: App) -> tuple[Callable[[RunEvent], None], ...]:
    """Return what writes the lines of ``app.log`` to the log, as listeners of a run."""
    lines_of = app.log
    if lines_of is None:
        return ()

    def listen(event: RunEvent) -> None:
        for line in lines_of(event):
            _lines.info(line)

    return (listen,)
