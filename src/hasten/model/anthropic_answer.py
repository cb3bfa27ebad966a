"""Answers in Anthropic's Messages format, whole and as events; the writing half of the wire.

Owns the shape of messages, blocks and events. Leaves requests and reading to
``anthropic_wire``, whose users find ``answer_out`` and ``EventWriter`` there. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from hasten.model.base import Chunk, Response, ToolCall, Usage, count_tokens
from hasten.model.wire_format import Asked, Head, as_dict, frame, without

WIRE = "anthropic"

REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
"""Why an answer ended, in the format's words."""

HEAD = frozenset(("id", "type", "role", "model", "content", "usage", "stop_reason"))
"""The fields of a message that we know; whatever else it says is passed on."""


def call_out(call: ToolCall) -> dict[str, Any]:
    """Return the block of a call."""
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": input_of(call.arguments)}


def input_of(arguments: str) -> Any:
    """Return a call's arguments as the object the format wants, whatever the model wrote."""
    try:
        read = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return {"arguments": arguments}
    return read if isinstance(read, dict) else {"arguments": read}


class _Event(msgspec.Struct):
    type: str


def answer_out(response: Response, head: Head) -> dict[str, Any]:
    """Return the body of a plain answer."""
    native = response.wire == WIRE
    body = {**_message(response, head), "content": _content(response)}
    extra = without(response.extra, frozenset(("usage",))) if native else {}
    return {**body, **extra}


def _message(response: Response, head: Head) -> dict[str, Any]:
    return {
        "id": head.id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": [],
        "stop_reason": REASONS[response.finish_reason],
        "stop_sequence": None,
        "usage": _usage_out(response),
    }


def _content(response: Response) -> list[dict[str, Any]]:
    if response.wire == WIRE and response.parts:
        return list(response.parts)
    has_text = response.text or not response.tool_calls
    texts = [{"type": "text", "text": response.text}] if has_text else []
    return [*texts, *map(call_out, response.tool_calls)]


def _usage_out(response: Response) -> dict[str, Any]:
    usage = response.usage
    kept = as_dict(response.extra.get("usage")) if response.wire == WIRE else {}
    return {
        **kept,
        "input_tokens": usage.tokens_in - usage.cached_tokens_in - usage.cache_write_tokens_in,
        "cache_creation_input_tokens": usage.cache_write_tokens_in,
        "cache_read_input_tokens": usage.cached_tokens_in,
        "output_tokens": usage.tokens_out,
    }


class EventWriter:
    """The events of one streamed answer: the provider's own where it spoke this format."""

    def __init__(self, head: Head, asked: Asked) -> None:
        self._head = head
        self._asked = asked
        self._is_begun = False
        self._index = 0
        self._is_text_open = False

    def write(self, chunk: Chunk) -> list[bytes]:
        """Return the events for ``chunk``, ready to send; the last one's end the stream."""
        if chunk.events and chunk.wire == WIRE:
            return [frame(data, _type_of(data)) for data in chunk.events]
        return [frame(data, data["type"]) for data in self._made(chunk)]

    def _made(self, chunk: Chunk) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        if not self._is_begun:
            made.append(self._start(chunk.response))
            self._is_begun = True
        if chunk.text:
            if not self._is_text_open:
                made.append(self._open({"type": "text", "text": ""}))
                self._is_text_open = True
            made.append(self._delta({"type": "text_delta", "text": chunk.text}))
        if chunk.response is not None:
            made += self._last(chunk.response)
        return made

    def _start(self, response: Response | None) -> dict[str, Any]:
        """Open the answer; how long the request is, is known exactly only at its end."""
        turns = self._asked.request.messages
        estimate = Usage(sum(count_tokens(turn.content) for turn in turns))
        known = response or Response(text="", model=self._head.model, usage=estimate)
        return {
            "type": "message_start",
            "message": {**_message(known, self._head), "stop_reason": None},
        }

    def _last(self, response: Response) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        if self._is_text_open:
            made.append(self._close())
            blocks = list(map(call_out, response.tool_calls))
        else:
            blocks = _content(response)
        for block in blocks:
            made += self._whole(block)
        told = answer_out(response, self._head)
        delta = {
            name: value for name, value in told.items() if name not in HEAD or name == "stop_reason"
        }
        usage = _usage_out(response)
        return [
            *made,
            {"type": "message_delta", "delta": delta, "usage": usage},
            {"type": "message_stop"},
        ]

    def _whole(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the events of a block that is known whole."""
        kind = block.get("type")
        if kind == "text" and not block.get("citations"):
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        elif kind in ("tool_use", "server_tool_use"):
            pieces = orjson.dumps(block.get("input") or {}).decode()
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": pieces}
        elif kind == "thinking":
            return self._thought(block)
        else:
            return [self._open(block), self._close()]
        return [self._open(empty), self._delta(delta), self._close()]

    def _thought(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        opened = self._open({**block, "thinking": "", "signature": ""})
        thinking = self._delta({"type": "thinking_delta", "thinking": block.get("thinking", "")})
        signature = {"type": "signature_delta", "signature": block.get("signature", "")}
        return [opened, thinking, self._delta(signature), self._close()]

    def _open(self, block: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _close(self) -> dict[str, Any]:
        self._index += 1
        return {"type": "content_block_stop", "index": self._index - 1}

    def error(self, told: dict[str, Any]) -> bytes:
        """Return the event that ends a broken stream."""
        return frame(told, "error")


def _type_of(data: str) -> str:
    return msgspec.json.decode(data, type=_Event).type
