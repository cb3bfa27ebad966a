"""What the simulated model answers: text, JSON or a tool call, cut to what was asked for.

Owns the choice between them, the limits on length, the ways an answer can be
malformed, and the count of tokens. Leaves the words to ``simulated_text`` and
``simulated_json``. Pure: same habits, same request, same answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from hasten.errors import ModelRejected
from hasten.model.base import FinishReason, Response, ToolCall, Usage, count_tokens
from hasten.model.draw import draw
from hasten.model.simulated_json import answer
from hasten.model.simulated_prompt import facts_in, last_turn, read_prompt
from hasten.model.simulated_text import write_text
from hasten.model.wire_format import (
    JSON_OBJECT,
    SIMULATED,
    choice_of,
    functions_in,
    simulated_name,
)

if TYPE_CHECKING:
    import random

    from hasten.model.base import Request

PREFIX = SIMULATED
"""What the names of simulated models and the ids of their answers begin with."""

_FREE_OBJECT = {"type": "object", "additionalProperties": {"type": "string"}}
_TURN_TOKENS = 4
_BYTES_PER_TOKEN = 4
_PIECE = re.compile(r"\s*\S+|\s+")


class Habits(NamedTuple):
    """What shapes every answer of one simulated model."""

    name: str
    seed: int
    malformed_rate: float


def compose(request: Request, habits: Habits, digest: bytes) -> Response:
    """Answer ``request``, whose digest is given.

    Raises ``ModelRejected`` for a schema that cannot be satisfied.
    """
    words = draw(habits.seed, "words", digest)
    call = _tool_call(request, habits, words)
    text, finish_reason = _cut("" if call else _text(request, habits, words), request)
    return Response(
        text=text,
        model=answering_model(request, habits.name),
        usage=Usage(tokens_asked(request), count_tokens(call.arguments if call else text)),
        finish_reason="tool_calls" if call else finish_reason,
        tool_calls=(call,) if call else (),
        id=answer_id(digest),
        simulated=True,
    )


def answer_id(digest: bytes) -> str:
    """Return the id of the answer to the request of that digest."""
    return f"{PREFIX}{digest.hex()}"


def answering_model(request: Request, name: str) -> str:
    """Return who answers: the model asked for, else ``name``, marked as simulated."""
    return simulated_name(request.model or name)


def pieces_of(text: str) -> list[str]:
    """Split ``text`` into pieces of about a token each, each word with the space before it."""
    return _PIECE.findall(text)


def tokens_in(piece: str) -> float:
    """Return how many tokens a piece is, fractions included, by the rule of ``count_tokens``."""
    return len(piece.encode()) / _BYTES_PER_TOKEN


def tokens_asked(request: Request) -> int:
    """Return how many tokens ``request`` is: its turns, its schema and its tools."""
    said = sum(count_tokens(turn.content) + _TURN_TOKENS for turn in request.messages)
    demands = (*([request.schema] if request.schema else ()), *request.tools)
    return said + sum(count_tokens(orjson.dumps(demand).decode()) for demand in demands)


def _text(request: Request, habits: Habits, words: random.Random) -> str:
    if request.schema is None:
        return write_text(read_prompt(request), last_turn(request), words)
    schema = _FREE_OBJECT if request.schema == JSON_OBJECT else request.schema
    value, text = _json(request, schema, habits, words)
    return _spoil(value, text, words) if words.random() < habits.malformed_rate else text


def _tool_call(request: Request, habits: Habits, words: random.Random) -> ToolCall | None:
    """Call a tool when the request insists on one (``tool_choice``)."""
    choice = choice_of(request.extra)
    if not request.tools or choice is None or choice.kind not in ("required", "tool"):
        return None
    offered = functions_in(request.tools)
    function = next((one for one in offered if one.name == choice.name), offered[0])
    _, arguments = _json(request, function.parameters, habits, words)
    call_id = f"call_{words.getrandbits(64):016x}"
    return ToolCall(call_id, function.name, arguments)


def _json(request: Request, schema: Any, habits: Habits, words: random.Random) -> tuple[Any, str]:
    """Return an answer and its JSON."""
    try:
        value = answer(schema, facts_in(read_prompt(request)), words)
        return value, orjson.dumps(value).decode()
    except (ValueError, orjson.JSONEncodeError) as error:  # a number of more than 64 bits
        message = f"the schema cannot be satisfied: {error}"
        raise ModelRejected(message, model=habits.name) from error


def _cut(text: str, request: Request) -> tuple[str, FinishReason]:
    """End ``text`` at the first stop sequence or at ``max_tokens``, whichever comes first."""
    for stop in filter(None, request.stop):  # an empty one, as callers may send, stops nothing
        text = text.partition(stop)[0]
    if request.max_tokens is None or count_tokens(text) <= request.max_tokens:
        return text, "stop"
    kept = text.encode()[: request.max_tokens * _BYTES_PER_TOKEN].decode(errors="ignore")
    return kept, "length"


def _spoil(value: Any, text: str, words: random.Random) -> str:
    """Break JSON in one of the ways models do: cut off, a field lost, a wrong type, a comma."""
    ways = [text[: max(1, len(text) * 2 // 3)], f"{text[:-1]},{text[-1]}"]
    if isinstance(value, dict) and value:
        name = words.choice(list(value))
        ways.append(orjson.dumps({key: value[key] for key in value if key != name}).decode())
        ways.append(orjson.dumps({**value, name: {"value": [value[name]]}}).decode())
    return words.choice(ways)
