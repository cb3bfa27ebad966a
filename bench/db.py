"""The database of applications: many rows in one read, a query kept, a query with its index.

Each beside its slow twin, on a SQLite file and on a real PostgreSQL of this machine: a
hundred analyses of the consultant by their ids, one ``get_many`` beside a hundred reads in
turn; the newest twenty of a person, kept by the query cache beside asked each time; the
same with the declared index beside without it. The consultant plan measured a database
some 50 ms away, where a read saved is worth far more than on the machine itself.
"""

from __future__ import annotations

import asyncio
import atexit
import tempfile
from contextlib import ExitStack
from functools import cache, partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam

from bench.harness import OURS, Case
from hasten import codec
from hasten.apps.consultant import HERE
from hasten.apps.consultant.tables import analyses, metadata
from hasten.cache.cache import Cache
from hasten.cache.cached import use_cache
from hasten.cache.query import QueryCache
from hasten.store.sql import SqlTables, open_sql
from hasten.testing.postgres import run_postgres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from hasten.store.sql import SqlStore

TITLE = "The database: batches, kept queries, indexes, beside their slow twins"

ROWS = 50_000
PEOPLE = 200
BATCH = 100
NEWEST = 20
TIMES = 30

GOALS = {"100 rows by id": 1 / 42, "a query kept": 1 / 16, "a query with its index": 1 / 4}
"""The consultant plan's figures (Database Optimization), as shares of the slow twin's time."""

PERSON = {"tenant": "acme", "user": "user7"}
OF_PERSON = (
    analyses.select()
    .where(*(analyses.c[name] == bindparam(name) for name in PERSON))
    .order_by(analyses.c.created_at_s.desc())
    .limit(NEWEST)
)
"""Made once, as statements on a hot path are, for all who ask it."""

MIGRATIONS = HERE / "migrations"
BY_USER = next(one for one in analyses.indexes if one.name == "consultant_analyses_by_user")


class Bench:
    """A database with the consultant's tables and many analyses, on a loop of its own."""

    def __init__(self, kind: str, rows: int) -> None:
        self._stack = ExitStack()
        self.rows = rows
        self.store: SqlStore
        self.tables: SqlTables
        self._runner = self._stack.enter_context(asyncio.Runner())
        if kind == "sqlite":
            folder = self._stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{folder}/bench.db"
        else:
            url = self._stack.enter_context(run_postgres()).new_database()
        self.run(self._fill(url))
        atexit.register(self.close)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what ``work`` returns."""
        return self._runner.run(work)

    def close(self) -> None:
        """Close the database and stop its server, when no thread can be started any more."""
        if self.store.kind == "postgres":
            self.run(self.store.close())
        self._stack.close()

    async def _fill(self, url: str) -> None:
        self.store = await open_sql(url, branches=[MIGRATIONS])
        self.tables = SqlTables(metadata, self.store)
        for first in range(0, self.rows, 5_000):
            rows = [_row(number) for number in range(first, first + 5_000)]
            await self.tables.put_many(analyses, rows)
        await self.store.write(_learn)


def cases(rows: int = ROWS) -> list[Case]:
    """Return what is measured."""
    twins: dict[str, dict[str, Callable[[str, int], float]]] = {
        "100 rows by id": {OURS: _batch_ms, "one by one": _each_ms},
        "a query kept": {
            OURS: _kept_ms,
            "asked each time": _asked_ms,
            "its rows decoded": _decoded_ms,
        },
        "a query with its index": {OURS: _asked_ms, "without": _scanned_ms},
    }
    return [
        Case(
            f"{name}, {kind}",
            "ms",
            {who: partial(measure, kind, rows) for who, measure in ways.items()},
            bare=list(ways)[1],
            goal_ratio=GOALS[name],
        )
        for kind in ("sqlite", "postgres")
        for name, ways in twins.items()
    ]


def quick_cases() -> list[Case]:
    """Return the same with few rows."""
    return cases(5_000)


def _batch_ms(kind: str, rows: int) -> float:
    bench = _bench(kind, rows)
    return _ms(bench, lambda: bench.tables.get_many(analyses, _ids(rows)), BATCH)


def _each_ms(kind: str, rows: int) -> float:
    bench = _bench(kind, rows)

    async def each() -> list[Any]:
        return [
            await bench.tables.row(analyses.select().where(analyses.c.analysis_id == one))
            for one in _ids(rows)
        ]

    return _ms(bench, each, BATCH)


def _asked_ms(kind: str, rows: int) -> float:
    bench = _bench(kind, rows)
    return _ms(bench, lambda: bench.tables.query(OF_PERSON, PERSON, use_cache=False), NEWEST)


def _kept_ms(kind: str, rows: int) -> float:
    bench = _bench(kind, rows)

    async def main() -> float:
        async with Cache() as kept:
            bench.tables.queries = QueryCache(kept, [analyses.name])
            with use_cache(kept):
                return await _median_ms(lambda: bench.tables.query(OF_PERSON, PERSON), NEWEST)

    took_ms: float = bench.run(main())
    return took_ms


def _decoded_ms(kind: str, rows: int) -> float:
    """Measure the least a kept answer can cost: rows for the caller alone, from kept bytes."""
    bench = _bench(kind, rows)
    body = codec.encode(bench.run(bench.tables.query(OF_PERSON, PERSON, use_cache=False)))

    async def decode() -> Any:
        return codec.decode(body, Any)

    return _ms(bench, decode, NEWEST)


def _scanned_ms(kind: str, rows: int) -> float:
    """Measure without the index, and make it again."""
    bench = _bench(kind, rows)
    bench.run(bench.store.write(BY_USER.drop))
    try:
        return _asked_ms(kind, rows)
    finally:
        bench.run(bench.store.write(BY_USER.create))


def _ms(bench: Bench, work: Callable[[], Awaitable[list[Any]]], count: int) -> float:
    took_ms: float = bench.run(_median_ms(work, count))
    return took_ms


async def _median_ms(work: Callable[[], Awaitable[list[Any]]], count: int) -> float:
    """Return the median milliseconds of ``work``, which must find so many rows each time."""
    took_ms = []
    for _ in range(TIMES):
        began_s = perf_counter()
        found = await work()
        took_ms.append((perf_counter() - began_s) * 1e3)
        if len(found) != count or None in found:
            message = f"{len(found)} rows were found, not {count}"
            raise ValueError(message)
    return median(took_ms)


@cache
def _bench(kind: str, rows: int) -> Bench:
    return Bench(kind, rows)


def _ids(rows: int) -> list[str]:
    return [f"a{number}" for number in range(0, rows, rows // BATCH)]


def _row(number: int) -> dict[str, Any]:
    return {
        "analysis_id": f"a{number}",
        "company": f"c{number % 97}",
        "company_name": f"Company {number % 97}",
        "industry": "software",
        "frameworks": ["porter", "swot"],
        "missing": [],
        "summary": f"What analysis {number} comes to. " * 12,
        "created_at_s": 1.7e9 + number * 7.0,
        "tenant": "acme",
        "user": f"user{number % PEOPLE}",
    }


def _learn(connection: Any) -> None:
    """Let the planner know how many rows there are, as a running database does by itself."""
    connection.exec_driver_sql("ANALYZE")
