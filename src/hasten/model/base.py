"""What a model is: it answers a ``Request`` with a ``Response`` or a stream of ``Chunk``.

Owns the interface and its records, in nobody's wire format. Leaves formats to
the wires (``openai``, ``simulated``) and everything between caller and wire to
one wrapper a file. Graph steps, applications and the gateway call it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class ToolCall(msgspec.Struct, frozen=True):
    """One call the model asks for; ``arguments`` is the JSON text as it came."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn. ``tool_call_id`` says which call a ``tool`` turn answers.

    ``parts``, if there are any, is the whole turn as it came in the format of
    the request's ``wire`` (images, ``cache_control``, thinking): it goes out
    instead of ``content`` and ``tool_calls``, which were read from it, so who
    changes those drops ``parts``. ``extra`` holds the turn's further fields.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    parts: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] = {}


class Request(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One question to a model.

    ``schema`` asks for JSON that satisfies this JSON Schema. ``task`` names what
    it is for, in traces and when a model is chosen per task, ``section`` the
    part of an answer it writes, ``is_repair`` that it asks for the form of an answer
    again; none of these reaches the wire. ``extra`` holds
    provider fields passed through untouched. ``wire`` names the format (``openai``,
    ``responses``, ``anthropic``, ``gemini``) that a request came in: its parts, tools
    and extra fields go as they are to a provider of that format and are translated
    for others. One made here has none; its tools are in OpenAI's chat format.
    ``headers`` are sent along to the provider (``anthropic-beta``).
    """

    messages: tuple[Message, ...]
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    task: str = ""
    section: str = ""
    is_repair: bool = False
    extra: dict[str, Any] = {}
    wire: str = ""
    headers: dict[str, str] = {}

    @classmethod
    def ask(cls, prompt: str, *, system: str = "", **fields: Any) -> Request:
        """Build the common request: one user turn, after a system turn if there is one."""
        turns = (Message("system", system),) if system else ()
        return cls(messages=(*turns, Message("user", prompt)), **fields)


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens as the provider counted them.

    Of ``tokens_in``, ``cached_tokens_in`` came from its prompt cache and
    ``cache_write_tokens_in`` were written into it, ``long_write_tokens_in`` of these to
    be kept an hour.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens_in: int = 0
    cache_write_tokens_in: int = 0
    long_write_tokens_in: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Return what both took together."""
        both = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Usage(*(one + more for one, more in both))


class Saved(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an answer from the response cache spared its caller; the answer itself cost nothing."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    s: float = 0.0


class Response(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A whole answer. ``simulated`` is true when no real model wrote it.

    ``parts`` and ``extra`` are what the provider said beyond the rest, in the
    format that ``wire`` names: whoever speaks it passes them on.
    ``saved`` is there when the answer was stored: ``usage`` is then that of the
    call it came from.
    """

    text: str
    model: str
    usage: Usage = Usage()
    finish_reason: FinishReason = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    id: str = ""
    simulated: bool = False
    parts: tuple[dict[str, Any], ...] = ()
    extra: dict[str, Any] = {}
    wire: str = ""
    saved: Saved | None = None


class Chunk(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A piece of an answer. The last one, and only it, carries ``response``: the whole answer.

    ``events`` is the data of the provider's own events that this piece was read
    from, in the format that ``wire`` names; a piece that has only those (a tool
    call or a thought in progress) has no text.
    """

    text: str = ""
    response: Response | None = None
    events: tuple[str, ...] = ()
    wire: str = ""


class Model(ABC):
    """Answers requests. Raises ``ModelError`` only; foreign errors stop at the wire.

    ``stream`` is the one method a model must have. It yields pieces as they
    come and ends with the chunk that carries the whole ``Response``; a stream
    that breaks before raises ``ModelUnavailable``. Whoever stops listening
    closes it (``contextlib.aclosing``), and the call upstream ends with it.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Who answers when a request names no model."""

    @abstractmethod
    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece."""

    async def complete(self, request: Request) -> Response:
        """Answer whole. A wire that has a plain call overrides this."""
        async with aclosing(self.stream(request)) as chunks:
            async for chunk in chunks:
                if chunk.response is not None:
                    return chunk.response
        message = f"the stream of {self.name} ended without its last chunk"
        raise ModelUnavailable(message, model=self.name)

    @property
    def inside(self) -> tuple[Model, ...]:
        """The models it asks, for who looks through a chain; a wire asks none."""
        return ()

    async def close(self) -> None:
        """Give back connections; a model that holds none does nothing."""


class OuterModel(Model):
    """A model around ``inner``, which answers for it; wrappers change what they are for."""

    def __init__(self, inner: Model) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._inner.name

    @property
    def inside(self) -> tuple[Model, ...]:
        """The model it is around."""
        return (self._inner,)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Pass the stream on."""
        async with aclosing(self._inner.stream(self._asked(request))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: Request) -> Response:
        """Pass the answer on."""
        return await self._inner.complete(self._asked(request))

    async def close(self) -> None:
        """Close what is inside."""
        await self._inner.close()

    def _asked(self, request: Request) -> Request:
        """Return what ``inner`` is asked instead."""
        return request


def count_tokens(text: str) -> int:
    """Estimate the tokens of ``text``: a token for every 4 bytes of UTF-8, at least one if any.

    The rule of thumb of the providers' own pages for English; never used where
    the provider's count is known.
    """
    return (len(text.encode()) + 3) // 4
