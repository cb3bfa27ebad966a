# waiver: a wire adapter, one protocol in both directions
"""Anthropic's Messages format, both ways as plain data, as its client and as its server.

Owns the field names of ``POST /v1/messages`` (platform.claude.com/docs/en/api/messages)
and its stream's events. Leaves HTTP to ``anthropic`` and the servers, other
formats to their wires. Pure.

A schema is asked for with ``output_config.format`` where Anthropic takes it as it
is, else as the input of a tool that must be called, whose input is the answer.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import orjson

from hasten.errors import ModelUnavailable
from hasten.model.anthropic_answer import (
    HEAD,
    REASONS,
    WIRE,
    EventWriter,
    answer_out,
    call_out,
    input_of,
)
from hasten.model.anthropic_errors import error_in_answer
from hasten.model.base import (
    Chunk,
    FinishReason,
    Message,
    Request,
    Response,
    ToolCall,
    Usage,
    count_tokens,
)
from hasten.model.openai_wire import is_strict
from hasten.model.wire_format import (
    SIMULATED,
    Asked,
    Choice,
    as_dict,
    choice_of,
    convert,
    decode_body,
    functions_in,
    given,
    is_native,
    need_messages,
    shared_fields,
    without,
)
from hasten.model.wire_parts import content_of, text_of, to_anthropic

__all__ = [
    "ID_PREFIX",
    "MAX_TOKENS",
    "WIRE",
    "EventWriter",
    "Reading",
    "answer_out",
    "count_out",
    "is_tool_forced",
    "model_out",
    "read_request",
    "to_body",
    "to_count_body",
]

ID_PREFIX = "msg_"

MAX_TOKENS = 4_096
"""The limit of an answer when the request has none: the format requires one."""

ANSWER_TOOL = "answer"
"""The tool whose input is the answer, for schemas that ``output_config`` does not take."""

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_OWN = frozenset(
    ("model", "messages", "system", "max_tokens", "temperature", "stop_sequences", "tools")
) | {"stream"}
_UNCHECKED = frozenset(
    (
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
    )
)
"""Keywords of JSON Schema that structured outputs refuse."""


# --- the client's side: a request out, an answer or its pieces in


def to_body(request: Request, *, model: str, stream: bool) -> dict[str, Any]:
    """Return the JSON body that asks ``request`` of ``model``; ``extra`` may add, not replace.

    Raises ``ModelRejected`` for what came in another format and has none in this.
    """
    native = is_native(request, WIRE)
    schema, tools = request.schema, _tools_out(request)
    fields = {**_extra_out(request, native=native), **_schema_out(request)}
    if schema is not None and is_tool_forced(request):
        tools = [{"name": ANSWER_TOOL, "description": "The answer.", "input_schema": schema}]
        fields["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}
    body = {
        **fields,
        "model": request.model or model,
        "messages": _messages_out(request, native=native),
        "max_tokens": MAX_TOKENS if request.max_tokens is None else request.max_tokens,
    }
    optional = {
        "system": _system_out(request, native=native),
        "temperature": request.temperature,
        "stop_sequences": list(request.stop) or None,
        "tools": tools or None,
        "stream": stream or None,
    }
    return body | given(optional)


def to_count_body(request: Request, *, model: str) -> dict[str, Any]:
    """Return the body of ``POST /v1/messages/count_tokens``: how long ``request`` is."""
    body = to_body(request, model=model, stream=False)
    taken = ("model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control")
    return {name: body[name] for name in (*taken, "output_config") if name in body}


def _extra_out(request: Request, *, native: bool) -> dict[str, Any]:
    extra = dict(request.extra) if native else _translated(request)
    choice = choice_of(request.extra)
    if choice is not None:
        came = as_dict(request.extra["tool_choice"]) if native else {}
        extra["tool_choice"] = came if came.get("type") in _CHOICES else _choice_out(choice)
    if extra.pop("parallel_tool_calls", True) is False:
        extra["tool_choice"] = {
            **extra.get("tool_choice", {"type": "auto"}),
            "disable_parallel_tool_use": True,
        }
    return extra


_CHOICES = ("auto", "any", "tool", "none")


def _choice_out(choice: Choice) -> dict[str, Any]:
    if choice.kind == "tool":
        return {"type": "tool", "name": choice.name}
    return {"type": {"required": "any"}.get(choice.kind, choice.kind)}


def _translated(request: Request) -> dict[str, Any]:
    shared = shared_fields(request)
    user = shared.pop("user", None)
    shared.pop("reasoning_effort", None)
    return shared if user is None else {**shared, "metadata": {"user_id": user}}


def _schema_out(request: Request) -> dict[str, Any]:
    """Return ``output_config`` with the schema's format, if the schema goes that way."""
    came = as_dict(request.extra.get("output_config")) if is_native(request, WIRE) else {}
    if request.schema is None or is_tool_forced(request):
        return {"output_config": came} if came else {}
    if _schema_in(request.extra) == request.schema and is_native(request, WIRE):
        return {}
    return {"output_config": {**came, "format": {"type": "json_schema", "schema": request.schema}}}


