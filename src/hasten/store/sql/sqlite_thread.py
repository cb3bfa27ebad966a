"""The thread of a SQLite database: one connection, many writes to a commit.

Owns the connection, its transactions and the file's identity. Leaves the inbox
to ``store/thread``, deadlines and the meaning of errors to ``sqlite``.
"""

from __future__ import annotations

import os
import sqlite3
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hasten.errors import StoreUnavailable
from hasten.store.sql.words import SqliteWords, from_json
from hasten.store.thread import StoreOutcome, StoreThread, StoreWork, deliver
from hasten.store.wal import LogIntake, switch_to_wal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sqlalchemy import Connection

T = TypeVar("T")


class SqliteSession:
    """The open connection as work wants it: in words or, once that was asked for, SQLAlchemy's."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.words = SqliteWords(raw)
        self._alchemy: Connection | None = None

    def alchemy(self) -> Connection:
        """Return the same connection under SQLAlchemy; making it ends a transaction under way."""
        if self._alchemy is None:
            from sqlalchemy import StaticPool, create_engine

            engine = create_engine(
                "sqlite://",
                creator=lambda: self.raw,
                poolclass=StaticPool,
                json_deserializer=from_json,
            )
            self._alchemy = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
            self._alchemy.begin()  # never ended: whoever looks sees transactions are not theirs
        return self._alchemy

    def close(self) -> None:
        """Close the connection."""
        if self._alchemy is not None:
            self._alchemy.engine.dispose()
        self.raw.close()


class SqliteThread(StoreThread):
    """Runs functions of a connection to the file ``path``, which waits ``busy_s`` for a lock.

    ``is_synced``: each commit waits until it is on the disk.

    What one function raises is its own; what breaks a commit goes to all who shared it.
    """

    def __init__(self, path: str, busy_s: float, *, is_synced: bool = False) -> None:
        super().__init__(path)
        self._synchronous = "FULL" if is_synced else "NORMAL"
        self._path = path
        self._busy_s = busy_s
        self._session: SqliteSession | None = None
        self._wants_alchemy = False
        self._file: tuple[int, int] | None = None
        self._intake = None if path == ":memory:" else LogIntake(Path(path))

    def submit_words(
        self, work: Callable[[SqliteWords], T], *, is_write: bool
    ) -> asyncio.Future[T]:
        """Put a function of words into the inbox."""
        return self.submit(lambda session: work(session.words), is_write=is_write)

    def submit_alchemy(
        self, work: Callable[[Connection], T], *, is_write: bool
    ) -> asyncio.Future[T]:
        """Put a function of SQLAlchemy's connection into the inbox."""
        self._wants_alchemy = True
        return self.submit(lambda session: work(session.alchemy()), is_write=is_write)

    def do(self, works: list[StoreWork]) -> None:
        """Do reads one by one, and writes that follow each other in one commit."""
        for is_write, group in groupby(works, key=lambda work: work.is_write):
            deliver(self._do_alike(list(group), is_write=is_write))
        if self._intake is not None and self._session is not None:
            self._intake.look(self._session.raw)

    def end(self) -> None:
        """Close the connection."""
        if self._intake is not None:
            self._intake.end()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _do_alike(self, works: list[StoreWork], *, is_write: bool) -> list[StoreOutcome]:
        try:
            session = self._connect()
            if self._wants_alchemy:
                session.alchemy()  # made here, since no transaction is under way
            if is_write:
                return _commit(session, works)
            return [_attempt(session, work) for work in works]
        except Exception as error:  # noqa: BLE001 - whatever it is goes to those who wait
            return [StoreOutcome(work, error=error) for work in works]

    def _connect(self) -> SqliteSession:
        """Return the connection, opened at first use; refuse when its file is not there any more.

        SQLite would go on writing into a file without a name, which nobody finds again.
        """
        if self._session is None:
            self._session = SqliteSession(self._open())
            self._file = _identity(self._path)
        if self._file != _identity(self._path):
            message = (
                f"{self._path} was moved or deleted while it was open; restart to make it anew"
            )
            raise StoreUnavailable(message, store=self._path)
        return self._session

    def _open(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self._path, isolation_level=None, timeout=self._busy_s)
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new file, before its first table
        switch_to_wal(raw)
        raw.execute(f"PRAGMA synchronous = {self._synchronous}")
        if self._intake is not None:
            self._intake.set_up(raw)
        return raw


def _commit(session: SqliteSession, works: list[StoreWork]) -> list[StoreOutcome]:
    """Make one transaction of many writes."""
    raw = session.raw
    try:
        raw.execute("BEGIN IMMEDIATE")
        outcomes = _attempt_all(session, works)
        raw.execute("COMMIT")
    except BaseException:
        raw.rollback()
        raise
    return outcomes


def _attempt_all(session: SqliteSession, works: list[StoreWork]) -> list[StoreOutcome]:
    """Do all writes; if one fails, all anew, each apart from the others: works can be repeated."""
    raw = session.raw
    outcomes: list[StoreOutcome] = []
    for work in works:
        outcome = _attempt(session, work)
        outcomes.append(outcome)
        if outcome.error is not None:
            break
    else:
        return outcomes
    _check_transaction(raw, outcome.error)
    raw.execute("ROLLBACK")
    raw.execute("BEGIN IMMEDIATE")
    return [_attempt_apart(session, work) for work in works]


def _attempt_apart(session: SqliteSession, work: StoreWork) -> StoreOutcome:
    """Do one write so that, if it fails, the others of its transaction stay."""
    raw = session.raw
    raw.execute("SAVEPOINT work")
    outcome = _attempt(session, work)
    if outcome.error is not None:
        _check_transaction(raw, outcome.error)
        raw.execute("ROLLBACK TO work")
    raw.execute("RELEASE work")
    return outcome


def _check_transaction(raw: sqlite3.Connection, error: Exception) -> None:
    """Raise the error of a write that has ended the transaction, as a full disk does, for all."""
    if not raw.in_transaction:
        raise error


def _attempt(session: SqliteSession, work: StoreWork) -> StoreOutcome:
    try:
        return StoreOutcome(work, work.function(session))
    except Exception as error:  # noqa: BLE001 - it goes to whoever brought the work
        return StoreOutcome(work, error=error)


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells this file from another of the same name; ``None`` when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every commit
    except OSError:
        return None
    return found.st_dev, found.st_ino
