"""Read rows, and write many at once, the same on SQLite and PostgreSQL.

Owns the ways rows are put into a table, at most ``BATCH_ROWS`` at a time. Called from
work that a ``SqlStore`` runs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, any_, bindparam, select
from sqlalchemy.dialects import sqlite

from hasten.store.sql.prepared import sqlite_rows
from hasten.store.sql.shares import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Executable, Select, Table
    from sqlalchemy.dialects import postgresql

    from hasten.store.sql.words import Row

    Upsert = sqlite.Insert | postgresql.Insert

BATCH_ROWS = 500
"""At most so many rows go to the database in one statement."""


def fetch(
    connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None
) -> list[Row]:
    """Return what ``query`` selects with ``values``, each row a ``dict`` by column name."""
    found = connection.execute(query, values)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found.all()]


def fetch_where(connection: Connection, column: Column[Any], values: Sequence[Any]) -> list[Row]:
    """Return the rows of a table whose ``column`` has one of the values, however many."""
    ask = sqlite_rows if connection.dialect.name == "sqlite" else _rows_where
    batches = range(0, len(values), BATCH_ROWS)
    return [row for at in batches for row in ask(connection, column, values[at : at + BATCH_ROWS])]


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert the rows whose primary key is not there yet, and pass over the others."""
    _execute(connection, _insert_new(connection.dialect.name, table), rows)


def insert_one(
    connection: Connection,
    table: Table,
    row: Row,
    unique: Sequence[str],
    where: ColumnElement[bool],
) -> bool:
    """Insert a row unless another has the same in the ``unique`` columns; whether it was.

    ``where`` says of which rows they are unique, in the words of their index.
    """
    statement = _insert(connection.dialect.name, table)
    once = statement.on_conflict_do_nothing(index_elements=unique, index_where=where)
    return connection.execute(once, row).rowcount > 0


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert each row, or replace the one with its primary key."""
    _execute(connection, _upsert(connection.dialect.name, table), rows)


def upsert_own(connection: Connection, table: Table, rows: Sequence[Row]) -> bool:
    """Do as ``upsert`` does; whether no row that was replaced was somebody else's.

    The table has the columns ``OWNER``, and each row says its own and its primary key.
    """
    key = [column.name for column in table.primary_key]
    last = list({tuple(row[name] for name in key): row for row in rows}.values())
    statement = _upsert_own(connection.dialect.name, table)
    done = len(connection.execute(statement, last).all()) if last else 0
    if done < len(last):
        upsert(connection, table, rows)
    return done == len(last)


@cache
def _insert_new(dialect: str, table: Table) -> Executable:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _upsert(dialect: str, table: Table) -> Executable:
    return _replacing(_insert(dialect, table))


@cache
def _upsert_own(dialect: str, table: Table) -> Executable:
    insert = _insert(dialect, table)
    same = [table.c[name] == insert.excluded[name] for name in OWNER]
    return _replacing(insert, and_(*same)).returning(*table.primary_key)


def _replacing(insert: Upsert, where: ColumnElement[bool] | None = None) -> Upsert:
    new = {column.name: insert.excluded[column.name] for column in insert.table.columns}
    key = list(insert.table.primary_key)
    return insert.on_conflict_do_update(index_elements=key, set_=new, where=where)


def _rows_where(connection: Connection, column: Column[Any], values: Sequence[Any]) -> list[Row]:
    return fetch(connection, _among(column), {"values": list(values)})


@cache
def _among(column: Column[Any]) -> Select[Any]:
    """Return one statement for any number of values, which ``IN`` is not."""
    from sqlalchemy.dialects import postgresql

    values = bindparam("values", type_=postgresql.ARRAY(column.type))
    return select(column.table).where(column == any_(values))


def _insert(dialect: str, table: Table) -> Upsert:
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _execute(connection: Connection, insert: Executable, rows: Sequence[Row]) -> None:
    for first in range(0, len(rows), BATCH_ROWS):
        connection.execute(insert, rows[first : first + BATCH_ROWS])
