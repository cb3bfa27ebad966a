"""The OpenAI chat format, both ways as plain data: a request out, an answer or its pieces in.

Owns the field names of ``POST /chat/completions`` (platform.openai.com/docs/api-reference/chat)
as compatible endpoints share them. Leaves HTTP and errors to
``openai`` and ``openai_errors``. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hasten.errors import ModelRefused, ModelUnavailable
from hasten.model.base import (
    FinishReason,
    Message,
    Request,
    Response,
    ToolCall,
    Usage,
    count_tokens,
)
from hasten.model.openai_errors import error_in_answer

SIMULATED_FINGERPRINT = "sim"
"""How the ``system_fingerprint`` of our own simulated endpoint begins."""

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None
    index: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Answer)


def to_body(request: Request, *, model: str, max_tokens_field: str, stream: bool) -> dict[str, Any]:
    """Return the JSON body that asks ``request`` of ``model``; ``extra`` may add, not replace."""
    body: dict[str, Any] = {
        **request.extra,
        "model": request.model or model,
        "messages": [_message_out(turn) for turn in request.messages],
    }
    optional = {
        max_tokens_field: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "tools": list(request.tools) or None,
        "response_format": _response_format(request.schema),
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _message_out(turn: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.tool_calls:
        made["content"] = turn.content or None
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id is not None:
        made["tool_call_id"] = turn.tool_call_id
    return made


def _response_format(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    name = "".join(char for char in str(schema.get("title", "")) if char.isalnum() or char in "_-")
    asked = {"name": name[:64] or "answer", "schema": schema, "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": asked}


def is_strict(schema: Any) -> bool:
    """Tell whether ``schema`` is one that OpenAI's strict mode takes.

    Every object in it is closed and requires all of its properties
    (platform.openai.com/docs/guides/structured-outputs, "Supported schemas").
    """
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        names = schema.get("properties", {}).keys()
        if schema.get("additionalProperties") is not False or names != {
            *schema.get("required", ())
        }:
            return False
    return all(is_strict(part) for part in schema.values())


class Reading:
    """One answer as it is read, whole or piece by piece; ends in a ``Response``."""

    def __init__(self, request: Request, *, model: str) -> None:
        self._request = request
        self._model = request.model or model
        self._id = ""
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._usage: _Usage | None = None
        self._finish: str | None = None
        self._fingerprint = ""

    @property
    def is_finished(self) -> bool:
        """Whether the answer said how it ended."""
        return self._finish is not None

    def take(self, data: str | bytes) -> str:
        """Take a whole answer or the data of one event; return the text it adds.

        Raises ``ModelUnavailable`` for anything that is not an answer, and what
        an error object stands for.
        """
        try:
            answer = _decoder.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            message = f"{self._model} sent something that is not an answer: {error}"
            raise ModelUnavailable(message, model=self._model) from error
        if answer.error is not None:
            raise error_in_answer(answer.error, model=self._model)
        self._id = answer.id or self._id
        self._model = answer.model or self._model
        self._usage = answer.usage or self._usage
        self._fingerprint = answer.system_fingerprint or self._fingerprint
        return "".join(self._choice(choice) for choice in answer.choices if choice.index == 0)

    def _choice(self, choice: _Choice) -> str:
        said = choice.message or choice.delta or _Message()
        self._finish = choice.finish_reason or self._finish
        self._texts.append(said.content or "")
        self._refusals.append(said.refusal or "")
        for place, call in enumerate(said.tool_calls or ()):
            self._call(place if call.index is None else call.index, call)
        return said.content or ""

    def _call(self, index: int, piece: _Call) -> None:
        call = self._calls.setdefault(index, _Call())
        call.id = piece.id or call.id
        call.function.name = piece.function.name or call.function.name
        call.function.arguments = (call.function.arguments or "") + (piece.function.arguments or "")

    def response(self) -> Response:
        """Return the whole answer.

        Raises ``ModelRefused`` when the model declined and ``ModelUnavailable``
        when what came holds no answer.
        """
        refusal = "".join(self._refusals)
        if refusal:
            raise ModelRefused(refusal, model=self._model)
        if self._finish is None:
            message = f"{self._model} stopped before it had finished its answer"
            raise ModelUnavailable(message, model=self._model)
        text = "".join(self._texts)
        calls = tuple(
            ToolCall(call.id or "", call.function.name or "", call.function.arguments or "")
            for _, call in sorted(self._calls.items())
        )
        return Response(
            text=text,
            model=self._model,
            usage=self._counted(text),
            finish_reason=_FINISHES.get(self._finish, "stop"),
            tool_calls=calls,
            id=self._id,
            simulated=self._fingerprint.startswith(SIMULATED_FINGERPRINT),
        )

    def _counted(self, text: str) -> Usage:
        """Return the endpoint's count, or our estimate where it gives none."""
        counted = self._usage or _Usage()
        asked = sum(count_tokens(turn.content) for turn in self._request.messages)
        details = counted.prompt_tokens_details or _Details()
        return Usage(
            asked if counted.prompt_tokens is None else counted.prompt_tokens,
            count_tokens(text) if counted.completion_tokens is None else counted.completion_tokens,
            details.cached_tokens or 0,
        )
