"""Answers in the form that was asked for: found in the text, validated, repaired.

Owns finding JSON in what came back, and the repair. Leaves what a valid value is to
Pydantic (``parse``, which steps of applications call) or to the JSON Schema of the
request (``StructuredModel``, which ``chain`` puts in, so that what is reused is valid).
No other error about an answer's form leaves here than ``InvalidOutput``.
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import orjson
from pydantic import BaseModel, ValidationError

from hasten.errors import InvalidOutput
from hasten.model.base import Chunk, Message, OuterModel, Usage, count_tokens
from hasten.trace.recorder import emit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from jsonschema_rs import Validator

    from hasten.model.base import Model, Request, Response

T = TypeVar("T", bound=BaseModel)
V = TypeVar("V")

REPAIR_TOKENS = 4_000
"""How many tokens, in and out, may be spent on repairing one answer."""

_MAX_STARTS = 50
_MAX_PROBLEMS = 20
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_SPARE = 1.25


@dataclass(frozen=True, slots=True)
class Parsed(Generic[V]):
    """A checked answer.

    ``response`` is the one that was valid, ``usage`` what all calls took
    together, and ``repair_usage`` the part of it that went into ``repairs``.
    """

    value: V
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
    request = msgspec.structs.replace(request, schema=_schema(as_type))
    return await _checked(model, request, lambda one: read(one.text, as_type), repair_tokens)


@lru_cache(maxsize=256)
def _schema(as_type: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a type: pydantic makes it anew each time, and leaves much to collect."""
    return as_type.model_json_schema()


class StructuredModel(OuterModel):
    """Checks the answers of ``inner`` to requests with a schema, and has them repaired.

    An answer's text is then the JSON alone, its usage that of all calls it took. Since
    only a whole answer can be checked, a stream of one comes in one piece. An answer that
    was cut at ``max_tokens`` is not repaired: there is no more room for the next one.
    Raises ``InvalidOutput`` when the budget of a call is spent. ``traced`` counts repairs.
    """

    def __init__(self, inner: Model, repair_tokens: int = REPAIR_TOKENS) -> None:
        super().__init__(inner)
        self._repair_tokens = repair_tokens

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece; in one piece if it has to be checked."""
        if request.schema is None:
            async with aclosing(self._inner.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        response = await self.complete(request)
        if response.text:
            yield Chunk(text=response.text)
        yield Chunk(response=response)

    async def complete(self, request: Request) -> Response:
        """Answer whole, checked against the schema of the request."""
        schema = request.schema
        if schema is None:
            return await self._inner.complete(request)

        def form_of(response: Response) -> str:
            return response.text if response.tool_calls else check(response.text, schema)

        parsed = await _checked(self._inner, request, form_of, self._repair_tokens)
        if parsed.repairs:
            spent = parsed.repair_usage
            tokens = {"tokens_in": spent.tokens_in, "tokens_out": spent.tokens_out}
            emit("model.repaired", model=parsed.response.model, repairs=parsed.repairs, **tokens)
        return msgspec.structs.replace(parsed.response, text=parsed.value, usage=parsed.usage)


async def _checked(
    model: Model, request: Request, reader: Callable[[Response], V], repair_tokens: int
) -> Parsed[V]:
    """Ask until ``reader`` takes the answer; raise ``InvalidOutput`` when the budget is spent."""
    response = await model.complete(request)
    first, spent, repairs = response.usage, Usage(), 0
    while True:
        try:
            value = reader(response)
            return Parsed(value, response, first + spent, spent, repairs)
        except InvalidOutput as error:
            left = repair_tokens - spent.tokens_in - spent.tokens_out
            repair = None
            if response.finish_reason != "length":
                repair = _repair(request, response.text, str(error), left)
            if repair is None:
                why = f"after {repairs} repairs, {left} tokens left for another"
                if response.finish_reason == "length":
                    why = f"it was cut at max_tokens={request.max_tokens}"
                message = f"{error} ({why})"
                raise InvalidOutput(message, model=response.model, text=response.text) from error
        response = await model.complete(repair)
        spent += response.usage
        repairs += 1


def check(text: str, schema: dict[str, Any]) -> str:
    """Return the JSON in ``text`` that satisfies ``schema``, as it stands there.

    Raises ``InvalidOutput`` that says what is wrong with the likeliest candidate. A
    schema that cannot be read asks for nothing that could be checked: the text is
    returned as it is. References to elsewhere are never followed.
    """
    validator = _validator(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    if validator is None:
        return text
    problems = ""
    for candidate in _candidates(text):
        try:
            value = orjson.loads(candidate)
        except orjson.JSONDecodeError as error:
            problems = problems or f"the answer is no JSON: {error}"
            continue
        wrong = [
            f"{'.'.join(map(str, one.instance_path)) or 'the answer'}: {one.message}"
            for one in validator.iter_errors(value)
        ]
        if not wrong:
            return candidate
        problems = problems or "\n".join(wrong[:_MAX_PROBLEMS])
    raise InvalidOutput(problems or "there is no JSON in the answer", text=text)


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Validator | None:
    import jsonschema_rs

    try:
        # Linear-time patterns: a schema comes from callers and must not be able to hang anybody.
        found: Validator = jsonschema_rs.validator_for(
            orjson.loads(schema),
            mask="its value",
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (ValueError, jsonschema_rs.ReferencingError):
        return None
    return found


def _refuse(address: str) -> Any:
    message = f"references to elsewhere are not followed: {address}"
    raise ValueError(message)


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
    return msgspec.structs.replace(request, messages=messages, max_tokens=most, is_repair=True)
