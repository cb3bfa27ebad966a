"""Rows by a column's values, as a query finds them; rows put, and whether one changed hands."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import math
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from hasten.store.sql import open_sql
from hasten.store.sql.batch import BATCH_ROWS, fetch, fetch_where, upsert, upsert_own

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

metadata = sa.MetaData()
things = sa.Table(
    "things of many types",
    metadata,
    sa.Column("order", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("is_new", sa.Boolean),
    sa.Column("told", sa.JSON),
    sa.Column("at", sa.DateTime),
    sa.Column("day", sa.Date),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("share", sa.Double),
    sa.Column("which", sa.Uuid),
)
owned = sa.Table(
    "owned",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.Text),
    sa.Column("user", sa.Text),
)
SOME: dict[str, Any] = {
    "name": "naïve 'name'\nof two lines",
    "is_new": True,
    "told": {"deep": [1, 2.5, None, "ü", 10**30, {"a": []}]},
    "at": dt.datetime(2026, 11, 21, 18, 30, 0, 123456),  # noqa: DTZ001 - the column has no zone
    "day": dt.date(2026, 2, 28),
    "raw": b"\x00\xff",
    "price": decimal.Decimal("12.30"),
    "share": math.pi,
    "which": uuid.UUID(int=7),
}
NONE = dict.fromkeys(SOME)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rows.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


def test_rows_found_by_key_are_those_a_query_finds(url: str) -> None:
    """Of every type, ``None`` among them, by odd names, and none for a key that is not there."""
    rows = [{"order": 1} | SOME, {"order": 2} | NONE]

    def work(connection: Connection) -> tuple[list[Any], list[Any], list[Any]]:
        metadata.create_all(connection)
        upsert(connection, things, rows)
        found = fetch(connection, sa.select(things).order_by(things.c.order))
        by_key = fetch_where(connection, things.c.order, [1, 2, 3])
        by_type = fetch_where(connection, things.c.which, [SOME["which"]])
        metadata.drop_all(connection)
        return found, by_key, by_type

    async def main() -> None:
        store = await open_sql(url)
        found, by_key, by_type = await store.write(work)
        assert found == rows
        assert sorted(by_key, key=lambda row: row["order"]) == rows
        assert by_type == rows[:1]
        await store.close()

    asyncio.run(main())


def test_more_keys_than_a_statement_takes(url: str) -> None:
    """They go in several; no keys are no rows."""
    count = 2 * BATCH_ROWS + 1

    def work(connection: Connection) -> list[int]:
        metadata.create_all(connection)
        upsert(connection, things, [{"order": at} | NONE for at in range(count)])
        assert fetch_where(connection, things.c.order, []) == []
        found = fetch_where(connection, things.c.order, range(count + 10))
        metadata.drop_all(connection)
        return sorted(row["order"] for row in found)

    async def main() -> list[int]:
        store = await open_sql(url)
        found = await store.write(work)
        await store.close()
        return found

    assert asyncio.run(main()) == list(range(count))


def test_rows_that_change_hands_are_noticed(url: str) -> None:
    """All are written in any case; of a key that comes twice the last."""

    def put(connection: Connection, rows: list[tuple[int, str | None]]) -> bool:
        made = [{"key": key, "tenant": "t", "user": user} for key, user in rows]
        return upsert_own(connection, owned, made)

    def work(connection: Connection) -> list[bool]:
        metadata.create_all(connection)
        kept = [
            put(connection, [(1, "ann"), (2, "bob")]),
            put(connection, [(1, "ann"), (3, "ann"), (3, "cem")]),
            put(connection, []),
            put(connection, [(1, "ann"), (2, "ann")]),
            put(connection, [(3, None)]),
        ]
        found = fetch(connection, sa.select(owned.c.key, owned.c.user).order_by(owned.c.key))
        metadata.drop_all(connection)
        assert [(row["key"], row["user"]) for row in found] == [(1, "ann"), (2, "ann"), (3, None)]
        return kept

    async def main() -> list[bool]:
        store = await open_sql(url)
        found = await store.write(work)
        await store.close()
        return found

    assert asyncio.run(main()) == [True, True, True, False, False]
