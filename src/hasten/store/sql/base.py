"""What every SQL database of ours looks like: two calls, one deadline, one family of errors.

Owns ``SqlStore``, the interface ``sink``, ``cache_table``, ``store/keys`` and later rooms
work through, and the one place where a driver's errors become ours. Leaves reaching
the database to ``sqlite`` and ``postgres``, and choosing between them to ``open``.

Work is a plain function of ``SqlWords``, or of a SQLAlchemy ``Connection``. It runs in one
transaction, in a worker thread (SQLite) or on the event loop (PostgreSQL), so
it must only use that connection, and since an unavailable store leaves open
whether a write went through, it must be harmless to repeat.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hasten.errors import HastenError, StoreError, StoreUnavailable
from hasten.store.breaker import StoreBreaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from hasten.store.base import Reach
    from hasten.store.sql.prepared import Prepared
    from hasten.store.sql.words import Row, SqlWords

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlPolicy:
    """Deadlines, in real seconds whatever clock a run has, and the size of the pool.

    ``call_s`` bounds one read or write from asking to answer, ``upkeep_s`` the
    upgrade at start and the clearing up after deletions. An unavailable database is
    left alone for ``rest_s``. ``survives_power_loss``: each write of SQLite waits for
    the disk; else it survives the death of the process only. PostgreSQL has its own say.
    """

    connect_s: float = 5.0
    call_s: float = 5.0
    upkeep_s: float = 60.0
    rest_s: float = 1.0
    pool_size: int = 10
    survives_power_loss: bool = False


class SqlStore(ABC):
    """A database of a ``kind``. ``name`` says which, without its password.

    ``applied`` are the revisions that were applied when it was opened.
    """

    kind: ClassVar[str]
    reach: ClassVar[Reach]
    driver_error: ClassVar[type[Exception]]
    """What the driver raises where SQLAlchemy does not wrap it."""

    def __init__(self, name: str, policy: SqlPolicy) -> None:
        self.name = name
        self.policy = policy
        self.breaker = StoreBreaker(name, policy.rest_s)
        self.applied: list[str] = []

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads. Raises ``StoreUnavailable`` in time, ``StoreError``."""
        return await self._call(work, is_write=False)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction that is durable once this returns its value.

        Raises ``StoreUnavailable`` within the deadline, in which case the
        transaction may or may not have been made, and ``StoreError``.
        """
        return await self._call(work, is_write=True)

    async def do(self, act: Prepared, values: Mapping[str, Any]) -> list[Row]:
        """Do an act in a transaction of its own and return its rows; raises as ``write`` does."""
        return await self.write(partial(act.run, values=values))

    async def read_words(self, work: Callable[[SqlWords], T]) -> T:
        """Return what ``work`` reads in words. Raises as ``read`` does."""
        with self.breaker.guard():
            return await self.within(self.policy.call_s, self._run_words(work, is_write=False))

    async def write_words(self, work: Callable[[SqlWords], T]) -> T:
        """Run ``work`` in a transaction, in words. Returns and raises as ``write`` does."""
        with self.breaker.guard():
            return await self.within(self.policy.call_s, self._run_words(work, is_write=True))

    async def _call(self, work: Callable[[Connection], T], *, is_write: bool) -> T:
        with self.breaker.guard():
            return await self.within(self.policy.call_s, self._run(work, is_write=is_write))

    async def within(self, deadline_s: float, doing: Awaitable[T]) -> T:
        """Return what ``doing`` gives by a deadline of the caller's own; raises as ``read`` does.

        Of a shorter deadline than the policy's the breaker learns nothing: others may
        be more patient.
        """
        try:
            async with asyncio.timeout(deadline_s):
                return await doing
        except Exception as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> Exception:
        """Return the error to raise; what ``work`` itself raised stays what it is."""
        exc = sys.modules.get("sqlalchemy.exc")  # as long as it is not loaded, it raises nothing
        is_its = exc is not None and isinstance(error, exc.SQLAlchemyError)
        cause = getattr(error, "orig", None) or error if is_its else error
        if isinstance(cause, HastenError):
            return cause
        if isinstance(cause, TimeoutError):
            return StoreUnavailable(f"{self.name} did not answer in time", store=self.name)
        if isinstance(cause, OSError) or self._is_away(cause):
            return StoreUnavailable(f"{self.name} is not available: {cause}", store=self.name)
        if is_its or isinstance(error, self.driver_error):
            return StoreError(f"{self.name} refused: {cause}", store=self.name)
        return error

    @abstractmethod
    async def migrate(self, branches: Sequence[Path] = ()) -> list[str]:
        """Connect for the first time and bring the tables up to date, those of ``branches`` too.

        Returns the revisions applied. Raises as ``write`` does.
        """

    @abstractmethod
    async def close(self) -> None:
        """End what is under way, then let go of connections and threads."""

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:  # noqa: ARG002 - no news here
        """Call ``heard`` with what ``notify`` tells, until cancelled; by default nothing ever is.

        Raises ``StoreUnavailable`` when the news stop.
        """
        await asyncio.get_running_loop().create_future()

    @abstractmethod
    async def held_bytes(self) -> int:
        """Return how many bytes runs and keys take, freed space and cache entries not counted."""

    @abstractmethod
    async def reclaim(self) -> None:
        """Free the space of deleted rows."""

    @abstractmethod
    async def scrub(self) -> None:
        """Let nothing of deleted rows stay readable, as far as the database can, at any cost."""

    @abstractmethod
    async def _run(self, work: Callable[[Connection], T], *, is_write: bool) -> T:
        """Run ``work`` in a transaction; errors are still the driver's."""

    @abstractmethod
    async def _run_words(self, work: Callable[[SqlWords], T], *, is_write: bool) -> T:
        """Run ``work`` in a transaction, in words; errors are still the driver's."""

    @abstractmethod
    def _is_away(self, cause: BaseException | None) -> bool:
        """Whether a driver's error means gone, slow, locked or full: trying later may help."""
