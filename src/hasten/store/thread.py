"""The thread that owns a SQLite file: work in, answers out, many writes to a commit.

Owns the connection and what becomes of it: it is opened when first needed, and a
file that is no database any more is moved aside and begun anew. The event loop
never waits for the disk, and whoever waits for the thread waits no longer than
the deadline. Leaves what is in the file to ``disk``.

The word of the house for jobs is not meant here: this thread runs functions of
a connection that somebody awaits.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hasten.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")

BATCH_TASKS = 512
"""At most so many pieces of work share a commit."""

IDLE_S = 1.0
"""How long the thread waits for work before it looks for chores."""

_SET_UP = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA secure_delete = ON",
)

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REFUSED = {*_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_READONLY}


class _Task(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    is_write: bool
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


class _Outcome(NamedTuple):
    task: _Task
    value: Any = None
    error: StoreError | None = None


class StoreThread:
    """Runs functions of a connection to the file ``path``.

    ``set_up`` is called with each new connection. ``do_chores`` is called with the
    writes of each commit and when there is nothing else to do; it takes a few
    milliseconds at most and says whether there is more.
    """

    def __init__(
        self,
        path: Path,
        deadline_s: float,
        set_up: Callable[[sqlite3.Connection], None],
        do_chores: Callable[[sqlite3.Connection], bool],
    ) -> None:
        self.path = path
        self._deadline_s = deadline_s
        self._set_up = set_up
        self._do_chores = do_chores
        self._inbox: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` reads. Raises ``StoreUnavailable`` in time, ``StoreError``."""
        return await self._run(work, is_write=False)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` gave once it is committed, with what else was waiting."""
        return await self._run(work, is_write=True)

    async def close(self) -> None:
        """Do the work that is waiting, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(None)
            await asyncio.to_thread(thread.join, self._deadline_s)

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, is_write: bool) -> T:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"hasten {self.path.name}")
            self._thread.daemon = True
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        limit = loop.call_later(self._deadline_s, self._too_late, answer)
        self._inbox.put(_Task(work, is_write, loop, answer))
        try:
            return await answer
        finally:
            limit.cancel()

    def _too_late(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            message = f"{self.path} did not answer within {self._deadline_s:g} s"
            answer.set_exception(StoreUnavailable(message, store="disk"))

    def _serve(self) -> None:
        """Work through the inbox until it says ``None``; the thread's main function."""
        wait_s: float | None = IDLE_S
        is_open = True
        while is_open:
            found = self._next_tasks(wait_s)
            is_open = None not in found
            tasks = [task for task in found if task is not None and not task.answer.done()]
            try:
                has_chores = self._do(tasks)
            except (sqlite3.Error, OSError) as error:
                _deliver([_Outcome(task, error=self._translate(error)) for task in tasks])
                self._recover(error)
                has_chores = False
            wait_s = 0.0 if has_chores else IDLE_S
        if self._connection is not None:
            self._connection.close()

    def _next_tasks(self, wait_s: float | None) -> list[_Task | None]:
        """Wait so long for a task, then take what else is there."""
        tasks: list[_Task | None] = []
        with suppress(Empty):
            tasks.append(self._inbox.get(timeout=wait_s))
            while len(tasks) < BATCH_TASKS:
                tasks.append(self._inbox.get_nowait())
        return tasks

    def _do(self, tasks: Sequence[_Task]) -> bool:
        """Do the reads, then the writes in one commit; return whether chores are left."""
        connection = self._connection = self._connection or self._open()
        reads = [task for task in tasks if not task.is_write]
        _deliver([_attempt(connection, task) for task in reads])
        writes = [task for task in tasks if task.is_write]
        if reads and not writes:
            return False
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        try:
            outcomes = [_attempt(connection, task) for task in writes]
            has_chores = self._do_chores(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        _deliver(outcomes)
        return has_chores

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=self._deadline_s)
        try:
            for statement in _SET_UP:
                connection.execute(statement)
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
        """Move a file aside that is no database any more, so that the next task finds a new one."""
        if _code(error) not in _CORRUPT:
            return
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with suppress(OSError):
            self.path.replace(self.path.with_name(f"{self.path.name}.corrupt"))
            for end in ("-wal", "-shm"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)


def _attempt(connection: sqlite3.Connection, task: _Task) -> _Outcome:
    return _Outcome(task, task.work(connection))


def _deliver(outcomes: Sequence[_Outcome]) -> None:
    """Tell those who wait, on their loops: one call a loop, since each wakes it up."""
    for loop in {outcome.task.loop for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.task.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_settle, mine)


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for task, value, error in outcomes:
        if task.answer.done():
            continue
        if error is None:
            task.answer.set_result(value)
        else:
            task.answer.set_exception(error)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
