"""The servers tests run on: real, empty for each test, stopped with their folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from hasten.errors import StoreUnavailable
from hasten.testing.postgres import _reachable
from hasten.testing.redis import run_redis
from hasten.testing.server import StoreServer

if TYPE_CHECKING:
    from hasten.testing.postgres import PostgresServer


async def say(url: str, command: bytes) -> bytes:
    """Send one line to a Redis and return the line it answers."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(command + b"\r\n")
        return (await reader.readline()).strip()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("time_round", [1, 2])
def test_redis_is_there_and_empty(time_round: int, redis_url: str) -> None:
    """Each test finds an empty server, whatever the one before left in it."""
    assert asyncio.run(say(redis_url, b"DBSIZE")) == b":0"
    assert asyncio.run(say(redis_url, b"SET k v")) == b"+OK"


def test_a_frozen_server_says_nothing(redis_url: str, redis_server: StoreServer) -> None:
    """It takes the connection and stays silent, and answers once it may."""
    with redis_server.frozen(), pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(say(redis_url, b"PING"), 0.1))
    assert asyncio.run(say(redis_url, b"PING")) == b"+PONG"


def test_leaving_stops_the_process_and_removes_its_folder() -> None:
    """Nothing is left, neither process nor file."""
    with run_redis() as server:
        assert server._process is not None
        pid, folder = server._process.pid, server._folder
        assert psutil.pid_exists(pid)
        assert folder.is_dir()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    server.stop()
    with pytest.raises(RuntimeError, match="not running"), server.frozen():
        pytest.fail("a stopped server was frozen")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Its own words are in the error."""
    command = [sys.executable, "-c", "print('no such option')"]
    with pytest.raises(StoreUnavailable, match="no such option"):
        StoreServer(command, "ready", tmp_path).start()


def test_databases_are_apart(postgres_server: PostgresServer) -> None:
    """Each URL is a database of its own."""
    one, two = postgres_server.new_database(), postgres_server.new_database()
    assert one != two
    assert one.startswith("postgresql://postgres@127.0.0.1:")


def test_programs_others_may_not_reach_are_copied(tmp_path: Path) -> None:
    """PostgreSQL installed below root's closed home still runs as nobody."""
    programs = tmp_path / "closed" / "pg" / "bin"
    programs.mkdir(parents=True)
    (programs / "postgres").write_text("a program")
    programs.parent.parent.chmod(0o700)
    copied = _reachable(programs, tmp_path)
    assert copied != programs
    assert (copied / "postgres").read_text() == "a program"
    assert _reachable(Path("/usr/bin"), tmp_path) == Path("/usr/bin")
