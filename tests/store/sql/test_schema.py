"""The tables: one schema, the same after migration on both databases, with indexes that serve."""

from __future__ import annotations

import asyncio
import runpy
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, select, text

from hasten.store.keys import KEYS, SPEND
from hasten.store.sql import SqlStore, open_sql
from hasten.store.sql.cache_table import ENTRIES, MARKS
from hasten.store.sql.migrate import HISTORY, NEW, is_current
from hasten.store.sql.run_table import EVENTS, RUNS, SPANS
from hasten.store.sql.schema import JsonText, events, metadata, runs, spans
from hasten.store.sql.sink import SqlSink, _listing
from hasten.testing.sink_contract import run_record
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.log import RunFilter
from hasten.trace.span import Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import msgspec
    from sqlalchemy import Connection

    from hasten.store.sql.words import RowForm

NEW_SCHEMA = Path(__file__).parents[3] / "scripts/new_schema.py"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStore]:
    """Open the database for a block."""
    store = await open_sql(url)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


def differences(connection: Connection) -> list[Any]:
    """Return what Alembic would still change to make the database what the metadata says."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def test_a_migrated_database_is_what_the_metadata_says(url: str) -> None:
    """Tables, columns, types, nullability and indexes."""

    async def main() -> list[Any]:
        async with opened(url) as store:
            return await store.read(differences)

    assert asyncio.run(main()) == []


def test_a_new_sqlite_database_is_a_migrated_one() -> None:
    """``new.sql`` is what the history makes; ``scripts/new_schema.py`` writes it anew."""
    made = runpy.run_path(str(NEW_SCHEMA))["new_schema"]()
    assert NEW.read_text(encoding="utf-8") == made


def test_a_current_database_needs_no_alembic(tmp_path: Path) -> None:
    """Neither a new one nor one that is opened again loads it, applications' tables apart."""
    code = "import asyncio, sys\nfrom hasten.store.sql import open_sql\n"
    code += "store = asyncio.run(open_sql(sys.argv[1]))\nassert 'alembic' not in sys.modules\n"
    code += "print(len(store.applied))"
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/runs.db"]
    told = [subprocess.check_output(command, text=True).strip() for _ in range(2)]
    assert told == [str(len(list(HISTORY.glob("r*.py")))), "0"]


@pytest.mark.parametrize(
    ("line", "is_read"),
    [
        ('revision = "x_0001"\ndown_revision = None\n', True),
        ("revision: str = 'x_0001'\ndown_revision: Union[str, None] = None\n", True),
        ('revision = "x_0000"\ndown_revision = ("x_0001",)\n', False),
        ('revision = "x_" + "0001"\ndown_revision = None\n', False),
        ('revision = "x_0001"\n', False),
    ],
)
def test_a_branch_is_read_as_it_lies_there(line: str, *, is_read: bool, tmp_path: Path) -> None:
    """What is written in another way, or is at another revision, is left to Alembic."""
    (tmp_path / "x_0001.py").write_text(line)
    ours = max(path.name[1:5] for path in HISTORY.glob("r*.py"))
    assert is_current([ours, "x_0001"], [tmp_path]) is is_read
    assert not is_current([ours], [tmp_path])


def test_a_difference_would_be_seen(url: str) -> None:
    """The comparison notices a lost index and a foreign column."""

    def spoil(connection: Connection) -> None:
        connection.execute(text("DROP INDEX runs_by_start"))
        connection.execute(text("ALTER TABLE spans ADD COLUMN colour TEXT"))

    async def main() -> list[Any]:
        async with opened(url) as store:
            await store.write(spoil)
            return await store.read(differences)

    assert sorted(change[0] for change in asyncio.run(main())) == ["add_index", "remove_column"]


def test_opening_again_keeps_what_is_there(url: str) -> None:
    """A database that is up to date is left as it is."""

    async def main() -> RunRecord:
        async with opened(url) as store:
            await SqlSink(store).save(run_record("r1"))
        async with opened(url) as store:
            return await SqlSink(store).run("r1")

    assert asyncio.run(main()) == run_record("r1")


def test_servers_that_start_at_once_upgrade_once(url: str) -> None:
    """All of them find the tables; none finds them half made."""

    async def main() -> None:
        stores = await asyncio.gather(*(open_sql(url) for _ in range(4)))
        for number, store in enumerate(stores):
            await SqlSink(store).save(run_record(f"r{number}"))
        assert len(await SqlSink(stores[0]).runs(RunFilter())) == 4
        for store in stores:
            await store.close()

    asyncio.run(main())


def test_the_history_has_one_line() -> None:
    """One head, on a branch of our own: an application's tables will be another branch."""
    script = ScriptDirectory(HISTORY, version_locations=[HISTORY])
    (head,) = script.get_heads()
    assert script.get_revision(head).branch_labels == {"hasten"}


@pytest.mark.parametrize(
    "form", [RUNS, EVENTS, SPANS, KEYS, SPEND, ENTRIES, MARKS], ids=lambda form: form.table
)
def test_a_form_is_its_table(form: RowForm) -> None:
    """What is put in words knows the columns, the key, and what is JSON or yes and no."""
    table = metadata.tables[form.table]
    assert set(form.columns) == set(table.columns.keys())
    assert form.key == tuple(table.primary_key.columns.keys())
    assert form.json == {one.name for one in table.columns if isinstance(one.type, JsonText)}
    assert form.flags == {one.name for one in table.columns if isinstance(one.type, Boolean)}


@pytest.mark.parametrize(
    ("table", "record", "besides"),
    [(runs, RunRecord, set()), (events, RunEvent, set()), (spans, Span, {"run_id"})],
    ids=["runs", "events", "spans"],
)
def test_columns_are_the_records_fields(
    table: Any, record: type[msgspec.Struct], besides: set[str]
) -> None:
    """A field that is added to a record needs its column, and is not lost in silence."""
    assert set(table.columns.keys()) == set(record.__struct_fields__) | besides


@pytest.mark.parametrize(
    ("which", "index"),
    [
        (RunFilter(), "runs_by_start"),
        (RunFilter(since_s=5.0), "runs_by_start"),
        (RunFilter(tenant="acme"), "runs_by_tenant"),
        (RunFilter(tenant="acme", user="ann"), "runs_by_user"),
        (RunFilter(tenant="acme", user="ann", before_s=9.0), "runs_by_user"),
        (RunFilter(app="okr", mode="hasten", simulated=True), "runs_by_app"),
    ],
)
def test_every_listing_has_its_index(which: RunFilter, index: str, tmp_path: Path) -> None:
    """SQLite reads the index in order: it neither scans the table nor sorts."""
    query = _listing(which, select(runs))

    def plan(connection: Connection) -> str:
        sql = query.compile(connection, compile_kwargs={"literal_binds": True})
        steps = connection.execute(text(f"EXPLAIN QUERY PLAN {sql}")).all()
        return "; ".join(step.detail for step in steps)

    async def main() -> str:
        async with opened(f"sqlite:///{tmp_path}/runs.db") as store:
            return await store.read(plan)

    found = asyncio.run(main())
    assert index in found
    assert "B-TREE" not in found
