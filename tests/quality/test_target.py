"""Targets: what holds them, what they refuse."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hasten import Target
from hasten.errors import SettingsError
from hasten.quality.target import reading


async def measure(_trial: Any) -> float:
    """Return nothing of interest."""
    return 0.0


def target(**options: Any) -> Target:
    """Return a target."""
    return Target(name="x", about="a thing", measure=measure, **options)


@pytest.mark.parametrize(
    ("options", "value", "is_held"),
    [
        ({"at_most": 2.0}, 2.0, True),
        ({"at_most": 2.0}, 2.001, False),
        ({"at_least": 70.0}, 70.0, True),
        ({"at_least": 70.0}, 69.9, False),
        ({"at_most": 2.0}, math.nan, False),
    ],
)
def test_a_bound_is_part_of_what_holds(
    options: dict[str, float], value: float, *, is_held: bool
) -> None:
    """At the bound it holds; a figure that is no number never does."""
    assert reading("toy", target(**options), value).is_held is is_held


def test_what_could_not_be_measured_is_not_held() -> None:
    """It says why."""
    found = reading("toy", target(at_most=1.0), None, why="no load test yet")
    assert (found.is_held, found.why) == (False, "no load test yet")


@pytest.mark.parametrize("options", [{}, {"at_most": 1.0, "at_least": 0.0}])
def test_one_bound_is_wanted(options: dict[str, float]) -> None:
    """A target without a bound, or with two, is a mistake in the manifest."""
    with pytest.raises(SettingsError, match="one bound"):
        target(**options)


def test_the_baseline_is_measured_likewise_in_virtual_time_only() -> None:
    """On the real clock it needs a measure of its own."""
    assert target(at_most=1.0).how_baseline is measure
    assert target(at_most=1.0, clock="real").how_baseline is None
    assert target(at_most=1.0, clock="real", baseline=measure).how_baseline is measure
    assert target(at_most=1.0, has_baseline=False).how_baseline is None
