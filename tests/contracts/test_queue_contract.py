"""Every queue keeps the contract: on SQLite, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten.jobs.queue import JobQueue
from hasten.store.peers import Peers
from hasten.store.sql import open_sql
from hasten.testing.queue_contract import CLAUSES

if TYPE_CHECKING:
    from pathlib import Path

    from hasten.testing.queue_contract import Clause

every_clause = pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)


async def check(clause: Clause, url: str, folder: Path) -> None:
    """Run one clause on two workers' queues, each with its own way to the database."""
    stores = [await open_sql(url), await open_sql(url)]
    try:
        await clause(*(JobQueue(store, Peers(folder)) for store in stores))
    finally:
        for store in stores:
            await store.close()


@every_clause
def test_sqlite(clause: Clause, tmp_path: Path) -> None:
    """The queue on a SQLite file."""
    asyncio.run(check(clause, f"sqlite:///{tmp_path}/jobs.db", tmp_path / "peers"))


@every_clause
def test_postgres(clause: Clause, postgres_url: str, tmp_path: Path) -> None:
    """The queue on PostgreSQL."""
    asyncio.run(check(clause, postgres_url, tmp_path / "peers"))
