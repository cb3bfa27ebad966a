"""Read rows, and write many at once, the same on SQLite and PostgreSQL.

Owns the ways rows are put into a table, at most ``BATCH_ROWS`` at a time. Called from
work that a ``SqlStore`` runs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from hasten.store.sql.prepared import sqlite_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Executable, Select, Table
    from sqlalchemy.dialects import postgresql

    from hasten.store.sql.words import Row

BATCH_ROWS = 500
"""At most so many rows go to the database in one statement."""


def fetch(connection: Connection, query: Select[Any]) -> list[Row]:
    """Return what ``query`` selects, each row a ``dict`` by column name."""
    found = connection.execute(query)
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


@cache
def _insert_new(dialect: str, table: Table) -> Executable:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _upsert(dialect: str, table: Table) -> Executable:
    insert = _insert(dialect, table)
    new = {column.name: insert.excluded[column.name] for column in table.columns}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)


def _rows_where(connection: Connection, column: Column[Any], values: Sequence[Any]) -> list[Row]:
    return fetch(connection, select(column.table).where(column.in_(values)))


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _execute(connection: Connection, insert: Executable, rows: Sequence[Row]) -> None:
    for first in range(0, len(rows), BATCH_ROWS):
        connection.execute(insert, rows[first : first + BATCH_ROWS])
