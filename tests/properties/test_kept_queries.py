"""A kept answer is what the database would say: random queries, random writes, at once.

Each seed is a day of several writers and readers on two tables. Whenever all have come to
rest, every query that was asked gives what is there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.cached import use_cache
from hasten.cache.query import QueryCache
from hasten.clock import current_clock
from hasten.store.sql import MemoryTables, shares, tables
from hasten.virtual import VirtualLoop

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

metadata = sa.MetaData()


def table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """Return a table that says whose its rows are."""
    owner = (sa.Column("tenant", sa.Text), sa.Column("user", sa.Text))
    return sa.Table(name, metadata, *columns, *owner)


notes = table(
    "notes", sa.Column("note_id", sa.Integer, primary_key=True), sa.Column("said", sa.Text)
)
marks = table(
    "marks", sa.Column("mark_id", sa.Integer, primary_key=True), sa.Column("note_id", sa.Integer)
)
ONE_KEY = {notes: "note_id", marks: "mark_id"}
TENANTS, USERS, IDS = ("acme", "beta"), ("ann", "bob"), range(6)
SEEDS, ROUNDS = 12, 8


def of(table: sa.Table, owner: tuple[str, str]) -> sa.ColumnElement[bool]:
    """Return the condition that rows of a table are one person's."""
    return sa.and_(table.c.tenant == owner[0], owner[1] == table.c.user)


def queries(owner: tuple[str, str]) -> list[sa.Select[Any]]:
    """Return what may be asked for a person: what is theirs alone, and what only looks like it."""
    mine, joined = of(notes, owner), notes.c.note_id == marks.c.note_id
    theirs = notes.alias()
    latest = sa.select(sa.func.max(notes.c.note_id)).scalar_subquery()
    return [
        sa.select(notes).where(mine).order_by(notes.c.note_id),
        sa.select(notes).where(mine).order_by(notes.c.note_id.desc()).limit(1),
        sa.select(notes).where(notes.c.tenant == owner[0]).order_by(notes.c.note_id),
        sa.select(sa.func.count()).select_from(notes).where(mine),
        sa.select(sa.func.count()).select_from(notes),
        sa.select(notes).where(sa.or_(mine, notes.c.said == "s1")).order_by(notes.c.note_id),
        sa.select(notes).where(sa.not_(mine)).order_by(notes.c.note_id),
        sa.select(notes).where(mine, notes.c.note_id == latest),
        sa.select(notes.c.said, marks.c.mark_id)
        .where(mine, of(marks, owner), joined)
        .order_by(marks.c.mark_id),
        sa.select(notes.c.said, marks.c.mark_id)
        .select_from(notes.outerjoin(marks, joined))
        .where(mine)
        .order_by(notes.c.note_id, marks.c.mark_id),
        sa.select(notes.c.note_id)
        .select_from(notes.outerjoin(marks, sa.and_(joined, of(marks, owner))))
        .where(of(marks, owner))
        .order_by(notes.c.note_id),
        sa.select(notes)
        .where(mine, sa.exists().where(theirs.c.user != notes.c.user))
        .order_by(notes.c.note_id),
        sa.select(notes)
        .where(mine, sa.text("note_id IN (SELECT note_id FROM marks)"))
        .order_by(notes.c.note_id),
    ]


class Day:
    """Two tables, one cache, and what happens to them; ``wrong`` are answers that were stale."""

    def __init__(self, cache: Cache, chance: random.Random) -> None:
        self.tables = MemoryTables(metadata, 0.05)
        self.tables.queries = QueryCache(cache, [one.name for one in metadata.sorted_tables])
        self.chance = chance
        self.asked: dict[str, sa.Select[Any]] = {}
        self.wrong = 0

    def owner(self) -> tuple[str, str]:
        """Draw a person."""
        return self.chance.choice(TENANTS), self.chance.choice(USERS)

    async def read(self) -> None:
        """Ask something."""
        query = self.chance.choice(queries(self.owner()))
        words = str(query.compile(compile_kwargs={"literal_binds": True}))
        self.asked[words] = query
        await self.tables.query(query, ttl_s=1e6)

    async def write(self) -> None:
        """Put, change, give away or delete rows, somebody's or by their id."""
        table = self.chance.choice((notes, marks))
        (tenant, user), other = self.owner(), self.owner()
        said = f"s{self.chance.randrange(3)}"
        rest = "said" if table is notes else "note_id"
        new = {rest: said if table is notes else self.chance.choice(IDS)}
        rows = [
            {ONE_KEY[table]: key, "tenant": tenant, "user": user} | new
            for key in self.chance.choices(IDS, k=self.chance.randrange(1, 3))
        ]
        mine, by_id = of(table, (tenant, user)), table.c[ONE_KEY[table]] == rows[0][ONE_KEY[table]]
        statements = [
            sa.update(table).where(mine).values(new),
            sa.update(table).where(by_id).values(new),
            sa.update(table).where(mine).values(user=other[1]),
            sa.update(table).where(mine).values({table.c.tenant: other[0]}),
            sa.delete(table).where(mine, by_id),
            sa.delete(table).where(by_id),
            sa.delete(table).where(sa.or_(mine, by_id)),
        ]
        if self.chance.random() < 0.6:
            await self.tables.put_many(table, rows)
        else:
            await self.tables.execute(self.chance.choice(statements))

    async def live(self) -> None:
        """Let some read and some write at once, then look, again and again."""
        for _ in range(ROUNDS):
            await asyncio.gather(*(self.after(self.read) for _ in range(6)))
            await asyncio.gather(*(self.after(self.read) for _ in range(4)), self.after(self.write))
            for query in self.asked.values():
                kept = await self.tables.query(query, ttl_s=1e6)
                self.wrong += kept != await self.tables.rows(query)

    async def after(self, work: Callable[[], Any]) -> None:
        """Work after a moment."""
        await current_clock().sleep(self.chance.uniform(0, 0.1))
        await work()


def lived(seed: int) -> tuple[int, int]:
    """Return how many answers were stale in a day, and how many were kept."""

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        async with Cache() as cache:
            with use_cache(cache):
                day = Day(cache, loop.random)
                await day.live()
            (row,) = [one for one in cache.stats.rows() if one.tier == "memory"]
            return day.wrong, row.hits

    return virtual.run(main(), seed=seed)


def test_kept_answers_are_what_the_database_says() -> None:
    """Whoever writes what; and some are kept."""
    days = [lived(seed) for seed in range(SEEDS)]
    assert [wrong for wrong, _ in days] == [0] * SEEDS
    assert all(hits for _, hits in days)


@pytest.mark.parametrize(
    ("room", "name", "instead"),
    [
        (shares, "_may_move", lambda *_: False),
        (shares, "_is_nested", lambda *_: False),
        (shares, "_is_words", lambda *_: False),
        (tables, "upsert_own", lambda *given, **named: tables.upsert(*given, **named) or True),
        (tables, "statement_shares", lambda *_: []),
        (tables, "row_shares", lambda *_: []),
    ],
    ids=["updates that move", "nested", "words", "rows that move", "statements", "rows"],
)
def test_without_a_guard_they_are_not(
    monkeypatch: pytest.MonkeyPatch, room: Any, name: str, instead: Callable[..., Any]
) -> None:
    """Each of what makes an answer fall is needed."""
    monkeypatch.setattr(room, name, instead)
    shares._FORMS.clear()
    try:
        assert any(lived(seed)[0] for seed in range(SEEDS))
    finally:
        shares._FORMS.clear()
