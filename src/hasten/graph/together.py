"""Side by side inside a step: the sections of one answer, the calls of one tool.

Owns ``together``; steps of a graph run side by side by themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

T = TypeVar("T")


async def together(*work: Coroutine[Any, Any, T], limit: int | None = None) -> list[T]:
    """Run ``work`` side by side, at most ``limit`` at once; return the values in its order.

    The first error cancels the rest and is raised as it is. Raises
    ``ValueError`` for a ``limit`` below 1.
    """
    try:
        return await _side_by_side(work, len(work) or 1 if limit is None else limit)
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    finally:
        for one in work:
            one.close()


async def _side_by_side(work: Sequence[Coroutine[Any, Any, T]], limit: int) -> list[T]:
    if limit < 1:
        message = f"limit must be at least 1, not {limit}"
        raise ValueError(message)
    gate = asyncio.Semaphore(limit)

    async def pass_gate(one: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await one

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pass_gate(one)) for one in work]
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
