"""The population benchmark: crowds are drawn from their seed and counted right."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from bench import population
from hasten.apps.discovery.inputs import DiscoveryInputs

if TYPE_CHECKING:
    import pytest


def test_a_crowd_is_drawn_from_its_seed() -> None:
    """The same seed gives the same visits; all inputs are valid; some come again unchanged."""
    drawn = list(population.visits(random.Random(3)))
    assert drawn == list(population.visits(random.Random(3)))
    for _, _, inputs in drawn:
        DiscoveryInputs.model_validate(inputs)
    people = {user for _, user, _ in drawn}
    assert len(people) == population.PEOPLE < len(drawn)
    told = {(user, str(inputs)) for _, user, inputs in drawn}
    assert len(people) < len(told) < len(drawn)


def test_what_is_found_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each visit that is no rerun all that may be kept is counted once, found or not."""
    monkeypatch.setattr(population, "PEOPLE", 12)
    crowd = population.play(-1)
    visits, reruns = crowd.wanted["report"], crowd.found["report"]
    assert visits == len(crowd.durations_s) >= 12
    assert {crowd.wanted[name] for name in population.KEPT} == {visits - reruns}
    assert 0 < crowd.made_pct(population.TOOLS) < 100
    assert max(crowd.durations_s) <= 22
