"""The thread of a store of bytes on disk: one SQLite file, many writes to a commit, chores.

Owns the connection and what becomes of it: it is opened when first needed, and a
file that is no database any more is moved aside and begun anew. Whoever waits
for the thread waits no longer than the deadline, and never for the disk to take
in the log: that goes on beside it. Leaves what is in the file to ``disk``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from hasten.clock import Clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.thread import StoreOutcome, StoreThread, StoreWork, deliver
from hasten.store.wal import LogIntake, switch_to_wal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

CHORES_EVERY_S = 1.0
"""The thread looks for chores this often, however many reads come meanwhile."""

_SET_UP = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA secure_delete = ON",
)

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REFUSED = {*_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_READONLY}


class DiskStoreThread(StoreThread):
    """Runs functions of a connection to the file ``path``.

    ``set_up`` is called with each new connection. ``do_chores`` is called from time to
    time, in a commit of its own; it takes a few milliseconds at most and says
    whether there is more.
    """

    def __init__(
        self,
        path: Path,
        deadline_s: float,
        set_up: Callable[[sqlite3.Connection], None],
        do_chores: Callable[[sqlite3.Connection], bool],
    ) -> None:
        super().__init__(path.name)
        self.path = path
        self.deadline_s = deadline_s
        self._set_up = set_up
        self._do_chores = do_chores
        self._connection: sqlite3.Connection | None = None
        self._clock = Clock()
        self._chores_at_s = 0.0
        self._intake = LogIntake(path)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` reads. Raises ``StoreUnavailable`` in time, ``StoreError``."""
        return await self._run(work, is_write=False)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` gave once it is committed, with what else was waiting."""
        return await self._run(work, is_write=True)

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, is_write: bool) -> T:
        answer = self.submit(work, is_write=is_write)
        loop = asyncio.get_running_loop()
        limit = loop.call_later(self.deadline_s, self._too_late, answer)
        try:
            return await answer
        finally:
            limit.cancel()

    def _too_late(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            message = f"{self.path} did not answer within {self.deadline_s:g} s"
            answer.set_exception(StoreUnavailable(message, store="disk"))

    def do(self, works: list[StoreWork]) -> float | None:
        """Do reads and writes, then some chores; what breaks is everybody's error."""
        try:
            self._do(works)
        except Exception as error:  # noqa: BLE001 - whatever it is goes to those who wait
            deliver([StoreOutcome(work, error=self._translate(error)) for work in works])
            self._recover(error)
            self._chores_at_s = self._clock.monotonic() + CHORES_EVERY_S
        return max(self._chores_at_s - self._clock.monotonic(), 0.0)

    def end(self) -> None:
        """Close the connection; work that comes later opens it again."""
        self._intake.end()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _do(self, works: Sequence[StoreWork]) -> None:
        """Do the reads, then the writes in one commit, then chores if they are due."""
        connection = self._connection = self._connection or self._open()
        deliver([_attempt(connection, work) for work in works if not work.is_write])
        writes = [work for work in works if work.is_write]
        if writes:
            with _commit(connection):
                outcomes = [_attempt(connection, work) for work in writes]
            deliver(outcomes)
        if self._clock.monotonic() >= self._chores_at_s:
            with _commit(connection):
                has_chores = self._do_chores(connection)
            self._chores_at_s = self._clock.monotonic() + (0.0 if has_chores else CHORES_EVERY_S)
        self._intake.look(connection)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=self.deadline_s)
        try:
            switch_to_wal(connection)
            for statement in _SET_UP:
                connection.execute(statement)
            self._intake.set_up(connection)
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _translate(self, error: Exception) -> StoreError:
        """Return the error for those who wait: a full disk still reads, so it is a refusal."""
        kind = StoreError if _code(error) in _REFUSED else StoreUnavailable
        return kind(f"{self.path}: {error}", store="disk")

    def _recover(self, error: Exception) -> None:
        """Move a file aside that is no database any more, so that the next work finds a new one."""
        if _code(error) not in _CORRUPT:
            return
        self.end()
        with suppress(OSError):
            self.path.replace(self.path.with_name(f"{self.path.name}.corrupt"))
            for end in ("-wal", "-shm"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)


@contextmanager
def _commit(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _attempt(connection: sqlite3.Connection, work: StoreWork) -> StoreOutcome:
    return StoreOutcome(work, work.function(connection))


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
