"""Several workers of one server: a run is followed and cancelled from any of them."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest

import hasten
from hasten.cli.serve import shared_through
from hasten.errors import SettingsError
from hasten.settings import Settings
from tests.cli.processes import running
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

INPUTS = {"app": "discovery", "speed": 20}
READERS = 12


def on_workers(home: Path, test: Callable[[str, psutil.Process], Awaitable[Any]]) -> Any:
    """Run a test against two workers; gives it their URL and the process they come from."""
    with running(home, "serve", "--port", "0", "--workers", "2", lines=3) as server:
        assert "2 workers, which share runs through this machine's SQLite" in server.ready
        url = re.search(r"http://\S+", server.ready)
        assert url is not None
        return asyncio.run(asyncio.wait_for(test(url[0], psutil.Process(server.popen.pid)), 60))


async def sample(url: str) -> dict[str, Any]:
    """Return what to run: an application's first sample."""
    async with aiohttp.ClientSession(url) as session, session.get("/api/apps") as response:
        apps = {app["name"]: app for app in await response.json()}
    return {**INPUTS, "inputs": next(iter(apps["discovery"]["samples"].values()))}


async def read(url: str, run_id: str) -> bytes:
    """Read a run's whole stream over a connection of its own, to whichever worker takes it."""
    async with (
        aiohttp.ClientSession(url) as session,
        session.get(f"/api/runs/{run_id}/events") as response,
    ):
        assert response.status == 200
        return b"".join([line async for line in response.content if not line.startswith(b":")])


def test_a_run_is_followed_from_any_worker(tmp_path: Path) -> None:
    """Readers of all workers have the same bytes, live, of a run that one of them executes."""

    async def test(url: str, _: psutil.Process) -> None:
        body = await sample(url)
        async with (
            aiohttp.ClientSession(url) as session,
            session.post("/api/run/stream", json=body) as first,
        ):
            run_id = first.headers["Hasten-Run-Id"]
            readers = [asyncio.create_task(read(url, run_id)) for _ in range(READERS)]
            whole = await first.read()
        assert len({whole, *await asyncio.gather(*readers)}) == 1
        assert b'"complete":true' in whole

    on_workers(tmp_path, test)


def test_a_run_is_cancelled_from_any_worker(tmp_path: Path) -> None:
    """Whichever worker is asked, the run ends, and the answer says so."""

    async def test(url: str, _: psutil.Process) -> None:
        body = {**await sample(url), "speed": 1}
        for _ in range(6):
            async with (
                aiohttp.ClientSession(url) as session,
                session.post("/api/run/stream", json=body) as first,
            ):
                async with hasten.Client(url) as client:
                    line = await client.cancel(first.headers["Hasten-Run-Id"])
                assert line["status"] == "cancelled"
                await first.read()

    on_workers(tmp_path, test)


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """Who read through it reads on through another; a run it executed has failed, and says so."""

    async def test(url: str, parent: psutil.Process) -> None:
        body = await sample(url)
        async with hasten.Client(url) as client:
            stream = client.stream("discovery", body["inputs"], speed=2)
            told = [await anext(stream) for _ in range(4)]
            run_id = told[0].data["run_id"]
            followed: list[list[hasten.client.RunMessage]] = [[] for _ in range(READERS)]
            reading = asyncio.gather(*(read_on(url, run_id, into) for into in followed))
            await until(lambda: all(followed))
            killed = parent.children()[0]
            killed.send_signal(signal.SIGKILL)
            told += [message async for message in stream]
            await reading
        assert all(one == told for one in followed)
        ends = [message.data["status"] for message in told if message.event == "end"]
        assert ends in (["complete"], ["failed"])
        await until(lambda: len(parent.children()) == 2)
        assert killed not in parent.children()

    on_workers(tmp_path, test)


async def read_on(url: str, run_id: str, into: list[hasten.client.RunMessage]) -> None:
    """Follow a run through whatever happens."""
    async with hasten.Client(url) as client:
        async for message in client.follow(run_id):
            into.append(message)  # noqa: PERF401 - it is looked at meanwhile


def test_what_workers_share() -> None:
    """Redis where there is one, else the database; one in memory is nobody else's."""
    assert shared_through(Settings(workers=4, redis_url="redis://r")) == "Redis"
    assert shared_through(Settings(database_url="postgresql://u@db/x")) == "PostgreSQL"
    with pytest.raises(SettingsError, match="2 workers cannot share"):
        shared_through(Settings(workers=2, database_url="sqlite://"))
