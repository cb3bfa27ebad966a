# waiver: a wire adapter, one protocol in both directions
"""The OpenAI chat format, both ways as plain data, as its client and as its server.

Owns the field names of ``POST /chat/completions`` (platform.openai.com/docs/api-reference/chat)
as compatible endpoints share them. Leaves HTTP to ``openai`` and the servers,
errors to ``openai_errors``, other formats to their wires. Pure.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import orjson

from hasten.errors import InvalidInput, ModelRefused, ModelUnavailable
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
from hasten.model.openai_errors import error_in_answer
from hasten.model.wire_format import (
    JSON_OBJECT,
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
from hasten.model.wire_parts import content_of, text_of, to_chat

WIRE = "openai"

ID_PREFIX = "chatcmpl-"

SIMULATED_FINGERPRINT = "sim"
"""How the ``system_fingerprint`` of our own simulated endpoint begins."""

DONE = "[DONE]"
"""The data that ends a stream."""

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_LIMITS = ("max_completion_tokens", "max_tokens")
_OWN = frozenset(
    ("model", "messages", "max_tokens", "temperature", "seed", "stop", "tools", "stream")
)
_PLAIN = frozenset(("role", "content", "tool_calls"))
_HEAD = frozenset(("id", "object", "created", "model", "choices", "error", "obfuscation"))


# --- the client's side: a request out, an answer or its pieces in


def to_body(
    request: Request, *, model: str, stream: bool, max_tokens_field: str = "max_tokens"
) -> dict[str, Any]:
    """Return the JSON body that asks ``request`` of ``model``; ``extra`` may add, not replace.

    Raises ``ModelRejected`` for what came in another format and has none in this.
    """
    native = is_native(request, WIRE)
    extra = dict(request.extra) if native else _translated(request)
    named = next((name for name in _LIMITS if name in extra), max_tokens_field)
    optional = {
        named: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "tools": (list(request.tools) if native else _tools_out(request)) or None,
        "response_format": _response_format(request),
    }
    body: dict[str, Any] = {
        **extra,
        "model": request.model or model,
        "messages": [_message_out(turn, native=native) for turn in request.messages],
        **given(optional),
    }
    options = as_dict(body.pop("stream_options", None))
    if stream:
        body |= {"stream": True, "stream_options": {**options, "include_usage": True}}
    return body


def _translated(request: Request) -> dict[str, Any]:
    choice = choice_of(request.extra)
    extra = without(shared_fields(request), frozenset(("top_k",)))
    return extra if choice is None else {**extra, "tool_choice": _choice_out(choice)}


def _choice_out(choice: Choice) -> str | dict[str, Any]:
    if choice.kind != "tool":
        return choice.kind
    return {"type": "function", "function": {"name": choice.name}}


def _tools_out(request: Request) -> list[dict[str, Any]]:
    return [
        {"type": "function", "function": given({**one._asdict(), "description": one.description})}
        for one in functions_in(request.tools)
    ]


def _message_out(turn: Message, *, native: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.tool_calls:
        made["content"] = turn.content or None
        made["tool_calls"] = [_call_out(call) for call in turn.tool_calls]
    if turn.tool_call_id is not None:
        made["tool_call_id"] = turn.tool_call_id
    if native:
        return made | ({"content": list(turn.parts)} if turn.parts else {}) | turn.extra
    if turn.role == "user" and turn.parts:
        made["content"] = [to_chat(part) for part in content_of(turn.parts)]
    return made


def _call_out(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _response_format(request: Request) -> dict[str, Any] | None:
    """Return the format that came with the request if it asks for its schema, else ours."""
    schema = request.schema
    if schema is None:
        return None
    came = request.extra.get("response_format")
    if came is not None and _schema_in(came) == schema:
        return as_dict(came)
    if schema == JSON_OBJECT:
        return {"type": "json_object"}
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


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    index: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: Any = None


class Reading:
    """One answer as it is read, whole or piece by piece; ends in a ``Response``."""

    def __init__(self, request: Request, *, model: str) -> None:
        self._request = request
        self._model = request.model or model
        self._id = ""
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: _Usage | None = None
        self._extra: dict[str, Any] = {}
        self._events: list[str] = []
        self.is_done = False

    @property
    def is_finished(self) -> bool:
        """Whether the answer said how it ended."""
        return self._choices.get(0, {}).get("finish_reason") is not None

    def take_whole(self, body: bytes) -> Response:
        """Return the answer that ``body`` is. Raises as ``take`` and ``response`` do."""
        self._merge(body)
        return self.response()

    def take(self, data: str) -> Chunk | None:
        """Take the data of one event; return the piece it adds, if it adds one.

        Raises ``ModelUnavailable`` for anything that is not an answer, and what
        an error object stands for.
        """
        if data == DONE:
            self.is_done = True
            return None
        self._events.append(data)
        answer = self._merge(data)
        said = [choice.delta or _Said() for choice in answer.choices]
        texts = (choice.delta or _Said() for choice in answer.choices if choice.index == 0)
        text = "".join(one.content or "" for one in texts)
        if not text and not any(one.tool_calls or one.content or one.refusal for one in said):
            return None
        return Chunk(text=text, events=self._taken(), wire=WIRE)

    def last(self) -> Chunk:
        """Return the chunk that ends a stream. Raises as ``response`` does."""
        return Chunk(response=self.response(), events=self._taken(), wire=WIRE)

    def _taken(self) -> tuple[str, ...]:
        events, self._events = tuple(self._events), []
        return events

    def _merge(self, data: str | bytes) -> _Answer:
        try:
            raw = orjson.loads(data)
            answer = msgspec.convert(raw, _Answer)
        except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
            message = f"{self._model} sent something that is not an answer: {error}"
            raise ModelUnavailable(message, model=self._model) from error
        if answer.error is not None:
            raise error_in_answer(answer.error, model=self._model)
        self._id = answer.id or self._id
        self._model = answer.model or self._model
        self._usage = answer.usage or self._usage
        self._extra |= given(without(raw, _HEAD))
        for choice in raw.get("choices", ()):
            said = choice.get("message") or choice.get("delta") or {}
            flat = {**without(choice, frozenset(("delta", "message"))), "message": said}
            _add(self._choices.setdefault(choice.get("index", 0), {}), flat)
        return answer

    def response(self) -> Response:
        """Return the whole answer.

        Raises ``ModelRefused`` when the model declined and ``ModelUnavailable``
        when what came holds no answer.
        """
        if not self.is_finished:
            message = f"{self._model} stopped before it had finished its answer"
            raise ModelUnavailable(message, model=self._model)
        choice = self._choices[0]
        said = as_dict(choice.get("message"))
        if said.get("refusal"):
            raise ModelRefused(said["refusal"], model=self._model)
        text = said.get("content") or ""
        usage = self._counted(text)
        extra = dict(self._extra)
        if not _says_more(extra.get("usage"), _usage_out(usage)):
            extra.pop("usage", None)
        fingerprint = str(extra.get("system_fingerprint") or "")
        is_simulated = fingerprint.startswith(SIMULATED_FINGERPRINT)
        extra = {} if is_simulated else extra
        choices = tuple(dict(one) for _, one in sorted(self._choices.items()))
        parts = () if _is_plain(choices) else choices
        return Response(
            text=text,
            model=self._model,
            usage=usage,
            finish_reason=_FINISHES.get(choice["finish_reason"], "stop"),
            tool_calls=_calls_in(said.get("tool_calls")),
            id=self._id,
            simulated=is_simulated,
            parts=parts,
            extra=extra,
            wire=WIRE if parts or extra else "",
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
            details.cache_write_tokens or 0,
        )


_NAMED_ONCE = ("id", "name", "type", "role", "index", "finish_reason")


def _add(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a piece of an answer to what came before: texts and lists grow, indexed items merge."""
    for name, value in piece.items():
        had = whole.get(name)
        if had is None or (name in _NAMED_ONCE and value):
            whole[name] = _indexed([], value) if isinstance(value, list) else _copied(value)
        elif isinstance(had, str) and isinstance(value, str):
            whole[name] = had + value
        elif isinstance(had, dict) and isinstance(value, dict):
            _add(had, value)
        elif isinstance(had, list) and isinstance(value, list):
            whole[name] = _indexed(had, value)
        elif value is not None:
            whole[name] = value


