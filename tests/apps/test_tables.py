"""The applications' tables on both databases: as migrated, as declared, each index of use."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from hasten.app import App, find_apps
from hasten.errors import InvalidInput
from hasten.store.sql import SqlStore, open_sql
from hasten.store.sql.indexes import declared, verify
from hasten.store.sql.migrate import downgrade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection, MetaData

WITH_TABLES = {name: app for name, app in find_apps().items() if app.tables is not None}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/apps.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture(params=WITH_TABLES.values(), ids=WITH_TABLES)
def app(request: pytest.FixtureRequest) -> App:
    """Give each application that has tables."""
    found: App = request.param
    return found


@asynccontextmanager
async def opened(url: str, *apps: App) -> AsyncIterator[SqlStore]:
    """Open the database with the applications' branches for a block."""
    branches = [one.migrations for one in apps if one.migrations is not None]
    store = await open_sql(url, branches=branches)
    try:
        yield store
    finally:
        await store.close()


def differences(connection: Connection, metadata: MetaData) -> list[Any]:
    """Return what Alembic would still change in the application's own tables."""
    own = set(metadata.tables)

    def is_own(_thing: Any, name: str | None, kind: str, *_more: Any) -> bool:
        return kind != "table" or name in own

    opts = {"compare_type": True, "include_object": is_own}
    return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))


def test_a_migrated_database_is_what_the_application_declares(url: str, app: App) -> None:
    """Tables, columns, types, nullability and indexes; opening it again changes nothing."""

    async def main() -> list[Any]:
        async with opened(url, app) as store:
            assert f"{app.name}_0001" in store.applied
        async with opened(url, app) as store:
            assert store.applied == []
            return await store.read(partial(differences, metadata=app.tables))

    assert asyncio.run(main()) == []


def test_every_declared_index_serves_its_query(url: str, app: App) -> None:
    """``hasten db indexes verify`` has nothing to find, on samples alone."""

    async def main() -> list[Any]:
        async with opened(url, app) as store:
            await app.open_tables(store)
            ask = partial(verify, metadata=app.tables, queries=app.queries)
            return await store.read(ask)

    found = asyncio.run(main())
    assert [one for one in found if not one.is_served] == []
    assert app.tables is not None
    assert {one.name for one in found} == {str(one.name) for one in declared(app.tables)}


def test_all_branches_live_in_one_database(url: str) -> None:
    """Each application's tables are its own; samples are kept once, however often it is opened."""

    async def main() -> None:
        for _ in range(2):
            async with opened(url, *WITH_TABLES.values()) as store:
                for one in WITH_TABLES.values():
                    tables = await one.open_tables(store)
                    assert tables is not None
                    for table in tables.metadata.sorted_tables:
                        rows = await tables.rows(table.select())
                        keys = [tuple(row[one.name] for one in table.primary_key) for row in rows]
                        assert len(set(keys)) == len(keys)

    asyncio.run(main())


def test_a_branch_goes_down_and_up_again(url: str, app: App) -> None:
    """Its tables go and come back; those of the others and their rows stay."""
    apps = list(WITH_TABLES.values())
    branches = [one.migrations for one in apps if one.migrations is not None]
    undo = partial(downgrade, app=app.name, branches=branches)

    async def main() -> None:
        async with opened(url, *apps) as store:
            before = await store.read(tables_there)
            own = {name for name in before if name.startswith(f"{app.name}_")}
            assert await store.write(undo) == [f"{app.name}_0001"]
            assert await store.read(tables_there) == before - own
            assert await store.write(undo) == []
            with pytest.raises(InvalidInput, match="no revision 'x'"):
                await store.write(partial(undo, to="x"))
        async with opened(url, *apps) as store:
            assert store.applied == [f"{app.name}_0001"]
            assert await store.read(tables_there) == before
            assert await store.read(partial(differences, metadata=app.tables)) == []
            assert await store.write(partial(undo, to=f"{app.name}_0001")) == []

    asyncio.run(main())


def tables_there(connection: Connection) -> set[str]:
    """Return the names of the tables there are."""
    return set(inspect(connection).get_table_names())
