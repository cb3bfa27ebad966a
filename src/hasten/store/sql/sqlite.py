"""SQLite: one file, one connection, one thread, and many writes to a commit.

Owns the worker thread. Work waits in an inbox; what has piled up while the last
commit was made becomes the next one, so a hundred runs that write at once cost
a handful of commits, and the event loop never waits for the disk. Several
processes may share a file: each transaction takes the write lock as it begins
and waits for its turn up to the policy's deadline.

A commit survives the death of the process; the loss of power may cost the last
ones (``synchronous = NORMAL``), never the file. Leaves deadlines and errors to
``base``.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from sqlalchemy import Connection, StaticPool, create_engine

from hasten.errors import StoreError, StoreUnavailable
from hasten.store.sql.base import SqlPolicy, SqlStore
from hasten.store.sql.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

T = TypeVar("T")

BATCH_TASKS = 256
"""At most so many pieces of work share a commit."""

FREE_PAGES = 2_000
"""Freed pages are cut off the file so many at a time, and writes go in between."""

_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_PROTOCOL,
}

WAL_TRIES = 20
"""So often a new file is switched to its log; each time another process may be first."""


class _Task(NamedTuple):
    """One piece of work, and the future of whoever waits for it."""

    work: Callable[[Connection], Any]
    is_write: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    """What came of a task: its value, or the error."""

    task: _Task
    value: Any = None
    error: Exception | None = None

    def deliver(self) -> None:
        """Tell whoever waits, on their loop, if they still do."""
        if self.task.future.done():
            return
        if self.error is None:
            self.task.future.set_result(self.value)
        else:
            self.task.future.set_exception(self.error)


class SqliteStore(SqlStore):
    """A database in the file ``path``, or in memory for ``:memory:``."""

    driver_error = sqlite3.Error

    def __init__(self, path: str, policy: SqlPolicy) -> None:
        super().__init__(f"sqlite:///{path}", policy)
        self._path = path
        self._inbox: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"hasten {path}", daemon=True)
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None

    async def migrate(self) -> None:
        """Open the file, making it if its folder is there, and bring the tables up to date."""
        folder = Path(self._path).parent
        if not folder.is_dir():
            message = f"{self.name} cannot be opened: there is no folder {folder}"
            raise StoreError(message, store=self.name)
        self._thread.start()
        await self._within(self.policy.upkeep_s, self._run(migrate, is_write=True))

    async def close(self) -> None:
        """Do the work that is waiting, then end the thread."""
        if self._thread.is_alive():
            self._inbox.put(None)
            await asyncio.to_thread(self._thread.join, self.policy.call_s)

    async def held_bytes(self) -> int:
        """Return the bytes of the pages in use."""
        return await self.read(_held_bytes)

    async def reclaim(self) -> None:
        """Cut free pages off the file, some at a time."""
        while await self.read(_cut_free_pages):
            pass
        await self.read(_empty_log)

    async def scrub(self) -> None:
        """Write the whole file anew and empty its log: pages keep copies of rows they once held.

        ``secure_delete`` does not reach those copies. Other work waits meanwhile.
        """
        with self.breaker.guard():
            await self._within(self.policy.upkeep_s, self._run(_rewrite, is_write=False))

    async def _run(self, work: Callable[[Connection], T], *, is_write: bool) -> T:
        if not self._thread.is_alive():
            message = f"{self.name} is not open"
            raise StoreError(message, store=self.name)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._inbox.put(_Task(work, is_write, loop, future))
        return await future

    def _is_away(self, cause: BaseException | None) -> bool:
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _AWAY

    def _serve(self) -> None:
        """Work through the inbox until it says ``None``; the thread's main function."""
        engine = create_engine("sqlite://", creator=self._open, poolclass=StaticPool)
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        is_open = True
        while is_open:
            found = self._next_tasks()
            is_open = None not in found
            tasks = [task for task in found if task is not None and not task.future.cancelled()]
            for is_write, group in groupby(tasks, key=lambda task: task.is_write):
                for outcome in self._settle(engine, list(group), is_write=is_write):
                    with suppress(RuntimeError):  # its loop is closed: nobody waits
                        outcome.task.loop.call_soon_threadsafe(outcome.deliver)
        engine.dispose()

    def _open(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self._path, isolation_level=None, timeout=self.policy.call_s)
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new file, before its first table
        _switch_to_wal(raw)
        raw.execute("PRAGMA synchronous = NORMAL")
        return raw

    def _next_tasks(self) -> list[_Task | None]:
        """Wait for a task, then take what else is there."""
        tasks = [self._inbox.get()]
        with suppress(Empty):
            while len(tasks) < BATCH_TASKS:
                tasks.append(self._inbox.get_nowait())
        return tasks

    def _settle(self, engine: Engine, tasks: list[_Task], *, is_write: bool) -> list[_Outcome]:
        """Do reads one by one, writes in one commit; what breaks them all is everybody's error."""
        try:
            connection = self._connect(engine)
            if is_write:
                return _commit(connection, tasks)
            return [_attempt(connection, task) for task in tasks]
        except Exception as error:  # noqa: BLE001 - whatever it is goes to those who wait
            return [_Outcome(task, error=error) for task in tasks]

    def _connect(self, engine: Engine) -> Connection:
        """Return the connection, opened at first use; refuse when its file is not there any more.

        SQLite would go on writing into a file without a name, which nobody finds again.
        """
        if self._connection is None:
            self._connection = engine.connect()
            self._connection.begin()  # never ended: whoever looks sees transactions are not theirs
            self._file = _identity(self._path)
        if self._file != _identity(self._path):
            message = f"{self.name} was moved or deleted while it was open; restart to make it anew"
            raise StoreUnavailable(message, store=self.name)
        return self._connection


