# waiver: a wire adapter, one protocol in both directions
"""OpenAI's Responses format, both ways as plain data, as its client and as its server.

Owns the field names of ``POST /responses`` (platform.openai.com/docs/api-reference/responses)
and its stream's events. Leaves HTTP to ``openai`` and the servers, errors to
``openai_errors``, other formats to their wires. Pure.

The conversation is a list of items. A run of what the model said (its thoughts,
messages and calls) is one assistant turn of ours, with the items as its parts.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from hasten.errors import InvalidInput, ModelRefused, ModelUnavailable
from hasten.model.base import Chunk, Message, Request, Response, ToolCall, Usage, count_tokens
from hasten.model.openai_errors import error_in_answer
from hasten.model.openai_wire import is_strict
from hasten.model.wire_format import (
    JSON_OBJECT,
    SIMULATED,
    Asked,
    Choice,
    Head,
    as_dict,
    choice_of,
    convert,
    decode_body,
    frame,
    functions_in,
    given,
    is_native,
    need_messages,
    shared_fields,
    without,
)
from hasten.model.wire_parts import content_of, text_of, to_responses

WIRE = "responses"

ID_PREFIX = "resp_"

_OWN = frozenset(
    ("model", "input", "instructions", "max_output_tokens", "temperature", "tools", "stream")
)
_HEAD = frozenset(
    (
        *("id", "object", "created_at", "completed_at", "model", "output", "output_text"),
        *("status", "error"),
    )
)
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_SILENT = ("response.created", "response.in_progress", "response.queued", *_ENDS)
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_SPEAKERS = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


# --- the client's side: a request out, an answer or its pieces in


def to_body(request: Request, *, model: str, stream: bool) -> dict[str, Any]:
    """Return the JSON body that asks ``request`` of ``model``; ``extra`` may add, not replace.

    Raises ``ModelRejected`` for what came in another format and has none in this.
    """
    native = is_native(request, WIRE)
    extra = dict(request.extra) if native else _translated(request)
    choice = choice_of(request.extra)
    if choice is not None and request.wire != WIRE:
        extra["tool_choice"] = _choice_out(choice)
    optional = {
        "instructions": _instructions(request),
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "tools": _tools_out(request) or None,
        "text": _text_out(request, native=native),
        "stream": stream or None,
    }
    body = {**extra, "model": request.model or model, "input": _input_out(request, native=native)}
    if not stream:
        body.pop("stream_options", None)
    return body | given(optional)


def _translated(request: Request) -> dict[str, Any]:
    shared = shared_fields(request)
    effort = shared.pop("reasoning_effort", None)
    shared.pop("top_k", None)
    return shared if effort is None else {**shared, "reasoning": {"effort": effort}}


def _choice_out(choice: Choice) -> str | dict[str, Any]:
    return choice.kind if choice.kind != "tool" else {"type": "function", "name": choice.name}


def _tools_out(request: Request) -> list[dict[str, Any]]:
    if request.wire == WIRE:
        return list(request.tools)
    return [
        {"type": "function", "strict": False, **one._asdict()}
        for one in functions_in(request.tools)
    ]


def _text_out(request: Request, *, native: bool) -> dict[str, Any] | None:
    """Return the format that came with the request if it asks for its schema, else ours."""
    came = as_dict(request.extra.get("text")) if native else {}
    schema = request.schema
    if schema is None or _schema_in(came) == schema:
        return came or None
    if schema == JSON_OBJECT:
        return {**came, "format": {"type": "json_object"}}
    strict = is_strict(schema)
    asked = {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}
    return {**came, "format": asked}


def _instructions(request: Request) -> str | None:
    first = request.messages[0] if request.messages else None
    is_there = first is not None and first.role == "system" and not first.parts
    return first.content if first is not None and is_there else None


def _input_out(request: Request, *, native: bool) -> str | list[dict[str, Any]]:
    turns = request.messages
    if _instructions(request) is not None:
        turns = turns[1:]
    only = turns[0] if len(turns) == 1 else None
    if only is not None and only.role == "user" and not only.parts:
        return only.content
    return [item for turn in turns for item in _items(turn, native=native)]


def _items(turn: Message, *, native: bool) -> list[dict[str, Any]]:
    if native and turn.parts:
        return list(turn.parts)
    if turn.role == "tool":
        return [
            {
                "type": "function_call_output",
                "call_id": turn.tool_call_id or "",
                "output": turn.content,
            }
        ]
    content: Any = turn.content
    if turn.role == "user" and turn.parts:
        content = [to_responses(part) for part in content_of(turn.parts)]
    said = [{"role": turn.role, "content": content}] if content or not turn.tool_calls else []
    return [*said, *map(_call_out, turn.tool_calls)]


def _call_out(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _UsageIn(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None


class _Reason(msgspec.Struct):
    reason: str | None = None


class _Answer(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[dict[str, Any]] = []
    usage: _UsageIn | None = None
    incomplete_details: _Reason | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str
    delta: Any = None
    response: dict[str, Any] = {}


class Reading:
    """One answer as it is read, whole or piece by piece; ends in a ``Response``."""

    def __init__(self, request: Request, *, model: str) -> None:
        self._request = request
        self._model = request.model or model
        self._raw: dict[str, Any] = {}
        self._events: list[str] = []
        self.is_done = False

    def take_whole(self, body: bytes) -> Response:
        """Return the answer that ``body`` is.

        Raises ``ModelUnavailable`` for anything else and what an error object stands for.
        """
        self._raw = as_dict(self._converted(body, dict[str, Any]))
        return self.response()

    def take(self, data: str) -> Chunk | None:
        """Take the data of one event; return the piece it adds, if it adds one.

        Raises as ``take_whole`` does.
        """
        event = self._converted(data, _Event)
        self._events.append(data)
        if event.type == "error":
            told = orjson.loads(data)
            raise error_in_answer(told.get("error") or told, model=self._model)
        if event.type in _ENDS:
            self._raw = event.response
            self.is_done = True
        if event.type in _SILENT or event.type.endswith((".added", ".done")):
            return None
        is_text = event.type == "response.output_text.delta" and isinstance(event.delta, str)
        return Chunk(text=event.delta if is_text else "", events=self._taken(), wire=WIRE)

    def last(self) -> Chunk:
        """Return the chunk that ends a stream. Raises ``ModelUnavailable`` before its end."""
        return Chunk(response=self.response(), events=self._taken(), wire=WIRE)

    def _taken(self) -> tuple[str, ...]:
        events, self._events = tuple(self._events), []
        return events

    def response(self) -> Response:
        """Return the whole answer.

        Raises ``ModelRefused`` when the model declined and ``ModelUnavailable``
        when what came holds no answer.
        """
        answer = self._converted(orjson.dumps(self._raw), _Answer)
        if answer.error is not None:
            raise error_in_answer(answer.error, model=self._model)
        if answer.status not in ("completed", "incomplete"):
            message = f"{self._model} stopped before it had finished its answer"
            raise ModelUnavailable(message, model=self._model)
        refusals = [part["refusal"] for part in _said(answer.output) if part.get("refusal")]
        if refusals:
            raise ModelRefused("".join(map(str, refusals)), model=self._model)
        text = text_of(tuple(_said(answer.output)))
        calls = tuple(_call_in(item) for item in answer.output if _is_call(item))
        reason = answer.incomplete_details.reason if answer.incomplete_details else None
        finish: Any = "tool_calls" if calls else "stop"
        if answer.status == "incomplete":
            finish = "content_filter" if reason == "content_filter" else "length"
        model = answer.model or self._model
        is_simulated = model.startswith(SIMULATED)
        parts = () if is_simulated else tuple(answer.output)
        return Response(
            text=text,
            model=model,
            usage=self._counted(answer.usage or _UsageIn(), text),
            finish_reason=finish,
            tool_calls=calls,
            id=answer.id or "",
            simulated=is_simulated,
            parts=parts,
            extra={} if is_simulated else given(without(self._raw, _HEAD)),
            wire="" if is_simulated else WIRE,
        )

    def _counted(self, told: _UsageIn, text: str) -> Usage:
        """Return the endpoint's count, or our estimate where it gives none."""
        asked = sum(count_tokens(turn.content) for turn in self._request.messages)
        details = told.input_tokens_details or _Details()
        return Usage(
            asked if told.input_tokens is None else told.input_tokens,
            count_tokens(text) if told.output_tokens is None else told.output_tokens,
            details.cached_tokens or 0,
            details.cache_write_tokens or 0,
        )

    def _converted(self, data: str | bytes, as_type: type[Any]) -> Any:
        try:
            return msgspec.convert(orjson.loads(data), as_type)
        except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
            message = f"{self._model} sent something that is not an answer: {error}"
            raise ModelUnavailable(message, model=self._model) from error


