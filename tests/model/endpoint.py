"""An endpoint that sends exactly the bytes a test wants, on a loopback port."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from hasten.model.providers import provider_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hasten.model.http import Endpoint
    from hasten.model.providers import Protocol

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
STREAM_OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
CHUNKED_END = b"0\r\n\r\n"


def chunked(data: bytes) -> bytes:
    """Return ``data`` as one chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(text: str = "", **choice: object) -> bytes:
    """Return the event of one piece of text."""
    chunk = {
        "id": "c1",
        "model": "m1",
        "choices": [{"index": 0, "delta": {"content": text}, **choice}],
    }
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


class RawEndpoint:
    """Answers each request with ``parts``, one after the other; a number is a pause in seconds.

    Then it closes the connection, unless the parts ended as a chunked body does.
    ``heads`` and ``bodies`` are the requests' as they came. ``is_asked`` is set once there
    is one, ``has_left`` when a client closes its connection before all parts were sent.
    """

    def __init__(self, parts: tuple[bytes | float, ...]) -> None:
        self._parts = parts
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.is_asked, self.has_left = asyncio.Event(), asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests and answer them, until the client or the script closes."""
        self.connections += 1
        try:
            while await self._take(reader):
                for part in self._parts:
                    if isinstance(part, bytes):
                        writer.write(part)
                        await writer.drain()
                    else:
                        await self._pause(part, reader)
                if self._parts[-1:] != (CHUNKED_END,):
                    return
        except ConnectionError:
            self.has_left.set()
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = await reader.readline()
            if not line:
                return False
            head += line
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        self.is_asked.set()
        return True

    async def _pause(self, seconds: float, reader: asyncio.StreamReader) -> None:
        """Wait, but notice at once when the client leaves."""
        try:
            async with asyncio.timeout(seconds):
                if not await reader.read(1):
                    self.has_left.set()
                    raise ConnectionResetError
        except TimeoutError:
            return


@asynccontextmanager
async def endpoint(
    *parts: bytes | float, options: Endpoint | None = None, protocol: Protocol = "openai"
) -> AsyncIterator[tuple[Any, RawEndpoint]]:
    """Serve ``parts`` for this block; gives a model that asks there, and the endpoint."""
    raw = RawEndpoint(parts)
    server = await asyncio.start_server(raw.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    model = provider_model(protocol, base_url=url, model="m0", api_key="secret", endpoint=options)
    try:
        yield model, raw
    finally:
        await model.close()
        server.close()
        await server.wait_closed()
