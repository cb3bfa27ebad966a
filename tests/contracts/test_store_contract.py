"""Every store of bytes keeps the contract: memory, disk, Redis, a table of a database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.store.disk import DiskStore
from hasten.store.memory import MemoryStore
from hasten.store.redis import RedisStore
from hasten.store.redis_client import RedisPolicy
from hasten.store.sql import TableStore, open_sql
from hasten.testing.store_contract import CLAUSES

if TYPE_CHECKING:
    from pathlib import Path

    from hasten.store.base import ByteStore
    from hasten.testing.store_contract import Clause

every_clause = pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)

PATIENT = RedisPolicy(call_s=5.0, connect_s=5.0)


async def check(clause: Clause, store: ByteStore, other: ByteStore) -> None:
    """Run one clause on two views of a store."""
    try:
        await clause(store, other)
    finally:
        await store.close()
        await other.close()


@every_clause
def test_memory(clause: Clause) -> None:
    """The store in memory, in virtual time."""

    async def main() -> None:
        store = MemoryStore()
        await check(clause, store, store)

    virtual.run(main())


@every_clause
def test_disk(clause: Clause, tmp_path: Path) -> None:
    """One SQLite file, opened twice as by two processes."""
    path = tmp_path / "cache.db"
    asyncio.run(check(clause, DiskStore(path, deadline_s=10), DiskStore(path, deadline_s=10)))


@every_clause
def test_redis(clause: Clause, redis_url: str) -> None:
    """One Redis, with two clients."""
    asyncio.run(check(clause, RedisStore(redis_url, PATIENT), RedisStore(redis_url, PATIENT)))


async def check_table(clause: Clause, url: str) -> None:
    """Run one clause on two connections to a database."""
    one, other = await open_sql(url), await open_sql(url)
    try:
        await check(clause, TableStore(one, deadline_s=10), TableStore(other, deadline_s=10))
    finally:
        await one.close()
        await other.close()


@every_clause
def test_sqlite_table(clause: Clause, tmp_path: Path) -> None:
    """A table of one SQLite file, opened twice as by two processes."""
    asyncio.run(check_table(clause, f"sqlite:///{tmp_path}/hasten.db"))


@every_clause
def test_postgres_table(clause: Clause, postgres_url: str) -> None:
    """A table of one PostgreSQL, with two pools."""
    asyncio.run(check_table(clause, postgres_url))