def _copied(value: Any) -> Any:
    made: dict[str, Any] = {}
    if isinstance(value, dict):
        _add(made, value)
        return made
    return value


def _indexed(had: list[Any], pieces: list[Any]) -> list[Any]:
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        same = next((one for one in had if index is not None and one.get("index") == index), None)
        if same is None:
            had.append(_copied(piece))
        else:
            _add(same, piece)
    return had


def _calls_in(calls: list[dict[str, Any]] | None) -> tuple[ToolCall, ...]:
    found = []
    for call in sorted(calls or (), key=lambda one: one.get("index") or 0):
        told = as_dict(call.get("function") or call.get("custom"))
        arguments = told.get("arguments", told.get("input"))
        found.append(
            ToolCall(str(call.get("id") or ""), str(told.get("name") or ""), str(arguments or ""))
        )
    return tuple(found)


def _is_plain(choices: tuple[dict[str, Any], ...]) -> bool:
    """Whether text and calls are all there is, so that nothing need be kept besides them."""
    (first, *others) = choices
    said = {name for name, value in as_dict(first.get("message")).items() if value}
    custom = any("custom" in call for call in as_dict(first["message"]).get("tool_calls") or ())
    return not (others or custom or first.get("logprobs") or said - _PLAIN)


def _says_more(told: Any, own: Any) -> bool:
    """Whether ``told`` has a figure that ``own`` has not."""
    if not isinstance(told, dict):
        return bool(told) and told != own
    return any(_says_more(value, as_dict(own).get(name)) for name, value in told.items())


