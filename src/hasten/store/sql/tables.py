"""An application's own tables: a handle its steps and routes await.

Owns ``Tables``, the interface; ``SqlTables``, on the database the runtime has
open; and ``MemoryTables``, for virtual time. Every call is a span of kind
``storage`` in the run it belongs to. Leaves making the tables to ``migrate``
and the manifest (``App.tables``), deadlines and errors to ``base``.

In virtual time no thread and no socket exist, so ``MemoryTables`` is SQLite in
memory, worked synchronously on the loop: a call takes ``latency_s`` of the
run's clock, then happens at one instant, so that transactions never
interleave. Statements must therefore be such that SQLite and PostgreSQL both
take them, which SQLAlchemy Core's are unless they name a dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Select, StaticPool, Table, create_engine, delete, exc

from hasten.clock import current_clock
from hasten.errors import InvalidInput, NotFound, StoreError
from hasten.store.sql.batch import fetch, fetch_where, upsert, upsert_own
from hasten.store.sql.shares import is_owned, reading_of, row_shares, statement_shares, whole
from hasten.store.sql.words import from_json
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Iterable,
        Mapping,
        Sequence,
    )

    from sqlalchemy import Column, Connection, Executable, MetaData

    from hasten.store.sql.base import SqlStore
    from hasten.store.sql.shares import Reading, Share
    from hasten.store.sql.words import Row

T = TypeVar("T")

QUERY_TTL_S = 60.0
"""How long the answer of a query is kept unless its caller says otherwise."""


class Queries(Protocol):
    """What keeps the answers of queries; ``cache/query`` has one."""

    async def rows(
        self, reading: Reading, fetch: Callable[[], Awaitable[list[Row]]], ttl_s: float
    ) -> list[Row]:
        """Return the rows of a query, fetched if none are kept."""

    def keeps(self, table: str) -> bool:
        """Whether answers that rest on a table may be kept, so that its writes must be told."""

    async def written(self, shares: Iterable[Share]) -> None:
        """Drop what was kept of rows that were written."""


class Tables(ABC):
    """The tables of one application. Raises ``StoreUnavailable`` in time, and ``StoreError``.

    A row is a ``dict`` by column name. ``rows``, ``row``, ``one``, ``query``, ``execute``,
    ``get_many`` and ``put_many`` do for most; ``read`` and ``write`` take a plain function of a
    SQLAlchemy ``Connection``, which runs in one transaction, away from the event
    loop, and must be harmless to repeat.
    """

    def __init__(self, metadata: MetaData) -> None:
        self.metadata = metadata
        self.queries: Queries | None = None

    async def rows(self, query: Select[Any], values: Mapping[str, Any] | None = None) -> list[Row]:
        """Return what ``query`` selects. The trace names the tables whose columns it gives.

        ``values`` fill its ``bindparam``s by name: a query that is made once costs a third less.
        """
        names = [one.name for one in query.columns_clause_froms if isinstance(one, Table)]
        work = partial(fetch, query=query, values=values)
        return await self.read(work, about=" ".join(["select", *names]))

    async def query(
        self,
        query: Select[Any],
        values: Mapping[str, Any] | None = None,
        *,
        use_cache: bool = True,
        ttl_s: float = QUERY_TTL_S,
    ) -> list[Row]:
        """Return what ``rows`` does, as kept for up to ``ttl_s`` under the cache in force.

        That are tables which the manifest says are kept (``App.kept_tables``). What is kept
        falls when one of its rows may have been written through a handle like this, by any
        process: rows of the one person, or the one tenant, that the query demands, else of
        anybody. What others do to the database is seen when ``ttl_s`` is over.
        """
        if self.queries is None or not use_cache:
            return await self.rows(query, values)
        reading = reading_of(query, values or {}, self.metadata)
        if reading is None:
            return await self.rows(query, values)
        return await self.queries.rows(reading, partial(self.rows, query, values), ttl_s)

    async def row(self, query: Select[Any]) -> Row | None:
        """Return the first row ``query`` selects, or ``None``."""
        found = await self.rows(query.limit(1))
        return found[0] if found else None

    async def one(self, query: Select[Any], missing: str) -> Row:
        """Return the first row ``query`` selects. Raises ``NotFound`` with ``missing`` for none.

        Who asked a run for what is not there is told so, and not that a step failed.
        """
        found = await self.row(query)
        if found is None:
            raise NotFound(missing)
        return found

    async def execute(self, *statements: Executable) -> int:
        """Run statements that write, in one transaction; return how many rows they touched."""
        found = [one for each in statements for one in statement_shares(each, self.metadata)]
        names = dict.fromkeys(share.table for share in found)
        async with self._writing(" ".join(["write", *names]), found):
            return await self._write(partial(_execute, statements=statements))

    async def get_many(self, table: Table, keys: Sequence[Any]) -> list[Row | None]:
        """Return the rows of these primary keys in their order, ``None`` where there is none.

        One transaction, ``BATCH_ROWS`` keys a statement. The table's key is one column.
        """
        column = _only_key(table)
        work = partial(_get_many, column=column, keys=list(keys))
        return await self.read(work, about=f"get_many {table.name}")

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert each row, or replace the one of its primary key, in one transaction."""
        is_kept = self.queries is not None and self.queries.keeps(table.name)
        owners = row_shares(table, rows) if is_kept else None
        shares = [whole(table)]
        async with self._writing(f"put_many {table.name}", shares):
            shares[:] = await self._write(partial(_put, table=table, rows=rows, owners=owners))

    async def read(self, work: Callable[[Connection], T], *, about: str = "read") -> T:
        """Return what ``work`` reads; ``about`` names it in the trace."""
        with span("storage", about):
            return await self._read(work)

    async def write(
        self,
        work: Callable[[Connection], T],
        *,
        about: str = "write",
        tables: Sequence[str] = (),
    ) -> T:
        """Return what ``work`` returns once what it wrote is durable.

        ``tables`` are those it writes; by default any of the application's. Raises
        ``InvalidInput`` for one that is none of them.
        """
        if strange := set(tables) - set(self.metadata.tables):
            message = f"no tables of this application: {sorted(strange)}"
            raise InvalidInput(message, field="tables", value=tables)
        shares = [whole(self.metadata.tables[name]) for name in tables or self.metadata.tables]
        async with self._writing(about, shares):
            return await self._write(work)

    @asynccontextmanager
    async def _writing(self, about: str, shares: Sequence[Share]) -> AsyncGenerator[None]:
        """Name a write in the trace; what rests on ``shares`` is dropped once it is made.

        If it fails or is given up, too: nobody knows then whether it was made.
        """
        try:
            with span("storage", about):
                yield
        finally:
            if self.queries is not None:
                await self.queries.written(shares)

    async def erase(self, tenant: str, user: str) -> int:
        """Delete every row of one person, in tables that say whose a row is; return how many."""
        owned = [one for one in self.metadata.sorted_tables if is_owned(one)]
        theirs = [
            delete(one).where(one.c.tenant == tenant, one.c.user == user) for one in reversed(owned)
        ]
        return await self.execute(*theirs) if theirs else 0

    @abstractmethod
    async def _read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction that writes nothing."""

    @abstractmethod
    async def _write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction."""


