"""What the wire formats share: a request as it was asked, errors by field, tools, choices.

Owns reading a body so that what is wrong is named, and the neutral reading of
tools and of the choice among them, whichever format they are in. Leaves each
protocol's own fields to its file and content parts to ``wire_parts``. Pure.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeVar

import msgspec
import orjson

from hasten.errors import InvalidInput, ModelRejected
from hasten.model.base import Request  # noqa: TC001 - a NamedTuple's fields are evaluated

T = TypeVar("T")

JSON_OBJECT: dict[str, Any] = {"type": "object"}
"""The schema that stands for "any JSON object", which is all some formats can ask for."""

SIMULATED = "sim-"
"""What the names of simulated models begin with, over every protocol."""

_SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")
_OPENAPI_TYPES = ("OBJECT", "ARRAY", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "NULL")
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")


class Asked(NamedTuple):
    """A request as a client sent it, and how it wants to be answered.

    ``wants_usage`` is whether a stream shall tell the usage where the protocol
    leaves that to the client.
    """

    request: Request
    stream: bool = False
    wants_usage: bool = True


class Head(NamedTuple):
    """What is said about an answer besides the answer: its new id and when it was made."""

    id: str
    model: str
    created_s: float
    is_simulated: bool = False


class Function(NamedTuple):
    """A function a model may call, read from any format."""

    name: str
    description: str
    parameters: dict[str, Any]


class Choice(NamedTuple):
    """Which tool must be called: ``auto``, ``none``, ``required``, or ``tool`` with its name."""

    kind: str
    name: str = ""


def simulated_name(model: str) -> str:
    """Return what a simulated model in place of ``model`` is called: nobody shall mistake it."""
    return model if model.startswith(SIMULATED) else f"{SIMULATED}{model}"


def decode_body(body: bytes, as_type: type[T]) -> tuple[T, dict[str, Any]]:
    """Return ``body`` as ``as_type`` and as it came. Raises ``InvalidInput`` naming the field."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"The body is not valid JSON: {error}"
        raise InvalidInput(message, field="") from error
    return convert(raw, as_type), raw


def convert(raw: Any, as_type: type[T], path: str = "") -> T:
    """Return ``raw`` as ``as_type``. Raises ``InvalidInput`` naming the field below ``path``."""
    try:
        return msgspec.convert(raw, as_type)
    except msgspec.ValidationError as error:
        told = _PATH.match(str(error))
        what, where = (told["what"], told["path"] or "") if told else (str(error), "")
        missing = _MISSING.search(what)
        name = ".".join(filter(None, (path, where, missing[1] if missing else "")))
        message = f"{what} ({name or 'the body'})"
        raise InvalidInput(message, field=name) from error


def need_messages(messages: list[Any], field: str = "messages") -> None:
    """Refuse a conversation without turns. Raises ``InvalidInput``."""
    if not messages:
        message = f"{field} must hold at least one message"
        raise InvalidInput(message, field=field)


def is_native(request: Request, wire: str) -> bool:
    """Whether what ``request`` carries in some format may go out in ``wire`` as it is."""
    return request.wire in ("", wire)


def without(raw: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return ``raw`` without the fields in ``names``."""
    return {name: value for name, value in raw.items() if name not in names}


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def as_dict(value: Any) -> dict[str, Any]:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def functions_in(tools: tuple[dict[str, Any], ...]) -> list[Function]:
    """Return the functions among ``tools``.

    Raises ``ModelRejected`` for a provider's own tool: another cannot run it.
    """
    found: list[Function] = []
    for tool in tools:
        declared = _declared(tool)
        if not declared:
            message = (
                f"the tool {tool.get('type') or next(iter(tool), '?')!r} is its provider's own"
            )
            raise ModelRejected(message)
        found += map(_function, declared)
    return found


def _declared(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the declarations in ``tool``: OpenAI's two forms, Anthropic's, Gemini's list."""
    several = tool.get("functionDeclarations", tool.get("function_declarations"))
    if isinstance(several, list):
        return [as_dict(one) for one in several]
    if tool.get("type") in ("function", "custom", None) and ("function" in tool or "name" in tool):
        return [as_dict(tool.get("function", tool))]
    return []


def _function(declared: dict[str, Any]) -> Function:
    schema = next((declared[name] for name in _SCHEMAS if declared.get(name)), None)
    return Function(
        str(declared.get("name", "")),
        str(declared.get("description") or ""),
        as_dict(json_schema(schema)) or {"type": "object", "properties": {}},
    )


def json_schema(schema: Any) -> Any:
    """Return a schema as OpenAPI writes it, its types in upper case, as JSON Schema."""
    if isinstance(schema, list):
        return [json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: json_schema(one) for name, one in schema.items()}
    if made.get("type") in _OPENAPI_TYPES:
        made["type"] = made["type"].lower()
    return made


def choice_of(extra: dict[str, Any]) -> Choice | None:
    """Return the choice among tools that ``extra`` makes in any format, if it makes one."""
    asked = extra.get("tool_choice")
    if asked is None:
        return _gemini_choice(extra)
    if isinstance(asked, str):
        return Choice("required" if asked == "any" else asked)
    asked = as_dict(asked)
    kind = asked.get("type")
    if kind in ("function", "tool", "custom"):
        named = as_dict(asked.get("function", asked))
        return Choice("tool", str(named.get("name", "")))
    return Choice("required" if kind == "any" else str(kind))


def _gemini_choice(extra: dict[str, Any]) -> Choice | None:
    config = as_dict(as_dict(extra.get("toolConfig")).get("functionCallingConfig"))
    if not config:
        return None
    names = config.get("allowedFunctionNames") or []
    if config.get("mode") == "ANY" and len(names) == 1:
        return Choice("tool", str(names[0]))
    return Choice({"ANY": "required", "NONE": "none"}.get(str(config.get("mode")), "auto"))


def shared_fields(request: Request) -> dict[str, Any]:
    """Return the further fields of ``request`` that other providers know too, in chat's names.

    The rest is its own provider's affair and does not travel.
    """
    extra = request.extra
    choice = as_dict(extra.get("tool_choice"))
    config = as_dict(extra.get("generationConfig"))
    one_by_one = choice.get("disable_parallel_tool_use")
    effort = as_dict(extra.get("reasoning")).get("effort")
    user = as_dict(extra.get("metadata")).get("user_id") if request.wire == "anthropic" else None
    return given(
        {
            "top_p": extra.get("top_p", config.get("topP")),
            "top_k": extra.get("top_k", config.get("topK")),
            "parallel_tool_calls": extra.get(
                "parallel_tool_calls", None if one_by_one is None else not one_by_one
            ),
            "reasoning_effort": extra.get("reasoning_effort", effort),
            "user": extra.get("user", user),
        }
    )


def frame(data: dict[str, Any] | str, event: str = "") -> bytes:
    """Return one server-sent event."""
    named = f"event: {event}\n".encode() if event else b""
    told = data.encode() if isinstance(data, str) else orjson.dumps(data)
    return named + b"data: " + told + b"\n\n"