def _said(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of all messages in ``output``."""
    messages = (item for item in output if item.get("type", "message") == "message")
    return [
        part
        for message in messages
        for part in (message.get("content") or ())
        if isinstance(part, dict)
    ]


def _is_call(item: dict[str, Any]) -> bool:
    return item.get("type") in ("function_call", "custom_tool_call")


def _call_in(item: dict[str, Any]) -> ToolCall:
    arguments = str(item.get("arguments", item.get("input", "")))
    return ToolCall(str(item.get("call_id", "")), str(item.get("name", "")), arguments)


# --- the server's side: a request in, an answer or its events out


class _Body(msgspec.Struct):
    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    tools: list[dict[str, Any]] | None = None
    text: dict[str, Any] | None = None
    stream: bool | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    content: str | list[dict[str, Any]] | None = None


class _Call(msgspec.Struct):
    call_id: str
    name: str


class _Output(msgspec.Struct):
    call_id: str
    output: str | list[dict[str, Any]]


def read_request(body: bytes) -> Asked:
    """Return what ``body`` asks. Raises ``InvalidInput`` naming the field."""
    asked, raw = decode_body(body, _Body)
    turns = [] if asked.instructions is None else [Message("system", asked.instructions)]
    if isinstance(asked.input, str):
        turns.append(Message("user", asked.input))
    else:
        need_messages(asked.input, "input")
        for number, item in enumerate(asked.input):
            _add_item(turns, item, f"input[{number}]")
    request = Request(
        messages=tuple(turns),
        model=asked.model,
        max_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        schema=_schema_in(asked.text or {}),
        tools=tuple(asked.tools or ()),
        extra=given(without(raw, _OWN)),
        wire=WIRE,
    )
    return Asked(request, bool(asked.stream))


def _add_item(turns: list[Message], item: dict[str, Any], path: str) -> None:
    """Add ``item`` to the conversation: to the model's last turn if it is the model's too."""
    told = convert(item, _Item, path)
    if told.type in _OUTPUTS:
        output = convert(item, _Output, path)
        text = text_of(output.output)
        turns.append(Message("tool", text, tool_call_id=output.call_id, parts=(item,)))
        return
    if told.role is not None and told.role not in _SPEAKERS:
        message = f"role is {told.role!r} ({path}.role)"
        raise InvalidInput(
            message, field=f"{path}.role", value=told.role, allowed=sorted(_SPEAKERS)
        )
    role: Any = _SPEAKERS[told.role or "assistant"]
    calls: tuple[ToolCall, ...] = ()
    if _is_call(item):
        convert(item, _Call, path)
        calls = (_call_in(item),)
    text = text_of(told.content) if told.role else ""
    last = turns[-1] if turns else None
    if role == "assistant" and last is not None and last.role == "assistant":
        turns[-1] = Message(
            "assistant", last.content + text, last.tool_calls + calls, parts=(*last.parts, item)
        )
    else:
        turns.append(Message(role, text, calls, parts=(item,)))


def _schema_in(text: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema that ``text.format`` asks for. Raises ``InvalidInput``."""
    wanted = as_dict(text.get("format"))
    if wanted.get("type") == "json_object":
        return JSON_OBJECT
    if wanted.get("type") != "json_schema":
        return None
    if not isinstance(wanted.get("schema"), dict):
        message = "text.format of type json_schema needs text.format.schema"
        raise InvalidInput(message, field="text.format.schema")
    return as_dict(wanted["schema"])


def answer_out(response: Response, head: Head, request: Request) -> dict[str, Any]:
    """Return the body of a plain answer to ``request``, whose settings it repeats."""
    native = response.wire == WIRE
    output = list(response.parts) if native and response.parts else _output(response, head)
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = cut.get(response.finish_reason)
    return {
        **_repeated(request, head),
        "completed_at": None if reason else head.created_s,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": _usage_out(response.usage),
        **(response.extra if native else {}),
    }


def _repeated(request: Request, head: Head) -> dict[str, Any]:
    """Return what an answer says about its request, before anything is answered."""
    extra = request.extra if request.wire == WIRE else {}
    tools = list(request.tools) if request.wire == WIRE else []
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created_s,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": _instructions(request),
        "max_output_tokens": request.max_tokens,
        "model": head.model,
        "output": [],
        "parallel_tool_calls": extra.get("parallel_tool_calls", True),
        "previous_response_id": extra.get("previous_response_id"),
        "reasoning": extra.get("reasoning", {"effort": None, "summary": None}),
        "service_tier": "default",
        "store": extra.get("store", True),
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": extra.get("text", {"format": {"type": "text"}}),
        "tool_choice": extra.get("tool_choice", "auto"),
        "tools": tools,
        "top_p": extra.get("top_p", 1.0),
        "truncation": extra.get("truncation", "disabled"),
        "usage": None,
        "user": extra.get("user"),
        "metadata": extra.get("metadata", {}),
    }


