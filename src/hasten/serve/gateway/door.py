"""The gateway's doors: the same calls over ASGI, in front of the application, and over RSGI.

Owns reading a request and writing an answer in either interface of the server. Leaves
what to answer to ``gateway``. Nobody may send slowly for ever: a body has its time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hasten.clock import current_clock
from hasten.serve.gateway.refusal import BodyRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten.serve.gateway.gateway import Gateway
    from hasten.serve.gateway.refusal import Lines
    from hasten.serve.gateway.terms import Headers

T = TypeVar("T")

BODY_WITHIN_S = 30.0
"""A body that takes longer to arrive is not waited for."""

LOOK_EVERY_S = 1.0


class Exchange(Protocol):
    """A request and the way back to whoever sent it."""

    method: str
    path: str
    headers: Headers

    async def body(self, most_bytes: int) -> bytes:
        """Return the body. Raises ``BodyRefused``, and ``ConnectionError`` if its sender left."""
        ...

    async def read_away(self, most_bytes: int) -> None:
        """Read what a refused request still sends, so that its client sees the refusal."""

    async def reply(self, status: int, headers: Lines, body: bytes) -> None:
        """Send a whole answer."""

    async def start(self, status: int, headers: Lines) -> None:
        """Begin an answer that comes in pieces."""

    async def write(self, piece: bytes) -> None:
        """Send a piece; waits while the client reads slowly."""

    async def end(self) -> None:
        """End an answer that came in pieces."""

    async def gone(self) -> None:
        """Return once the client has left."""


class BodyWatch:
    """Whose bodies are still on their way; who takes too long is told so, once a second."""

    def __init__(self) -> None:
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def read(self, body: Awaitable[T]) -> T:
        """Return ``body`` once it is there. Raises ``BodyRefused`` for one that never comes."""
        task = asyncio.current_task()
        if task is None:
            return await body
        self._reading[task] = task.get_loop().time()
        try:
            return await body
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            task.uncancel()
            message = f"the body did not arrive within {BODY_WITHIN_S:g} s"
            raise BodyRefused(message, 408) from None
        finally:
            del self._reading[task]

    async def look(self) -> None:
        """Look again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await current_clock().sleep(LOOK_EVERY_S)
            oldest_s = loop.time() - BODY_WITHIN_S
            for task, began_s in list(self._reading.items()):
                if began_s < oldest_s:
                    self._late.add(task)
                    task.cancel()


class AsgiExchange:
    """A request over ASGI."""

    __slots__ = ("_receive", "_send", "headers", "method", "path")

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: Headers = tuple(map(tuple, scope["headers"]))
        self._receive = receive
        self._send = send

    async def body(self, most_bytes: int) -> bytes:
        """Return the body."""
        pieces: list[bytes] = []
        held, has_more = 0, True
        while has_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            pieces.append(message.get("body", b""))
            held += len(pieces[-1])
            has_more = message.get("more_body", False)
            if held > most_bytes:
                await self.read_away(4 * most_bytes if has_more else 0)
                raise _too_large(most_bytes)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_away(self, most_bytes: int) -> None:
        """Read what still comes, within bounds."""
        left_bytes, has_more = most_bytes, True
        while has_more and left_bytes > 0:
            message = await self._receive()
            left_bytes -= len(message.get("body", b""))
            has_more = message.get("more_body", False)

    async def reply(self, status: int, headers: Lines, body: bytes) -> None:
        """Send a whole answer."""
        await self.start(status, headers)
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Lines) -> None:
        """Begin an answer that comes in pieces."""
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, piece: bytes) -> None:
        """Send a piece."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """End an answer that came in pieces."""
        await self._send({"type": "http.response.body", "body": b""})

    async def gone(self) -> None:
        """Return once the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class RsgiExchange:
    """A request over RSGI."""

    __slots__ = ("_has_length", "_protocol", "_stream", "headers", "method", "path")

    def __init__(self, scope: Any, protocol: Any) -> None:
        self.method: str = scope.method
        self.path: str = scope.path
        self.headers: Headers = tuple(scope.headers.items())
        self._has_length = "content-length" in scope.headers
        self._protocol = protocol
        self._stream: Any = None

    async def body(self, most_bytes: int) -> bytes:
        """Return the body; one whose length is told was found small enough beforehand."""
        if self._has_length:
            whole: bytes = await self._protocol()
            return whole
        pieces: list[bytes] = []
        held = 0
        async for piece in self._protocol:
            pieces.append(piece)
            held += len(piece)
            if held > most_bytes:
                raise _too_large(most_bytes)
        return b"".join(pieces)

    async def read_away(self, most_bytes: int) -> None:
        """Read what still comes, within bounds."""
        async for piece in self._protocol:
            most_bytes -= len(piece)
            if most_bytes < 0:
                return

    async def reply(self, status: int, headers: Lines, body: bytes) -> None:
        """Send a whole answer."""
        self._protocol.response_bytes(status, headers, body)

    async def start(self, status: int, headers: Lines) -> None:
        """Begin an answer that comes in pieces."""
        self._stream = self._protocol.response_stream(status, headers)

    async def write(self, piece: bytes) -> None:
        """Send a piece."""
        await self._stream.send_bytes(piece)

    async def end(self) -> None:
        """End an answer that came in pieces: letting go of the stream does."""
        self._stream = None

    async def gone(self) -> None:
        """Return once the client has left."""
        await self._protocol.client_disconnect()


class GatewayDoor:
    """ASGI: calls below ``/v1`` go to the gateway, everything else to ``inner`` around ``app``."""

    def __init__(self, app: Any, inner: Any, gateway: Callable[[], Gateway]) -> None:
        self.app = app
        self._inner = inner
        self._gateway = gateway

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer or pass on."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self._gateway().answer(AsgiExchange(scope, receive, send))
        else:
            await self._inner(scope, receive, send)


def _too_large(most_bytes: int) -> BodyRefused:
    return BodyRefused(f"the body may have {most_bytes} bytes at most", 413)
