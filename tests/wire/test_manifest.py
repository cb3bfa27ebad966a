"""What a manifest can have besides graphs: tables, an operation, lines in the log, a seed."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from hasten.cache.cached import use_cache
from hasten.caller import Caller
from hasten.errors import InvalidInput, NotFound, SettingsError
from hasten.settings import Settings
from hasten.store.sql import MemoryTables, SqlStore, Tables
from hasten.trace.log import MemorySink, RunFilter
from hasten.wire import Runtime
from hasten.wire_runs import run_virtually
from tests.notebook import HERE, metadata, notebook_app, notes
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from hasten.app import App
    from hasten.testing.postgres import PostgresServer

TEA = {"note_id": "tea", "said": "Buy tea."}


def on_runtime(
    test: Callable[[Runtime], Awaitable[Any]], home: Path, url: str = "", app: App | None = None
) -> Any:
    """Run a test's coroutine on a runtime with the notebook."""
    settings = Settings(home=home, speed=500.0, database_url=url)

    async def main() -> Any:
        runtime = await Runtime.open(settings, {"notebook": app or notebook_app()})
        try:
            return await asyncio.wait_for(test(runtime), 30)
        finally:
            await runtime.close()

    return asyncio.run(main())


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return ""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


async def keep(runtime: Runtime) -> Any:
    """Run the notebook, then count what it has."""
    run = await runtime.start("notebook", TEA)
    (await run.outcome()).value()
    counted = await runtime.start("notebook.count", {})
    return (await counted.outcome()).value()["count"]


def test_a_graph_writes_its_tables(tmp_path: Path, url: str) -> None:
    """The branch is applied, the seed is there, and what a run wrote stays over a restart."""
    assert on_runtime(keep, tmp_path, url) == 2
    assert on_runtime(keep, tmp_path, url) == 2


def test_virtual_time_has_tables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory, without a thread; each call takes the time that the manifest says."""
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread"))
    found = run_virtually(notebook_app(), TEA, None, sink=MemorySink())
    assert found.status == "complete"
    (storage,) = [span for span in found.spans if span.kind == "storage"]
    assert storage.name == "put_many notebook_notes"
    assert storage.duration_s == pytest.approx(0.05)
    counted = run_virtually(notebook_app().operation("count"), {}, None, sink=MemorySink())
    assert counted.outputs["count"] == 1


def test_an_operation_is_an_application_in_all_but_tables(tmp_path: Path) -> None:
    """Its runs have its name; the tables are the family's."""

    async def main(runtime: Runtime) -> list[str]:
        await keep(runtime)
        return [run.app for run in await runtime.runs(RunFilter())]

    assert sorted(on_runtime(main, tmp_path)) == ["notebook", "notebook.count"]
    with pytest.raises(NotFound, match="no operation 'sum'; there are: count"):
        notebook_app().operation("sum")


