"""Whose rows a statement reads or writes, as far as its words say.

Owns ``Share`` and reading it off queries, statements and rows. ``tables`` tells shares to
what keeps answers (``Queries``), which drops an answer once a share of it was written.
Pure. In doubt a share is everybody's.

A query that demands ``tenant`` and ``user`` at the top of its ``WHERE`` rests on that person's
rows alone: a row that fails is in no joined row that passes, the nulls of an outer join do
not pass in its place, and order, limit, groups and windows are made of what has passed. That
is believed of plain tables and joins of them, not of nested queries, aliases and a
statement's own words; functions are taken to read no tables. An equality is believed between
a column of plain text and a ``str``: other types may find different values equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    Column,
    Delete,
    FromClause,
    Join,
    Select,
    String,
    Table,
    TableClause,
    Text,
    TextClause,
    Update,
    exc,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, ColumnClause
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, MetaData
    from sqlalchemy.types import TypeEngine

    from hasten.store.sql.words import Row

OWNER = ("tenant", "user")
"""Columns that say whose a row is; the rows of tables that have both are erased with a person."""


class Share(NamedTuple):
    """Rows of a table: one person's, one tenant's or, without either, everybody's.

    ``is_owned``: the table says whose its rows are.
    """

    table: str
    tenant: str | None = None
    user: str | None = None
    is_owned: bool = False


class Reading(NamedTuple):
    """What keeps a query's answer must know of it: its words, its values, whose rows it reads."""

    words: str
    values: tuple[Any, ...]
    shares: tuple[Share, ...]


class _Form(NamedTuple):
    """What is the same in queries that differ in their values alone.

    By table, the places among the values of the tenant and the user that are demanded.
    """

    words: str
    tables: tuple[tuple[Table, int | None, int | None], ...]


_FORMS: LRUCache[Any, _Form] = LRUCache(500)
"""One of a form that was seen before is neither put into words nor looked through anew."""


def is_owned(table: Table) -> bool:
    """Whether a table says whose its rows are."""
    return {*OWNER} <= {*table.c.keys()}


def whole(table: Table) -> Share:
    """Return all rows of a table."""
    return Share(table.name, is_owned=is_owned(table))


def reading_of(query: Select[Any], given: Mapping[str, Any], metadata: MetaData) -> Reading | None:
    """Return what an answer of ``query`` rests on, or ``None`` if that cannot be told.

    ``given`` are values of its parameters by name.
    """
    key = query._generate_cache_key()  # noqa: SLF001 - as SQLAlchemy's own caching example does
    if key is None or any(bind.callable is not None for bind in key.bindparams):
        return None
    form = _FORMS.get(key.key)
    if form is None:
        try:
            form = _FORMS[key.key] = _form_of(query, key.bindparams, metadata)
        except exc.CompileError:
            return None
    values = tuple(given.get(bind.key, bind.value) for bind in key.bindparams)
    shares = (
        _share(table, *(None if at is None else values[at] for at in places))
        for table, *places in form.tables
    )
    return Reading(form.words, values, tuple(shares))


def statement_shares(statement: Any, metadata: MetaData) -> list[Share]:
    """Return what a statement may write: a person's rows if it demands both and moves none."""
    tables, is_plain = _tables_in(statement, metadata)
    if is_plain and len(tables) == 1 and isinstance(statement, (Delete, Update)):
        (table,) = tables
        tenant, user = _demanded(statement.whereclause, table)
        moves = isinstance(statement, Update) and _may_move(statement, table)
        if tenant is not None and user is not None and not moves:
            return [_share(table, tenant.value, user.value)]
    return [whole(one) for one in tables]


def row_shares(table: Table, rows: Sequence[Row]) -> list[Share] | None:
    """Return whose the rows are; ``None`` if one does not say that, or what its key is."""
    keys = [column.name for column in table.primary_key]
    if not is_owned(table) or any(row.get(name) is None for row in rows for name in keys):
        return None
    owners = dict.fromkeys((row.get("tenant"), row.get("user")) for row in rows)
    shares = [_share(table, *owner) for owner in owners]
    return None if any(one.user is None for one in shares) else shares


