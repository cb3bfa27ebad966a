"""The benchmark of the virtual loop still runs; how fast is for the benchmark to say."""

from __future__ import annotations

from bench.virtual import TASKS, schedule, schedules_per_second
from hasten import virtual


def test_a_schedule_takes_everything_through() -> None:
    """Each of its tasks gets an item, whatever the seed, and takes some virtual time."""
    assert {virtual.run(schedule(), seed=seed) for seed in range(20)} == {TASKS}


def test_it_measures() -> None:
    """A rate is above zero."""
    assert schedules_per_second(count=5) > 0
