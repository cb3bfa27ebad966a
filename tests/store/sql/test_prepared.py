"""A prepared act is what its statements say, on both databases, filled in anew each time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import bindparam, literal_column, select, update

from hasten.errors import StoreError
from hasten.store.sql import open_sql
from hasten.store.sql.prepared import Prepared, insert_filled, row_values
from hasten.store.sql.schema import runs
from hasten.testing.sink_contract import STRANGE, run_record

if TYPE_CHECKING:
    from pathlib import Path

KEEP = Prepared(lambda _: [insert_filled(runs)])
FIND = Prepared(lambda _: [select(runs).where(runs.c.run_id == bindparam("which"))])
ADD = Prepared(
    lambda _: [
        update(runs)
        .where(runs.c.status == literal_column("'queued'"))
        .values(tool_calls=runs.c.tool_calls + bindparam("more"), inputs=bindparam("given"))
        .returning(runs.c.run_id, runs.c.inputs)
    ]
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


def test_rows_come_back_as_they_went(url: str) -> None:
    """Every type, in a transaction of its own or within another; ``returning`` gives rows."""

    async def main() -> None:
        store = await open_sql(url)
        sent = [
            msgspec.structs.asdict(run_record(run_id, status="queued", inputs={"deep": [STRANGE]}))
            for run_id in ("r1", "r2")
        ]
        assert await store.do(KEEP, row_values(runs, sent[0])) == []
        await store.write(lambda connection: KEEP.run(connection, row_values(runs, sent[1])))
        found = [(await store.do(FIND, {"which": row["run_id"]}))[0] for row in sent]
        assert found == sent
        changed = await store.do(ADD, {"more": 3, "given": {"new": None}})
        assert sorted(row["run_id"] for row in changed) == ["r1", "r2"]
        assert changed[0]["inputs"] == {"new": None}
        ((again,),) = [await store.do(FIND, {"which": "r1"})]
        assert again["tool_calls"] == sent[0]["tool_calls"] + 3
        await store.close()

    asyncio.run(main())


def test_what_is_wrong_is_said(url: str) -> None:
    """A place nothing fills is a mistake of ours; what the database refuses is a store's error."""

    async def main() -> None:
        store = await open_sql(url)
        row: dict[str, Any] = row_values(runs, msgspec.structs.asdict(run_record("r1")))
        with pytest.raises(KeyError, match="which"):
            await store.do(FIND, {})
        await store.do(KEEP, row)
        with pytest.raises(StoreError, match="refused"):
            await store.do(KEEP, row)
        assert len(await store.do(FIND, {"which": "r1"})) == 1
        await store.close()

    asyncio.run(main())