def _share(table: Table, tenant: object, user: object) -> Share:
    """Return the share of one owner, as far as both are known by a ``str``."""
    if type(tenant) is not str:
        return whole(table)
    return Share(table.name, tenant, user if type(user) is str else None, is_owned=True)


def _form_of(query: Select[Any], binds: Sequence[BindParameter[Any]], metadata: MetaData) -> _Form:
    tables, is_plain = _tables_in(query, metadata)
    types = [repr(column.type) for column in query.exported_columns]
    owners = []
    for table in tables:
        tenant, user = _demanded(query.whereclause, table) if is_plain else (None, None)
        owners.append((table, _place(tenant, binds), _place(user, binds)))
    return _Form(repr((query.compile().string, types)), tuple(owners))


def _place(bind: BindParameter[Any] | None, binds: Sequence[BindParameter[Any]]) -> int | None:
    return next((at for at, one in enumerate(binds) if one is bind), None)


def _tables_in(statement: Any, metadata: MetaData) -> tuple[list[Table], bool]:
    """Return the tables a statement names, each once, and whether it is plainly made of them.

    Words of its own may name any of the application's.
    """
    parts = [part for part in iterate(statement) if part is not statement]
    found = [part for part in parts if isinstance(part, Table)]
    if isinstance(table := getattr(statement, "table", None), Table):
        found.insert(0, table)
    has_words = any(map(_is_words, (statement, *parts)))
    if has_words:
        found += metadata.sorted_tables
    return list(dict.fromkeys(found)), not has_words and not any(map(_is_nested, parts))


def _is_words(part: Any) -> bool:
    """Whether a part of a statement is words, or a name, whose meaning nobody knows."""
    if isinstance(part, ColumnClause):
        return part.is_literal and part.name != "*"
    return isinstance(part, TextClause) or type(part) is TableClause


def _is_nested(part: Any) -> bool:
    is_known = isinstance(part, (Table, Join, GenericFunction))
    return isinstance(part, (SelectBase, FromClause)) and not is_known


def _may_move(update: Update, table: Table) -> bool:
    """Whether an update may give a row to somebody else."""
    values = update._values  # noqa: SLF001 - there is no other way to see what it sets
    set_by_itself = [name for name in OWNER if table.c[name].onupdate is not None]
    names = {getattr(column, "key", column) for column in values or OWNER}
    return bool(set_by_itself) or not names.isdisjoint(OWNER)


def _demanded(
    where: ColumnElement[bool] | None, table: Table
) -> tuple[BindParameter[Any] | None, BindParameter[Any] | None]:
    """Return the tenant and the user that ``where`` demands of a table's rows."""
    found: dict[str, BindParameter[Any]] = {}
    if where is not None and is_owned(table):
        found = {column.key: bind for column, bind in _equalities(where) if column.table is table}
    return found.get("tenant"), found.get("user")


def _equalities(where: ColumnElement[Any]) -> Iterator[tuple[Column[Any], BindParameter[Any]]]:
    """Yield the equalities of plain texts that must hold for ``where`` to hold."""
    if isinstance(where, BooleanClauseList) and where.operator is operators.and_:
        for clause in where.clauses:
            yield from _equalities(clause)
    elif isinstance(where, BinaryExpression) and where.operator is operators.eq:
        for column, bind in ((where.left, where.right), (where.right, where.left)):
            if not isinstance(column, Column) or not isinstance(bind, BindParameter):
                continue
            if _is_plain_text(column.type) and _is_plain_text(bind.type):
                yield column, bind


def _is_plain_text(kind: TypeEngine[Any]) -> bool:
    """Whether values of a type are equal when, and only when, their characters are."""
    return isinstance(kind, String) and type(kind) in {String, Text} and kind.collation is None
