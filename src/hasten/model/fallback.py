"""Another model when the one that was asked cannot answer.

Owns the order of the models and for how long one that failed is passed over. Leaves
repeating to ``retrying`` and other keys of the same model to ``pooled``. What another
model answered says so in the run and is never stored under the first one's name.
``chain`` puts it outside the retries of each.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from hasten.cache.trail import taint
from hasten.clock import Clock, current_clock
from hasten.errors import ModelError, ModelRejected
from hasten.model.base import Model
from hasten.trace.recorder import degrade

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from hasten.model.base import Chunk, Request, Response

REST_S = 30.0
"""How long a model that failed is passed over while there is another."""

_ELSEWHERE = frozenset({401, 403, 404})
"""Refusals that are about the key or the model, not about the request."""


@dataclass(frozen=True, slots=True)
class Spare:
    """Another model: at ``model``, by the name ``name`` (empty: its own)."""

    model: Model
    name: str = ""


class FallbackModel(Model):
    """Asks ``inner``, then each of ``spares`` in order, until one answers.

    A stream goes to another model only until its first piece. ``answered`` counts by its
    name what another model answered. Raises the first model's error when none answers.
    """

    def __init__(self, inner: Model, spares: Sequence[Spare], *, rest_s: float = REST_S) -> None:
        self._ways = (Spare(inner), *spares)
        self._rest_s = rest_s
        self._rests: WeakKeyDictionary[Clock, dict[tuple[int, str], float]] = WeakKeyDictionary()
        self.answered: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._ways[0].model.name

    @property
    def inside(self) -> tuple[Model, ...]:
        """All models, the first one in front."""
        return tuple(way.model for way in self._ways)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece, from the first model that begins."""
        errors: list[ModelError] = []
        for place in self._order(request):
            has_begun = False
            asked = self._asked(place, request)
            try:
                async with aclosing(self._ways[place].model.stream(asked)) as chunks:
                    async for chunk in chunks:
                        if not has_begun:
                            self._note(place, asked)
                        has_begun = True
                        yield chunk
            except ModelError as error:
                if has_begun or not self._passes_on(place, request, error):
                    raise
                errors.append(error)
            else:
                return
        raise errors[0]

    async def complete(self, request: Request) -> Response:
        """Answer whole, from the first model that does."""
        errors: list[ModelError] = []
        for place in self._order(request):
            asked = self._asked(place, request)
            try:
                response = await self._ways[place].model.complete(asked)
            except ModelError as error:
                if not self._passes_on(place, request, error):
                    raise
                errors.append(error)
            else:
                self._note(place, asked)
                return response
        raise errors[0]

    async def close(self) -> None:
        """Close all models."""
        for model in {id(way.model): way.model for way in self._ways}.values():
            await model.close()

    def _order(self, request: Request) -> list[int]:
        """Return the places of the models: those that rest come last."""
        now_s = current_clock().monotonic()
        rests = self._rests_now()
        places = range(len(self._ways))
        return sorted(places, key=lambda place: rests.get((place, request.model), 0.0) > now_s)

    def _asked(self, place: int, request: Request) -> Request:
        if place == 0:
            return request
        return msgspec.structs.replace(request, model=self._ways[place].name)

    def _passes_on(self, place: int, request: Request, error: ModelError) -> bool:
        """Let the model rest if ``error`` is its own; say whether another may do better."""
        is_refused = isinstance(error, ModelRejected) and error.status in _ELSEWHERE
        if not error.retryable and not is_refused:
            return False
        rests = self._rests_now()
        rests[place, request.model] = current_clock().monotonic() + self._rest_s
        return True

    def _note(self, place: int, asked: Request) -> None:
        """Say that another model answers in place of the first."""
        if place == 0:
            return
        other = asked.model or self._ways[place].model.name
        self.answered[other] += 1
        reason = f"{other} in place of {self.name}"
        taint(reason)
        degrade(asked.section or asked.task or "model", reason)

    def _rests_now(self) -> dict[tuple[int, str], float]:
        clock = current_clock()
        found = self._rests.get(clock)
        if found is None:
            found = self._rests[clock] = {}
        return found
