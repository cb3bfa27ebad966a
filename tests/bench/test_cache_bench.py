"""The cache benchmark still runs and measures what it says; how fast is for it to say."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bench import cache
from bench.caches import hits, misses, ours
from bench.harness import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = cache.Sizes(
    seconds=0.01, entries=200, writes=20, computed_s=0.05, patience_s=0.3, requests=600
)

CASES = {f"{one.name}: {one.unit}": one for one in cache.cases(TINY)}

SLOW = ("expiry", "4 processes")
"""They wait for what expires, and for processes to start."""


def marked(name: str) -> object:
    """Return the name as a parameter, marked if it is slow."""
    is_slow = any(word in name for word in SLOW)
    return pytest.param(name, marks=pytest.mark.slow) if is_slow else name


@pytest.mark.parametrize("name", [marked(name) for name in CASES])
def test_ours_takes_part(name: str) -> None:
    """Every case gives us a figure, on the real servers; counted ones the right figure."""
    runner = CASES[name].runners[OURS]
    assert not isinstance(runner, str)
    figure = runner()
    if "computations" in name:
        assert figure == 1
    elif "not served" in name:
        assert figure == 0
    else:
        assert figure > -100


def test_the_bare_ones_do_the_same_work() -> None:
    """What the ratios are taken against gives the same answers."""
    for name, case in CASES.items():
        runner = case.runners.get("bare")
        if runner is not None and not isinstance(runner, str):
            assert runner() > 0, name


def test_hits_that_are_misses_are_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tier that lost what it was given must not look slow, or quick."""
    real = hits._fill

    async def lose(calls: list[Callable[[], object]], fetch: hits.Counted) -> None:
        await real(calls, fetch)
        hits.redis().flush()

    monkeypatch.setattr(hits, "_fill", lose)
    with pytest.raises(AssertionError, match="hits were misses"):
        hits.tier_us("shared", 100, 1, 0.01, ours)


def test_without_protection_it_would_be_seen() -> None:
    """The count of computations is one: a cache that computes for each is found out."""

    class Unprotected:
        """No cache at all."""

        __name__ = "none"

        def open_cache(self, _where: str, fetch: object, *, is_protected: bool) -> object:
            """Give calls that compute."""
            assert is_protected
            return nullcontext(lambda name: partial(fetch, name))

    assert misses.in_one_process(10, 0.01, Unprotected()) == 10
