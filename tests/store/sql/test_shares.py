"""What a statement says of whose rows it reads or writes; in doubt they are everybody's."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from hasten.store.sql.shares import Share, reading_of, row_shares, statement_shares, whole

metadata = sa.MetaData()


def table(name: str, kind: Any = sa.Text) -> sa.Table:
    """Return a table whose owners are of a type."""
    owner = (sa.Column("tenant", kind), sa.Column("user", kind))
    return sa.Table(name, metadata, sa.Column("key", sa.Text, primary_key=True), *owner)


class Folded(sa.TypeDecorator[str]):
    """Text in small letters."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 - the interface's
        """Fold."""
        return value and value.casefold()


notes, marks = table("notes"), table("marks")
free = sa.Table("free", metadata, sa.Column("key", sa.Text, primary_key=True))
MINE = (notes.c.tenant == "t", notes.c.user == "u")
ANNS = Share("notes", "t", "u", is_owned=True)
SOMEBODYS = Share("notes", is_owned=True)
named = sa.bindparam("named", "u")


def read(query: sa.Select[Any]) -> list[Share]:
    """Return what a query rests on."""
    found = reading_of(query, {}, metadata)
    assert found is not None
    return list(found.shares)


@pytest.mark.parametrize(
    "query",
    [
        sa.select(notes).where(*MINE),
        sa.select(notes).where(sa.and_(notes.c.key > "k", sa.and_(*MINE))).limit(3),
        sa.select(notes).where(notes.c.tenant == "t", named == notes.c.user),
        sa.select(notes).where(*MINE, sa.or_(notes.c.key == "k", notes.c.user == "v")),
        sa.select(sa.func.count()).where(*MINE).group_by(notes.c.key).having(sa.func.count() > 1),
        sa.select(notes.c.key).where(*MINE).distinct().order_by(notes.c.key.desc()),
    ],
)
def test_a_query_that_demands_one_person(query: sa.Select[Any]) -> None:
    """Rests on their rows, whatever else it says."""
    assert read(query) == [ANNS]


@pytest.mark.parametrize(
    "query",
    [
        sa.select(notes),
        sa.select(notes).where(notes.c.user == "u"),
        sa.select(notes).where(sa.or_(*MINE)),
        sa.select(notes).where(sa.not_(sa.and_(*MINE))),
        sa.select(notes).where(notes.c.tenant != "t", notes.c.user == "u"),
        sa.select(notes).where(notes.c.tenant.in_(["t"]), notes.c.user == "u"),
        sa.select(notes).where(notes.c.tenant == notes.c.key, notes.c.user == "u"),
        sa.select(notes).where(sa.func.lower(notes.c.tenant) == "t", notes.c.user == "u"),
        sa.select(notes).where(notes.c.tenant.collate("NOCASE") == "t", notes.c.user == "u"),
        sa.select(notes).where(notes.c.tenant.op("LIKE")("t"), notes.c.user == "u"),
        sa.select(notes).having(sa.and_(*MINE)).group_by(notes.c.key),
    ],
)
def test_a_query_that_does_not(query: sa.Select[Any]) -> None:
    """Rests on everybody's."""
    assert read(query) == [SOMEBODYS]


@pytest.mark.parametrize(
    "kind", [Folded(), sa.Text(collation="NOCASE"), sa.CHAR(5), sa.Enum("t", "u"), sa.Integer()]
)
def test_only_plain_texts_are_believed(kind: Any) -> None:
    """Of other types two values may be equal that are written differently."""
    odd = table(f"odd {kind!r}", kind)
    query = sa.select(odd).where(odd.c.tenant == sa.literal("t"), odd.c.user == sa.literal("u"))
    try:
        assert read(query) == [whole(odd)]
        assert statement_shares(sa.delete(odd).where(query.whereclause), metadata) == [whole(odd)]
    finally:
        metadata.remove(odd)


