"""Answers as checked Pydantic values: asked for, found in the text, validated, repaired.

Owns the schema that is asked for, finding JSON in what came back, and the
repair. Leaves what a valid value is to Pydantic. Steps of applications call
``parse``; no other error about an answer's form reaches them than
``InvalidOutput``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from hasten.errors import InvalidOutput
from hasten.model.base import Message, Usage, count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasten.model.base import Model, Request, Response

T = TypeVar("T", bound=BaseModel)

REPAIR_TOKENS = 4_000
"""How many tokens, in and out, may be spent on repairing one answer."""

_MAX_STARTS = 50
_MAX_PROBLEMS = 20
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_SPARE = 1.25


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A checked answer.

    ``response`` is the one that was valid, ``usage`` what all calls took
    together, and ``repair_usage`` the part of it that went into ``repairs``.
    """

    value: T
    response: Response
    usage: Usage
    repair_usage: Usage
    repairs: int


async def parse(
    model: Model, request: Request, as_type: type[T], *, repair_tokens: int = REPAIR_TOKENS
) -> Parsed[T]:
    """Ask for a value of ``as_type`` and return it checked.

    An answer that does not fit is shown to the model again with what is wrong
    with it, as often as fits into ``repair_tokens`` tokens in and out. Raises
    ``InvalidOutput`` with the last text when that is not enough, and what the
    model raises.
    """
    request = msgspec.structs.replace(request, schema=as_type.model_json_schema())
    response = await model.complete(request)
    first, spent, repairs = response.usage, Usage(), 0
    while True:
        try:
            value = read(response.text, as_type)
            return Parsed(value, response, _add(first, spent), spent, repairs)
        except InvalidOutput as error:
            left = repair_tokens - spent.tokens_in - spent.tokens_out
            repair = _repair(request, response.text, str(error), left)
            if repair is None:
                message = f"{error} (after {repairs} repairs, {left} tokens left for another)"
                raise InvalidOutput(message, model=response.model, text=response.text) from error
        response = await model.complete(repair)
        spent = _add(spent, response.usage)
        repairs += 1


def read(text: str, as_type: type[T]) -> T:
    """Return the value of ``as_type`` that ``text`` holds: alone, in a code fence, or amid prose.

    Raises ``InvalidOutput`` that says what is wrong with the likeliest candidate.
    """
    problems = ""
    for candidate in _candidates(text):
        try:
            return as_type.model_validate_json(candidate)
        except ValidationError as error:
            problems = problems or _describe(error)
    raise InvalidOutput(problems or "there is no JSON in the answer", text=text)


def _candidates(text: str) -> Iterator[str]:
    """Yield the parts of ``text`` that may be the value, the likeliest first."""
    whole = text.strip()
    if whole[:1] in ("{", "["):
        yield whole
    for fenced in _FENCE.finditer(text):
        yield fenced[1].strip()
    decoder = json.JSONDecoder()
    passed = 0
    for number, opening in enumerate(_OPENING.finditer(text)):
        if number >= _MAX_STARTS:
            return
        if opening.start() < passed:
            continue
        try:
            _, passed = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        if passed - opening.start() < len(whole):
            yield text[opening.start() : passed]


def _describe(error: ValidationError) -> str:
    """Return what is wrong, a line a problem, without the values themselves."""
    lines = [
        f"{'.'.join(map(str, problem['loc'])) or 'the answer'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return "\n".join(lines[:_MAX_PROBLEMS])


def _repair(request: Request, text: str, problems: str, left: int) -> Request | None:
    """Return the request that asks for a repair, or ``None`` if it does not fit into ``left``.

    A repair reads the whole conversation and writes the answer once more, so
    there must be room for both.
    """
    asked = (
        "Your answer does not have the form that was asked for:\n"
        f"{problems}\n"
        "Give the whole answer again, corrected, as JSON and nothing else."
    )
    messages = (*request.messages, Message("assistant", text), Message("user", asked))
    reads = sum(count_tokens(turn.content) for turn in messages)
    reads += count_tokens(json.dumps(request.schema))
    room = left - reads
    if room < count_tokens(text) * _SPARE:
        return None
    most = room if request.max_tokens is None else min(room, request.max_tokens)
    return msgspec.structs.replace(request, messages=messages, max_tokens=most)


def _add(one: Usage, two: Usage) -> Usage:
    return Usage(
        one.tokens_in + two.tokens_in,
        one.tokens_out + two.tokens_out,
        one.cached_tokens_in + two.cached_tokens_in,
    )
