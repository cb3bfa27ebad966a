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
from hasten.store.sql.sqlite_thread import SqliteThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from hasten.store.sql.words import SqliteWords

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
        upkeep_s, begin = self.policy.upkeep_s, partial(_begin, branches=branches)
        applied, is_whole = await self.within(upkeep_s, self._run_words(begin, is_write=True))
        if not is_whole:
            rest = partial(migrate, branches=branches)
            applied += await self.within(upkeep_s, self._run(rest, is_write=True))
        return applied

    async def close(self) -> None:
        """Do the work that is waiting, then end the thread."""
        self._is_open = False
        await self._thread.close(self.policy.call_s)

    async def held_bytes(self) -> int:
        """Return the bytes of the pages in use, less those of cache entries."""
        return await self._ask(_held_bytes)

    async def reclaim(self) -> None:
        """Cut free pages off the file, some at a time."""
        while await self._ask(_cut_free_pages):
            pass
        await self._ask(_empty_log)

    async def scrub(self) -> None:
        """Write the whole file anew and empty its log: pages keep copies of rows they once held.

        ``secure_delete`` does not reach those copies. Other work waits meanwhile.
        """
        with self.breaker.guard():
            await self.within(self.policy.upkeep_s, self._run_words(_rewrite, is_write=False))

    async def _ask(self, work: Callable[[SqliteWords], T]) -> T:
        with self.breaker.guard():
            return await self.within(self.policy.call_s, self._run_words(work, is_write=False))

    async def _run(self, work: Callable[[Connection], T], *, is_write: bool) -> T:
        return await self._open_thread.submit_alchemy(work, is_write=is_write)

    async def _run_words(self, work: Callable[[SqliteWords], T], *, is_write: bool) -> T:
        return await self._open_thread.submit_words(work, is_write=is_write)

    @property
    def _open_thread(self) -> SqliteThread:
        if not self._is_open:
            message = f"{self.name} is not open"
            raise StoreError(message, store=self.name)
        return self._thread

    def _is_away(self, cause: BaseException | None) -> bool:
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _AWAY


def _begin(on: SqliteWords, branches: Sequence[Path]) -> tuple[list[str], bool]:
    """Make a new database; return the revisions it then has, and whether nothing is missing."""
    tables = [one["name"] for one in on.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    applied = [] if tables else make_new(on.raw)
    if not applied and "alembic_version" not in tables:
        return [], False
    found = [one["version_num"] for one in on.rows("SELECT version_num FROM alembic_version")]
    return applied, is_current(found, branches)


def _pragma(on: SqliteWords, name: str) -> int:
    return int(on.value(f"PRAGMA {name}"))


def _held_bytes(on: SqliteWords) -> int:
    page_bytes = _pragma(on, "page_size")
    pages = _pragma(on, "page_count") - _pragma(on, "freelist_count")
    query = "SELECT coalesce(sum((size + :page - 1) / :page), 0) FROM cache_entries"
    return max(pages - int(on.value(query, page=page_bytes)), 0) * page_bytes


def _cut_free_pages(on: SqliteWords) -> int:
    """Cut some free pages off the file and return how many are left."""
    on.raw.execute(f"PRAGMA incremental_vacuum({FREE_PAGES})").fetchall()
    return _pragma(on, "freelist_count")


def _rewrite(on: SqliteWords) -> None:
    on.raw.execute("VACUUM")
    _empty_log(on)


def _empty_log(on: SqliteWords) -> None:
    on.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
