"""Faults on purpose, for models and for any async function; each counts that it happened.

Owns the ways to fail and when. Leaves what ought to happen then to the tests.
All waiting is on the clock in force, so in virtual time a hang costs nothing.
A test asserts ``fault.happened``, so that it cannot pass because nothing failed.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hasten.clock import current_clock
from hasten.model.base import Chunk, Model, Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from hasten.model.base import Request

T = TypeVar("T")

FOREVER_S = 1e9
"""How long a hang lasts: far longer than any deadline, and still an end for virtual time."""

GO_ON: Final = object()
"""What a fault gives back when the call it struck goes on as usual."""


class Fault:
    """One thing that goes wrong, in the calls after the first ``skip``, at most ``times`` times.

    ``act`` goes wrong: it raises, waits, or returns what is given in place of
    an answer. ``calls`` counts the calls seen, ``happened`` those that were
    struck. ``failing``, ``hanging``, ``slow``, ``nonsense`` and ``cancelling``
    make one.
    """

    def __init__(
        self, act: Callable[[], Awaitable[Any]], *, times: int | None = None, skip: int = 0
    ) -> None:
        self._act = act
        self._times = times
        self._skip = skip
        self.calls = 0
        self.happened = 0

    async def strike(self) -> Any:
        """Count a call; if it is one that goes wrong, do. Return ``GO_ON`` or a false answer."""
        self.calls += 1
        if self.calls <= self._skip or self.happened == self._times:
            return GO_ON
        self.happened += 1
        return await self._act()


def failing(
    error: Callable[[], BaseException], *, times: int | None = None, skip: int = 0
) -> Fault:
    """Raise ``error()``."""

    async def act() -> Any:
        raise error()

    return Fault(act, times=times, skip=skip)


def hanging(*, times: int | None = None, skip: int = 0) -> Fault:
    """Never answer."""
    return slow(FOREVER_S, times=times, skip=skip)


def slow(seconds: float, *, times: int | None = None, skip: int = 0) -> Fault:
    """Answer ``seconds`` later than usual."""

    async def act() -> Any:
        await current_clock().sleep(seconds)
        return GO_ON

    return Fault(act, times=times, skip=skip)


def nonsense(answer: Any, *, times: int | None = None, skip: int = 0) -> Fault:
    """Return ``answer`` in place of the real one; of a model, its text."""

    async def act() -> Any:
        return answer

    return Fault(act, times=times, skip=skip)


def cancelling(*, times: int | None = None, skip: int = 0) -> Fault:
    """Cancel the task that makes the call, as somebody outside would."""

    async def act() -> Any:
        task = asyncio.current_task()
        if task is not None:
            task.cancel()
        await current_clock().sleep(FOREVER_S)

    return Fault(act, times=times, skip=skip)


def faulty(function: Callable[..., Awaitable[T]], fault: Fault) -> Callable[..., Awaitable[T]]:
    """Return ``function`` with ``fault`` before it; its name and signature stay readable."""

    @functools.wraps(function)
    async def struck(*args: Any, **kwargs: Any) -> Any:
        answer = await fault.strike()
        return await function(*args, **kwargs) if answer is GO_ON else answer

    return struck


class FaultyModel(Model):
    """``inner`` with ``fault`` in it: before the first piece, or after ``after_pieces`` of them."""

    def __init__(self, inner: Model, fault: Fault, *, after_pieces: int = 0) -> None:
        self._inner = inner
        self._fault = fault
        self._after_pieces = after_pieces

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._inner.name

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Pass the stream on, and go wrong on the way."""
        async with aclosing(self._inner.stream(request)) as chunks:
            for _ in range(self._after_pieces):
                yield await anext(chunks)
            answer = await self._fault.strike()
            if answer is not GO_ON:
                yield Chunk(text=answer)
                yield Chunk(response=Response(text=answer, model=self.name, simulated=True))
                return
            async for chunk in chunks:
                yield chunk

    async def close(self) -> None:
        """Close what is struck."""
        await self._inner.close()