class SqlTables(Tables):
    """Tables in the runtime's database."""

    def __init__(self, metadata: MetaData, store: SqlStore) -> None:
        super().__init__(metadata)
        self._store = store

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._store.read(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._store.write(work)


class MemoryTables(Tables):
    """Tables of their own in memory, empty at first, on the event loop; see the module."""

    def __init__(self, metadata: MetaData, latency_s: float) -> None:
        super().__init__(metadata)
        self._latency_s = latency_s
        self._engine = create_engine("sqlite://", poolclass=StaticPool, json_deserializer=from_json)
        metadata.create_all(self._engine)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._write(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        await current_clock().sleep(self._latency_s)
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except exc.SQLAlchemyError as error:
            cause = error.orig if isinstance(error, exc.StatementError) else error
            message = f"the tables refused: {cause}"
            raise StoreError(message, store="memory") from error

    def close(self) -> None:
        """Let go of the memory."""
        self._engine.dispose()


def _execute(connection: Connection, statements: Sequence[Executable]) -> int:
    touched = (connection.execute(one).rowcount for one in statements)
    return sum(max(count, 0) for count in touched)


def _get_many(connection: Connection, column: Column[Any], keys: Sequence[Any]) -> list[Row | None]:
    found = {row[column.name]: row for row in fetch_where(connection, column, keys)}
    return [found.get(key) for key in keys]


def _put(
    connection: Connection, table: Table, rows: Sequence[Row], owners: list[Share] | None
) -> list[Share]:
    """Put rows of ``owners`` and return what was written: all, once a row was another's before."""
    if owners is None:
        upsert(connection, table, rows)
    elif upsert_own(connection, table, rows):
        return owners
    return [whole(table)]


def _only_key(table: Table) -> Column[Any]:
    columns = list(table.primary_key)
    if len(columns) != 1:
        message = f"get_many takes a table whose primary key is one column; {table.name!r} is not"
        raise InvalidInput(message, field="table", value=table.name)
    return columns[0]
