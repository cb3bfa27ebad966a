"""SQLite: one file, one connection, one thread, and many writes to a commit.

Work waits in the thread's inbox; what has piled up while the last commit was
made becomes the next one, so a hundred runs that write at once cost a handful
of commits, and the event loop never waits for the disk. Several processes may
share a file: each transaction takes the write lock as it begins and waits for
its turn up to the policy's deadline.

A commit survives the death of the process; the loss of power may cost the last
ones (``synchronous = NORMAL``) unless the policy says otherwise, never the file.
Owns opening, measuring and clearing up; leaves the thread to ``sqlite_thread``, deadlines
and errors to ``base``.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hasten.errors import StoreError
from hasten.store.sql.base import SqlPolicy, SqlStore
from hasten.store.sql.migrate import is_current, make_new, migrate
from hasten.store.sql.sqlite_thread import SqliteThread, raw_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

T = TypeVar("T")

FREE_PAGES = 2_000
"""Freed pages are cut off the file so many at a time, and writes go in between."""

_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_PROTOCOL,
}


class SqliteStore(SqlStore):
    """A database in the file ``path``, or in memory for ``:memory:``."""

    kind = "sqlite"
    reach = "machine"
    driver_error = sqlite3.Error

    def __init__(self, path: str, policy: SqlPolicy) -> None:
        super().__init__(f"sqlite:///{path}", policy)
        self._folder = Path(path).parent
        self._thread = SqliteThread(path, policy.call_s, is_synced=policy.survives_power_loss)
        self._is_open = False

    async def migrate(self, branches: Sequence[Path] = ()) -> list[str]:
        """Open the file, making it if its folder is there, and bring the tables up to date."""
        if not self._folder.is_dir():
            message = f"{self.name} cannot be opened: there is no folder {self._folder}"
            raise StoreError(message, store=self.name)
        self._is_open = True
        work = partial(_migrate, branches=branches)
        return await self.within(self.policy.upkeep_s, self._run(work, is_write=True))

    async def close(self) -> None:
        """Do the work that is waiting, then end the thread."""
        self._is_open = False
        await self._thread.close(self.policy.call_s)

    async def held_bytes(self) -> int:
        """Return the bytes of the pages in use, less those of cache entries."""
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
            await self.within(self.policy.upkeep_s, self._run(_rewrite, is_write=False))

    async def _run(self, work: Callable[[Connection], T], *, is_write: bool) -> T:
        if not self._is_open:
            message = f"{self.name} is not open"
            raise StoreError(message, store=self.name)
        return await self._thread.submit(work, is_write=is_write)

    def _is_away(self, cause: BaseException | None) -> bool:
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _AWAY


def _migrate(connection: Connection, branches: Sequence[Path]) -> list[str]:
    """Make a new database, or find one that is current; Alembic does whatever is left."""
    raw = raw_connection(connection)
    tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    applied = [] if tables else make_new(raw)
    if applied or "alembic_version" in tables:
        found = [name for (name,) in raw.execute("SELECT version_num FROM alembic_version")]
        if is_current(found, branches):
            return applied
    return applied + migrate(connection, branches)


def _pragma(connection: Connection, name: str) -> int:
    return int(raw_connection(connection).execute(f"PRAGMA {name}").fetchone()[0])


def _held_bytes(connection: Connection) -> int:
    page_bytes = _pragma(connection, "page_size")
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    query = "SELECT coalesce(sum((size + ?1 - 1) / ?1), 0) FROM cache_entries"
    ((of_cache,),) = raw_connection(connection).execute(query, (page_bytes,))
    return max(pages - int(of_cache), 0) * page_bytes


def _cut_free_pages(connection: Connection) -> int:
    """Cut some free pages off the file and return how many are left."""
    raw_connection(connection).execute(f"PRAGMA incremental_vacuum({FREE_PAGES})").fetchall()
    return _pragma(connection, "freelist_count")


def _rewrite(connection: Connection) -> None:
    raw_connection(connection).execute("VACUUM")
    _empty_log(connection)


def _empty_log(connection: Connection) -> None:
    raw_connection(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