def _switch_to_wal(raw: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log; SQLite does not wait its turn for that, so we do."""
    for _ in range(WAL_TRIES):
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            raw.execute("BEGIN IMMEDIATE")  # waits until the others are done
            raw.execute("ROLLBACK")
        else:
            return


def _commit(connection: Connection, tasks: list[_Task]) -> list[_Outcome]:
    """Make one transaction of many writes."""
    raw = _raw(connection)
    try:
        raw.execute("BEGIN IMMEDIATE")
        outcomes = [_attempt_apart(connection, raw, task) for task in tasks]
        raw.execute("COMMIT")
    except BaseException:
        raw.rollback()
        raise
    return outcomes


def _attempt_apart(connection: Connection, raw: sqlite3.Connection, task: _Task) -> _Outcome:
    """Do one write so that, if it fails, the others of its transaction stay."""
    raw.execute("SAVEPOINT task")
    outcome = _attempt(connection, task)
    if outcome.error is not None:
        if not raw.in_transaction:  # a full or failing disk ended it for all
            raise outcome.error
        raw.execute("ROLLBACK TO task")
    raw.execute("RELEASE task")
    return outcome


def _attempt(connection: Connection, task: _Task) -> _Outcome:
    try:
        return _Outcome(task, task.work(connection))
    except Exception as error:  # noqa: BLE001 - it goes to whoever brought the work
        return _Outcome(task, error=error)


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells this file from another of the same name; ``None`` when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every commit
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _raw(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection, on which a word costs a tenth of what it costs above it."""
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _pragma(connection: Connection, name: str) -> int:
    return int(_raw(connection).execute(f"PRAGMA {name}").fetchone()[0])


def _held_bytes(connection: Connection) -> int:
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _cut_free_pages(connection: Connection) -> int:
    """Cut some free pages off the file and return how many are left."""
    _raw(connection).execute(f"PRAGMA incremental_vacuum({FREE_PAGES})").fetchall()
    return _pragma(connection, "freelist_count")


def _rewrite(connection: Connection) -> None:
    _raw(connection).execute("VACUUM")
    _empty_log(connection)


def _empty_log(connection: Connection) -> None:
    _raw(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
