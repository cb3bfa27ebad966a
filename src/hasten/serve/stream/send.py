"""From a feed to one reader: server-sent events over HTTP, or a WebSocket.

Owns the two transports: what opens a stream, its pings, its end. A connection takes the
next part of the feed once it has taken the one before, so what it holds is bounded. A reader
that goes away ends its own reading and nothing else.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from fastapi.sse import ServerSentEvent
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from hasten.serve.stream.feed import BEGINNING, FORMATS, Seen, numbered
from hasten.serve.stream.hasten import HastenEncoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.websockets import WebSocket

    from hasten.serve.stream.feed import Reading, RunFeed
    from hasten.trace.event import RunEvent

RETRY_MS = 2_000
"""How long a browser waits before it connects again."""

PING = b": ping\n\n"

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """A feed as server-sent events; proxies are asked not to hold them back."""

    media_type = "text/event-stream"

    def __init__(
        self,
        feed: AbstractAsyncContextManager[RunFeed],
        reading: Reading,
        protocol: str,
        status_code: int = 200,
    ) -> None:
        headers = {**_HEADERS, **FORMATS[protocol].headers}
        super().__init__(_as_sse(feed, reading), status_code, headers)


async def _as_sse(
    opening: AbstractAsyncContextManager[RunFeed], reading: Reading
) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS
    async with opening as feed:
        async for frames in feed.read(reading):
            yield b"".join([frame.as_sse for frame in frames]) or PING


async def send_by_websocket(
    socket: WebSocket,
    feed: RunFeed,
    reading: Reading,
    cancel: Callable[[], Awaitable[object]],
) -> None:
    """Send a feed to an accepted socket, each message a JSON object; ``cancel`` when it asks.

    The one thing a reader may say is ``{"type": "cancel"}``. Returns at the run's end or
    when the reader is gone.
    """
    sending = asyncio.create_task(_send_all(socket, feed, reading))
    hearing = asyncio.create_task(_hear(socket, cancel))
    try:
        await asyncio.wait([sending, hearing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, hearing):
            task.cancel()
        await asyncio.wait([sending, hearing])
    if not sending.cancelled() and sending.exception() is None:
        await socket.close()


async def _send_all(socket: WebSocket, feed: RunFeed, reading: Reading) -> None:
    async for frames in feed.read(reading):
        for frame in frames:
            await socket.send_text(frame.as_text)
        if not frames:
            await socket.send_text('{"id":"","event":"ping","data":{}}')


async def _hear(socket: WebSocket, cancel: Callable[[], Awaitable[object]]) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            with suppress(msgspec.DecodeError):
                if msgspec.json.decode(await socket.receive_text()) == {"type": "cancel"}:
                    await cancel()


async def as_messages(
    events: AsyncIterator[RunEvent], after: Seen = BEGINNING
) -> AsyncIterator[ServerSentEvent]:
    """Yield what comes after ``after`` in Hasten's protocol, for a route that is FastAPI's own.

    ``events`` are the run's from the first, whatever ``after`` is.
    """
    encoder = HastenEncoder()
    yield ServerSentEvent(retry=RETRY_MS)
    async for event in events:
        for seen, message in numbered(event.seq or 0, encoder.encode(event)):
            if seen > after and not message.chars:
                name = message.name or None
                yield ServerSentEvent(event=name, data=message.data, id=str(seen))
