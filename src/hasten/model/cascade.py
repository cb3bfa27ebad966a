"""The small model first; the large one when the small one's answer will not do.

Owns what will not do: cut off, filtered, refused, not in the form asked for, or
scored too low. Leaves repairing a form to ``structured``. ``chain`` puts it inside
the response cache, so that the answer that was good enough is the one reused.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hasten.errors import ModelError
from hasten.model.base import Chunk, OuterModel
from hasten.model.structured import check
from hasten.trace.recorder import emit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from hasten.model.base import Model, Request, Response

_WHOLE = frozenset({"stop", "tool_calls"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadePolicy:
    """Which model is asked first, for which ``tasks`` (none named: all), and what is enough.

    ``score`` gives an answer a number from 0 to 1; below ``least_score`` it will not do.
    """

    small: str
    tasks: frozenset[str] = frozenset()
    score: Callable[[Request, Response], float] | None = None
    least_score: float = 0.7


class CascadeModel(OuterModel):
    """Asks ``inner`` for the small model first, unless the request names a model itself.

    A stream begins once it is known who answers: the small model's answer comes in one
    piece. ``asked`` counts the calls that began small, ``escalated`` those that went on.
    """

    def __init__(self, inner: Model, policy: CascadePolicy) -> None:
        super().__init__(inner)
        self._policy = policy
        self.asked = self.escalated = 0

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer with the small model's whole answer, or stream the large one's."""
        response = await self._small(request)
        if response is not None:
            if response.text:
                yield Chunk(text=response.text)
            yield Chunk(response=response)
            return
        async with aclosing(self._inner.stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: Request) -> Response:
        """Answer with the small model's answer, or the large one's."""
        return await self._small(request) or await self._inner.complete(request)

    async def _small(self, request: Request) -> Response | None:
        """Return the small model's answer if it will do."""
        policy = self._policy
        if request.model or (policy.tasks and request.task not in policy.tasks):
            return None
        self.asked += 1
        try:
            response = await self._inner.complete(
                msgspec.structs.replace(request, model=policy.small)
            )
            wrong = self._wrong(request, response)
        except ModelError as error:
            response, wrong = None, error.code
        if not wrong:
            return response
        self.escalated += 1
        emit("model.escalated", model=policy.small, to=self.name, reason=wrong)
        return None

    def _wrong(self, request: Request, response: Response) -> str:
        """Return why an answer will not do; empty if it will."""
        was_asked_short = response.finish_reason == "length" and request.max_tokens is not None
        if response.finish_reason not in _WHOLE and not was_asked_short:
            return response.finish_reason
        if request.schema is not None and not response.tool_calls:
            check(response.text, request.schema)
        if self._policy.score is not None:
            score = self._policy.score(request, response)
            if score < self._policy.least_score:
                return f"scored {score:.2f}, at least {self._policy.least_score:.2f} is wanted"
        return ""
