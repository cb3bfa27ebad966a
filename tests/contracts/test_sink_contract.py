"""Every sink keeps the contract: in memory, on SQLite, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.store.sql import SqlSink, open_sql
from hasten.testing.sink_contract import CLAUSES
from hasten.trace.log import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

    from hasten.testing.sink_contract import Clause

every_clause = pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)


async def check(clause: Clause, url: str) -> None:
    """Run one clause on a sink in the database at ``url``."""
    store = await open_sql(url)
    try:
        await clause(SqlSink(store))
    finally:
        await store.close()


@every_clause
def test_memory(clause: Clause) -> None:
    """The sink in memory, in virtual time."""
    virtual.run(clause(MemorySink()))


@every_clause
def test_sqlite(clause: Clause, tmp_path: Path) -> None:
    """The sink on a SQLite file."""
    asyncio.run(check(clause, f"sqlite:///{tmp_path}/runs.db"))


@every_clause
def test_sqlite_in_memory(clause: Clause) -> None:
    """The sink on SQLite without a file."""
    asyncio.run(check(clause, "sqlite://"))


@every_clause
def test_postgres(clause: Clause, postgres_url: str) -> None:
    """The sink on PostgreSQL."""
    asyncio.run(check(clause, postgres_url))
