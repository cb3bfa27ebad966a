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
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Select, StaticPool, Table, create_engine, delete, exc
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.util import LRUCache

from hasten.clock import current_clock
from hasten.errors import InvalidInput, NotFound, StoreError
from hasten.store.sql.batch import fetch, fetch_where, upsert
from hasten.store.sql.words import from_json
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import Column, Connection, Executable, MetaData

    from hasten.store.sql.base import SqlStore
    from hasten.store.sql.words import Row

T = TypeVar("T")

QUERY_TTL_S = 60.0
"""How long the answer of a query is kept unless its caller says otherwise."""

_FORMS: LRUCache[Any, str] = LRUCache(500)
"""The words of queries by their form, which values are no part of."""

OWNER = ("tenant", "user")
"""Columns that say whose a row is; the rows of tables that have both are erased with a person."""


class Queries(Protocol):
    """What keeps the answers of queries; ``cache/query`` has one."""

    async def rows(
        self,
        words: str,
        tables: Iterable[str],
        fetch: Callable[[], Awaitable[list[Row]]],
        ttl_s: float,
    ) -> list[Row]:
        """Return the rows of a query in these words, fetched if none are kept."""

    async def written(self, tables: Iterable[str]) -> None:
        """Drop what was kept of tables that were written."""


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

    async def rows(self, query: Select[Any]) -> list[Row]:
        """Return what ``query`` selects. The trace names the tables whose columns it gives."""
        names = [one.name for one in query.columns_clause_froms if isinstance(one, Table)]
        return await self.read(partial(fetch, query=query), about=" ".join(["select", *names]))

    async def query(
        self, query: Select[Any], *, use_cache: bool = True, ttl_s: float = QUERY_TTL_S
    ) -> list[Row]:
        """Return what ``query`` selects, as kept for up to ``ttl_s`` under the cache in force.

        What is kept falls when one of its tables is written through this handle.
        """
        if self.queries is None or not use_cache:
            return await self.rows(query)
        names = [one.name for one in _tables_in(query)]
        return await self.queries.rows(_words(query), names, partial(self.rows, query), ttl_s)

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
        found = [one.name for statement in statements for one in _tables_in(statement)]
        names = list(dict.fromkeys(found))
        work = partial(_execute, statements=statements)
        return await self.write(work, about=" ".join(["write", *names]), tables=names)

    async def get_many(self, table: Table, keys: Sequence[Any]) -> list[Row | None]:
        """Return the rows of these primary keys in their order, ``None`` where there is none.

        One transaction, ``BATCH_ROWS`` keys a statement. The table's key is one column.
        """
        column = _only_key(table)
        work = partial(_get_many, column=column, keys=list(keys))
        return await self.read(work, about=f"get_many {table.name}")

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert each row, or replace the one of its primary key, in one transaction."""
        work = partial(_put_many, table=table, rows=list(rows))
        await self.write(work, about=f"put_many {table.name}", tables=[table.name])

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

        ``tables`` are those it writes; by default any of the application's.
        """
        with span("storage", about):
            done = await self._write(work)
        if self.queries is not None:
            await self.queries.written(tables or self.metadata.tables)
        return done

    async def erase(self, tenant: str, user: str) -> int:
        """Delete every row of one person, in tables that say whose a row is; return how many."""
        owned = [one for one in self.metadata.sorted_tables if {*OWNER} <= {*one.c.keys()}]
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


def _put_many(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    upsert(connection, table, rows)


def _only_key(table: Table) -> Column[Any]:
    columns = list(table.primary_key)
    if len(columns) != 1:
        message = f"get_many takes a table whose primary key is one column; {table.name!r} is not"
        raise InvalidInput(message, field="table", value=table.name)
    return columns[0]


def _words(query: Select[Any]) -> str:
    """Return a query's words and values: one of a form seen before is not put into words anew."""
    key = query._generate_cache_key()  # noqa: SLF001 - as SQLAlchemy's own caching example does
    if key is None:
        return str(query.compile(compile_kwargs={"literal_binds": True}))
    return str(key.to_offline_string(_FORMS, query, {}))


def _tables_in(statement: Any) -> list[Table]:
    """Return the tables a statement names, each once, in its order."""
    found = [one for one in iterate(statement) if isinstance(one, Table)]
    if isinstance(table := getattr(statement, "table", None), Table):
        found.insert(0, table)
    return list(dict.fromkeys(found))
