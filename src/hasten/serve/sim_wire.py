"""OpenAI's chat format as its server speaks it: bodies in, answers, chunks and errors out.

Owns the shapes (platform.openai.com/docs/api-reference/chat) that the
simulated endpoint reads and writes; ``model/openai_wire`` is the client's side
of the same format. Leaves HTTP to ``sim``. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.errors import InvalidInput
from hasten.model.base import Message, Request, ToolCall

if TYPE_CHECKING:
    from hasten.model.base import Response, Usage

FINGERPRINT = "sim"
"""The ``system_fingerprint`` of every answer: nobody shall take it for a real model's."""

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")


class _Part(msgspec.Struct):
    type: Literal["text"]
    text: str


class _Function(msgspec.Struct):
    name: str
    arguments: str = "{}"


class _Call(msgspec.Struct):
    id: str
    function: _Function


class _Turn(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] = []
    tool_call_id: str | None = None


class _JsonSchema(msgspec.Struct):
    name: str
    schema: dict[str, Any] = {}


class _Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Tool(msgspec.Struct):
    type: Literal["function"]
    function: dict[str, Any]


class ChatBody(msgspec.Struct):
    """The fields of a chat request that the endpoint heeds; others are accepted and ignored."""

    model: str
    messages: list[_Turn]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    stop: str | list[str] | None = None
    response_format: _Format | None = None
    tools: list[_Tool] = []
    tool_choice: Any = None

    @property
    def wants_usage(self) -> bool:
        """Whether the stream shall end with a chunk of usage."""
        return self.stream_options is not None and self.stream_options.include_usage


_decoder = msgspec.json.Decoder(ChatBody)


def read_body(body: bytes) -> ChatBody:
    """Return the request in ``body``. Raises ``InvalidInput`` naming the parameter."""
    try:
        chat = _decoder.decode(body)
    except msgspec.ValidationError as error:
        told = _PATH.match(str(error))
        what, path = (told["what"], told["path"] or "") if told else (str(error), "")
        missing = _MISSING.search(what)
        name = ".".join(filter(None, (path, missing[1] if missing else "")))
        message = f"{what} ({name or 'the body'})"
        raise InvalidInput(message, field=name) from error
    except msgspec.DecodeError as error:
        message = f"The body is not valid JSON: {error}"
        raise InvalidInput(message, field="") from error
    if not chat.messages:
        message = "messages must hold at least one message"
        raise InvalidInput(message, field="messages")
    return chat


def to_request(chat: ChatBody) -> Request:
    """Return what ``chat`` asks."""
    stop = [chat.stop] if isinstance(chat.stop, str) else chat.stop
    most = chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens
    return Request(
        messages=tuple(map(_message, chat.messages)),
        model=chat.model,
        max_tokens=most,
        temperature=chat.temperature,
        seed=chat.seed,
        stop=tuple(stop or ()),
        schema=_schema(chat.response_format),
        tools=tuple({"type": tool.type, "function": tool.function} for tool in chat.tools),
        extra={} if chat.tool_choice is None else {"tool_choice": chat.tool_choice},
    )


def _message(turn: _Turn) -> Message:
    parts = turn.content
    text = "".join(part.text for part in parts) if isinstance(parts, list) else parts or ""
    calls = (
        ToolCall(call.id, call.function.name, call.function.arguments) for call in turn.tool_calls
    )
    role = "system" if turn.role == "developer" else turn.role
    return Message(role, text, tuple(calls), turn.tool_call_id)


def _schema(wanted: _Format | None) -> dict[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if wanted.json_schema is None:
        message = "response_format of type json_schema needs json_schema"
        raise InvalidInput(message, field="response_format.json_schema")
    return wanted.json_schema.schema


def answer_out(response: Response, created_s: float) -> dict[str, Any]:
    """Return the body of a plain answer."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if response.tool_calls else response.text,
        "refusal": None,
    }
    if response.tool_calls:
        message["tool_calls"] = _calls_out(response)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": response.finish_reason,
    }
    head = _head("chat.completion", response.id, response.model, created_s)
    return {**head, "choices": [choice], "usage": _usage_out(response.usage)}


class ChunkWriter:
    """The chunks of one streamed answer, which share their head."""

    def __init__(self, id_: str, model: str, created_s: float, *, wants_usage: bool) -> None:
        self._head = _head("chat.completion.chunk", id_, model, created_s)
        self._wants_usage = wants_usage

    def first(self) -> dict[str, Any]:
        """Return the chunk that opens the answer."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> dict[str, Any]:
        """Return the chunk for a piece of text."""
        return self._chunk({"content": text})

    def last(self, response: Response) -> list[dict[str, Any]]:
        """Return the chunks that end the answer: tool calls, the reason, the usage if wanted."""
        calls = [{"index": number, **call} for number, call in enumerate(_calls_out(response))]
        chunks = [self._chunk({"tool_calls": calls})] if calls else []
        chunks.append(self._chunk({}, response.finish_reason))
        if self._wants_usage:
            chunks.append({**self._head, "choices": [], "usage": _usage_out(response.usage)})
        return chunks

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head, "choices": [choice]}
        return {**chunk, "usage": None} if self._wants_usage else chunk


def model_out(name: str, created_s: float) -> dict[str, Any]:
    """Return one entry of the list of models."""
    return {"id": name, "object": "model", "created": int(created_s), "owned_by": "hasten"}


def error_out(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _head(kind: str, id_: str, model: str, created_s: float) -> dict[str, Any]:
    return {
        "id": id_,
        "object": kind,
        "created": int(created_s),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _calls_out(response: Response) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in response.tool_calls
    ]


def _usage_out(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.tokens_in,
        "completion_tokens": usage.tokens_out,
        "total_tokens": usage.tokens_in + usage.tokens_out,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens_in, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
