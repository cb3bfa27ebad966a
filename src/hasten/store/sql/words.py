"""SQL in words: statements that SQLite and PostgreSQL both take, with named values.

Owns ``SqlWords``, what work is given that needs no SQLAlchemy, and the form that rows have in
a table. Loading SQLAlchemy takes longer than all else that a gateway does to start, and a
statement through it costs several times what it costs in words; so what every process asks
from its start on (``keys``, ``cache_table``, ``run_table``) is put in words. Leaves making the
tables to ``migrations`` and everything else to ``schema`` and SQLAlchemy.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec

from hasten.codec import to_plain

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowForm:
    """A table's columns, those that make its primary key, and those that are JSON or yes and no.

    A test compares each form with ``schema``.
    """

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    json: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()

    def line(self, row: Mapping[str, Any]) -> Row:
        """Return a row as the table takes it."""
        return {**row, **{name: to_json(row[name]) for name in self.json}}

    def row(self, line: Mapping[str, Any]) -> Row:
        """Return what the table gave as a row."""
        texts = {name: from_json(line[name]) for name in self.json}
        return {**line, **texts, **{name: bool(line[name]) for name in self.flags}}


class SqlWords(ABC):
    """A connection, in one transaction. Values stand in a statement as ``:name``."""

    skip_locked: ClassVar[str] = ""
    """What a ``SELECT`` ends with to pass over rows that another process is deleting."""

    now_s: ClassVar[str] = ":now_s"
    """The time that several machines go by, or the one they are given where there is only one."""

    @abstractmethod
    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a ``SELECT``, or of a ``RETURNING``."""

    @abstractmethod
    def change(self, statement: str, **values: Any) -> int:
        """Change rows; return how many."""

    @abstractmethod
    def change_each(self, statement: str, lines: Sequence[Row]) -> None:
        """Do a statement once with each of the values."""

    def notify(self, channel: str, text: str) -> None:
        """Tell all who ``listen`` to ``channel`` once this transaction is made, where one can."""

    def value(self, statement: str, **values: Any) -> Any:
        """Return the first column of the first row, or ``None`` without one."""
        found = self.rows(statement, **values)
        return next(iter(found[0].values())) if found else None

    def insert_new(self, form: RowForm, rows: Iterable[Row]) -> None:
        """Insert the rows whose primary key is not there yet, and pass over the others."""
        self._put(_insert_new(form), form, rows)

    def upsert(self, form: RowForm, rows: Iterable[Row]) -> None:
        """Insert each row, or replace the one with its primary key."""
        self._put(_upsert(form), form, rows)

    def _put(self, statement: str, form: RowForm, rows: Iterable[Row]) -> None:
        if lines := list(map(form.line, rows)):
            self.change_each(statement, lines)


class SqliteWords(SqlWords):
    """Words on the driver's own connection."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        found = self.raw.execute(statement, values)
        names = [one[0] for one in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def change(self, statement: str, **values: Any) -> int:
        """Change rows; return how many."""
        return self.raw.execute(statement, values).rowcount

    def change_each(self, statement: str, lines: Sequence[Row]) -> None:
        """Do a statement once with each of the values."""
        self.raw.executemany(statement, lines)


class PostgresWords(SqlWords):
    """Words on a connection of SQLAlchemy, which knows the way to asyncpg."""

    skip_locked = " FOR UPDATE SKIP LOCKED"
    now_s = "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        return [dict(row) for row in self._execute(statement, values).mappings()]

    def change(self, statement: str, **values: Any) -> int:
        """Change rows; return how many."""
        return int(self._execute(statement, values).rowcount)

    def change_each(self, statement: str, lines: Sequence[Row]) -> None:
        """Do a statement once with each of the values."""
        self._execute(statement, lines)

    def notify(self, channel: str, text: str) -> None:
        """Tell all who listen."""
        self._execute("SELECT pg_notify(:channel, :text)", {"channel": channel, "text": text})

    def _execute(self, statement: str, values: Any) -> Any:
        from sqlalchemy import text

        return self._connection.execute(text(statement), values)


def raw_connection(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection, on which a word costs a tenth of what it costs above it."""
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def words_of(connection: Connection) -> SqlWords:
    """Return words for work that has a connection of SQLAlchemy, in its transaction."""
    if connection.dialect.name == "sqlite":
        return SqliteWords(raw_connection(connection))
    return PostgresWords(connection)


def listed(values: Sequence[Any]) -> tuple[str, Row]:
    """Return what stands between the parentheses of ``IN (…)``, and its values."""
    named = {f"in_{at}": value for at, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named) or "NULL", named


def to_json(value: Any) -> str | None:
    """Return a value as JSON; half a surrogate pair, no UTF-8, stays readable as its escape."""
    if value is None:
        return None
    try:
        return msgspec.json.encode(value, enc_hook=to_plain).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value, enc_hook=to_plain))


def from_json(text: str | None) -> Any:
    """Return what ``to_json`` was given."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


@cache
def _insert(form: RowForm) -> str:
    names = ", ".join(f'"{name}"' for name in form.columns)
    values = ", ".join(f":{name}" for name in form.columns)
    return f"INSERT INTO {form.table} ({names}) VALUES ({values})"


@cache
def _insert_new(form: RowForm) -> str:
    return f"{_insert(form)} ON CONFLICT DO NOTHING"


@cache
def _upsert(form: RowForm) -> str:
    key = ", ".join(f'"{name}"' for name in form.key)
    new = ", ".join(f'"{name}" = excluded."{name}"' for name in form.columns)
    return f"{_insert(form)} ON CONFLICT ({key}) DO UPDATE SET {new}"