def is_tool_forced(request: Request) -> bool:
    """Whether the schema is asked for by a tool that must be called.

    It is where ``output_config`` would refuse it, unless the request has tools of
    its own or already asks for it in Anthropic's way.
    """
    schema = request.schema
    if schema is None or request.tools:
        return False
    if request.wire == WIRE and _schema_in(request.extra) == schema:
        return False
    return not (is_strict(schema) and _is_checked(schema))


def _is_checked(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_checked, schema))
    if not isinstance(schema, dict):
        return True
    return not (_UNCHECKED & schema.keys()) and all(map(_is_checked, schema.values()))


def _tools_out(request: Request) -> list[dict[str, Any]]:
    if request.wire == WIRE:
        return list(request.tools)
    return [
        given(
            {
                "name": one.name,
                "description": one.description or None,
                "input_schema": one.parameters,
            }
        )
        for one in functions_in(request.tools)
    ]


def _system_out(request: Request, *, native: bool) -> str | list[dict[str, Any]] | None:
    turns = [turn for turn in request.messages if turn.role == "system"]
    if native and any(turn.parts for turn in turns):
        return [block for turn in turns for block in _blocks(turn, native=native)]
    return "\n\n".join(turn.content for turn in turns) or None


def _messages_out(request: Request, *, native: bool) -> list[dict[str, Any]]:
    """Return the turns; results of tools share one with what the user says after them."""
    made: list[dict[str, Any]] = []
    is_open = False
    for turn in request.messages:
        if turn.role == "system":
            continue
        if turn.role == "assistant":
            made.append({"role": "assistant", "content": _content_out(turn, native=native)})
        elif is_open:
            made[-1]["content"] += _blocks(turn, native=native)
        elif turn.role == "tool":
            made.append({"role": "user", "content": _blocks(turn, native=native)})
        else:
            made.append({"role": "user", "content": _content_out(turn, native=native)})
        if native and turn.role != "tool":
            made[-1] |= turn.extra
        is_open = turn.role == "tool"
    return made


def _content_out(turn: Message, *, native: bool) -> str | list[dict[str, Any]]:
    if (turn.parts and native) or turn.tool_calls or (turn.parts and turn.role == "user"):
        return _blocks(turn, native=native)
    return turn.content


def _blocks(turn: Message, *, native: bool) -> list[dict[str, Any]]:
    if turn.role == "tool":
        return [_result_out(turn, native=native)]
    if turn.parts and native:
        return list(turn.parts)
    if turn.parts and turn.role == "user":
        return [to_anthropic(part) for part in content_of(turn.parts)]
    texts = [{"type": "text", "text": turn.content}] if turn.content else []
    return [*texts, *map(call_out, turn.tool_calls)]


