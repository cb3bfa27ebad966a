"""A model that does as told, for tests of whatever calls one.

Owns ``FakeModel``: answers from a script, remembers what it was asked, takes
its time on the clock in force. Faults on purpose come from ``faults``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hasten.clock import current_clock
from hasten.errors import ModelError
from hasten.model.base import Chunk, Model, Response, Usage, count_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from hasten.model.base import Request


@dataclass(frozen=True, slots=True)
class BrokenAnswer:
    """An answer that breaks off: ``text`` is streamed, then ``error`` raised."""

    text: str
    error: ModelError


Answer = str | Response | BrokenAnswer | ModelError
"""One line of a script: what to say, or what to raise."""

Script = Answer | Callable[["Request"], Answer]
"""An answer, or a function that gives the answer to a request."""


class FakeModel(Model):
    """Gives the answers of its script in order, the last one again and again.

    ``first_s`` is the time to the first piece, ``piece_s`` the time for each
    further one (a piece is a word). ``requests`` are the calls so far,
    ``open_calls`` those under way, ``most_open`` the most there were at once,
    ``left`` counts the streams that were closed before their end.
    """

    def __init__(
        self, *script: Script, name: str = "fake", first_s: float = 0.0, piece_s: float = 0.0
    ) -> None:
        self._script = script or ("ok",)
        self._name = name
        self._first_s = first_s
        self._piece_s = piece_s
        self.requests: list[Request] = []
        self.open_calls = 0
        self.most_open = 0
        self.left = 0
        self.is_closed = False

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._name

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Give the next answer, a word at a time."""
        answer = self._next(request)
        self.open_calls += 1
        self.most_open = max(self.most_open, self.open_calls)
        try:
            async for chunk in self._pieces(answer):
                yield chunk
        except GeneratorExit:
            self.left += 1
            raise
        finally:
            self.open_calls -= 1
        if isinstance(answer, Response):
            yield Chunk(response=answer)

    async def _pieces(self, answer: Response | BrokenAnswer | ModelError) -> AsyncIterator[Chunk]:
        await current_clock().sleep(self._first_s)
        if isinstance(answer, ModelError):
            raise answer
        for number, piece in enumerate(re.findall(r"\s*\S+|\s+", answer.text)):
            if number:
                await current_clock().sleep(self._piece_s)
            yield Chunk(text=piece)
        if isinstance(answer, BrokenAnswer):
            raise answer.error

    async def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True

    def _next(self, request: Request) -> Response | BrokenAnswer | ModelError:
        line = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(request)
        answer = (
            line if isinstance(line, (str, Response, BrokenAnswer, ModelError)) else line(request)
        )
        if not isinstance(answer, str):
            return answer
        tokens_in = sum(count_tokens(turn.content) for turn in request.messages)
        usage = Usage(tokens_in, count_tokens(answer))
        return Response(text=answer, model=request.model or self.name, usage=usage, simulated=True)
