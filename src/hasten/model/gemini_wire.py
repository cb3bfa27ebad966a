"""Gemini's format, both ways as plain data, as its client and as its server.

Owns the field names of ``models/…:generateContent`` and ``:streamGenerateContent``
(ai.google.dev/api/generate-content). Leaves HTTP to ``gemini`` and the servers,
errors to ``gemini_errors``, other formats to their wires. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from hasten.errors import ModelRefused, ModelUnavailable
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
from hasten.model.gemini_errors import error_in_answer
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
    json_schema,
    need_messages,
    shared_fields,
    without,
)
from hasten.model.wire_parts import content_of, text_of, to_gemini

WIRE = "gemini"

FOREIGN_THOUGHT = "skip_thought_signature_validator"
"""The signature for a call that Gemini did not make itself, which newer models insist on
(ai.google.dev/gemini-api/docs/thought-signatures)."""

_BLOCKED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")
_FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(_BLOCKED, "content_filter"),
}
_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
_OWN = frozenset(("contents", "systemInstruction", "tools", "generationConfig"))
_CONFIGURED = frozenset(("temperature", "maxOutputTokens", "seed", "stopSequences"))


# --- the client's side: a request out, an answer or its pieces in


def to_body(request: Request) -> dict[str, Any]:
    """Return the JSON body that asks ``request``; its model is in the address.

    Raises ``ModelRejected`` for what came in another format and has none in this.
    """
    native = is_native(request, WIRE)
    extra = dict(request.extra) if native else {}
    choice = choice_of(request.extra)
    extra.pop("tool_choice", None)
    if choice is not None and "toolConfig" not in extra:
        extra["toolConfig"] = {"functionCallingConfig": _choice_out(choice)}
    system = [{"text": turn.content} for turn in request.messages if turn.role == "system"]
    optional = {
        "systemInstruction": {"parts": system} if system else None,
        "tools": _tools_out(request),
        "generationConfig": _config_out(request, native=native),
    }
    contents = _contents_out(request, native=native)
    return {**extra, "contents": contents, **{k: v for k, v in optional.items() if v}}


def _choice_out(choice: Choice) -> dict[str, Any]:
    if choice.kind == "tool":
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": {"required": "ANY", "none": "NONE"}.get(choice.kind, "AUTO")}


def _tools_out(request: Request) -> list[dict[str, Any]]:
    if request.wire == WIRE or not request.tools:
        return list(request.tools)
    declared = [
        {"name": one.name, "description": one.description, "parametersJsonSchema": one.parameters}
        for one in functions_in(request.tools)
    ]
    return [{"functionDeclarations": declared}]


def _config_out(request: Request, *, native: bool) -> dict[str, Any]:
    config = as_dict(request.extra.get("generationConfig")) if native else _translated(request)
    asked = given(
        {
            "temperature": request.temperature,
            "maxOutputTokens": request.max_tokens,
            "seed": request.seed,
            "stopSequences": list(request.stop) or None,
        }
    )
    if request.schema is None or _schema_in(config) == request.schema:
        return {**config, **asked}
    is_any = request.schema == JSON_OBJECT
    schema = {} if is_any else {"responseJsonSchema": request.schema}
    return {**config, **asked, "responseMimeType": "application/json", **schema}


def _translated(request: Request) -> dict[str, Any]:
    shared = shared_fields(request)
    return given({"topP": shared.get("top_p"), "topK": shared.get("top_k")})


def _contents_out(request: Request, *, native: bool) -> list[dict[str, Any]]:
    """Return the turns; neighbours of one role are one turn here."""
    names = {call.id: call.name for turn in request.messages for call in turn.tool_calls}
    made: list[dict[str, Any]] = []
    for turn in request.messages:
        if turn.role == "system":
            continue
        role = "model" if turn.role == "assistant" else "user"
        parts = _parts_out(turn, names, native=native)
        if made and made[-1]["role"] == role:
            made[-1]["parts"] += parts
        else:
            made.append({"role": role, "parts": parts})
    return made


def _parts_out(turn: Message, names: dict[str, str], *, native: bool) -> list[dict[str, Any]]:
    if turn.parts and native:
        return list(turn.parts)
    if turn.role == "tool":
        id_ = turn.tool_call_id or ""
        response = {"result": turn.content}
        return [
            {"functionResponse": {"id": id_, "name": names.get(id_, id_), "response": response}}
        ]
    if turn.parts and turn.role == "user":
        return [to_gemini(part) for part in content_of(turn.parts)]
    texts = [{"text": turn.content}] if turn.content or not turn.tool_calls else []
    return [*texts, *map(_call_out, turn.tool_calls)]


def _call_out(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        arguments = {"arguments": call.arguments}
    called = {"id": call.id, "name": call.name, "args": arguments}
    return {"functionCall": called, "thoughtSignature": FOREIGN_THOUGHT}


class _UsageIn(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Content(msgspec.Struct):
    parts: list[dict[str, Any]] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int = 0


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    usage_metadata: _UsageIn | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: dict[str, Any] = {}
    error: Any = None


_HEAD = frozenset(("candidates", "responseId", "modelVersion", "usageMetadata"))


class Reading:
    """One answer as it is read, whole or piece by piece; ends in a ``Response``."""

    def __init__(self, request: Request, *, model: str) -> None:
        self._request = request
        self._model = request.model or model
        self._id = ""
        self._parts: list[dict[str, Any]] = []
        self._usage = _UsageIn()
        self._finish: str | None = None
        self._extra: dict[str, Any] = {}
        self._events: list[str] = []
        self.is_done = False

    def take_whole(self, body: bytes) -> Response:
        """Return the answer that ``body`` is.

        Raises ``ModelUnavailable`` for anything else and what an error object stands for.
        """
        self._merge(body)
        return self.response()

    def take(self, data: str) -> Chunk | None:
        """Take the data of one event; return the piece it adds, if it adds one.

        Raises as ``take_whole`` does.
        """
        self._events.append(data)
        parts = self._merge(data)
        text = _text(parts)
        if not text and not any(part.get("text") or "text" not in part for part in parts):
            return None
        events, self._events = tuple(self._events), []
        return Chunk(text=text, events=events, wire=WIRE)

    def last(self) -> Chunk:
        """Return the chunk that ends a stream. Raises ``ModelUnavailable`` before its end."""
        return Chunk(response=self.response(), events=tuple(self._events), wire=WIRE)

    def _merge(self, data: str | bytes) -> list[dict[str, Any]]:
        """Add what came to the answer; return its new parts."""
        try:
            raw = orjson.loads(data)
            answer = msgspec.convert(raw, _Answer)
        except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
            message = f"{self._model} sent something that is not an answer: {error}"
            raise ModelUnavailable(message, model=self._model) from error
        if answer.error is not None:
            raise error_in_answer(answer.error, model=self._model)
        blocked = answer.prompt_feedback.get("blockReason")
        if blocked and not answer.candidates:
            message = f"{self._model} declined to answer: {blocked}"
            raise ModelRefused(message, model=self._model)
        self._id = answer.response_id or self._id
        self._model = answer.model_version or self._model
        self._usage = answer.usage_metadata or self._usage
        self._extra |= without(raw, _HEAD)
        return self._candidate(answer.candidates, raw)

    def _candidate(self, found: list[_Candidate], raw: dict[str, Any]) -> list[dict[str, Any]]:
        added: list[dict[str, Any]] = []
        for candidate, came in zip(found, raw.get("candidates", ()), strict=True):
            if candidate.index:
                continue
            added += candidate.content.parts if candidate.content else []
            self._finish = candidate.finish_reason or self._finish
            rest = without(came, frozenset(("content", "finishReason", "index")))
            if rest:
                self._extra["candidate"] = {**as_dict(self._extra.get("candidate")), **rest}
        for part in added:
            last = self._parts[-1] if self._parts else {}
            if part.keys() == last.keys() == {"text"}:
                self._parts[-1] = {"text": last["text"] + part["text"]}
            else:
                self._parts.append(part)
        return added

    def response(self) -> Response:
        """Return the whole answer. Raises ``ModelUnavailable`` when it did not end."""
        if self._finish is None:
            message = f"{self._model} stopped before it had finished its answer"
            raise ModelUnavailable(message, model=self._model)
        called = [as_dict(part["functionCall"]) for part in self._parts if "functionCall" in part]
        calls = tuple(
            ToolCall(
                str(call.get("id") or f"call_{self._id}_{number}"),
                str(call.get("name", "")),
                orjson.dumps(call.get("args") or {}).decode(),
            )
            for number, call in enumerate(called)
        )
        finish = _FINISHES.get(self._finish, "stop")
        is_simulated = self._model.startswith(SIMULATED)
        is_plain = all(part.keys() == {"text"} for part in self._parts)
        parts = () if is_plain or is_simulated else tuple(self._parts)
        extra = {} if is_simulated else self._extra
        return Response(
            text=_text(self._parts),
            model=self._model,
            usage=self._counted(),
            finish_reason="tool_calls" if calls and finish == "stop" else finish,
            tool_calls=calls,
            id=self._id,
            simulated=is_simulated,
            parts=parts,
            extra=extra,
            wire=WIRE if parts or extra else "",
        )

    def _counted(self) -> Usage:
        """Return the endpoint's count, or our estimate where it gives none."""
        told = self._usage
        asked, said = told.prompt_token_count, told.candidates_token_count
        if asked is None:
            asked = sum(count_tokens(turn.content) for turn in self._request.messages)
        if said is None:
            said = 0 if told.thoughts_token_count else count_tokens(_text(self._parts))
        thought = told.thoughts_token_count or 0
        return Usage(asked, said + thought, told.cached_content_token_count or 0)


