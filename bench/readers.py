"""A thousand readers of one run over HTTP: how late the slowest of them is.

Beside ``hasten serve`` sse-starlette with a queue for each reader, as in its documentation,
and a bare Granian that sends as many bytes to whoever is connected: what so many writes cost
on this machine. The text begins once every reader is there. All are served by the same Granian.
``python -m bench.readers KIND PORT BEGIN`` serves one of them.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hasten import App, Graph, SimProfile, current_clock, step
from hasten.testing.server import free_port
from hasten.trace.recorder import emit_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hasten.cli.workers import Served

READERS = 1_000
EVENTS = 50
EVERY_S = 0.1
TEXT = "x" * 40
STOP_WITHIN_S = 15.0


class Patience(BaseModel):
    """The text begins once this file is there."""

    begin: str


@step
async def ticking(begin: str) -> str:
    """Write a piece of text again and again."""
    await _until(Path(begin))
    for number in range(EVENTS):
        emit_text(f"section {number}", TEXT)  # a new section's first piece goes out at once
        await current_clock().sleep(EVERY_S)
    return "done"


async def _datas(begin: Path) -> AsyncIterator[str]:
    """Give the data of the same events at the same pace."""
    await _until(begin)
    for number in range(EVENTS):
        yield f'{{"at_s":{time():f},"section":"section {number}","text":"{TEXT}"}}'
        await asyncio.sleep(EVERY_S)


async def _until(begin: Path) -> None:
    while not begin.exists():  # noqa: ASYNC240 - of microseconds
        await current_clock().sleep(EVERY_S)


def load(home: Path) -> Served:
    """Return the application as ``hasten serve`` has it."""
    from hasten.cli.workers import Served
    from hasten.serve import create_app
    from hasten.settings import Settings

    app = App(
        name="ticking",
        title="Ticking",
        about="",
        inputs=Patience,
        graphs={"hasten": Graph("ticking", [ticking], outputs=["ticking"], inputs=Patience)},
        phases={},
        samples={"one": {"begin": ""}},
        profile=SimProfile(),
        rerun=None,
    )
    return Served(create_app(Settings(home=home), {"ticking": app}))


class Bare:
    """The least a server can do: each connection sends what there is, then waits for more."""

    def __init__(self, begin: Path) -> None:
        self._begin = begin
        self._texts: list[bytes] = []
        self._news = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Send all texts to their end."""
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
        sent = 0
        while sent < EVENTS:
            await self._news.wait()
            for text in self._texts[sent:]:
                await send({"type": "http.response.body", "body": text, "more_body": True})
                sent += 1
        end = b'data: {"complete":true}\n\n'
        await send({"type": "http.response.body", "body": end, "more_body": False})

    async def _tick(self) -> None:
        number = 0
        async for data in _datas(self._begin):
            self._texts.append(f"event: text\nid: {number}\ndata: {data}\n\n".encode())
            number += 1
            news, self._news = self._news, asyncio.Event()
            news.set()


def load_bare(begin: Path) -> Served:
    """Return the bare server's application."""
    from hasten.cli.workers import Served

    return Served(Bare(begin))


def load_peer(begin: Path) -> Served:
    """Return sse-starlette's application: each reader's events go through a queue of its own."""
    from sse_starlette import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.routing import Route

    from hasten.cli.workers import Served

    queues: list[asyncio.Queue[dict[str, Any]]] = []
    tasks: list[asyncio.Task[None]] = []

    async def tick() -> None:
        number = 0
        async for data in _datas(begin):
            for queue in queues:
                queue.put_nowait({"event": "text", "id": f"{number}", "data": data})
            number += 1

    async def read(queue: asyncio.Queue[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        yield {"retry": 2_000}
        for _ in range(EVENTS):
            yield await queue.get()
        yield {"data": '{"complete":true}'}

    async def events(_request: Any) -> EventSourceResponse:
        queues.append(asyncio.Queue())
        if not tasks:
            tasks.append(asyncio.create_task(tick()))
        return EventSourceResponse(read(queues[-1]))

    return Served(Starlette(routes=[Route("/events", events)]))


def main() -> None:
    """Serve until stopped, in one worker of Granian's with the settings of ``hasten serve``."""
    from hasten.cli.workers import listen

    kind, port, begin = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    loads = {
        "hasten": partial(load, begin.parent),
        "bare": partial(load_bare, begin),
        "sse-starlette": partial(load_peer, begin),
    }
    listen(loads[kind], "127.0.0.1", port, "ready")


class Reader(asyncio.Protocol):
    """One connection that follows the run and keeps how late each text was."""

    _AT = re.compile(rb'data: \{"at_s":([\d.]+),"section"')

    def __init__(self, path: str, delays_ms: list[float]) -> None:
        loop = asyncio.get_running_loop()
        self.begun, self.over = loop.create_future(), loop.create_future()
        self._path = path
        self._delays_ms = delays_ms

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        transport.write(f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Note how late it is."""
        now_s = time()
        self._delays_ms.extend((now_s - float(at)) * 1e3 for at in self._AT.findall(data))
        if not self.begun.done():
            self.begun.set_result(None)
        if b'"complete":true' in data and not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for a connection that broke."""
        for waiting in (self.begun, self.over):
            if not waiting.done():
                waiting.set_exception(exc or ConnectionError("the stream ended before the run"))


def late_ms(kind: str) -> float:
    """Return the 99th percentile of how late a text is with a thousand readers of one run."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        begin = Path(home) / "begin"
        command = [sys.executable, "-m", "bench.readers", kind, str(port), str(begin)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:  # noqa: S603 - ours
            try:
                return asyncio.run(_measure(kind, port, begin))
            finally:
                server.terminate()
                server.wait(STOP_WITHIN_S)


async def _measure(kind: str, port: int, begin: Path) -> float:
    path = await _start(port, begin) if kind == "hasten" else "/events"
    loop, delays_ms = asyncio.get_running_loop(), list[float]()
    await _until_open(port)
    made = [
        await loop.create_connection(partial(Reader, path, delays_ms), "127.0.0.1", port)
        for _ in range(READERS)
    ]
    await asyncio.gather(*(reader.begun for _, reader in made))
    begin.touch()  # noqa: ASYNC240 - of microseconds
    await asyncio.gather(*(reader.over for _, reader in made))
    for transport, _ in made:
        transport.abort()
    if len(delays_ms) != READERS * EVENTS:
        message = f"{READERS} readers had {len(delays_ms)} of {READERS * EVENTS} pieces"
        raise RuntimeError(message)
    return sorted(delays_ms)[int(len(delays_ms) * 0.99)]


async def _start(port: int, begin: Path) -> str:
    """Start the run; return where its events are."""
    import aiohttp

    await _until_open(port)
    body = {"app": "ticking", "inputs": {"begin": str(begin)}}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.post("/api/run/stream", json=body) as response,
    ):
        response.raise_for_status()
        return f"/api/runs/{response.headers['Hasten-Run-Id']}/events"


async def _until_open(port: int) -> None:
    for _ in range(400):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    message = f"nothing listens on port {port}"
    raise ConnectionError(message)


if __name__ == "__main__":
    main()
