"""The forwarder: connections kept and replaced, chunked bodies, deadlines, back-pressure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from hasten.errors import ModelTimeout, ModelUnavailable, SettingsError
from hasten.serve.gateway.forward import HIGH_BYTES, Forwarder
from hasten.settings import UpstreamSettings
from tests.serve.gateway.upstream import Provider, listening, providing
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY = b'{"model":"m","messages":[]}'


def request(body: bytes = BODY) -> bytes:
    """Return the head of a request."""
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(
        body
    )


def settings_for(url: str, **more: Any) -> UpstreamSettings:
    """Return an upstream's settings."""
    return UpstreamSettings(name="up", base_url=url, **more)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[Any]], Any]:
    """Give each event loop's way to run a coroutine."""
    found: Callable[[Any], Any] = asyncio.run if request.param == "asyncio" else uvloop.run
    return found


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_connection_is_used_again(run: Callable[[Any], Any], is_chunked: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Ten calls one after the other need one connection; twenty at once have one each."""

    async def main() -> None:
        async with providing(Provider(is_chunked=is_chunked)) as provider:
            forwarder = Forwarder(settings_for(provider.url))
            for _ in range(10):
                reply = await forwarder.send(request(), BODY)
                assert reply.status == 200
                assert b"ready" in await reply.read()
            assert provider.connections == 1

            async def once() -> bytes:
                return await (await forwarder.send(request(), BODY)).read()

            assert len(await asyncio.gather(*(once() for _ in range(20)))) == 20
            assert provider.connections <= 20
            forwarder.close()

    run(main())


def test_a_connection_closed_while_it_lay_idle_is_replaced(run: Callable[[Any], Any]) -> None:
    """A server that closes after each answer costs a connection, never a call."""

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await writer.drain()
            writer.close()

        async with listening(serve) as port:
            forwarder = Forwarder(settings_for(f"http://127.0.0.1:{port}"))
            for _ in range(20):
                assert await (await forwarder.send(request(), BODY)).read() == b"ok"
            forwarder.close()

    run(main())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ModelUnavailable),
        (b"nonsense\r\n\r\n", ModelUnavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", ModelUnavailable),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n", ModelUnavailable),
        (None, ModelTimeout),
    ],
)
def test_what_breaks(answer: bytes | None, error: type[Exception]) -> None:
    """Nothing, nonsense, half an answer, endless headers, silence: an error of ours, in time."""

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
            writer.close()

        async with listening(serve) as port:
            forwarder = Forwarder(settings_for(f"http://127.0.0.1:{port}", read_s=0.3))
            with pytest.raises(error):
                await (await forwarder.send(request(), BODY)).read()

    asyncio.run(main())


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    """HTTP/1.0's way: what came until the end is the body."""

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
            await writer.drain()
            writer.close()

        async with listening(serve) as port:
            forwarder = Forwarder(settings_for(f"http://127.0.0.1:{port}"))
            assert await (await forwarder.send(request(), BODY)).read() == b"all of it"

    asyncio.run(main())


def test_nobody_there_and_nowhere_to_go() -> None:
    """A refused connection is unavailable; an address that is none is a wrong setting."""

    async def main() -> None:
        forwarder = Forwarder(settings_for("http://127.0.0.1:1"))
        with pytest.raises(ModelUnavailable, match="no connection to up"):
            await forwarder.send(request(), BODY)
        with pytest.raises(SettingsError, match="is no http"):
            Forwarder(UpstreamSettings.model_construct(name="up", base_url="ftp://x"))

    asyncio.run(main())


def test_a_slow_reader_makes_the_upstream_wait() -> None:
    """What nobody reads does not gather without bounds, and all of it arrives in the end."""
    size = 40 * HIGH_BYTES

    async def main() -> None:
        sent = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(size // 65_536):
                writer.write(b"x" * 65_536)
                sent += 65_536
                await writer.drain()
            writer.close()

        async with listening(serve) as port:
            forwarder = Forwarder(settings_for(f"http://127.0.0.1:{port}"))
            reply = await forwarder.send(request(), BODY)
            await until(lambda: reply._link._is_paused)
            assert HIGH_BYTES < reply._held <= 2 * HIGH_BYTES
            assert sent < size
            total = 0
            while piece := await reply.piece():
                total += len(piece)
            assert total == size

    asyncio.run(main())
