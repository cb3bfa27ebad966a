"""A stream that is cut, wherever and however: only a whole answer is ever stored."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy
from hasten.cache.tiers import Tier
from hasten.clock import current_clock
from hasten.errors import HastenError
from hasten.model.base import Request
from hasten.model.cached import CachedModel
from hasten.store.memory import MemoryStore
from tests.model.endpoint import CHUNKED_END, STREAM_OK, chunked, endpoint, event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

POLICY = CachePolicy(use="text", ttl_s=100, wait_s=0, stale_if_error_s=100)
WAYS = ("error", "silence", "cancelled", "left", "closed", "invalidated")
END = "end"


@dataclass(frozen=True)
class Cut:
    """A stream of ``pieces`` and an end, and what happens to it after the first ``after``."""

    pieces: int
    after: int
    way: str
    readers: int


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Draw a stream and where and how it is cut."""
    pieces = draw(st.integers(0, 6))
    return Cut(
        pieces,
        draw(st.integers(0, pieces)),
        draw(st.sampled_from(WAYS)),
        draw(st.integers(1, 3)),
    )


def whole(pieces: Sequence[str]) -> list[str]:
    """Return what to store of a stream; raises unless it came to its end."""
    if not pieces or pieces[-1] != END:
        message = "not whole"
        raise ValueError(message)
    return list(pieces)


class Stage:
    """A cache on a store, and the readers of one stream."""

    def __init__(self, cut: Cut, *, is_guarded: bool = True) -> None:
        self.cut = cut
        self.store = MemoryStore()
        self.cache = Cache([Tier(store=self.store)])
        self.opened = 0
        self._whole = whole if is_guarded else list
        self.readers: list[asyncio.Task[list[str]]] = []

    async def _pieces(self) -> AsyncGenerator[str, None]:
        self.opened += 1
        for number in range(self.cut.pieces + 1):
            if self.opened == 1 and number == self.cut.after:
                if self.cut.way == "silence":
                    return
                await self._strike()
            yield END if number == self.cut.pieces else f"piece {number}"
            await current_clock().sleep(1.0)

    async def _strike(self) -> None:
        """Cut the stream while it waits for its next piece."""
        if self.cut.way == "error":
            message = "the provider broke off"
            raise ConnectionError(message)
        if self.cut.way == "closed":
            asyncio.get_running_loop().call_soon(self._close)
        elif self.cut.way == "invalidated":
            await self.cache.invalidate("use=text")
        else:
            for reader in self.readers:
                reader.cancel()
        await current_clock().sleep(1.0)

    def _close(self) -> None:
        self.closing = asyncio.ensure_future(self.cache.close())

    async def read(self) -> list[str]:
        """Read the stream through the cache."""
        key = self.cache.key(POLICY, question="q")
        stream = self.cache.stream(key, self._pieces, POLICY, whole=self._whole, replay=list)
        return [piece async for piece in stream]

    async def leave_early(self) -> None:
        """Read as many pieces as there are before the cut, and walk away."""
        key = self.cache.key(POLICY, question="q")
        stream = self.cache.stream(key, self._pieces, POLICY, whole=self._whole, replay=list)
        for _ in range(self.cut.after):
            await anext(stream)
        await stream.aclose()

    async def stored(self) -> int:
        """Return how many entries there are in memory and in the store."""
        return len(list(self.cache.memory.entries())) + (await self.store.size()).entries


async def play(cut: Cut, *, is_guarded: bool = True) -> int:
    """Cut a stream; return how much of it is stored, after a look at what comes next."""
    stage = Stage(cut, is_guarded=is_guarded)
    read = stage.leave_early if cut.way == "left" else stage.read
    stage.readers = [asyncio.ensure_future(read()) for _ in range(cut.readers)]
    await asyncio.gather(*stage.readers, return_exceptions=True)
    await current_clock().sleep(50.0)
    stored = await stage.stored()
    if cut.way != "closed" and is_guarded:
        expected = [*(f"piece {number}" for number in range(cut.pieces)), END]
        assert await stage.read() == expected
        assert await stage.read() == expected
        await current_clock().sleep(1.0)
        assert await stage.stored() == 2
    return stored


@given(cuts(), st.integers(0, 2**32))
def test_a_cut_stream_leaves_nothing_behind(cut: Cut, seed: int) -> None:
    """Nothing is stored before its end, in no tier; the next reader gets all of it, anew."""
    assert virtual.run(play(cut), seed=seed) == 0


@pytest.mark.parametrize("after", range(1, 4))
def test_without_the_look_at_its_end_a_part_is_stored(after: int) -> None:
    """The guard against a silent end is what makes a whole of the pieces."""
    assert virtual.run(play(Cut(3, after, "silence", 1), is_guarded=False)) > 0


EVENTS = (
    *(event(word) for word in ("A", " lease", " is", " a", " lock.")),
    event(finish_reason="stop"),
    b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":5}}\n\n',
    b"data: [DONE]\n\n",
)
"""A provider's answer; it has said how it ended with the sixth event."""

WHOLE_AFTER = 6


@pytest.mark.parametrize("is_polite", [True, False])
@pytest.mark.parametrize("count", range(len(EVENTS) + 1))
def test_a_provider_s_stream_cut_after_each_event(count: int, *, is_polite: bool) -> None:
    """Closed in the middle, or ended as if that were all: stored only when it said how it ended."""

    async def main() -> tuple[int, bool]:
        parts: tuple[Any, ...] = (STREAM_OK, *map(chunked, EVENTS[:count]))
        if is_polite:
            parts = (*parts, CHUNKED_END)
        async with Cache() as cache, endpoint(*parts) as (model, _):
            cached = CachedModel(model, cache)
            text = ""
            with suppress(HastenError):
                async for chunk in cached.stream(Request.ask("What is a lease?")):
                    text += chunk.text
            return len(list(cache.memory.entries())), text == "A lease is a lock."

    stored, is_whole = asyncio.run(main())
    assert stored <= is_whole
    assert stored == (count >= WHOLE_AFTER and (is_polite or count == len(EVENTS)))