# --- the server's side: a request in, an answer or its events out


class _Function(msgspec.Struct):
    name: str
    arguments: str = "{}"


class _Call(msgspec.Struct):
    id: str
    function: _Function | None = None
    custom: dict[str, Any] | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Turn(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _JsonSchema(msgspec.Struct):
    name: str
    schema: dict[str, Any] = {}


class _Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Turn]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    response_format: _Format | None = None
    tools: list[dict[str, Any]] | None = None


def read_request(body: bytes) -> Asked:
    """Return what ``body`` asks. Raises ``InvalidInput`` naming the field."""
    chat, raw = decode_body(body, _Body)
    need_messages(chat.messages)
    if chat.stream and (chat.n or 1) > 1:
        message = "n must be 1 in a stream: ask for several answers without stream"
        raise InvalidInput(message, field="n", value=chat.n, allowed=["1"])
    stop = [chat.stop] if isinstance(chat.stop, str) else chat.stop
    most = chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens
    request = Request(
        messages=tuple(map(_message_in, chat.messages, raw["messages"])),
        model=chat.model,
        max_tokens=most,
        temperature=chat.temperature,
        seed=chat.seed,
        stop=tuple(stop or ()),
        schema=_schema_in(raw.get("response_format"), chat.response_format),
        tools=tuple(chat.tools or ()),
        extra=given(without(raw, _OWN)),
        wire=WIRE,
    )
    options = chat.stream_options or _StreamOptions()
    return Asked(request, bool(chat.stream), bool(options.include_usage))


def _message_in(turn: _Turn, raw: dict[str, Any]) -> Message:
    calls = _calls_in(raw.get("tool_calls"))
    content = raw.get("content")
    parts = tuple(content) if isinstance(content, list) else ()
    roles: dict[str, Any] = {"developer": "system", "function": "tool"}
    role = roles.get(turn.role, turn.role)
    plain = Message(role, text_of(content), calls, turn.tool_call_id, parts)
    made = _message_out(plain, native=True)
    extra = {name: value for name, value in raw.items() if name not in made or made[name] != value}
    return msgspec.structs.replace(plain, extra=extra) if extra else plain