def _text(parts: list[dict[str, Any]]) -> str:
    """Return the text of the answer in ``parts``: thoughts are none."""
    return text_of([part for part in parts if not part.get("thought")])


# --- the server's side: a request in, an answer or its events out


class _Turn(msgspec.Struct):
    parts: list[dict[str, Any]]
    role: str | None = None


class _Config(msgspec.Struct, rename="camel"):
    temperature: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop_sequences: list[str] | None = None


class _Body(msgspec.Struct, rename="camel"):
    contents: list[_Turn]
    system_instruction: _Turn | None = None
    generation_config: _Config | None = None
    tools: list[dict[str, Any]] | None = None


def read_request(body: bytes, *, model: str, stream: bool = False) -> Asked:
    """Return what ``body`` asks of ``model``. Raises ``InvalidInput`` naming the field."""
    asked, raw = decode_body(body, _Body)
    need_messages(asked.contents, "contents")
    turns = []
    if asked.system_instruction is not None:
        turns.append(Message("system", text_of(asked.system_instruction.parts)))
    for turn in asked.contents:
        turns += _turns_in(turn)
    config = asked.generation_config or _Config()
    extra = given(without(raw, _OWN))
    rest = without(as_dict(raw.get("generationConfig")), _CONFIGURED)
    request = Request(
        messages=tuple(turns),
        model=model,
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        seed=config.seed,
        stop=tuple(config.stop_sequences or ()),
        schema=_schema_in(rest),
        tools=tuple(asked.tools or ()),
        extra={**extra, "generationConfig": rest} if rest else extra,
        wire=WIRE,
    )
    return Asked(request, stream)


