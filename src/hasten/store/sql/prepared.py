"""Statements on a hot path: made once, then only filled in and given to the driver.

SQLAlchemy writes the words, for either database, and its types turn the values; at each
run neither is asked for more, which on SQLite is a tenth of the cost. Owns ``Prepared``.
Leaves what is said in them to whoever makes one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import TypeDecorator, bindparam, insert, select

from hasten.store.sql.words import raw_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Dialect, Insert, Table
    from sqlalchemy.sql.dml import UpdateBase
    from sqlalchemy.sql.selectable import SelectBase

    from hasten.store.sql.words import Row

    Statement = UpdateBase | SelectBase
    Turn = Callable[[Any], Any]


class PreparedWords(NamedTuple):
    """One statement for one database: its words, what fills its places, what its rows hold.

    ``own`` are the values it brings itself; ``turns`` and ``column_turns`` say by their
    number which places and columns hold something else than the value, as JSON does.
    """

    text: str
    places: tuple[str, ...]
    own: dict[str, Any]
    turns: tuple[tuple[int, Turn], ...]
    columns: tuple[str, ...]
    column_turns: tuple[tuple[str, Turn], ...]

    def filled(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what goes into its places. Raises ``KeyError`` for one that nothing fills."""
        known = {**self.own, **values}
        filled = [known[name] for name in self.places]
        for number, turn in self.turns:
            filled[number] = turn(filled[number])
        return tuple(filled)

    def row(self, found: Iterable[Any]) -> Row:
        """Return a row of the driver's by column name."""
        row = dict(zip(self.columns, found, strict=True))
        for name, turn in self.column_turns:
            row[name] = turn(row[name])
        return row


class Prepared:
    """One act of one or more statements, whose ``bindparam`` names are its values' names.

    ``make`` gives the statements for a dialect: one for PostgreSQL, where each is a way there
    and back; for SQLite as many as it takes. None has a list of variable length in it.
    """

    def __init__(self, make: Callable[[str], Sequence[Statement]]) -> None:
        self._make = make
        self._words: dict[str, list[PreparedWords]] = {}

    def words(self, dialect: Dialect) -> list[PreparedWords]:
        """Return the statements as ``dialect`` has them."""
        found = self._words.get(dialect.name)
        if found is None:
            made = [_words(one, dialect) for one in self._make(dialect.name)]
            found = self._words[dialect.name] = made
        return found

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """Run it in the transaction there is; return the rows of its last statement."""
        rows: list[Row] = []
        for words in self.words(connection.dialect):
            filled = words.filled(values)
            if connection.dialect.name == "sqlite":
                found = raw_connection(connection).execute(words.text, filled).fetchall()
            else:
                result = connection.exec_driver_sql(words.text, filled)
                found = [tuple(row) for row in result] if result.returns_rows else []
            rows = [words.row(one) for one in found]
        return rows


def sqlite_rows(connection: Connection, column: Column[Any], values: Sequence[Any]) -> list[Row]:
    """Return the rows of a table, on SQLite, whose ``column`` has one of the values."""
    dialect = connection.dialect
    (words,) = _whole(column.table).words(dialect)
    places = ", ".join("?" * len(values))
    text = f"{words.text} WHERE {dialect.identifier_preparer.quote(column.name)} IN ({places})"
    turn = column.type.dialect_impl(dialect).bind_processor(dialect)
    filled = values if turn is None else [turn(value) for value in values]
    return [words.row(one) for one in raw_connection(connection).execute(text, filled).fetchall()]


def insert_filled(table: Table, **instead: ColumnElement[Any]) -> Insert:
    """Return an insert of one row, a value ``table_column`` for each but those said ``instead``."""
    places = {
        column.name: bindparam(f"{table.name}_{column.name}", type_=column.type)
        for column in table.columns
    }
    return insert(table).values({**places, **instead})


def row_values(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row under the names ``insert_filled`` gives them."""
    return {f"{table.name}_{name}": value for name, value in row.items()}


def _words(statement: Statement, dialect: Dialect) -> PreparedWords:
    compiled: Any = statement.compile(dialect=dialect)
    places = tuple(compiled.positiontup or ())
    binds = [compiled.binds[name] for name in places]
    to_driver = [bind.type.dialect_impl(dialect).bind_processor(dialect) for bind in binds]
    columns = tuple(statement.exported_columns)
    return PreparedWords(
        text=compiled.string,
        places=places,
        own={
            name: bind.value for name, bind in zip(places, binds, strict=True) if not bind.required
        },
        turns=tuple((number, turn) for number, turn in enumerate(to_driver) if turn is not None),
        columns=tuple(column.name for column in columns),
        column_turns=tuple(
            (column.name, turn)
            for column in columns
            if (turn := _result_turn(column, dialect)) is not None
        ),
    )


def _result_turn(column: ColumnElement[Any], dialect: Dialect) -> Turn | None:
    """Return what makes a column's value of the driver's; asyncpg makes all but our own itself."""
    if dialect.name != "sqlite" and not isinstance(column.type, TypeDecorator):
        return None
    return column.type.dialect_impl(dialect).result_processor(dialect, None)


@cache
def _whole(table: Table) -> Prepared:
    return Prepared(lambda _dialect: [select(table)])
