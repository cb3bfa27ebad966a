"""The benchmark of the virtual loop still runs; how fast is for the benchmark to say."""

from __future__ import annotations

from bench.harness import measure
from bench.virtual import TASKS, cases, schedule, schedule_us
from hasten import virtual


def test_a_schedule_takes_everything_through() -> None:
    """Each of its tasks gets an item, whatever the seed."""
    assert {virtual.run(schedule(), seed=seed) for seed in range(20)} == {TASKS}


def test_it_measures() -> None:
    """The figure is a time, and a case offers it."""
    assert schedule_us(count=5) > 0
    (found,) = measure(cases(), repeats=1)
    assert found.median("hasten")
