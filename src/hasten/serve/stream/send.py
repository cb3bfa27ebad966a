"""From a feed to one reader: server-sent events over HTTP, or a WebSocket.

Owns the two transports: what opens a stream and its end. A connection takes the next batch of
the feed once it has taken the one before, so what it holds is bounded. A reader that goes away
ends its own reading and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from fastapi.sse import ServerSentEvent
from starlette.responses import Response

from hasten.errors import HastenError
from hasten.serve.stream.feed import BEGINNING, FORMATS, Seen, numbered
from hasten.serve.stream.hasten import HastenEncoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket

    from hasten.serve.stream.feed import Reading, RunFeed
    from hasten.trace.event import RunEvent

_log = logging.getLogger(__name__)

RETRY_MS = 2_000
"""How long a browser waits before it connects again."""

SEND = "hasten.send"
"""Where a request's scope has the server's own ``send``: a stream goes past what is around it."""

_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """A feed as server-sent events; proxies are asked not to hold them back."""

    media_type = "text/event-stream"

    def __init__(
        self,
        opening: AbstractAsyncContextManager[RunFeed],
        reading: Reading,
        protocol: str,
        status_code: int = 200,
    ) -> None:
        self.status_code = status_code
        self.background = None
        self.init_headers({**_HEADERS, **FORMATS[protocol].headers})
        self._opening = opening
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the feed to its end, or until the reader is gone."""
        await _while_heard(self._send_all(scope.get(SEND, send), send), _gone(receive))

    async def _send_all(self, send_on: Send, send: Send) -> None:
        """Send all; what counts, compresses or reports sees the beginning only."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await send(_body(b"retry: %d\n\n" % RETRY_MS))
        async with self._opening as feed:
            async for batch in feed.read(self._reading):
                await send_on(_body(batch.as_sse))
        await send_on({"type": "http.response.body", "body": b"", "more_body": False})


def _body(piece: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": True}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
    if await _while_heard(_send_all(socket, feed, reading), _hear(socket, cancel)):
        await socket.close()


async def _send_all(socket: WebSocket, feed: RunFeed, reading: Reading) -> None:
    async for batch in feed.read(reading):
        for text in batch.as_texts:
            await socket.send_text(text)


async def _hear(socket: WebSocket, cancel: Callable[[], Awaitable[object]]) -> None:
    while (heard := await socket.receive())["type"] != "websocket.disconnect":
        if _is_cancel(heard.get("text")):
            try:
                await cancel()
            except HastenError as error:
                _log.warning("a run cannot be cancelled now: %s", error)


def _is_cancel(text: str | None) -> bool:
    """Whether a reader says ``{"type": "cancel"}``; whatever else it says is passed over."""
    with suppress(msgspec.DecodeError, RecursionError):
        return text is not None and msgspec.json.decode(text) == {"type": "cancel"}
    return False


async def _while_heard(
    sending: Coroutine[None, None, None], hearing: Coroutine[None, None, None]
) -> bool:
    """Send until ``hearing`` ends, since the reader is gone then; whether all was sent."""
    tasks = (asyncio.create_task(sending), asyncio.create_task(hearing))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        is_heard = not tasks[1].done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if is_heard:
        tasks[0].result()
    return is_heard


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
