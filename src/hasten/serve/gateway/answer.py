"""What is stored of an answer, and how it is given again: plain or as a stream, with a new id.

Owns the form of a stored answer: the bytes of its plain body behind its id and its
timestamp, ready to be sent; and what an answer that is not stored says it took. Leaves
the formats of the protocols to ``model/*_wire`` and where it lies to ``cache``. Pure.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from hasten.errors import HastenError, ModelUnavailable
from hasten.model.base import Chunk, Request, Usage
from hasten.model.sse import EventReader
from hasten.model.wire_format import frame
from hasten.serve.gateway.routes import CHAT

if TYPE_CHECKING:
    from hasten.model.base import Response
    from hasten.model.wire_format import Asked, Head
    from hasten.serve.gateway.routes import Route

DONE = "[DONE]"
"""What ends a stream of chat, and is no JSON."""

_NOTHING = Request(messages=())

TEXT_CHARS = 256
"""A stored answer is streamed in pieces of so many characters."""


class StoredAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A whole answer: ``tail`` is its JSON without the opening brace, its id and its time.

    ``has_new_id`` is false for an answer that the provider keeps under its id, and for
    one that has none. ``is_whole`` is false for what must not be stored.
    """

    tail: bytes
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens_in: int = 0
    has_new_id: bool = True
    is_whole: bool = True
    cache_write_tokens_in: int = 0
    long_write_tokens_in: int = 0

    @property
    def usage(self) -> Usage:
        """What it took when it was made."""
        return Usage(
            self.tokens_in,
            self.tokens_out,
            self.cached_tokens_in,
            self.cache_write_tokens_in,
            self.long_write_tokens_in,
        )


def is_whole(stored: StoredAnswer) -> bool:
    """Whether an answer may be stored."""
    return stored.is_whole


def stored_answer(
    route: Route, told: dict[str, Any], response: Response, *, is_kept: bool
) -> StoredAnswer:
    """Return what to store of a plain answer; ``is_kept``: the provider keeps it under its id."""
    has_new_id = bool(route.id_prefix) and not is_kept
    dropped = {"id", route.time_field} if has_new_id else set()
    rest = {name: value for name, value in told.items() if name not in dropped}
    usage = response.usage
    return StoredAnswer(
        tail=orjson.dumps(rest)[1:],
        model=response.model,
        has_new_id=has_new_id,
        **msgspec.structs.asdict(usage),
    )


def plain_of(route: Route, stored: StoredAnswer, now_s: float) -> bytes:
    """Return the body of a stored answer, given now."""
    if not stored.is_whole:
        return stored.tail
    if not stored.has_new_id:
        return b"{" + stored.tail
    new_id = new_answer_id(route)
    if route.time_field:
        return b'{"id":"%b","%b":%d,' % (new_id, route.time_field.encode(), now_s) + stored.tail
    return b'{"id":"%b",' % new_id + stored.tail


def new_answer_id(route: Route) -> bytes:
    """Return an id nobody has; it names an answer and opens nothing."""
    return b"%b%024x" % (route.id_prefix.encode(), random.getrandbits(96))


def stream_of(route: Route, stored: StoredAnswer, asked: Asked, now_s: float) -> bytes:
    """Return all events of a stored answer, given now as a stream to ``asked``."""
    wire = route.wire
    response = whole_response(route, plain_of(route, stored, now_s), stored.model)
    id_ = response.id or new_answer_id(route).decode()
    head = route.head(id_, response.model, now_s, is_simulated=response.simulated)
    writer = wire.EventWriter(head, asked)
    told: list[bytes] = []
    if route.wire_name == "openai_wire":
        if response.parts:
            return _choices_streamed(response, head, asked)
        text = response.text
        for start in range(0, len(text), TEXT_CHARS):
            told += writer.write(Chunk(text=text[start : start + TEXT_CHARS]))
    return b"".join([*told, *writer.write(Chunk(response=response))])


def _choices_streamed(response: Response, head: Head, asked: Asked) -> bytes:
    """Return the events of a chat answer that has more to it than text and calls."""
    told = orjson.loads(orjson.dumps(CHAT.wire.answer_out(response, head)))
    usage, choices = told.pop("usage", None), told.pop("choices")
    told["object"] = "chat.completion.chunk"
    events = []
    for choice in choices:
        delta = choice.pop("message")
        calls = delta.get("tool_calls") or ()
        if calls:
            delta["tool_calls"] = [{"index": place, **one} for place, one in enumerate(calls)]
        reason = choice.pop("finish_reason", None)
        events.append({**told, "choices": [{**choice, "delta": delta, "finish_reason": None}]})
        ending = {"index": choice["index"], "delta": {}, "finish_reason": reason}
        events.append({**told, "choices": [ending]})
    if asked.wants_usage:
        events.append({**told, "choices": [], "usage": usage})
    return b"".join([*map(frame, events), frame(DONE)])


def whole_response(route: Route, body: bytes, model: str) -> Response:
    """Return what a plain body says. Raises ``ModelError`` for one that is no whole answer."""
    found: Response = route.wire.Reading(_NOTHING, model=model).take_whole(body)
    return found


class StreamRead:
    """A stream read as it passes, so that a long one's end costs no more than its middle."""

    def __init__(self, route: Route, model: str) -> None:
        self._is_chat = route is CHAT
        self._model = model
        self._reading = route.wire.Reading(_NOTHING, model=model)
        self._events = EventReader()
        self._error: Exception | None = None
        self._is_done = False

    def add(self, piece: bytes) -> None:
        """Read a piece; what is wrong with it is told at the end."""
        if self._error is not None:
            return
        try:
            for data in self._events.feed(piece):
                if data == DONE:
                    self._is_done = True
                else:
                    self._reading.take(data)
        except (HastenError, ValueError) as error:
            self._error = error

    def response(self) -> Response:
        """Return what it adds up to. Raises ``ModelError`` if that is no whole answer."""
        if isinstance(self._error, ValueError):
            message = f"{self._model} sent something that is no event stream: {self._error}"
            raise ModelUnavailable(message, model=self._model) from self._error
        if self._error is not None:
            raise self._error
        if not (self._is_done if self._is_chat else self._reading.is_done):
            message = f"{self._model} ended its stream before it had finished its answer"
            raise ModelUnavailable(message, model=self._model)
        found: Response = self._reading.response()
        return found
