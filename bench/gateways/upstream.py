"""A provider that answers at once: ``python -m bench.gateways.upstream PORT [FIRST_S]``.

A bare protocol on uvloop, so that what is measured is the gateway before it. Streams
have their first word after ``FIRST_S`` and then ten more, 20 ms apart.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

WORDS = 10
BETWEEN_S = 0.02
_TEXT = "Well, then: " + "the tea is ready. " * 30

PLAIN = (
    '{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":'
    f'0,"message":{{"role":"assistant","content":"{_TEXT}","refusal":null}},"logprobs":null,'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":120,'
    '"total_tokens":140}}'
).encode()
_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(PLAIN)
) + PLAIN
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(delta: str, reason: str = "null") -> bytes:
    data = (
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o",'
        f'"choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]}}\n\n'
    ).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


_FIRST = _HEAD + _event('{"role":"assistant","content":""}') + _event('{"content":"Well"}')
_WORD = _event('{"content":" then"}')
_DONE = b"data: [DONE]\n\n"
_LAST = _event("{}", '"stop"') + b"%x\r\n%b\r\n0\r\n\r\n" % (len(_DONE), _DONE)


class Provider(asyncio.Protocol):
    """Answers each request on a connection."""

    first_s = 0.0

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            whole = end + 4 + length
            if len(self._held) < whole:
                return
            body, self._held = self._held[end + 4 : whole], self._held[whole:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - it is connected
        if b'"stream":true' not in body:
            self._transport.write(_WHOLE)
            return
        pieces = [_FIRST, *[_WORD] * WORDS, _LAST]
        asyncio.get_running_loop().call_later(self.first_s, self._write, pieces, 0)

    def _write(self, pieces: list[bytes], place: int) -> None:
        """Write one piece, and the next a little later: timers may overtake each other."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(pieces[place])
        if place + 1 < len(pieces):
            loop = asyncio.get_running_loop()
            loop.call_later(BETWEEN_S, self._write, pieces, place + 1)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[2:]:
        Provider.first_s = float(sys.argv[2])
    uvloop.run(main(int(sys.argv[1])))
