"""Requests with fewer tokens: each turn goes through the rules of ``prompt``.

Owns which turns, and in which order. ``chain`` puts it inside the response cache, whose
key is what the caller asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hasten.model.base import OuterModel
from hasten.model.prompt import CompactPolicy, compact

if TYPE_CHECKING:
    from hasten.model.base import Message, Model, Request

_TOUCHED = frozenset({"system", "user"})


class CompactedModel(OuterModel):
    """Asks ``inner`` with fewer tokens; ``saved_tokens_in`` counts how many fewer so far.

    What the model or a tool said, and turns that carry parts of their own, stay as they are.
    """

    def __init__(self, inner: Model, policy: CompactPolicy | None = None) -> None:
        super().__init__(inner)
        self._policy = policy or CompactPolicy()
        self.saved_tokens_in = 0

    def _asked(self, request: Request) -> Request:
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
