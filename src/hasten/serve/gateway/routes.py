"""The routes of the gateway: whose format each speaks, and what of its body makes the key.

Owns the table and reading a request as far as the gateway must know it: the model,
whether it is to be streamed, and its key. Leaves what a request means to the formats in
``model/*_wire`` and whether it is right to whoever answers it. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

import orjson

from hasten.errors import InvalidInput
from hasten.model.base import Request
from hasten.model.wire_format import Asked, Head

IGNORED = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "stream",
        "stream_options",
        "user",
    }
)
"""What a body may say that cannot change the answer; everything else, known or not, can."""

KEY_CHARS = 64
"""Longer texts, lists and objects are part of a key as their digest."""

MOST_MODEL_CHARS = 200


@dataclass(frozen=True)
class Route:
    """One route. ``path`` is below ``/v1``; ``wire_name`` is the format's module in ``model``.

    Answers begin with an id of ``id_prefix``, if they have one, and have their time in
    ``time_field``. ``use`` is what their cache entries go by.
    """

    name: str
    path: str
    protocol: str
    wire_name: str = ""
    id_prefix: str = ""
    time_field: str = ""
    use: str = "gateway"

    @cached_property
    def wire(self) -> Any:
        """The format's module, loaded at first use."""
        return import_module(f"hasten.model.{self.wire_name}")

    def head(self, id_: str, model: str, now_s: float, *, is_simulated: bool = False) -> Head:
        """Return what is said about an answer besides the answer."""
        return Head(id_, model, now_s, is_simulated)


CHAT = Route("chat", "/chat/completions", "openai", "openai_wire", "chatcmpl-", "created")
RESPONSES = Route("responses", "/responses", "openai", "responses_wire", "resp_", "created_at")
MESSAGES = Route("messages", "/messages", "anthropic", "anthropic_wire", "msg_")
COUNT = Route("count_tokens", "/messages/count_tokens", "anthropic", "anthropic_wire")
EMBEDDINGS = Route("embeddings", "/embeddings", "openai", use="embedding")

ROUTES = {f"/v1{route.path}": route for route in (CHAT, RESPONSES, MESSAGES, COUNT, EMBEDDINGS)}
"""The routes that are POSTed to, by path."""

OTHER = "other"
"""What calls of anything else are counted under."""


class Question(NamedTuple):
    """A request as the gateway knows it; ``fields`` are what its key is made of.

    ``is_stateful``: it depends on more than it says, or does more than answer.
    ``is_kept``: the provider keeps the answer, and knows it by its id.
    """

    route: Route
    model: str
    is_stream: bool
    wants_usage: bool
    is_stateful: bool
    is_kept: bool
    fields: dict[str, Any]
    body: dict[str, Any]

    @property
    def asked(self) -> Asked:
        """Say how the answer is wanted; what was asked is not told again."""
        return Asked(Request(messages=(), model=self.model), self.is_stream, self.wants_usage)


def _is_name(model: str) -> bool:
    """Whether a model may be called so; a row that PostgreSQL refuses takes others with it."""
    return 0 < len(model) <= MOST_MODEL_CHARS and model.isprintable()


def read_question(route: Route, data: bytes) -> Question:
    """Return what ``data`` asks. Raises ``InvalidInput`` naming the field."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        message = f"the body is not valid JSON: {error}"
        raise InvalidInput(message, field="") from None
    if not isinstance(body, dict):
        message = "the body must be a JSON object"
        raise InvalidInput(message, field="")
    model, stream = body.get("model"), body.get("stream")
    if not isinstance(model, str) or not _is_name(model):
        message = f"model must be a name of up to {MOST_MODEL_CHARS} printable characters"
        raise InvalidInput(message, field="model")
    if stream not in (None, True, False):
        message = "stream must be true or false"
        raise InvalidInput(message, field="stream")
    options = body.get("stream_options")
    wants_usage = bool(options.get("include_usage")) if isinstance(options, dict) else False
    is_response = route is RESPONSES
    return Question(
        route,
        model,
        bool(stream) and route.wire_name != "" and route is not COUNT,
        wants_usage,
        is_response and bool(body.get("background") or body.get("conversation")),
        is_response and body.get("store") is not False,
        key_fields(body),
        body,
    )


def key_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a body's key is made of: each field, long ones as their digest.

    The order of the fields does not matter, the order inside them does: a model may
    heed the order of a schema's properties. A digest is bytes, which no JSON value is.
    """
    return {name: _key_part(value) for name, value in body.items() if name not in IGNORED}


def _key_part(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str) and len(value) <= KEY_CHARS:
        return value
    return hashlib.sha256(orjson.dumps(value)).digest()
