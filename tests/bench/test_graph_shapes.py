"""The benchmark's graphs: everybody does the same work, and what is measured is what is said."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

import pytest

import bench
from bench import shapes
from bench.__main__ import NOT_BENCHMARKS
from bench.harness import OURS, Case
from bench.peers import MODULES, CannotExpress, find

SMALL = {
    "chain": shapes.chain(5),
    "fan": shapes.fan(4),
    "random": shapes.random_dag(60, sleeps=False),
}


@pytest.mark.parametrize("shape", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("contestant", MODULES)
def test_everybody_gives_the_same_answer(contestant: str, shape: shapes.Shape) -> None:
    """Those that are installed and can say the shape."""
    prepare = find(contestant)
    if prepare is None:
        assert contestant not in {OURS, "bare TaskGroup"}
        return

    async def answer() -> int:
        call = await prepare(shape)
        return await call()

    try:
        assert asyncio.run(answer()) == shape.answer
    except CannotExpress:
        assert contestant == "pydantic-graph"


def test_critical_paths() -> None:
    """Of the shapes that sleep."""
    assert shapes.diamond().critical_path_s == pytest.approx(0.6)
    assert shapes.fan(100, 0.02).critical_path_s == pytest.approx(0.02)
    assert shapes.chain(3).critical_path_s == 0
    awake, asleep = (shapes.random_dag(1_000, sleeps=sleeps) for sleeps in (False, True))
    assert awake.needs == asleep.needs
    assert (awake.critical_path_s, asleep.critical_path_s > 1) == (0, True)


def test_every_benchmark_names_its_cases() -> None:
    """Each module that ``python -m bench`` offers has a title and cases that we take part in."""
    for found in pkgutil.iter_modules(bench.__path__):
        if found.name not in NOT_BENCHMARKS:
            module = importlib.import_module(f"bench.{found.name}")
            cases: list[Case] = module.cases()
            assert module.TITLE
            assert all(OURS in case.runners for case in cases)
