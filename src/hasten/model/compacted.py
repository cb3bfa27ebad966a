"""Requests with fewer tokens: each turn goes through the rules of ``prompt``.

Owns which turns, and in which order. ``chain`` puts it inside the response cache, whose
key is what the caller asked.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from hasten.model.base import Model
from hasten.model.prompt import CompactPolicy, compact

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Message, Request, Response

_TOUCHED = frozenset({"system", "user"})


class CompactedModel(Model):
    """Asks ``inner`` with fewer tokens; ``saved_tokens_in`` counts how many fewer so far.

    What the model or a tool said, and turns that carry parts of their own, stay as they are.
    """

    def __init__(self, inner: Model, policy: CompactPolicy | None = None) -> None:
        self._inner = inner
        self._policy = policy or CompactPolicy()
        self.saved_tokens_in = 0

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._inner.name

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece."""
        async with aclosing(self._inner.stream(self._compacted(request))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: Request) -> Response:
        """Answer whole."""
        return await self._inner.complete(self._compacted(request))

    async def close(self) -> None:
        """Close what is asked."""
        await self._inner.close()

    def _compacted(self, request: Request) -> Request:
        said: set[str] = set()
        turns = tuple(self._turn(turn, request, said) for turn in request.messages)
        return msgspec.structs.replace(request, messages=turns)

    def _turn(self, turn: Message, request: Request, said: set[str]) -> Message:
        if turn.role not in _TOUCHED or turn.parts or not turn.content:
            return turn
        made = compact(turn.content, self._policy, role=turn.role, schema=request.schema, said=said)
        if not made.text:
            return turn
        self.saved_tokens_in += made.tokens_saved
        return msgspec.structs.replace(turn, content=made.text)