def test_the_log_has_its_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What ``log`` returns for an event is written, once."""
    caplog.set_level(logging.INFO, "hasten.timing")
    on_runtime(keep, tmp_path)
    said = [one for one in caplog.messages if one.startswith("[EVENT] Note kept in run ")]
    assert len(said) == 1


def test_a_person_is_erased_from_tables_too(tmp_path: Path) -> None:
    """Rows that say whose they are go with the person."""

    async def main(runtime: Runtime) -> Any:
        await keep(runtime)
        done = await runtime.erase("local", "local")
        tables = runtime.tables["notebook"]
        assert tables is not None
        return done["rows"], [row["note_id"] for row in await tables.rows(sa.select(notes))]

    assert on_runtime(main, tmp_path) == (1, ["first"])


def test_what_is_kept_of_a_person_goes_with_them(tmp_path: Path) -> None:
    """Answers of queries, whoever erases: this process, or another one as ``hasten erase`` is."""
    app = notebook_app(kept_tables=(notes,))
    row = {"tenant": "t", "user": "annabelle", "said": "x", "at_s": 0.0}
    theirs = sa.select(notes).where(notes.c.tenant == "t", notes.c.user == "annabelle")
    everybodys = sa.select(notes).where(notes.c.note_id == "a")

    async def asked(runtime: Runtime) -> list[int]:
        tables = runtime.tables["notebook"]
        assert tables is not None
        with use_cache(runtime.cache):
            found = [await tables.query(one, ttl_s=1e6) for one in (theirs, everybodys)]
        return [len(one) for one in found]

    async def main(runtime: Runtime) -> list[list[int]]:
        tables = runtime.tables["notebook"]
        assert tables is not None
        seen = []
        for who in ("here", "there"):
            await tables.put_many(notes, [row | {"note_id": "a"}])
            seen.append(await asked(runtime))
            # Around the tables, so that nothing but the erasure drops what is kept.
            await runtime.sql.write(lambda connection: connection.execute(sa.delete(notes)))
            assert await asked(runtime) == seen[-1]
            other = runtime if who == "here" else await Runtime.open(runtime.settings, {"n": app})
            done = await other.erase("t", "annabelle")
            assert done["entries"] >= (who == "here")
            if other is not runtime:
                await other.close()
            await asyncio.sleep(1.1)  # another process hears of it within a second
            seen.append(await asked(runtime))
        return seen

    assert on_runtime(main, tmp_path, app=app) == [[1, 1], [0, 0]] * 2


def test_a_database_with_a_branch_nobody_brings_still_opens(tmp_path: Path) -> None:
    """An application that was uninstalled leaves its tables, and the server starts."""
    on_runtime(keep, tmp_path)

    async def main() -> list[str]:
        runtime = await Runtime.open(Settings(home=tmp_path), {"toy": toy_app()})
        store: SqlStore = runtime.sql
        names = await store.read(lambda connection: sa.inspect(connection).get_table_names())
        await runtime.close()
        return names

    assert "notebook_notes" in asyncio.run(main())
    assert on_runtime(keep, tmp_path) == 2


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_rows_come_back_in_the_order_of_their_keys(tmp_path: Path, kind: str) -> None:
    """Batches of more than a statement holds; a key without a row gives ``None``."""
    rows = [
        {"note_id": f"n{n}", "tenant": "t", "user": "u", "said": str(n), "at_s": 0.0}
        for n in range(1_203)
    ]
    keys = [row["note_id"] for row in reversed(rows)] + ["none"]

    async def check(tables: Tables) -> None:
        await tables.put_many(notes, rows)
        await tables.put_many(notes, rows[:1])
        found = await tables.get_many(notes, keys)
        assert [row and row["said"] for row in found] == [*map(str, reversed(range(1_203))), None]
        changed = await tables.execute(
            sa.update(notes).where(notes.c.note_id == "n1").values(said="x"),
            sa.delete(notes).where(notes.c.note_id == "n2"),
        )
        assert changed == 2
        assert await tables.row(sa.select(notes).where(notes.c.note_id == "n2")) is None

    if kind == "memory":
        asyncio.run(check(MemoryTables(metadata, 0.0)))
    else:
        on_runtime(lambda runtime: check(runtime.tables["notebook"]), tmp_path)  # type: ignore[arg-type]


def test_a_key_of_two_columns_is_refused() -> None:
    """``get_many`` says what it takes."""
    pair = sa.Table(
        "notebook_pairs",
        sa.MetaData(),
        sa.Column("a", sa.Text, primary_key=True),
        sa.Column("b", sa.Text, primary_key=True),
    )
    with pytest.raises(InvalidInput, match="'notebook_pairs' is not"):
        asyncio.run(MemoryTables(metadata, 0.0).get_many(pair, ["x"]))


def test_a_manifest_with_foreign_tables_or_no_history_is_refused() -> None:
    """A table of another name could be somebody else's."""
    with pytest.raises(SettingsError, match="do not begin with 'diary_'"):
        notebook_app(name="diary")
    with pytest.raises(SettingsError, match="needs migrations"):
        notebook_app(migrations=None)
    with pytest.raises(SettingsError, match=r"not its own: \['x'\]"):
        notebook_app(kept_tables=(sa.Table("x", sa.MetaData()),))
    assert (HERE / "migrations").is_dir()


def test_callers_do_not_matter_to_erasing_others(tmp_path: Path) -> None:
    """Another's rows stay."""

    async def main(runtime: Runtime) -> int:
        await keep(runtime)
        other = Caller("acme", "ann")
        return (await runtime.erase(other.tenant, other.user))["rows"]

    assert on_runtime(main, tmp_path) == 0


def test_a_write_of_another_applications_table_is_refused() -> None:
    """A name that is misspelt would drop nothing."""
    with pytest.raises(InvalidInput, match=r"\['notes'\]"):
        asyncio.run(MemoryTables(metadata, 0.0).write(lambda _: None, tables=["notes"]))
