"""What an answer that passed through took, and what is stored of it.

Owns cutting a stream between its events, reading the tokens that an answer says it took,
and making what is stored of it. What nobody stores is read for its tokens only. Leaves
formats to ``model/*_wire`` and the stored form to ``answer``. ``relay`` asks it. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from hasten.errors import HastenError
from hasten.model.base import Response, Usage
from hasten.model.wire_format import given
from hasten.serve.gateway.answer import (
    StoredAnswer,
    StreamRead,
    new_answer_id,
    stored_answer,
    whole_response,
)
from hasten.serve.gateway.routes import RESPONSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.serve.gateway.routes import Question

MOST_READ_BYTES = 8 * 1024 * 1024
"""A stream longer than this is passed on, but neither stored nor read for its usage."""

MOST_HELD_BYTES = 64 * 1024
_END = b"\n\n"


class WholeEvents:
    """Cuts a stream between its events, so that one of them can be left out.

    ``rest`` is the beginning of the next event; one without an end is let go by and by.
    """

    def __init__(self) -> None:
        self.rest = b""

    def add(self, piece: bytes) -> bytes:
        """Take a piece; return the events that are whole."""
        if not self.rest and piece.endswith(_END):
            return piece
        held = self.rest + piece
        end = held.rfind(_END) + len(_END)
        if end < len(_END):
            is_over = len(held) >= MOST_HELD_BYTES or held.endswith(b"\r\n\r\n")
            end = len(held) if is_over else 0
        self.rest = held[end:]
        return held[:end]


class _Cached(msgspec.Struct):
    """What OpenAI says of its prompt cache, in either route's usage."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Lasting(msgspec.Struct):
    ephemeral_1h_input_tokens: int | None = None


class _Used(msgspec.Struct):
    """The tokens an answer says it took, in either protocol's words.

    OpenAI counts the tokens of its prompt cache among those of the prompt, Anthropic
    beside them.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None
    input_tokens_details: _Cached | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Lasting | None = None

    def usage(self) -> Usage:
        """Return it in our words."""
        cached = self.prompt_tokens_details or self.input_tokens_details or _Cached()
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        return Usage(
            (self.prompt_tokens or self.input_tokens or 0) + read + written,
            self.completion_tokens or self.output_tokens or 0,
            cached.cached_tokens or read,
            cached.cache_write_tokens or written,
            (self.cache_creation or _Lasting()).ephemeral_1h_input_tokens or 0,
        )


class _Taken(msgspec.Struct):
    """An answer or an event, as far as it says that; some events have the answer inside."""

    model: str | None = None
    usage: _Used | None = None
    message: _Taken | None = None
    response: _Taken | None = None


_taken = msgspec.json.Decoder(_Taken)


def counted(told: Sequence[bytes], model: str) -> Response | None:
    """Return what the parts of an answer say it took, if they say so; the last that says counts."""
    counts: dict[str, Any] = {}
    for one in told:
        try:
            taken = _taken.decode(one)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        taken = taken.message or taken.response or taken
        model = taken.model or model
        if taken.usage is not None:
            counts |= given(msgspec.structs.asdict(taken.usage))
    return Response(text="", model=model, usage=_Used(**counts).usage()) if counts else None


def answer_out(question: Question, response: Response, request: Any, now_s: float) -> Any:
    """Return the plain body of an answer that did not come in the caller's protocol."""
    route = question.route
    head = route.head(
        response.id or new_answer_id(route).decode(),
        response.model,
        now_s,
        is_simulated=response.simulated,
    )
    if route is RESPONSES:
        return route.wire.answer_out(response, head, request)
    return route.wire.answer_out(response, head)


def taken_plain(
    question: Question, body: bytes, *, is_stored: bool
) -> tuple[StoredAnswer, Response | None]:
    """Return what to store of a plain answer, and what it says, if it is one."""
    if not is_stored:
        response = counted([body], question.model)
        return _unstored(response), response
    route = question.route
    try:
        told = orjson.loads(body)
        if not isinstance(told, dict):
            return StoredAnswer(tail=body, is_whole=False), None
        if not route.id_prefix:
            usage = told.get("usage")
            tokens = int((usage.get("prompt_tokens") if isinstance(usage, dict) else 0) or 0)
            response = Response(text="", model=question.model, usage=Usage(tokens))
            tail = orjson.dumps(told)[1:]
            return StoredAnswer(tail=tail, has_new_id=False, tokens_in=tokens), response
        response = whole_response(route, body, question.model)
    except (HastenError, ValueError, TypeError):
        return StoredAnswer(tail=body, is_whole=False), None
    return stored_answer(route, told, response, is_kept=question.is_kept), response


class StreamTaken:
    """A stream as it passes: what it took, and what to store of it unless it is kept out."""

    def __init__(self, question: Question, *, is_stored: bool) -> None:
        self._question = question
        self._reading = StreamRead(question.route, question.model) if is_stored else None
        self._held: list[bytes] = []
        self._bytes = 0

    def add(self, piece: bytes) -> None:
        """Take a piece."""
        self._bytes += len(piece)
        if self._bytes > MOST_READ_BYTES:
            self._held.clear()
        elif self._reading is not None:
            self._reading.add(piece)
        else:
            self._held.append(piece)

    def end(self, now_s: float) -> tuple[StoredAnswer, Response | None]:
        """Return what to store, and what it says, if it is an answer.

        One that does not say what it took is read whole, which tells about how much that was.
        """
        question, reading = self._question, self._reading
        if self._bytes > MOST_READ_BYTES:
            return _unstored(None), None
        if reading is None:
            lines = b"".join(self._held).splitlines()
            data = [line[5:] for line in lines if b'"usage"' in line and line.startswith(b"data:")]
            response = counted(data, question.model)
            if response is not None:
                return _unstored(response), response
            reading = StreamRead(question.route, question.model)
            for piece in self._held:
                reading.add(piece)
        try:
            response = reading.response()
            told = answer_out(question, response, question.asked.request, now_s)
        except HastenError:
            return _unstored(None), None
        return stored_answer(question.route, told, response, is_kept=question.is_kept), response


def _unstored(response: Response | None) -> StoredAnswer:
    """Return in place of what is stored only what it took."""
    if response is None:
        return StoredAnswer(tail=b"", is_whole=False)
    usage = msgspec.structs.asdict(response.usage)
    return StoredAnswer(tail=b"", model=response.model, is_whole=False, **usage)
