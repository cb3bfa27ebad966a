"""Several personas at once while one of the answers cannot be had."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hasten import virtual
from hasten.app import pick_app
from hasten.apps.persona import app
from hasten.errors import ModelRefused
from hasten.graph.outcome import RunOptions
from hasten.testing.model import Answer, FakeModel
from hasten.wire_runs import start_run

if TYPE_CHECKING:
    from hasten.model.base import Request

INPUTS = {"persona_ids": ["p01", "p02"]}
FIRST_S = 1.0


def test_an_answer_that_fails_ends_the_others() -> None:
    """No model writes for a persona that will not be shown: nobody would be told what it cost."""

    def refuse_one(request: Request) -> Answer:
        return ModelRefused("no journeys") if request.task == "journey" else "{}"

    async def main() -> tuple[str, int]:
        model = FakeModel(refuse_one, first_s=FIRST_S)
        options = RunOptions(app="persona.compare", mode="hasten", simulated=True)
        compare = pick_app({"persona": app}, "persona.compare")
        tables = await app.open_tables(None)
        outcome = await start_run(compare, INPUTS, model, options, tables).outcome()
        asked = len(model.requests)
        await asyncio.sleep(10 * FIRST_S)
        assert model.open_calls == 0
        return str(outcome.error), len(model.requests) - asked

    assert virtual.run(main()) == ("step 'comparison' failed: no journeys", 0)
