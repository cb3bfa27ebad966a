"""PostgreSQL through asyncpg: a pool, one transaction a call, every call under its deadline.

Owns the pool. Leaves deadlines and errors to ``base``, meaning to whoever
brings the work. A pooled connection is looked at before it is lent, so a server
that was restarted costs nobody an error; one that is frozen costs the deadline
once, then the breaker answers.
"""

from __future__ import annotations

import asyncio
import select as select_
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    URL,
    LargeBinary,
    Select,
    Table,
    Text,
    event,
    exc,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine

from hasten.clock import Clock
from hasten.errors import MissingExtra, StoreUnavailable
from hasten.store.sql.base import SqlPolicy, SqlStore
from hasten.store.sql.migrate import is_current, migrate
from hasten.store.sql.schema import JsonText, cache_tables, metadata
from hasten.store.sql.words import PostgresWords, from_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection

    from hasten.store.sql.prepared import Prepared
    from hasten.store.sql.words import Row, SqlWords

T = TypeVar("T")

_UPGRADE_LOCK = 0x68617374656E
"""The advisory lock of whoever upgrades the tables: the word ``hasten`` as a number."""

ROW_BYTES = 100
"""What a row takes besides its texts, roughly: its header, its numbers, its index entries."""

CLOSE_S = 0.1
"""After its deadline a call may close its connection in this time, then it is torn off."""

ASK_AFTER_S = 1.0
"""A pooled connection that was idle for longer is asked whether it is still there."""

_TEXTS = (Text, JsonText, LargeBinary)

_AWAY_CLASSES = {"08", "40", "53", "55", "57"}
"""SQLSTATE classes that pass: connection, rollback, resources, state, operator's intervention."""


class PostgresStore(SqlStore):
    """The database at ``url``, whose driver is ``postgresql+asyncpg``."""

    kind = "postgres"
    reach = "network"
    driver_error = exc.DBAPIError

    def __init__(self, url: URL, policy: SqlPolicy) -> None:
        super().__init__(url.set(drivername="postgresql").render_as_string(), policy)
        settings = {
            "application_name": "hasten",
            "statement_timeout": str(round(policy.call_s * 1e3)),
        }
        try:
            self._engine = create_async_engine(
                url,
                pool_size=policy.pool_size,
                max_overflow=0,
                pool_timeout=policy.upkeep_s,
                json_deserializer=from_json,
                connect_args={"timeout": policy.connect_s, "server_settings": settings},
            )
        except ModuleNotFoundError as error:
            driver = "asyncpg"
            raise MissingExtra(driver, "postgres") from error
        self._at_once = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self._engine.sync_engine, "checkin", _note_use)
        event.listen(self._engine.sync_engine, "checkout", _check_line)

    async def within(self, deadline_s: float, doing: Awaitable[T]) -> T:
        """Return what ``doing`` gives by a deadline, with some time to give its connection back."""

        async def done() -> T:
            async with asyncio.timeout(deadline_s):
                return await doing

        return await super().within(deadline_s + CLOSE_S, done())

    async def do(self, act: Prepared, values: Mapping[str, Any]) -> list[Row]:
        """Do an act, which is one statement and so its own transaction: one way there and back."""
        work = partial(act.run, values=values)
        with self.breaker.guard():
            return await self.within(self.policy.call_s, self._run_at_once(work))

    async def migrate(self, branches: Sequence[Path] = ()) -> list[str]:
        """Connect, and bring the tables up to date."""
        work = partial(_migrate, branches=branches)
        return await self.within(self.policy.upkeep_s, self._run(work, is_write=True))

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Listen on a connection of the pool, which is not used again afterwards."""
        try:
            async with self._engine.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                ended = asyncio.Event()
                driver.add_termination_listener(lambda _: ended.set())
                try:
                    await driver.add_listener(channel, lambda *told: heard(told[-1]))
                    await ended.wait()
                finally:
                    await connection.invalidate()
        except Exception as error:
            raise self._translate(error) from error
        message = f"{self.name} has ended the connection that brings news"
        raise StoreUnavailable(message, store=self.name)

    async def held_bytes(self) -> int:
        """Return the bytes of all rows' texts, before PostgreSQL compresses them.

        The tables' files are no measure: they keep their size when rows are deleted.
        """
        return await self.read(_held_bytes)

    async def reclaim(self) -> None:
        """Vacuum, so that the space of deleted rows is used again; the files keep their size."""
        with self.breaker.guard():
            await self.within(self.policy.upkeep_s, self._vacuum())

    async def scrub(self) -> None:
        """Vacuum; PostgreSQL's own log keeps what was written until it is recycled."""
        await self.reclaim()

    async def _vacuum(self) -> None:
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("SET statement_timeout = 0")
            for table in metadata.sorted_tables:
                await connection.exec_driver_sql(f"VACUUM {table.name}")
            await connection.exec_driver_sql("RESET statement_timeout")

    async def _run(self, work: Callable[[Connection], T], *, is_write: bool) -> T:  # noqa: ARG002 - the interface's
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def _run_at_once(self, work: Callable[[Connection], T]) -> T:
        async with self._at_once.connect() as connection:
            return await connection.run_sync(work)

    async def _run_words(self, work: Callable[[SqlWords], T], *, is_write: bool) -> T:
        return await self._run(
            lambda connection: work(PostgresWords(connection)), is_write=is_write
        )

    def _is_away(self, cause: BaseException | None) -> bool:
        """Whether the server says that it passes, or the driver that it lost its way with it."""
        driver: Any = import_module("asyncpg")
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state[:2] in _AWAY_CLASSES
        adapted = self._engine.dialect.loaded_dbapi.Error
        return isinstance(cause, (adapted, driver.InterfaceError, driver.InternalClientError))


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_s"] = Clock().monotonic()


def _check_line(connection: Any, record: Any, _lent: Any) -> None:
    """Have the pool connect anew if the server is not there any more.

    It is asked when there is something to read that it was not asked for, as when it
    hangs up, and after a while of silence: a line may have been cut without a word.
    """
    driver = connection.driver_connection
    now_s = Clock().monotonic()
    silent_s = now_s - record.info.get("used_s", now_s)
    try:
        if driver.is_closed() or silent_s > ASK_AFTER_S or _has_something(driver):
            connection.ping()
    except Exception as error:
        raise exc.InvalidatePoolError from error


def _has_something(driver: Any) -> bool:
    """Whether the line of an idle connection has something to read, not read by the loop yet."""
    transport = driver._transport  # noqa: SLF001 - the driver gives no other way to its line
    line = select_.poll()
    line.register(transport.get_extra_info("socket"), select_.POLLIN)
    return bool(line.poll(0))


def _migrate(connection: Connection, branches: Sequence[Path]) -> list[str]:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
    if connection.dialect.has_table(connection, "alembic_version"):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()
        if is_current(found, branches):
            return []
    return migrate(connection, branches)


def _held_bytes(connection: Connection) -> int:
    tables = [table for table in metadata.sorted_tables if table not in cache_tables]
    return sum(connection.scalars(_held(table)).one() for table in tables)


def _held(table: Table) -> Select[int]:
    """Return the query that adds up one table's texts, and ``ROW_BYTES`` a row for the rest."""
    row_bytes: ColumnElement[int] = literal(ROW_BYTES)
    for column in table.columns:
        if isinstance(column.type, _TEXTS):
            row_bytes += func.coalesce(func.octet_length(column), 0)
    return select(func.coalesce(func.sum(row_bytes), 0))
