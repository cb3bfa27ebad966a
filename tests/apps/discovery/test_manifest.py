"""The manifest: found as a user's own application is, and true to what the graphs do."""

from __future__ import annotations

import asyncio

import pytest

from hasten.app import find_apps
from hasten.apps.discovery import app
from hasten.apps.discovery.inputs import SAMPLES
from hasten.apps.discovery.prompts import OUTPUTS
from hasten.apps.discovery.tools import TOOLS
from hasten.clock import current_clock
from hasten.model.simulated import SimulatedModel
from tests.apps.discovery.common import MODES


def test_it_is_found_through_its_entry_point() -> None:
    """No list names it; the installed package does."""
    assert find_apps()["discovery"] is app


@pytest.mark.parametrize("mode", MODES)
def test_phases_and_outputs_are_those_of_the_graphs(mode: str) -> None:
    """What the page announces is what a run goes through."""
    graph = app.graph(mode)
    assert {step.policy.phase for step in graph.steps} == set(app.phases)
    assert set(graph.outputs) == set(OUTPUTS.values())
    assert all(step.policy.label for step in graph.steps)


def test_a_real_model_does_not_wait_for_simulated_tools() -> None:
    """Without a simulated model the bundled sources and the shelf answer at once."""

    async def main() -> float:
        model = SimulatedModel(app.profile)
        resources = app.resources(model, is_simulated=False)
        began_s = current_clock().monotonic()
        fields = {name: SAMPLES["repair"][name] for name in ("interest_area", "sub_interest_area")}
        await TOOLS["research_market_trends"](resources["sources"], **fields)
        await resources["shelf"].write_document("report")
        return current_clock().monotonic() - began_s

    assert asyncio.run(main()) < 1
