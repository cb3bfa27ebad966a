"""Calls upstream, as cheap as they can be: a pooled HTTP/1.1 client on httptools.

Owns connections, deadlines, back-pressure and what of a broken connection is an error:
no connection and a broken answer are ``ModelUnavailable``, silence is ``ModelTimeout``.
Leaves which upstream to ask and what to send to ``upstreams``; never follows a redirect.
All times are the event loop's: a caller waits in real time.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httptools

from hasten.errors import ModelTimeout, ModelUnavailable, SettingsError

if TYPE_CHECKING:
    from hasten.settings import UpstreamSettings

HIGH_BYTES = 256 * 1024
"""What a slow reader leaves unread before the upstream is made to wait."""

MOST_BYTES = 64 * 1024 * 1024
"""A whole answer larger than this is not one."""

MOST_HEADERS = 200
IDLE_S = 50.0
"""A connection unused for longer is not used again; most servers close it soon after."""

STALE_S = 1.0
"""A used connection that breaks so soon, without a word, was being closed: ask once more."""

MOST_IDLE = 512
_INFORMATIONAL = 200


class ForwardReply:
    """An answer as it arrives. ``headers`` have lower-case names. Read it whole or in pieces.

    ``close`` it unless it was read to its end: the call upstream ends with it.
    """

    def __init__(self, link: ForwardLink, bounds: UpstreamSettings) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_done = False
        self._link = link
        self._loop = link.loop
        self._read_s = bounds.read_s
        self._until_s = self._loop.time() + bounds.total_s
        self._pieces: list[bytes] = []
        self._held = 0
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its head is there."""
        return self.status >= _INFORMATIONAL

    async def head(self) -> None:
        """Wait until status and headers are there."""
        while self.status < _INFORMATIONAL:
            await self._news()

    async def read(self) -> bytes:
        """Return the whole body. Raises ``ModelUnavailable`` and ``ModelTimeout``."""
        found: list[bytes] = []
        total = 0
        while piece := await self.piece():
            found.append(piece)
            total += len(piece)
            if total > MOST_BYTES:
                self.close()
                message = f"{self._link.name} answered with more than {MOST_BYTES} bytes"
                raise ModelUnavailable(message, model=self._link.name)
        return found[0] if len(found) == 1 else b"".join(found)

    async def piece(self) -> bytes:
        """Return what has come of the body since, at once; nothing at its end. As ``read``."""
        while not self._held:
            if self.is_done:
                return b""
            await self._news()
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        self._link.resume()
        return piece

    def close(self) -> None:
        """End the call; a connection whose answer was not read to its end is torn off."""
        if not self.is_done:
            self.fail(ModelUnavailable("the call was given up", model=self._link.name))
            self._link.abort()

    def add(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > HIGH_BYTES:
            self._link.pause()
        self.tell()

    def fail(self, error: Exception) -> None:
        """Let whoever reads know that there is no more."""
        if not self.is_done and self._error is None:
            self._error = error
            self.tell()

    def tell(self) -> None:
        """Wake whoever reads."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def run_out(self) -> None:
        """End a call that nothing is heard of any more."""
        message = f"{self._link.name} did not answer in time"
        self.fail(ModelTimeout(message, model=self._link.name))
        self._link.abort()

    async def _news(self) -> None:
        """Wait for something to happen. Raises what broke it, or ``ModelTimeout``."""
        if self._error is not None:
            raise self._error
        due_s = min(self._loop.time() + self._read_s, self._until_s)
        waiter = self._waiter = self._loop.create_future()
        self._link.watch(due_s)
        try:
            await waiter
        finally:
            self._waiter = None
            self._link.watch(math.inf)
        if self._error is not None and not self._held:
            raise self._error


class ForwardLink(asyncio.Protocol):
    """One connection: sends a request, parses its answer, and says when it is free again."""

    def __init__(self, pool: Forwarder) -> None:
        self.loop = pool.loop
        self.name = pool.name
        self.free_since_s = 0.0
        self.was_used = False
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._reply: ForwardReply | None = None
        self._is_paused = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._due_s = math.inf
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can carry a request."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_full(self) -> bool:
        """Whether the other side has not taken yet what was sent."""
        return not self._may_write.is_set()

    def send(self, request: bytes, reply: ForwardReply) -> None:
        """Send a request, whose answer goes to ``reply``."""
        assert self._transport is not None  # noqa: S101 - connected before anybody has it
        self._reply = reply
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    async def drain(self) -> None:
        """Wait while the other side is slow. Raises ``TimeoutError``."""
        async with asyncio.timeout(self._pool.bounds.read_s):
            await self._may_write.wait()

    def watch(self, due_s: float) -> None:
        """Give the answer until ``due_s``. The alarm stands from call to call: one costs."""
        self._due_s = due_s
        if self._alarm is None and due_s < math.inf:
            self._alarm = self.loop.call_at(due_s, self._ring)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection; small writes go at once."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Parse what came; what is no HTTP, or unasked for, ends the connection."""
        if self._reply is None:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(f"{self.name} sent something that is no HTTP answer: {error!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever waits know; an answer without a length ends here."""
        self._may_write.set()
        if self._alarm is not None:
            self._alarm.cancel()
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if exc is None and reply.has_begun and self._ends_by_closing(reply):
            reply.is_done = True
            reply.tell()
            return
        message = f"{self.name} closed the connection" + (f": {exc}" if exc else "")
        reply.fail(ModelUnavailable(message, model=self.name))

    def eof_received(self) -> bool:
        """Close when the other side does."""
        return False

    def pause_writing(self) -> None:
        """Wait: the other side reads slowly."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on: the other side reads again."""
        self._may_write.set()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._reply is not None:
            self._reply.headers.append((name.lower(), value))
            if len(self._reply.headers) > MOST_HEADERS:
                self._break(f"{self.name} sent more than {MOST_HEADERS} headers")

    def on_headers_complete(self) -> None:
        """Say that the head is there, unless it is an interim one."""
        status = self._parser.get_status_code()
        reply = self._reply
        if reply is None:
            return
        if status < _INFORMATIONAL:
            reply.headers.clear()
            return
        reply.status = status
        reply.tell()

    def on_body(self, body: bytes) -> None:
        """Pass a piece on."""
        if self._reply is not None:
            self._reply.add(body)

    def on_message_complete(self) -> None:
        """Give the whole answer, and the connection back."""
        reply = self._reply
        if reply is None or not reply.has_begun:
            return
        self._reply = None
        reply.is_done = True
        reply.tell()
        self.resume()
        if self._parser.should_keep_alive() and self.is_open:
            self._pool.give_back(self)
        else:
            self.abort()

    def pause(self) -> None:
        """Let the other side wait."""
        if not self._is_paused and self._transport is not None and self._reply is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Let the other side send."""
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self) -> None:
        """Tear the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def _ring(self) -> None:
        """Give up the answer that is late; wait on for one that was begun later."""
        self._alarm = None
        if self.loop.time() < self._due_s:
            self.watch(self._due_s)
        elif self._reply is not None:
            self._reply.run_out()

    def _break(self, message: str) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.fail(ModelUnavailable(message, model=self.name))
        self.abort()

    def _ends_by_closing(self, reply: ForwardReply) -> bool:
        names = {name for name, _ in reply.headers}
        return not names & {b"content-length", b"transfer-encoding"}


class Forwarder:
    """The connections to one upstream, whose address comes from the settings and nobody else."""

    def __init__(self, bounds: UpstreamSettings) -> None:
        found = urlsplit(bounds.base_url)
        if found.scheme not in {"http", "https"} or not found.hostname:
            message = f"upstream {bounds.name!r}: {bounds.base_url!r} is no http:// or https:// URL"
            raise SettingsError(message)
        self.name = bounds.name
        self.bounds = bounds
        self.loop = asyncio.get_running_loop()
        self.base_path = found.path.rstrip("/")
        self._tls = ssl.create_default_context() if found.scheme == "https" else None
        self._host = found.hostname
        self._port = found.port or (443 if self._tls else 80)
        self.authority = found.netloc.rpartition("@")[2]
        self._idle: list[ForwardLink] = []

    async def send(self, request: bytes, body: bytes = b"") -> ForwardReply:
        """Send a request, head and body as they go over the wire; return its answer's beginning.

        Raises ``ModelUnavailable`` without a connection or when it breaks, and
        ``ModelTimeout``.
        """
        began_s = self.loop.time()
        while True:
            link = self._unused() or await self._connect()
            reply = ForwardReply(link, self.bounds)
            try:
                link.send(request + body, reply)
                if link.is_full:
                    await link.drain()
                await reply.head()
            except TimeoutError as error:
                link.abort()
                message = f"{self.name} did not take the request in time"
                raise ModelTimeout(message, model=self.name) from error
            except ModelUnavailable:
                link.abort()
                if link.was_used and self.loop.time() - began_s < STALE_S and not reply.headers:
                    continue
                raise
            except BaseException:
                link.abort()
                raise
            return reply

    def give_back(self, link: ForwardLink) -> None:
        """Keep a connection for the next request."""
        link.was_used = True
        link.free_since_s = self.loop.time()
        if len(self._idle) < MOST_IDLE:
            self._idle.append(link)
        else:
            link.abort()

    def close(self) -> None:
        """Close the connections that carry nothing."""
        while self._idle:
            self._idle.pop().abort()

    def _unused(self) -> ForwardLink | None:
        """Return the connection used last, which is the likeliest to be alive."""
        oldest_s = self.loop.time() - IDLE_S
        while self._idle:
            link = self._idle.pop()
            if link.is_open and link.free_since_s > oldest_s:
                return link
            link.abort()
        return None

    async def _connect(self) -> ForwardLink:
        try:
            async with asyncio.timeout(self.bounds.connect_s):
                _, link = await self.loop.create_connection(
                    lambda: ForwardLink(self), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            message = f"no connection to {self.name} at {self.authority}: {error or 'timed out'}"
            raise ModelUnavailable(message, model=self.name) from error
        return link
