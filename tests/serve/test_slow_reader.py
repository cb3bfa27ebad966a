"""A reader that does not read costs the server little, and the others nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import psutil

from hasten.testing.server import free_port
from tests.talking import PIECE, PIECES
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

SLOW = 60
BOUND_BYTES = 65_536


async def stalled(port: int, path: str) -> asyncio.StreamWriter:
    """Ask for a stream and read nothing of it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.pause_reading()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return writer


async def answered(session: aiohttp.ClientSession) -> None:
    """Wait until the server answers."""

    async def is_up() -> bool:
        with suppress(aiohttp.ClientError):
            async with session.get("/health"):
                return True
        return False

    await until(is_up)


async def settled_bytes(process: psutil.Process) -> int:
    """Return the memory of the server once it has stopped growing."""
    before = 0
    while (now := process.memory_info().rss) > before + 200_000:
        before = now
        await asyncio.sleep(0.5)  # nothing tells that a process has all the memory it wants
    return now


def test_slow_readers_are_bounded_and_harm_nobody(tmp_path: Path) -> None:
    """Sixty readers of 12 MB that never read: under 64 kB each above sixty that wait for news."""
    slow, idle = (grown_bytes(tmp_path, silent_s=silent_s) for silent_s in (0, 600))
    assert (slow - idle) / SLOW < BOUND_BYTES, (slow, idle)


def grown_bytes(home: Path, *, silent_s: float) -> int:
    """Return what sixty readers that never read cost a server; one that reads has it all."""
    port = free_port()
    command = [sys.executable, "-m", "tests.talking", str(port), str(home / str(silent_s))]

    async def main(server: psutil.Process) -> int:
        async with aiohttp.ClientSession(f"http://localhost:{port}") as session:
            await answered(session)
            body = {"app": "talking", "inputs": {"silent_s": silent_s}}
            async with session.post("/api/run/stream", json=body) as response:
                path = f"/api/runs/{response.headers['Hasten-Run-Id']}/events"
                if not silent_s:
                    assert len(await response.read()) > PIECES * len(PIECE)
            stuck = [await stalled(port, path)]
            alone = await settled_bytes(server)
            stuck += [await stalled(port, path) for _ in range(SLOW)]
            together = await settled_bytes(server)
            if not silent_s:
                async with session.get(path) as response:
                    assert len(await response.read()) > PIECES * len(PIECE)
            for writer in stuck:
                writer.transport.abort()
            await asyncio.sleep(0)
        return together - alone

    with subprocess.Popen(command) as process:
        try:
            return asyncio.run(asyncio.wait_for(main(psutil.Process(process.pid)), 60))
        finally:
            process.kill()
