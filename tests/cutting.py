"""A network that cuts connections: a TCP relay that breaks each one after a random part of it."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CUT_BYTES = 8_000
"""A connection is cut after at most so many bytes of what the server sends."""


class Cuts:
    """How many connections were cut."""

    def __init__(self) -> None:
        self.made = 0


@asynccontextmanager
async def cutting(
    url: str, *, seed: int, most: int = 1_000, bytes_: int = CUT_BYTES
) -> AsyncIterator[tuple[str, Cuts]]:
    """Relay to ``url``; gives the relay's URL and a count of its cuts, ``most`` of them.

    The server is told to be reached through the relay's address, so that it answers to it.
    """
    cuts, dice = Cuts(), random.Random(seed)
    parts = urlsplit(url)
    tasks: set[asyncio.Task[None] | None] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        up = asyncio.create_task(_pass_on(reader, back, None))
        limit = dice.randint(200, bytes_) if cuts.made < most else None
        try:
            if await _pass_on(there, writer, limit):
                cuts.made += 1
        finally:
            up.cancel()
            await asyncio.wait([up])
            for one in (writer, back):
                one.transport.abort()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", cuts
    finally:
        server.close()
        for task in filter(None, tasks):
            task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)


async def _pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: int | None
) -> bool:
    """Pass bytes on to the end, or ``limit`` of them; whether there were more."""
    with suppress(OSError):
        while received := await source.read(4_096):
            part = received if limit is None else received[:limit]
            target.write(part)
            await target.drain()
            if limit is not None:
                limit -= len(part)
                if limit <= 0:
                    return True
    return False
