"""``@cached``: functions whose results are kept by the cache in force."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from hasten.cache.cache import Cache
from hasten.cache.cached import cached, current_cache, set_cache, use_cache
from hasten.cache.policy import CachePolicy
from hasten.errors import InvalidInput
from hasten.store.memory import MemoryStore
from tests.cache.counting import in_virtual_time, two_processes

calls: list[tuple[Any, ...]] = []


@cached(CachePolicy(use="trends", fields=("area", "style"), ignore=("client",)))
async def trends(area: str, client: object = None, *, style: str = "solo") -> dict[str, str]:
    """Look up trends."""
    calls.append((area, client, style))
    return {"area": area, "style": style}


class Report(BaseModel):
    """A model as a result."""

    title: str


@cached(CachePolicy(use="report"))
async def report(title: str) -> Report:
    """Write a report."""
    return Report(title=title)


@in_virtual_time
async def test_declared_parameters_make_the_key() -> None:
    """By position, by name or by default; what is not declared is not in it."""
    calls.clear()
    set_cache(Cache())
    expected = {"area": "AI", "style": "solo"}
    assert await trends("AI", "mine") == expected
    assert await trends(area="AI", client="yours") == expected
    assert await trends("AI", style="solo") == expected
    assert await trends("AI", style="team") != expected
    assert calls == [("AI", "mine", "solo"), ("AI", None, "team")]


@in_virtual_time
async def test_without_a_cache_it_is_a_plain_function() -> None:
    """Nothing is kept anywhere."""
    calls.clear()
    assert current_cache() is None
    await asyncio.gather(trends("AI"), trends("AI"))
    assert len(calls) == 2


@in_virtual_time
async def test_a_block_has_its_own_cache() -> None:
    """And gives it back at its end."""
    with use_cache(Cache()) as cache:
        assert current_cache() is cache
    assert current_cache() is None


@in_virtual_time
async def test_results_come_back_as_annotated() -> None:
    """A pydantic model is one again, from whatever tier."""
    one, other = two_processes(MemoryStore())
    for cache in (one, one, other):
        with use_cache(cache):
            assert await report("AI") == Report(title="AI")


def test_a_declaration_that_cannot_work_is_refused() -> None:
    """When the function is decorated, not when it is called."""
    with pytest.raises(InvalidInput, match="no parameters"):
        cached(CachePolicy(use="x", fields=("title", "nothing")))(report)

    async def leaky(area: str, story: str) -> str:
        """Take more than its key."""
        return area + story

    with pytest.raises(InvalidInput, match="are neither its fields nor ignored"):
        cached(CachePolicy(use="x", fields=("area",)))(leaky)

    async def unstorable(n: int) -> list[Cache]:
        """Return what has no bytes."""
        return [Cache()] * n

    with pytest.raises(InvalidInput, match="set returns="):
        cached(CachePolicy(use="x"))(unstorable)
