"""Requests over so many connections, each as soon as the last is answered.

``python -m bench.gateways.load`` reads what to do as JSON from standard input (``Load``)
and writes ``Figures`` as JSON. A bare protocol on uvloop: some 15 µs of its core a call.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import quantiles
from typing import Any, cast

import orjson
import uvloop


@dataclass
class Load:
    """What to send. A ``%d`` in ``body`` becomes a number that no other call has.

    The connections begin one after the other within ``spread_s``. It lasts until ``at_least``
    calls are answered that were sent after ``warm_s``. ``acks_at_once`` lets no server without
    TCP_NODELAY wait 40 ms before the second piece of a stream (RFC 896).
    """

    port: int
    path: str
    body: str
    connections: int = 1
    seconds: float = 1.0
    warm_s: float = 0.2
    spread_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    at_least: int = 1
    acks_at_once: bool = False


@dataclass
class Figures:
    """What came of it, in µs.

    ``calls`` are those sent and answered in the time, ``call_us`` is the time divided by all
    that were answered in it, ``first_us`` the time to the second event of a stream, ``errors``
    are the answers other than 200.
    """

    calls: int
    call_us: float
    p50_us: float
    p90_us: float
    first_us: float
    errors: int


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load, run: Run, number: int) -> None:
        self._load = load
        self._begins_in_s = load.spread_s * number / load.connections
        self._run = run
        lines = {"host": f"127.0.0.1:{load.port}", "content-type": "application/json"}
        lines |= load.headers
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._head = f"POST {load.path} HTTP/1.1\r\n{head}content-length: "
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self._need = -1
        self._sent_s = self._first_s = 0.0
        self._socket: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request when it is this connection's turn."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        if self._load.acks_at_once:
            self._socket = transport.get_extra_info("socket")
        asyncio.get_running_loop().call_later(self._begins_in_s, self._send)

    def data_received(self, data: bytes) -> None:
        """Send the next request once this one is answered."""
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._held = self._held + data if self._held else data
        if self._need < 0:
            end = self._held.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._held[:end].lower()
            place = head.find(b"content-length:")
            self._need = 0
            if place >= 0:
                self._need = end + 4 + int(head[place + 15 :].split(b"\r\n", 1)[0])
        if not self._first_s and self._held.count(b"data: ") > 1:
            self._first_s = time.perf_counter()
        is_whole = (
            len(self._held) >= self._need if self._need else self._held.endswith(b"0\r\n\r\n")
        )
        if is_whole:
            self._run.add(self._held, self._sent_s, self._first_s)
            self._held, self._need, self._first_s = b"", -1, 0.0
            if not self._run.is_over:
                self._send()

    def _send(self) -> None:
        assert self._transport is not None  # noqa: S101 - it is connected
        body = self._load.body.replace("%d", str(self._run.next_number()))
        self._sent_s = time.perf_counter()
        self._transport.write(f"{self._head}{len(body)}\r\n\r\n{body}".encode())


class Run:
    """One run of a load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._number = time.time_ns() // 1_000
        self._counts_from_s = time.perf_counter() + load.warm_s
        self._until_s = self._ended_s = self._counts_from_s + load.seconds
        self._answered = 0
        self.took_s: list[float] = []
        self.first_s: list[float] = []
        self.errors = 0
        self.over = asyncio.Event()
        self.is_over = False

    def next_number(self) -> int:
        """Return a number nobody had."""
        self._number += 1
        return self._number

    def add(self, answer: bytes, sent_s: float, first_s: float) -> None:
        """Count an answer."""
        now_s = time.perf_counter()
        self._answered += now_s >= self._counts_from_s and not self.is_over
        if sent_s >= self._counts_from_s:
            self.took_s.append(now_s - sent_s)
            if first_s:
                self.first_s.append(first_s - sent_s)
            self.errors += not answer.startswith(b"HTTP/1.1 200")
        is_enough = len(self.took_s) >= self._load.at_least
        if is_enough and now_s >= self._until_s and not self.is_over:
            self.is_over = True
            self._ended_s = now_s
            self.over.set()

    def figures(self) -> Figures:
        """Return what came of it."""
        tenths = quantiles(self.took_s, n=10) if len(self.took_s) > 1 else self.took_s * 9
        first = sorted(self.first_s)[len(self.first_s) // 2] if self.first_s else 0.0
        each_s = (self._ended_s - self._counts_from_s) / max(self._answered, 1)
        return Figures(
            len(self.took_s),
            each_s * 1e6,
            tenths[4] * 1e6,
            tenths[8] * 1e6,
            first * 1e6,
            self.errors,
        )


async def drive(load: Load) -> Figures:
    """Send a load and return what came of it."""
    run, loop = Run(load), asyncio.get_running_loop()
    made: list[Any] = [
        await loop.create_connection(partial(Client, load, run, number), "127.0.0.1", load.port)
        for number in range(load.connections)
    ]
    await asyncio.wait_for(run.over.wait(), load.seconds + 30)
    found = run.figures()
    for transport, _ in made:
        transport.abort()
    return found


if __name__ == "__main__":
    asked = Load(**orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps(asdict(uvloop.run(drive(asked)))))
