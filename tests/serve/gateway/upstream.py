"""A provider to test against: a real server on loopback that counts, waits, breaks and streams."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

WORDS = ("Tea ", "is ", "ready", ".")


@dataclass
class Seen:
    """One request as the provider got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Provider:
    """What the provider does, and what it saw.

    ``wait_s`` before it answers, ``refusals`` are answered instead, first come first
    served: status, headers, body. ``dies_after`` closes a stream after so many events,
    ``rests_after`` holds it there until ``may_go_on`` is set.
    """

    wait_s: float = 0.0
    refusals: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    dies_after: int | None = None
    rests_after: int | None = None
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    is_chunked: bool = False
    seen: list[Seen] = field(default_factory=list)
    open_calls: int = 0
    broken_calls: int = 0
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        self.connections += 1
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) is not None:
                self.open_calls += 1
                try:
                    await self._answer(head, reader, writer)
                finally:
                    self.open_calls -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        body = orjson.loads(raw) if raw else None
        self.seen.append(Seen(method, path, headers, body))
        await self._wait(reader)
        if self.refusals:
            status, more, told = self.refusals.pop(0)
            await self._send(writer, status, told, more)
        elif method == "GET":
            listed = {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 1}]}
            await self._send(writer, 200, orjson.dumps(listed), {})
        elif body.get("stream"):
            await self._stream(writer, path, body)
        else:
            await self._send(writer, 200, orjson.dumps(plain(path, body, len(self.seen))), {})

    async def _wait(self, reader: asyncio.StreamReader) -> None:
        """Take its time, and notice when the caller hangs up."""
        if not self.wait_s:
            return
        try:
            rest = await asyncio.wait_for(reader.read(1), self.wait_s)
        except TimeoutError:
            return
        if not rest:
            self.broken_calls += 1
            raise ConnectionResetError

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, more: dict[str, str]
    ) -> None:
        lines = {"content-type": "application/json", "x-request-id": "req_up", **more}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        if self.is_chunked:
            half = len(body) // 2
            body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:half], body[half:]))
            body += b"0\r\n\r\n"
            head += "transfer-encoding: chunked\r\n"
        else:
            head += f"content-length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, path: str, body: Any) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"x-request-id: req_up\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for place, event in enumerate(events(path, body)):
            if self.dies_after is not None and place >= self.dies_after:
                writer.transport.abort()
                return
            if place == self.rests_after:
                await self.may_go_on.wait()
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            if writer.transport.is_closing():
                self.broken_calls += 1
                return
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def plain(path: str, body: Any, number: int) -> dict[str, Any]:
    """Return a plain answer in the format of ``path``."""
    text = "".join(WORDS)
    if path.endswith("/chat/completions"):
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        reason = "stop"
        if body.get("tools"):
            call = {"name": "brew", "arguments": '{"minutes": 3}'}
            message = {"role": "assistant", "content": None, "refusal": None}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
            reason = "tool_calls"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        head = {"id": f"chatcmpl-up{number}", "object": "chat.completion", "created": 1}
        usage = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
        return {**head, "model": body["model"], "choices": [choice], "usage": usage, "odd": 1}
    if path.endswith("/count_tokens"):
        return {"input_tokens": 12}
    if path.endswith("/messages"):
        content = [{"type": "text", "text": text}]
        if body.get("tools"):
            content = [
                {"type": "tool_use", "id": "toolu_1", "name": "brew", "input": {"minutes": 3}}
            ]  # type: ignore[dict-item]
        head = {"id": f"msg_up{number}", "type": "message", "role": "assistant"}
        usage = {"input_tokens": 7, "output_tokens": 4}
        end = {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        return {**head, "model": body["model"], "content": content, **end}
    if path.endswith("/embeddings"):
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [
            {"object": "embedding", "index": place, "embedding": [0.5, len(text) / 4]}
            for place, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 2 * len(texts), "total_tokens": 2 * len(texts)}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    usage = {"input_tokens": 7, "output_tokens": 4, "total_tokens": 11}
    head = {"id": f"resp_up{number}", "object": "response", "created_at": 1, "status": "completed"}
    return {**head, "model": body["model"], "output": [{**item, "content": [part]}], "usage": usage}


def events(path: str, body: Any) -> list[bytes]:
    """Return a streamed answer in the format of ``path``, event by event."""
    if path.endswith("/messages"):
        return _message_events(body)
    head = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1}
    head["model"] = body["model"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in WORDS]
    told = [
        {**head, "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas
    ]
    told.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
        told.append({**head, "choices": [], "usage": usage})
    return [*(b"data: " + orjson.dumps(one) + b"\n\n" for one in told), b"data: [DONE]\n\n"]


def _message_events(body: Any) -> list[bytes]:
    message = {"id": "msg_up", "type": "message", "role": "assistant", "model": body["model"]}
    usage = {"input_tokens": 7, "output_tokens": 1}
    rest = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    block = {"type": "text", "text": ""}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, **rest}},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    for word in WORDS:
        delta = {"type": "text_delta", "text": word}
        told.append({"type": "content_block_delta", "index": 0, "delta": delta})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    told += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]
    return [
        b"event: %b\ndata: " % one["type"].encode() + orjson.dumps(one) + b"\n\n" for one in told
    ]


@asynccontextmanager
async def listening(
    serve: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Listen for this block and serve each connection; give the port. Leaves nothing open."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if (task := asyncio.current_task()) is not None:
            tasks.append(task)
        with suppress(asyncio.CancelledError):
            await serve(reader, writer)

    server = await asyncio.start_server(noted, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def providing(provider: Provider) -> AsyncIterator[Provider]:
    """Run the provider on the running loop for this block; its ``url`` says where."""
    async with listening(provider.serve) as port:
        provider.url = f"http://127.0.0.1:{port}/v1"
        yield provider
