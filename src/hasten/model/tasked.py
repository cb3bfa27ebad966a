"""A model, a length and a temperature for each task, chosen where the model is set up.

Owns filling in what a request leaves open. ``chain`` puts it outermost, so that the
response cache sees what is really asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.model.base import OuterModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.model.base import Model, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPolicy:
    """What a task's requests ask for when they do not say; ``max_tokens`` bounds what they say."""

    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None


ANY_TASK = ""
"""The task whose policy holds for those without one of their own."""


class TaskedModel(OuterModel):
    """Fills in what each request's task asks for, then asks ``inner``."""

    def __init__(self, inner: Model, tasks: Mapping[str, TaskPolicy]) -> None:
        super().__init__(inner)
        self._tasks = dict(tasks)

    def _asked(self, request: Request) -> Request:
        policy = self._tasks.get(request.task) or self._tasks.get(ANY_TASK)
        if policy is None:
            return request
        changes: dict[str, Any] = {}
        if policy.model and not request.model:
            changes["model"] = policy.model
        if policy.temperature is not None and request.temperature is None:
            changes["temperature"] = policy.temperature
        most = [one for one in (policy.max_tokens, request.max_tokens) if one is not None]
        if most:
            changes["max_tokens"] = min(most)
        return msgspec.structs.replace(request, **changes)
