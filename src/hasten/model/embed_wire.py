"""OpenAI's embeddings format, both ways as plain data, as its client and as its server.

Owns the field names of ``POST /embeddings`` (platform.openai.com/docs/api-reference/embeddings),
vectors as numbers or as base64 of little-endian 32-bit floats. Leaves HTTP to
``openai_embed`` and the servers. Pure.
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Literal

import msgspec

from hasten.errors import InvalidInput, ModelUnavailable
from hasten.model.base import Usage
from hasten.model.embed import Embedding, EmbedRequest
from hasten.model.openai_errors import error_in_answer
from hasten.model.wire_format import SIMULATED, decode_body, given, without

Encoding = Literal["float", "base64"]

MAX_INPUTS = 2_048
"""How many texts one call may have; OpenAI's own limit."""

MAX_DIMENSIONS = 16_384
"""How long a vector may be; longer than any model's."""

_OWN = frozenset(("input", "model", "dimensions", "encoding_format"))
_HEAD = frozenset(("object", "data", "model", "usage"))
_FLOAT_BYTES = 4


def to_body(request: EmbedRequest, *, model: str) -> dict[str, Any]:
    """Return the JSON body that asks for vectors; ``extra`` may add, not replace."""
    named = {"model": request.model or model, "input": list(request.inputs)}
    shaped = given({"dimensions": request.dimensions, "encoding_format": "base64"})
    return {**request.extra, **named, **shaped}


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int


class _UsageIn(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Vector] = []
    model: str | None = None
    usage: _UsageIn = msgspec.field(default_factory=_UsageIn)
    error: Any = None


def read_answer(body: bytes, request: EmbedRequest, *, model: str) -> Embedding:
    """Return the vectors in ``body``, in the order of the inputs.

    Raises ``ModelUnavailable`` for anything else and what an error object stands for.
    """
    model = request.model or model
    try:
        raw = msgspec.json.decode(body)
        answer = msgspec.convert(raw, _Answer)
        vectors = {one.index: _numbers(one.embedding) for one in answer.data}
    except (msgspec.MsgspecError, ValueError, struct.error) as error:
        message = f"{model} sent something that is not an embedding: {error}"
        raise ModelUnavailable(message, model=model) from error
    if answer.error is not None:
        raise error_in_answer(answer.error, model=model)
    if sorted(vectors) != list(range(len(request.inputs))):
        message = f"{model} sent {len(vectors)} vectors for {len(request.inputs)} inputs"
        raise ModelUnavailable(message, model=model)
    name = answer.model or model
    return Embedding(
        vectors=tuple(vectors[index] for index in sorted(vectors)),
        model=name,
        usage=Usage(answer.usage.prompt_tokens),
        simulated=name.startswith(SIMULATED),
        extra=given(without(raw, _HEAD)),
    )


def _numbers(told: list[float] | str) -> tuple[float, ...]:
    if not isinstance(told, str):
        return tuple(told)
    packed = base64.b64decode(told, validate=True)
    return struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed)


class _Body(msgspec.Struct):
    input: str | list[str | int | list[int]]
    model: str
    dimensions: int | None = None
    encoding_format: Encoding | None = None


def read_request(body: bytes) -> tuple[EmbedRequest, Encoding]:
    """Return what ``body`` asks, and how its vectors shall be written.

    Raises ``InvalidInput`` naming the field.
    """
    asked, raw = decode_body(body, _Body)
    inputs = _inputs(asked.input)
    if not 0 < len(inputs) <= MAX_INPUTS or not all(inputs):
        message = f"input must hold 1 to {MAX_INPUTS} texts, none of them empty"
        raise InvalidInput(message, field="input")
    if asked.dimensions is not None and not 0 < asked.dimensions <= MAX_DIMENSIONS:
        message = f"dimensions must be 1 to {MAX_DIMENSIONS}, not {asked.dimensions}"
        raise InvalidInput(message, field="dimensions", value=asked.dimensions)
    request = EmbedRequest(
        inputs=inputs,
        model=asked.model,
        dimensions=asked.dimensions,
        extra=given(without(raw, _OWN)),
    )
    return request, asked.encoding_format or "float"


def _inputs(told: str | list[str | int | list[int]]) -> tuple[str | tuple[int, ...], ...]:
    """Return the inputs in their four forms: a text, texts, tokens, lists of tokens."""
    if isinstance(told, str):
        return (told,)
    tokens = tuple(one for one in told if isinstance(one, int))
    if tokens and len(tokens) == len(told):
        return (tokens,)
    if tokens:
        message = "input mixes tokens with texts"
        raise InvalidInput(message, field="input")
    return tuple(one if isinstance(one, str) else tuple(one) for one in told if one is not None)  # type: ignore[arg-type]


def answer_out(embedding: Embedding, *, encoding: Encoding = "float") -> dict[str, Any]:
    """Return the body of an answer."""
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector, encoding)}
        for index, vector in enumerate(embedding.vectors)
    ]
    tokens = embedding.usage.tokens_in
    return {
        "object": "list",
        "data": data,
        "model": embedding.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        **embedding.extra,
    }


def _written(vector: tuple[float, ...], encoding: Encoding) -> str | list[float]:
    if encoding == "float":
        return list(vector)
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