def _output(response: Response, head: Head) -> list[dict[str, Any]]:
    stem = head.id.removeprefix(ID_PREFIX)
    has_text = response.text or not response.tool_calls
    said = [_message(f"msg_{stem}", response.text)] if has_text else []
    calls = [
        {**_call_out(call), "id": f"fc_{stem}_{number}", "status": "completed"}
        for number, call in enumerate(response.tool_calls)
    ]
    return [*said, *calls]


def _message(id_: str, text: str) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [_part(text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage_out(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.tokens_in,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens_in,
            "cache_write_tokens": usage.cache_write_tokens_in,
        },
        "output_tokens": usage.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.tokens_in + usage.tokens_out,
    }


class EventWriter:
    """The events of one streamed answer: the provider's own where it spoke this format."""

    def __init__(self, head: Head, asked: Asked) -> None:
        self._head = head
        self._request = asked.request
        self._message_id = f"msg_{head.id.removeprefix(ID_PREFIX)}"
        self._number = 0
        self._index = 0
        self._is_begun = False
        self._is_text_open = False

    def write(self, chunk: Chunk) -> list[bytes]:
        """Return the events for ``chunk``, ready to send; the last one's end the stream."""
        if chunk.events and chunk.wire == WIRE:
            return [frame(data, _type_of(data)) for data in chunk.events]
        return [frame(data, data["type"]) for data in self._made(chunk)]

    def _made(self, chunk: Chunk) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        if not self._is_begun:
            self._is_begun = True
            begun = _repeated(self._request, self._head)
            made += [
                self._event("response.created", response=begun),
                self._event("response.in_progress", response=begun),
            ]
        if chunk.text:
            made += [] if self._is_text_open else self._open_text()
            made.append(self._text("response.output_text.delta", delta=chunk.text))
        if chunk.response is not None:
            made += self._last(chunk.response)
        return made

    def _open_text(self) -> list[dict[str, Any]]:
        self._is_text_open = True
        item = {**_message(self._message_id, ""), "status": "in_progress", "content": []}
        return [
            self._event("response.output_item.added", output_index=self._index, item=item),
            self._text("response.content_part.added", part=_part("")),
        ]

    def _close_text(self, text: str) -> list[dict[str, Any]]:
        made = [
            self._text("response.output_text.done", text=text),
            self._text("response.content_part.done", part=_part(text)),
            self._event(
                "response.output_item.done",
                output_index=self._index,
                item=_message(self._message_id, text),
            ),
        ]
        self._index += 1
        return made

    def _last(self, response: Response) -> list[dict[str, Any]]:
        body = answer_out(response, self._head, self._request)
        made: list[dict[str, Any]] = []
        if self._is_text_open:
            made += self._close_text(response.text)
            body["output"] = _output(response, self._head)
        for item in body["output"]:
            if item["type"] != "message":
                made += self._whole(item)
            elif not self._is_text_open:
                made += self._told(item)
        kind = "response.completed" if body["status"] == "completed" else "response.incomplete"
        return [*made, self._event(kind, response=body)]

    def _told(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the events of a message that is known whole."""
        self._message_id = str(item.get("id"))
        text = text_of(item["content"])
        opened = self._open_text()
        self._is_text_open = False
        delta = self._text("response.output_text.delta", delta=text)
        *closed, done = self._close_text(text)
        return [*opened, delta, *closed, {**done, "item": item}]

    def _whole(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the events of another item that is known whole."""
        is_call = item["type"] == "function_call"
        begun = {**item, "status": "in_progress"} if "status" in item else item
        begun = {**begun, "arguments": ""} if is_call else begun
        made = [self._event("response.output_item.added", output_index=self._index, item=begun)]
        if is_call:
            place = {"output_index": self._index, "item_id": item.get("id")}
            kind, arguments = "response.function_call_arguments", item["arguments"]
            named = {**place, "arguments": arguments, "name": item["name"]}
            made += [
                self._event(f"{kind}.delta", **place, delta=arguments),
                self._event(f"{kind}.done", **named),
            ]
        made.append(self._event("response.output_item.done", output_index=self._index, item=item))
        self._index += 1
        return made

    def _text(self, kind: str, **fields: Any) -> dict[str, Any]:
        place = {"item_id": self._message_id, "output_index": self._index, "content_index": 0}
        logprobs: dict[str, Any] = {"logprobs": []} if "output_text" in kind else {}
        return self._event(kind, **place, **fields, **logprobs)

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **fields}

    def error(self, told: dict[str, Any]) -> bytes:
        """Return the event that ends a broken stream; ``told`` is an error's body."""
        error = as_dict(told.get("error"))
        fields = {name: error.get(name) for name in ("message", "param", "code")}
        return frame(self._event("error", **fields), "error")


def _type_of(data: str) -> str:
    return msgspec.json.decode(data, type=_Event).type
