"""The gateway's doors: the same calls over ASGI, in front of the application, and over RSGI.

Owns reading a request and writing an answer in either interface of the server. Leaves
what to answer to ``gateway``. Nobody may send slowly for ever: a body has its time.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from hasten.serve.gateway.refusal import BodyRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hasten.serve.gateway.gateway import Gateway
    from hasten.serve.gateway.refusal import Lines
    from hasten.serve.gateway.terms import Headers

BODY_WITHIN_S = 30.0
"""A body that takes longer to arrive is not waited for."""


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
        with _in_time():
            async with asyncio.timeout(BODY_WITHIN_S):
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

    __slots__ = ("_protocol", "_stream", "headers", "method", "path")

    def __init__(self, scope: Any, protocol: Any) -> None:
        self.method: str = scope.method
        self.path: str = scope.path
        self.headers: Headers = tuple(scope.headers.items())
        self._protocol = protocol
        self._stream: Any = None

    async def body(self, most_bytes: int) -> bytes:
        """Return the body."""
        pieces: list[bytes] = []
        held = 0
        with _in_time():
            async with asyncio.timeout(BODY_WITHIN_S):
                async for piece in self._protocol:
                    pieces.append(piece)
                    held += len(piece)
                    if held > most_bytes:
                        raise _too_large(most_bytes)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

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


@contextmanager
def _in_time() -> Iterator[None]:
    """Tell a body that did not come in time from other trouble."""
    try:
        yield
    except TimeoutError:
        message = f"the body did not arrive within {BODY_WITHIN_S:g} s"
        raise BodyRefused(message, 408) from None


def _too_large(most_bytes: int) -> BodyRefused:
    return BodyRefused(f"the body may have {most_bytes} bytes at most", 413)
