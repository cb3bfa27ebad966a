"""Several keys, or several endpoints, for the same model: calls are spread by weight.

Owns whose turn it is, and passing over a key that was refused until it may be asked
again. A call that one key refuses goes to the next at once, before anybody has heard
a piece of it; waiting and repeating are ``retrying``'s. ``chain`` puts the pool
around the limits, since each key has a limit of its own.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hasten.clock import Clock, current_clock
from hasten.errors import ModelError, ModelRejected, RateLimited
from hasten.model.base import Model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from hasten.model.base import Chunk, Request, Response

BUSY_REST_S = 5.0
"""How long a key rests that was refused for too many calls without a word on how long."""

WRONG_REST_S = 300.0
"""How long a key rests that nobody knows any more or that may not do this (401, 403)."""

_WRONG_KEY = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class PoolMember:
    """One key: the model that uses it, and its share of the calls beside the others'."""

    model: Model
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a weight that gives no share. Raises ``ValueError``."""
        if self.weight <= 0:
            message = f"a weight is above 0, not {self.weight}"
            raise ValueError(message)


class PooledModel(Model):
    """Gives each call to the member that was given least for its weight, of those not resting.

    When all rest, it raises the error of the one that may be asked soonest, with the
    seconds until then.
    """

    def __init__(self, members: Sequence[PoolMember]) -> None:
        if not members:
            message = "a pool needs at least one member"
            raise ValueError(message)
        self._members = tuple(members)
        self._turns: WeakKeyDictionary[Clock, list[_Turns]] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._members[0].model.name

    @property
    def inside(self) -> tuple[Model, ...]:
        """The models of all keys."""
        return tuple(member.model for member in self._members)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece, from the first key that is not refused."""
        while True:
            turns = self._next()
            has_begun = False
            try:
                async with aclosing(turns.member.model.stream(request)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield chunk
            except ModelError as error:
                if not turns.rests_after(error) or has_begun:
                    raise
            else:
                return

    async def complete(self, request: Request) -> Response:
        """Answer whole, from the first key that is not refused."""
        while True:
            turns = self._next()
            try:
                return await turns.member.model.complete(request)
            except ModelError as error:
                if not turns.rests_after(error):
                    raise

    async def close(self) -> None:
        """Close all members."""
        for member in self._members:
            await member.model.close()

    def _next(self) -> _Turns:
        """Return whose turn it is, and count it; raises when all rest."""
        clock = current_clock()
        all_ = self._turns.get(clock)
        if all_ is None:
            all_ = self._turns[clock] = [_Turns(member) for member in self._members]
        now_s = clock.monotonic()
        awake = [one for one in all_ if one.rests_until_s <= now_s]
        if not awake:
            raise min(all_, key=lambda one: one.rests_until_s).refusal(now_s)
        chosen = min(awake, key=lambda one: one.given)
        for one in all_:  # who rests saves up no turns
            one.given = max(one.given, chosen.given)
        chosen.given += 1.0 / chosen.member.weight
        return chosen


class _Turns:
    """What one member was given so far, and until when it rests, and why."""

    def __init__(self, member: PoolMember) -> None:
        self.member = member
        self.given = 0.0
        self.rests_until_s = 0.0
        self._error: ModelError | None = None

    def rests_after(self, error: ModelError) -> bool:
        """Let the key rest if ``error`` is about it; say whether."""
        if isinstance(error, RateLimited):
            rest_s = BUSY_REST_S if error.retry_after_s is None else error.retry_after_s
        elif isinstance(error, ModelRejected) and error.status in _WRONG_KEY:
            rest_s = WRONG_REST_S
        else:
            return False
        self._error = error
        self.rests_until_s = max(self.rests_until_s, current_clock().monotonic() + rest_s)
        return rest_s > 0

    def refusal(self, now_s: float) -> ModelError:
        """Return the error that says why it rests, and for how long from now."""
        error = self._error
        if isinstance(error, RateLimited):
            left_s = self.rests_until_s - now_s
            return RateLimited(str(error), model=error.model, retry_after_s=left_s)
        return error or ModelError("no key")
