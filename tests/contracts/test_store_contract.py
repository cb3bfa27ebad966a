"""Every store of bytes keeps the contract: memory, disk, Redis, one server or a Cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.store.disk import DiskStore
from hasten.store.memory import MemoryStore
from hasten.store.redis import RedisStore
from hasten.store.redis_client import RedisPolicy
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