def _result_out(turn: Message, *, native: bool) -> dict[str, Any]:
    content: Any = turn.content
    if turn.parts:
        content = list(turn.parts) if native else list(map(to_anthropic, content_of(turn.parts)))
    result = {"type": "tool_result", "tool_use_id": turn.tool_call_id or "", "content": content}
    return result | turn.extra if native else result


class _Written(msgspec.Struct):
    ephemeral_1h_input_tokens: int | None = None


class _UsageIn(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Answer(msgspec.Struct):
    content: list[dict[str, Any]] = []
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    usage: dict[str, Any] = {}
    error: Any = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: dict[str, Any] = {}
    content_block: dict[str, Any] = {}
    delta: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    error: Any = None


_GROWING = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_SILENT = ("message_start", "ping", "content_block_stop", "message_delta", "message_stop")


class Reading:
    """One answer as it is read, whole or piece by piece; ends in a ``Response``."""

    def __init__(self, request: Request, *, model: str) -> None:
        self._request = request
        self._model = request.model or model
        self._is_forced = is_tool_forced(request)
        self._told: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._events: list[str] = []
        self.is_done = False

    def take_whole(self, body: bytes) -> Response:
        """Return the answer that ``body`` is.

        Raises ``ModelUnavailable`` for anything else and what an error object stands for.
        """
        raw = self._decoded(body)
        answer = self._converted(raw, _Answer)
        if answer.error is not None:
            raise error_in_answer(answer.error, model=self._model)
        self._told = raw
        self._usage = answer.usage
        self._blocks = dict(enumerate(answer.content))
        return self.response()

    def take(self, data: str) -> Chunk | None:
        """Take the data of one event; return the piece it adds, if it adds one.

        Raises as ``take_whole`` does.
        """
        event = self._converted(self._decoded(data), _Event)
        self._events.append(data)
        if event.type == "error":
            raise error_in_answer(event.error, model=self._model)
        text = self._merge(event)
        is_shown = bool(text) or event.type not in _SILENT
        if not is_shown or (
            event.type == "content_block_start" and not text and self._is_text(event)
        ):
            return None
        if self._is_forced:
            return Chunk(text=text) if text else None
        return Chunk(text=text, events=self._taken(), wire=WIRE)

    def last(self) -> Chunk:
        """Return the chunk that ends a stream. Raises ``ModelUnavailable`` before its end."""
        if self._is_forced:
            return Chunk(response=self.response())
        return Chunk(response=self.response(), events=self._taken(), wire=WIRE)

    @staticmethod
    def _is_text(event: _Event) -> bool:
        return event.content_block.get("type") == "text"

    def _taken(self) -> tuple[str, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _merge(self, event: _Event) -> str:
        """Add ``event`` to the answer; return the text it adds."""
        if event.type == "message_start":
            self._told = dict(event.message)
            self._usage = as_dict(event.message.get("usage"))
        elif event.type == "message_delta":
            self._told |= event.delta
            self._usage = {**self._usage, **given(event.usage)}
        elif event.type == "message_stop":
            self.is_done = True
        elif event.type == "content_block_start":
            self._blocks[event.index] = dict(event.content_block)
            return "" if self._is_forced else str(event.content_block.get("text") or "")
        elif event.type == "content_block_delta":
            return self._grow(event)
        return ""

    def _grow(self, event: _Event) -> str:
        block = self._blocks.setdefault(event.index, {"type": "text", "text": ""})
        kind = str(event.delta.get("type"))
        name = _GROWING.get(kind)
        piece = event.delta.get(name or "")
        if kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), event.delta.get("citation")]
        if not isinstance(piece, str):
            return ""
        if kind == "input_json_delta":
            self._inputs[event.index] = self._inputs.get(event.index, "") + piece
            return piece if self._is_forced else ""
        block[str(name)] = (block.get(str(name)) or "") + piece
        return piece if kind == "text_delta" and not self._is_forced else ""

    def response(self) -> Response:
        """Return the whole answer. Raises ``ModelUnavailable`` when it did not end."""
        reason = self._told.get("stop_reason")
        if not isinstance(reason, str):
            message = f"{self._model} stopped before it had finished its answer"
            raise ModelUnavailable(message, model=self._model)
        blocks = [self._finished(index) for index in sorted(self._blocks)]
        calls = tuple(self._call(index) for index in sorted(self._blocks) if self._is_call(index))
        text = text_of(blocks)
        if self._is_forced and calls:
            text, calls = calls[0].arguments, ()
            blocks, reason = [], reason if reason != "tool_use" else "end_turn"
        model = str(self._told.get("model") or self._model)
        parts = () if all(map(_is_plain, blocks)) else tuple(blocks)
        extra = {} if self._is_forced else self._extra(reason)
        return Response(
            text=text,
            model=model,
            usage=self._counted(text),
            finish_reason=_FINISHES.get(reason, "stop"),
            tool_calls=calls,
            id=str(self._told.get("id") or ""),
            simulated=model.startswith(SIMULATED),
            parts=parts,
            extra=extra,
            wire=WIRE if parts or extra else "",
        )

    def _is_call(self, index: int) -> bool:
        return self._blocks[index].get("type") == "tool_use"

    def _finished(self, index: int) -> dict[str, Any]:
        """Return a block with the input that came in pieces."""
        block = self._blocks[index]
        if index not in self._inputs:
            return block
        return {**block, "input": input_of(self._inputs[index])}

    def _call(self, index: int) -> ToolCall:
        block = self._blocks[index]
        came = orjson.dumps(block.get("input") or {}).decode()
        arguments = self._inputs.get(index) or came
        return ToolCall(str(block.get("id", "")), str(block.get("name", "")), arguments)

    def _extra(self, reason: str) -> dict[str, Any]:
        """Return what the answer says beyond the rest, its usage too where that says more."""
        extra = given(without(self._told, HEAD))
        if REASONS[_FINISHES.get(reason, "stop")] != reason:
            extra["stop_reason"] = reason
        usage = given(self._usage)
        if any(usage.get(name) for name in usage.keys() - set(_UsageIn.__struct_fields__)):
            extra["usage"] = usage
        return extra

    def _counted(self, text: str) -> Usage:
        """Return the endpoint's count, or our estimate where it gives none."""
        told = self._converted(self._usage, _UsageIn)
        lasting = self._converted(self._usage.get("cache_creation") or {}, _Written)
        read, written = told.cache_read_input_tokens or 0, told.cache_creation_input_tokens or 0
        asked = told.input_tokens
        if asked is None:
            asked = sum(count_tokens(turn.content) for turn in self._request.messages)
        tokens_out = told.output_tokens
        return Usage(
            asked + read + written,
            count_tokens(text) if tokens_out is None else tokens_out,
            read,
            written,
            lasting.ephemeral_1h_input_tokens or 0,
        )

    def _decoded(self, data: str | bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._no_answer(error) from error

    def _converted(self, raw: Any, as_type: type[Any]) -> Any:
        try:
            return msgspec.convert(raw, as_type)
        except msgspec.ValidationError as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> ModelUnavailable:
        message = f"{self._model} sent something that is not an answer: {error}"
        return ModelUnavailable(message, model=self._model)


def _is_plain(block: dict[str, Any]) -> bool:
    """Whether a block is wholly told by the answer's text and calls."""
    rest = {"text": ("type", "text"), "tool_use": ("type", "id", "name", "input", "caller")}
    return not given(without(block, frozenset(rest.get(str(block.get("type")), ()))))


# --- the server's side: a request in; answers and their events are in ``anthropic_answer``


class _Turn(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _ToolUse(msgspec.Struct):
    id: str
    name: str
    input: Any = None


class _ToolResult(msgspec.Struct):
    tool_use_id: str
    content: str | list[dict[str, Any]] | None = None


class _Counted(msgspec.Struct):
    model: str
    messages: list[_Turn]
    system: str | list[_Block] | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    stream: bool | None = None
    output_config: dict[str, Any] | None = None
    tool_choice: dict[str, Any] | None = None


class _Body(_Counted, kw_only=True):
    max_tokens: int


def read_request(body: bytes, *, is_count: bool = False) -> Asked:
    """Return what ``body`` asks; ``is_count`` if only how long it is.

    Raises ``InvalidInput`` naming the field.
    """
    kind: type[_Counted] = _Counted if is_count else _Body
    asked, raw = decode_body(body, kind)
    need_messages(asked.messages)
    messages = [*_system_in(raw.get("system"))]
    for number, turn in enumerate(raw["messages"]):
        messages += _turns_in(turn, f"messages[{number}]")
    request = Request(
        messages=tuple(messages),
        model=asked.model,
        max_tokens=asked.max_tokens if isinstance(asked, _Body) else None,
        temperature=asked.temperature,
        stop=tuple(asked.stop_sequences or ()),
        schema=_schema_in(raw),
        tools=tuple(asked.tools or ()),
        extra=given(without(raw, _OWN)),
        wire=WIRE,
    )
    return Asked(request, bool(asked.stream))


def _system_in(system: str | list[dict[str, Any]] | None) -> list[Message]:
    if not system:
        return []
    parts = () if isinstance(system, str) else tuple(system)
    return [Message("system", text_of(system), parts=parts)]


def _turns_in(turn: dict[str, Any], path: str) -> list[Message]:
    """Return the turns that one of theirs is: the results of tools are turns of their own."""
    content, extra = turn["content"], without(turn, frozenset(("role", "content")))
    if isinstance(content, str):
        return [Message(turn["role"], content, extra=extra)]
    for number, block in enumerate(content):
        convert(block, _Block, f"{path}.content[{number}]")
    if turn["role"] == "assistant":
        calls = tuple(
            _call_in(block, f"{path}.content[{number}]")
            for number, block in enumerate(content)
            if block["type"] == "tool_use"
        )
        return [Message("assistant", text_of(content), calls, parts=tuple(content), extra=extra)]
    made: list[Message] = []
    for number, block in enumerate(content):
        if block["type"] == "tool_result":
            made.append(_result_in(block, f"{path}.content[{number}]"))
        elif made and made[-1].role != "tool":
            parts = (*made[-1].parts, block)
            made[-1] = Message(turn["role"], text_of(parts), parts=parts, extra=extra)
        else:
            made.append(Message(turn["role"], text_of([block]), parts=(block,), extra=extra))
    return made or [Message(turn["role"], "", extra=extra)]


def _call_in(block: dict[str, Any], path: str) -> ToolCall:
    call = convert(block, _ToolUse, path)
    return ToolCall(call.id, call.name, orjson.dumps(call.input or {}).decode())


def _result_in(block: dict[str, Any], path: str) -> Message:
    result = convert(block, _ToolResult, path)
    parts = tuple(result.content) if isinstance(result.content, list) else ()
    extra = without(block, frozenset(("type", "tool_use_id", "content")))
    text = text_of(result.content)
    return Message("tool", text, tool_call_id=result.tool_use_id, parts=parts, extra=extra)


def _schema_in(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema asked for, by ``output_config.format`` or its beta, ``output_format``."""
    wanted = as_dict(raw.get("output_config")).get("format") or raw.get("output_format")
    return as_dict(as_dict(wanted).get("schema")) or None


def count_out(tokens_in: int) -> dict[str, Any]:
    """Return the body that answers ``count_tokens``."""
    return {"input_tokens": tokens_in}


def model_out(name: str, created: str) -> dict[str, Any]:
    """Return one entry of the list of models; ``created`` is a time in RFC 3339."""
    return {"type": "model", "id": name, "display_name": name, "created_at": created}
