"""Embeddings without a model, for the simulated upstream: the same text, the same vector.

Owns making them and their form (platform.openai.com/docs/api-reference/embeddings).
They say nothing about meaning, and their model's name says that they are simulated. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

from hasten.errors import InvalidInput
from hasten.model.base import count_tokens
from hasten.model.wire_format import SIMULATED

DIMENSIONS = 256
MOST_DIMENSIONS = 4_096
MOST_INPUTS = 2_048


def simulated_embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to an embeddings request. Raises ``InvalidInput`` naming the field."""
    texts = _inputs(body.get("input"))
    size = body.get("dimensions") or DIMENSIONS
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MOST_DIMENSIONS:
        message = f"dimensions must be a number from 1 to {MOST_DIMENSIONS}"
        raise InvalidInput(message, field="dimensions")
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        message = "encoding_format must be float or base64"
        raise InvalidInput(message, field="encoding_format", allowed=("float", "base64"))
    data = [
        {"object": "embedding", "index": index, "embedding": _shown(_vector(text, size), form)}
        for index, text in enumerate(texts)
    ]
    tokens = sum(map(count_tokens, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    name = simulated_name(str(body["model"]))
    return {"object": "list", "data": data, "model": name, "usage": usage}


def simulated_name(model: str) -> str:
    """Return what a simulated model in place of ``model`` is called: nobody shall mistake it."""
    return model if model.startswith(SIMULATED) else f"{SIMULATED}{model}"


def _inputs(given: Any) -> list[str]:
    """Return the texts to embed; tokens stand for themselves."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and 0 < len(given) <= MOST_INPUTS:
        if all(isinstance(one, str) for one in given):
            return given
        if all(isinstance(one, int) for one in given):
            return [str(given)]
        if all(isinstance(one, list) for one in given):
            return [str(one) for one in given]
    message = f"input must be a text, or a list of 1 to {MOST_INPUTS} texts or lists of tokens"
    raise InvalidInput(message, field="input")


def _vector(text: str, size: int) -> list[float]:
    seed = text.encode("utf-8", "surrogatepass")
    raw = b"".join(
        hashlib.sha256(seed + place.to_bytes(4)).digest() for place in range((size + 15) // 16)
    )
    numbers = [word / 32_768 - 1 for (word,) in struct.iter_unpack(">H", raw)][:size]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def _shown(vector: list[float], form: str) -> Any:
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