def _turns_in(turn: _Turn) -> list[Message]:
    """Return the turns that one of theirs is: the results of functions are turns of their own."""
    if turn.role == "model":
        calls = [
            convert(part["functionCall"], _Call) for part in turn.parts if "functionCall" in part
        ]
        made = tuple(
            ToolCall(call.id or call.name, call.name, orjson.dumps(call.args or {}).decode())
            for call in calls
        )
        return [Message("assistant", text_of(turn.parts), made, parts=tuple(turn.parts))]
    results = [part for part in turn.parts if "functionResponse" in part]
    others = tuple(part for part in turn.parts if "functionResponse" not in part)
    found = []
    for part in results:
        result = convert(part["functionResponse"], _Result)
        text = orjson.dumps(result.response).decode()
        found.append(Message("tool", text, tool_call_id=result.id or result.name, parts=(part,)))
    said = [Message("user", text_of(others), parts=others)] if others or not results else []
    return [*found, *said]


class _Call(msgspec.Struct):
    name: str
    id: str | None = None
    args: dict[str, Any] | None = None


class _Result(msgspec.Struct):
    name: str
    id: str | None = None
    response: Any = None


def _schema_in(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema asked for, in JSON Schema or as OpenAPI writes it."""
    if isinstance(config.get("responseJsonSchema"), dict):
        return as_dict(config["responseJsonSchema"])
    if isinstance(config.get("responseSchema"), dict):
        return as_dict(json_schema(config["responseSchema"]))
    return JSON_OBJECT if config.get("responseMimeType") == "application/json" else None


def answer_out(response: Response, head: Head) -> dict[str, Any]:
    """Return the body of a plain answer."""
    parts = list(response.parts) if response.wire == WIRE else []
    if not parts:
        texts = [{"text": response.text}] if response.text or not response.tool_calls else []
        calls = [
            without(_call_out(call), frozenset(("thoughtSignature",)))
            for call in response.tool_calls
        ]
        parts = [*texts, *calls]
    return {**_piece(parts, head), **_end(response, parts)}


def _piece(parts: list[dict[str, Any]], head: Head) -> dict[str, Any]:
    content = {"role": "model", "parts": parts}
    return {
        "candidates": [{"content": content, "index": 0}],
        "modelVersion": head.model,
        "responseId": head.id,
    }


def _end(response: Response, parts: list[dict[str, Any]]) -> dict[str, Any]:
    usage = response.usage
    candidate = {
        "content": {"role": "model", "parts": parts},
        "finishReason": _REASONS.get(response.finish_reason, "SAFETY"),
        "index": 0,
    }
    counted = {
        "promptTokenCount": usage.tokens_in,
        "candidatesTokenCount": usage.tokens_out,
        "totalTokenCount": usage.tokens_in + usage.tokens_out,
        "cachedContentTokenCount": usage.cached_tokens_in,
    }
    return {"candidates": [candidate], "usageMetadata": counted}


class EventWriter:
    """The events of one streamed answer: the provider's own where it spoke this format."""

    def __init__(self, head: Head, asked: Asked) -> None:
        del asked  # the other formats' writers heed it
        self._head = head
        self._is_begun = False

    def write(self, chunk: Chunk) -> list[bytes]:
        """Return the events for ``chunk``, ready to send; the last one's end the stream."""
        if chunk.events and chunk.wire == WIRE:
            return [frame(data) for data in chunk.events]
        made = [_piece([{"text": chunk.text}], self._head)] if chunk.text else []
        if chunk.response is not None:
            last = answer_out(chunk.response, self._head)
            if self._is_begun:
                rest = [
                    part for part in last["candidates"][0]["content"]["parts"] if "text" not in part
                ]
                last["candidates"][0]["content"]["parts"] = rest
            made.append(last)
        self._is_begun = self._is_begun or bool(chunk.text)
        return [frame(data) for data in made]

    def error(self, told: dict[str, Any]) -> bytes:
        """Return the event that ends a broken stream."""
        return frame(told)


def count_out(tokens_in: int) -> dict[str, Any]:
    """Return the body that answers ``countTokens``."""
    return {"totalTokens": tokens_in}


def model_out(name: str) -> dict[str, Any]:
    """Return one entry of the list of models."""
    methods = ["generateContent", "countTokens"]
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
