"""Declared indexes: which are missing, making them, and whether a query is served by one.

Owns the question to the database's planner. An application declares indexes on
its tables (SQLAlchemy's ``Index``) and, by the index's name, the query each must
serve (``App.queries``). Leaves the words on the screen to ``cli/db``.

A planner prefers to read a small table whole, so PostgreSQL is asked with
sequential scans off: what is verified is that the index serves the query, not
that it pays at today's size.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Index, MetaData, Select

_POSTGRES_INDEX = re.compile(r"(?:Index (?:Only )?Scan(?: Backward)? using|Index Scan on) (\w+)")
_SQLITE_INDEX = re.compile(r"USING (?:COVERING )?INDEX (\w+)")


class IndexCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One declared index: whether it is there, and which indexes serve its query.

    ``plan`` is the database's own, in its words; empty without a declared query.
    """

    name: str
    table: str
    columns: list[str]
    is_there: bool
    has_query: bool
    used: list[str]
    plan: str

    @property
    def is_served(self) -> bool:
        """Whether its query is answered with it."""
        return self.is_there and self.name in self.used


def declared(metadata: MetaData) -> list[Index]:
    """Return every declared index, by name."""
    found = [index for table in metadata.sorted_tables for index in table.indexes]
    return sorted(found, key=lambda index: str(index.name))


def missing(connection: Connection, metadata: MetaData) -> list[Index]:
    """Return the declared indexes that the database lacks; a table that is not there lacks all."""
    seen = inspect(connection)
    there = {
        (table.name, str(one["name"]))
        for table in metadata.sorted_tables
        if seen.has_table(table.name)
        for one in seen.get_indexes(table.name)
    }
    return [one for one in declared(metadata) if (_table(one), str(one.name)) not in there]


def create(connection: Connection, indexes: Sequence[Index]) -> list[str]:
    """Make these indexes and return their names; one that is there meanwhile is left."""
    for index in indexes:
        index.create(connection, checkfirst=True)
    return [str(index.name) for index in indexes]


def verify(
    connection: Connection, metadata: MetaData, queries: Mapping[str, Select[Any]]
) -> list[IndexCheck]:
    """Ask the planner about the query of each declared index."""
    lacking = {str(one.name) for one in missing(connection, metadata)}
    found = []
    for index in declared(metadata):
        name = str(index.name)
        plan, used = explain(connection, queries[name]) if name in queries else ("", [])
        found.append(
            IndexCheck(
                name=name,
                table=_table(index),
                columns=[_unqualified(one) for one in index.expressions],
                is_there=name not in lacking,
                has_query=name in queries,
                used=used,
                plan=plan,
            )
        )
    return found


def explain(connection: Connection, query: Select[Any]) -> tuple[str, list[str]]:
    """Return the database's plan for ``query`` and the indexes in it."""
    words = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}").all()
        plan = "\n".join(str(row[-1]) for row in rows)
        return plan, _SQLITE_INDEX.findall(plan)
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    lines = connection.exec_driver_sql(f"EXPLAIN {words}").scalars().all()
    plan = "\n".join(map(str, lines))
    return plan, _POSTGRES_INDEX.findall(plan)


def source(name: str, revision: str, down: str, indexes: Sequence[Index]) -> str:
    """Return an Alembic migration of ``name``'s branch that makes these indexes."""
    lines = [f'"""Indexes: {", ".join(str(one.name) for one in indexes)}."""', ""]
    lines += ["from __future__ import annotations", "", "import sqlalchemy as sa"]
    lines += ["from alembic import op", ""]
    lines += [f'revision = "{revision}"', f'down_revision = "{down}"']
    lines += ["branch_labels = None", "depends_on = None", "", ""]
    lines += ["def upgrade() -> None:", f'    """Make what {name} declares."""']
    lines += [f"    {_operation(one)}" for one in indexes]
    lines += ["", "", "def downgrade() -> None:", '    """Drop them."""']
    lines += [f'    op.drop_index("{one.name}", "{_table(one)}")' for one in indexes]
    if not any("sa.text" in line for line in lines):
        lines.remove("import sqlalchemy as sa")
    return "\n".join(lines) + "\n"


def _operation(index: Index) -> str:
    columns = ", ".join(_column(one) for one in index.expressions)
    unique = ", unique=True" if index.unique else ""
    return f'op.create_index("{index.name}", "{_table(index)}", [{columns}]{unique})'


def _column(expression: Any) -> str:
    name = getattr(expression, "name", None)
    return f'"{name}"' if name else f'sa.text("{_unqualified(expression)}")'


def _unqualified(expression: Any) -> str:
    return re.sub(r"\b\w+\.", "", str(expression))


def _table(index: Index) -> str:
    return "" if index.table is None else str(index.table.name)
