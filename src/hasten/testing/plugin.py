"""The pytest plugin: real servers as fixtures, loaded with the package.

Owns the fixtures' life; leaves the servers to ``postgres`` and ``redis``. One
server of a kind runs per test process, from the first test that asks to the
end; each test finds its own empty database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasten.testing.postgres import PostgresServer
    from hasten.testing.redis import RedisServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a running PostgreSQL; a test that stops it must start it again."""
    from hasten.testing.postgres import run_postgres

    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Give the URL of a new, empty database."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give a running Redis; a test that stops it must start it again."""
    from hasten.testing.redis import run_redis

    with run_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Give the URL of an empty Redis."""
    redis_server.flush()
    return redis_server.url
