"""A relay before a real server that spoils what goes through it, and counts that it did."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RelayFault = Literal["", "gone", "slow", "silent", "garbled", "cut short"]

CHUNK_BYTES = 65_536


class Relay:
    """Passes connections on to ``port``; ``fault`` says what is wrong now, ``struck`` how often.

    ``gone`` ends every connection and takes none; ``slow`` answers after ``delay_s``;
    ``silent`` never answers; ``garbled`` answers with other bytes; ``cut short`` ends a
    connection in the middle of an answer.
    """

    def __init__(self, port: int) -> None:
        self.fault: RelayFault = ""
        self.delay_s = 1.0
        self.struck = 0
        self._to_port = port
        self._clients: set[asyncio.Task[None]] = set()

    async def spoil(self, fault: RelayFault) -> None:
        """Let this be wrong from now on; with nothing wrong, connections begin anew."""
        self.fault = fault
        if fault in {"", "gone"}:
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients)

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        client = asyncio.ensure_future(self._serve(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self.fault == "gone":
                self.struck += 1
                return
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
            writers.append(to_server)
            async with asyncio.TaskGroup() as both:
                asking = both.create_task(self._pass(reader, to_server, is_answer=False))
                await self._pass(from_server, writer, is_answer=True)
                asking.cancel()
        except (OSError, asyncio.CancelledError):
            return
        finally:
            for one in writers:
                one.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                told = await self._spoilt(data) if is_answer and self.fault else data
                writer.write(told)
                await writer.drain()
                if is_answer and self.fault == "cut short":
                    return

    async def _spoilt(self, data: bytes) -> bytes:
        self.struck += 1
        if self.fault == "slow":
            await asyncio.sleep(self.delay_s)  # the fault itself
        elif self.fault == "silent":
            await asyncio.get_running_loop().create_future()
        elif self.fault == "garbled":
            return bytes(byte ^ 0x55 for byte in data)
        elif self.fault == "cut short":
            return data[: len(data) // 2]
        return data


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[tuple[Relay, int]]:
    """Run a relay for this block; give it and the port it listens on."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.take, "127.0.0.1", 0)
    try:
        yield relay, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await relay.spoil("gone")
