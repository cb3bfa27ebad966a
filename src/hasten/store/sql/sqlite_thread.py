"""The thread of a SQLite database: one SQLAlchemy connection, many writes to a commit.

Owns the connection, its transactions and the file's identity. Leaves the inbox
to ``store/thread``, deadlines and the meaning of errors to ``sqlite``.
"""

from __future__ import annotations

import os
import sqlite3
from itertools import groupby
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, StaticPool, create_engine

from hasten.errors import StoreUnavailable
from hasten.store.thread import StoreOutcome, StoreThread, StoreWork, deliver
from hasten.store.wal import LogIntake, switch_to_wal


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
        engine = create_engine("sqlite://", creator=self._open, poolclass=StaticPool)
        self._engine: Engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._intake = None if path == ":memory:" else LogIntake(Path(path))

    def do(self, works: list[StoreWork]) -> None:
        """Do reads one by one, and writes that follow each other in one commit."""
        for is_write, group in groupby(works, key=lambda work: work.is_write):
            deliver(self._do_alike(list(group), is_write=is_write))
        if self._intake is not None and self._connection is not None:
            self._intake.look(raw_connection(self._connection))

    def end(self) -> None:
        """Close the connection."""
        if self._intake is not None:
            self._intake.end()
        self._engine.dispose()

    def _do_alike(self, works: list[StoreWork], *, is_write: bool) -> list[StoreOutcome]:
        try:
            connection = self._connect()
            if is_write:
                return _commit(connection, works)
            return [_attempt(connection, work) for work in works]
        except Exception as error:  # noqa: BLE001 - whatever it is goes to those who wait
            return [StoreOutcome(work, error=error) for work in works]

    def _connect(self) -> Connection:
        """Return the connection, opened at first use; refuse when its file is not there any more.

        SQLite would go on writing into a file without a name, which nobody finds again.
        """
        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.begin()  # never ended: whoever looks sees transactions are not theirs
            self._file = _identity(self._path)
        if self._file != _identity(self._path):
            message = (
                f"{self._path} was moved or deleted while it was open; restart to make it anew"
            )
            raise StoreUnavailable(message, store=self._path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self._path, isolation_level=None, timeout=self._busy_s)
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new file, before its first table
        switch_to_wal(raw)
        raw.execute(f"PRAGMA synchronous = {self._synchronous}")
        if self._intake is not None:
            self._intake.set_up(raw)
        return raw


def raw_connection(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection, on which a word costs a tenth of what it costs above it."""
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _commit(connection: Connection, works: list[StoreWork]) -> list[StoreOutcome]:
    """Make one transaction of many writes."""
    raw = raw_connection(connection)
    try:
        raw.execute("BEGIN IMMEDIATE")
        outcomes = _attempt_all(connection, works)
        raw.execute("COMMIT")
    except BaseException:
        raw.rollback()
        raise
    return outcomes


def _attempt_all(connection: Connection, works: list[StoreWork]) -> list[StoreOutcome]:
    """Do all writes; if one fails, all anew, each apart from the others: works can be repeated."""
    raw = raw_connection(connection)
    outcomes: list[StoreOutcome] = []
    for work in works:
        outcome = _attempt(connection, work)
        outcomes.append(outcome)
        if outcome.error is not None:
            break
    else:
        return outcomes
    _check_transaction(raw, outcome.error)
    raw.execute("ROLLBACK")
    raw.execute("BEGIN IMMEDIATE")
    return [_attempt_apart(connection, raw, work) for work in works]


def _attempt_apart(
    connection: Connection, raw: sqlite3.Connection, work: StoreWork
) -> StoreOutcome:
    """Do one write so that, if it fails, the others of its transaction stay."""
    raw.execute("SAVEPOINT work")
    outcome = _attempt(connection, work)
    if outcome.error is not None:
        _check_transaction(raw, outcome.error)
        raw.execute("ROLLBACK TO work")
    raw.execute("RELEASE work")
    return outcome


def _check_transaction(raw: sqlite3.Connection, error: Exception) -> None:
    """Raise the error of a write that has ended the transaction, as a full disk does, for all."""
    if not raw.in_transaction:
        raise error


def _attempt(connection: Connection, work: StoreWork) -> StoreOutcome:
    try:
        return StoreOutcome(work, work.function(connection))
    except Exception as error:  # noqa: BLE001 - it goes to whoever brought the work
        return StoreOutcome(work, error=error)


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells this file from another of the same name; ``None`` when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every commit
    except OSError:
        return None
    return found.st_dev, found.st_ino