def test_tables_of_a_join_have_a_share_each() -> None:
    """By what is demanded of each; nested queries, aliases and own words say nothing."""
    both, other = Share("marks", "t", "v", is_owned=True), notes.alias()
    joined = sa.select(notes, marks).where(notes.c.key == marks.c.key, *MINE)
    theirs = marks.c.tenant == "t", marks.c.user == "v"
    assert set(read(joined)) == {ANNS, whole(marks)}
    assert set(read(joined.where(*theirs))) == {ANNS, both}
    outer = sa.select(notes).outerjoin(marks, marks.c.key == notes.c.key).where(*MINE)
    assert set(read(outer)) == {ANNS, whole(marks)}
    assert set(read(sa.select(notes, free).where(*MINE))) == {ANNS, Share("free")}
    inner = sa.select(notes.c.key).where(*MINE)
    for query in (
        sa.select(notes).where(*MINE, notes.c.key.in_(inner)),
        sa.select(other).where(other.c.tenant == "t", other.c.user == "u"),
        sa.select(inner.subquery()),
        sa.select(inner.cte()),
        sa.select(notes, sa.func.json_each(notes.c.key).table_valued("value")).where(*MINE),
    ):
        assert read(query) == [SOMEBODYS]
    everything = {whole(one) for one in metadata.tables.values()}
    for query in (
        sa.select(notes).where(*MINE, sa.text("EXISTS (SELECT 1 FROM marks)")),
        sa.select(notes, sa.literal_column("(SELECT count(*) FROM marks)")).where(*MINE),
        sa.select(notes).where(*MINE, sa.exists().select_from(sa.table("marks"))),
    ):
        assert set(read(query)) == everything


def test_queries_of_a_form_have_their_own_values() -> None:
    """Also those that differ in whether a value is text at all."""
    for tenant, user in (("a", "b"), ("b", "a"), ("", "")):
        query = sa.select(notes).where(notes.c.tenant == tenant, notes.c.user == user)
        assert read(query) == [Share("notes", tenant, user, is_owned=True)]
    unbound = sa.select(notes).where(
        notes.c.tenant == sa.bindparam("t", None, sa.Text), notes.c.user == "u"
    )
    assert read(unbound) == [SOMEBODYS]


@pytest.mark.parametrize(
    ("statement", "shares"),
    [
        (sa.delete(notes).where(*MINE, notes.c.key == "k"), [ANNS]),
        (sa.update(notes).where(*MINE).values(key="k"), [ANNS]),
        (sa.update(notes).where(*MINE).values(user="u"), [SOMEBODYS]),
        (sa.update(notes).where(*MINE).values({notes.c.tenant: "x"}), [SOMEBODYS]),
        (sa.update(notes).where(*MINE).ordered_values((notes.c.user, "x")), [SOMEBODYS]),
        (sa.update(notes).where(*MINE), [SOMEBODYS]),
        (sa.update(notes).where(notes.c.key == "k").values(key="l"), [SOMEBODYS]),
        (sa.delete(notes), [SOMEBODYS]),
        (sa.insert(notes).values(key="k", tenant="t", user="u"), [SOMEBODYS]),
        (sa.delete(free), [Share("free")]),
        (
            sa.delete(notes).where(*MINE, notes.c.key.in_(sa.select(marks.c.key))),
            [SOMEBODYS, whole(marks)],
        ),
        (sa.text("DELETE FROM notes"), [whole(one) for one in metadata.sorted_tables]),
    ],
)
def test_statements_that_write(statement: Any, shares: list[Share]) -> None:
    """One person's rows if both are demanded and none can become another's."""
    assert statement_shares(statement, metadata) == shares


def test_rows_that_are_put() -> None:
    """Each says whose it is, as text, and what its key is; or nobody knows what it replaces."""
    mine = {"key": "k", "tenant": "t", "user": "u"}
    assert row_shares(notes, [mine, mine | {"key": "l"}]) == [ANNS]
    assert row_shares(notes, [mine, mine | {"user": "v"}]) == [ANNS, ANNS._replace(user="v")]
    assert row_shares(notes, []) == []
    assert row_shares(free, [{"key": "k"}]) is None
    for odd in ({"user": None}, {"user": 5}, {"tenant": b"t"}, {"key": None}):
        assert row_shares(notes, [mine, mine | odd]) is None
    assert row_shares(notes, [{"key": "k", "user": "u"}]) is None
