"""Declared indexes on both databases: missing, made, serving their query or not."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from hasten.store.sql import SqlStore, open_sql
from hasten.store.sql.indexes import create, explain, missing, source, verify
from tests.notebook import HERE, metadata, notebook_app, notes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

QUERIES = notebook_app().queries
NAME = "notebook_notes_by_user"


@pytest.fixture(params=["sqlite", "postgres"])
def on_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine on a database with the notebook's table."""
    url = (
        f"sqlite:///{tmp_path}/notes.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )

    def run(test: Callable[[SqlStore], Awaitable[None]]) -> None:
        async def main() -> None:
            store = await open_sql(url, branches=[HERE / "migrations"])
            try:
                await test(store)
            finally:
                await store.close()

        asyncio.run(main())

    return run


def test_a_missing_index_is_made_and_serves_its_query(on_store: Callable[..., Any]) -> None:
    """Once; making it again does nothing."""

    async def main(store: SqlStore) -> None:
        assert "notebook_0001" in store.applied
        lacking = await store.read(partial(missing, metadata=metadata))
        assert [one.name for one in lacking] == [NAME]
        ask = partial(verify, metadata=metadata, queries=QUERIES)
        (before,) = await store.read(ask)
        assert (before.is_there, before.is_served, before.columns[0]) == (
            False,
            False,
            "user",
        )
        for _ in range(2):
            assert await store.write(partial(create, indexes=lacking)) == [NAME]
        (after,) = await store.read(ask)
        assert (after.is_served, after.used) == (True, [NAME])
        assert await store.read(partial(missing, metadata=metadata)) == []

    on_store(main)


def test_an_index_that_serves_another_query_is_found_out(on_store: Callable[..., Any]) -> None:
    """So is one for which no query is declared."""

    async def main(store: SqlStore) -> None:
        lacking = await store.read(partial(missing, metadata=metadata))
        await store.write(partial(create, indexes=lacking))
        wrong = {NAME: sa.select(notes).where(notes.c.said == "x")}
        (found,) = await store.read(partial(verify, metadata=metadata, queries=wrong))
        assert (found.is_there, found.has_query, found.is_served) == (True, True, False)
        (found,) = await store.read(partial(verify, metadata=metadata, queries={}))
        assert (found.has_query, found.is_served, found.plan) == (False, False, "")
        by_key = sa.select(notes).where(notes.c.note_id == "it's")
        plan, _ = await store.read(partial(explain, query=by_key))
        assert "notebook_notes" in plan

    on_store(main)


def test_a_migration_is_written_as_code() -> None:
    """It parses, continues the branch, and names what the index has, expressions too."""
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Text), sa.Column("b", sa.Double))
    plain = sa.Index("by_a", table.c.a, unique=True)
    newest = sa.Index("by_b", table.c.a, table.c.b.desc())
    text = source("notebook", "notebook_0002", "notebook_0001", [plain, newest])
    compile(text, "r0002", "exec")
    assert 'op.create_index("by_a", "t", ["a"], unique=True)' in text
    assert 'op.create_index("by_b", "t", ["a", sa.text("b DESC")])' in text
    assert 'down_revision = "notebook_0001"' in text
    assert "import sqlalchemy" not in source("n", "n_2", "n_1", [plain])
