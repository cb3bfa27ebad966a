"""A real HTTP server inside a test: any ASGI application on a free loopback port.

Owns starting and stopping it; a test talks to it with any real client.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_START_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.005


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve ``app`` on the running loop for this block; gives its base URL."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(app, port=port, interface=Interfaces.ASGI, log_enabled=False)
    task = asyncio.create_task(server.serve(), name=f"server on {port}")
    try:
        await asyncio.wait_for(_until_open(port, task), _START_WITHIN_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await task


async def _until_open(port: int, server: asyncio.Task[None]) -> None:
    from hasten.clock import Clock

    clock = Clock()
    while not server.done():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await clock.sleep(_LOOK_EVERY_S)
        else:
            writer.close()
            return
    server.result()