def _schema_in(raw: Any, wanted: _Format | None = None) -> dict[str, Any] | None:
    """Return the schema that a ``response_format`` asks for. Raises ``InvalidInput``."""
    wanted = wanted or (convert(raw, _Format, "response_format") if raw else None)
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return JSON_OBJECT
    if wanted.json_schema is None:
        message = "response_format of type json_schema needs json_schema"
        raise InvalidInput(message, field="response_format.json_schema")
    return wanted.json_schema.schema


def answer_out(response: Response, head: Head) -> dict[str, Any]:
    """Return the body of a plain answer."""
    native = response.wire == WIRE
    choices = list(response.parts) if native and response.parts else [_choice(response)]
    body = {**_head("chat.completion", head), "choices": choices}
    return {**body, "usage": _usage_out(response.usage), **(response.extra if native else {})}


def _choice(response: Response) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": response.text or (None if response.tool_calls else ""),
        "refusal": None,
    }
    if response.tool_calls:
        message["tool_calls"] = [_call_out(call) for call in response.tool_calls]
    return {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": response.finish_reason,
    }


class EventWriter:
    """The events of one streamed answer: the provider's own where it spoke this format."""

    def __init__(self, head: Head, asked: Asked) -> None:
        self._head = _head("chat.completion.chunk", head)
        self._wants_usage = asked.wants_usage
        self._is_begun = False

    def write(self, chunk: Chunk) -> list[bytes]:
        """Return the events for ``chunk``, ready to send; the last one's end the stream."""
        told = [frame(data) for data in self._passed(chunk)]
        if not chunk.events or chunk.wire != WIRE:
            told = [frame(data) for data in self._made(chunk)]
        return told if chunk.response is None else [*told, frame(DONE)]

    def _passed(self, chunk: Chunk) -> list[str]:
        """Return the provider's own events, but for the usage if nobody asked for it."""
        if self._wants_usage or chunk.response is None:
            return list(chunk.events)
        return [data for data in chunk.events if orjson.loads(data).get("choices")]

    def _made(self, chunk: Chunk) -> list[dict[str, Any]]:
        made = []
        if not self._is_begun:
            made.append(self._chunk({"role": "assistant", "content": "", "refusal": None}))
            self._is_begun = True
        if chunk.text:
            made.append(self._chunk({"content": chunk.text}))
        if chunk.response is not None:
            made += self._last(chunk.response)
        return made

    def _last(self, response: Response) -> list[dict[str, Any]]:
        calls = [{"index": number, **_call_out(c)} for number, c in enumerate(response.tool_calls)]
        made = [self._chunk({"tool_calls": calls})] if calls else []
        made.append(self._chunk({}, response.finish_reason))
        if self._wants_usage:
            usage = response.extra.get("usage") if response.wire == WIRE else None
            made.append({**self._head, "choices": [], "usage": usage or _usage_out(response.usage)})
        return made

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head, "choices": [choice]}
        return {**chunk, "usage": None} if self._wants_usage else chunk

    def error(self, told: dict[str, Any]) -> bytes:
        """Return the event that ends a broken stream; ``[DONE]`` does not follow."""
        return frame(told)


def model_out(name: str, created_s: float) -> dict[str, Any]:
    """Return one entry of the list of models."""
    return {"id": name, "object": "model", "created": int(created_s), "owned_by": "hasten"}


def _head(kind: str, head: Head) -> dict[str, Any]:
    return {
        "id": head.id,
        "object": kind,
        "created": int(head.created_s),
        "model": head.model,
        "service_tier": "default",
        "system_fingerprint": SIMULATED_FINGERPRINT if head.is_simulated else None,
    }


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
