"""The hunt for a lost or doubled message: streams cut anywhere, a worker killed under them."""

from __future__ import annotations

import asyncio
import random
import re
import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest

from hasten.model.sse import EventReader, SentEvent
from tests.cli.processes import running
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

CUTS = 3
"""Each stream is cut so often before a worker is killed, and up to twice more afterwards."""

MOST_CUTS = 5
CUT_BYTES = 3_000
RUNS = 8
WITHIN_S = 200.0


class Hunted:
    """One stream read through cuts: what came, and how often it was cut."""

    def __init__(self, run_id: str, seed: int) -> None:
        self.run_id = run_id
        self.came: list[SentEvent] = []
        self.cuts = 0
        self._dice = random.Random(seed)

    @property
    def is_whole(self) -> bool:
        """Whether its end has come."""
        return bool(self.came) and '"complete":true' in self.came[-1].data

    async def read(self, session: aiohttp.ClientSession) -> None:
        """Read to the end; each of the first connections is cut after a random count of bytes."""
        while not self.is_whole:
            limit = self._dice.randint(1, CUT_BYTES) if self.cuts < MOST_CUTS else None
            after = self.came[-1].id if self.came else ""
            try:
                await self._read_once(session, after, limit)
            except (aiohttp.ClientError, TimeoutError):
                continue  # the worker was killed, and another takes the connection

    async def _read_once(
        self, session: aiohttp.ClientSession, after: str, limit: int | None
    ) -> None:
        headers = {"Last-Event-ID": after} if after else {}
        path = f"/api/runs/{self.run_id}/events"
        reader, left = EventReader(), limit
        async with session.get(path, headers=headers) as response:
            assert response.status == 200, await response.text()
            async for received in response.content.iter_any():
                part = received if left is None else received[:left]
                self.came += reader.events(part)
                if left is not None:
                    left -= len(part)
                    if left <= 0:
                        self.cuts += 1
                        response.close()
                        return


async def hunt(url: str, parent: psutil.Process, streams: int, seed: int) -> list[Hunted]:
    """Start runs, read them through many cut streams, and kill a worker meanwhile."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    within = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, connector=connector, timeout=within) as session:
        async with session.get("/api/apps") as response:
            apps = {app["name"]: app for app in await response.json()}
        inputs = next(iter(apps["discovery"]["samples"].values()))
        body = {"app": "discovery", "inputs": inputs, "speed": 4}
        ids = [await start(session, body) for _ in range(RUNS)]
        hunted = [Hunted(ids[n % RUNS], seed * 10_000 + n) for n in range(streams)]
        reading = asyncio.gather(*(one.read(session) for one in hunted))
        await until(lambda: min(one.cuts for one in hunted) >= CUTS, WITHIN_S)
        assert not all(one.is_whole for one in hunted)
        random.Random(seed).choice(parent.children()).send_signal(signal.SIGKILL)
        await reading
        for run_id in ids:
            whole = Hunted(run_id, 0)
            whole.cuts = MOST_CUTS
            await whole.read(session)
            for one in hunted:
                if one.run_id == run_id:
                    assert one.came == whole.came, f"seed {seed}, run {run_id}"
    return hunted


async def start(session: aiohttp.ClientSession, body: dict[str, Any]) -> str:
    """Start a run, leave it, return its id."""
    headers = {"Cache-Control": "no-cache"}
    async with session.post("/api/run/stream", json=body, headers=headers) as response:
        return str(response.headers["Hasten-Run-Id"])


def check(home: Path, streams: int, seed: int) -> None:
    """Hunt on three workers; every stream came whole, once, in order, through its cuts."""
    with running(home, "serve", "--port", "0", "--workers", "3", lines=3) as server:
        url = re.search(r"http://\S+", server.ready)
        assert url is not None
        parent = psutil.Process(server.popen.pid)
        hunted = asyncio.run(
            asyncio.wait_for(hunt(url[0], parent, streams, seed), WITHIN_S),
        )
    assert len(hunted) == streams
    assert min(one.cuts for one in hunted) >= CUTS
    for one in hunted:
        ids = [event.id for event in one.came]
        assert len(set(ids)) == len(ids)


def test_no_stream_loses_or_doubles_a_message(tmp_path: Path) -> None:
    """Sixty streams, each cut three times at random bytes, one of three workers killed."""
    check(tmp_path, 60, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_no_stream_of_a_thousand_loses_or_doubles_a_message(tmp_path: Path, seed: int) -> None:
    """The same at full size."""
    check(tmp_path, 1_000, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["REDIS_URL", "DATABASE_URL"])
def test_nor_through_redis_or_postgres(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """Workers that hear of each other by Redis, and that have their runs in PostgreSQL."""
    url = request.getfixturevalue("redis_url" if name == "REDIS_URL" else "postgres_url")
    (tmp_path / ".env").write_text(f"{name}={url}\n", encoding="utf-8")
    check(tmp_path, 1_000, seed=11)
