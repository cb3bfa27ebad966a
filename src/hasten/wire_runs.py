"""Starting runs: with what an application's graphs take, or all in virtual time.

Owns bringing an application, its inputs and a model together. Leaves what is under way
to ``wire``, which starts its runs here, and so do ``trial`` and ``cli``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hasten import virtual
from hasten.clock import current_clock
from hasten.graph.outcome import Outcome, RunOptions, new_run_id
from hasten.wire_models import simulated_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from hasten.app import App
    from hasten.graph.run import Run
    from hasten.model.base import Model
    from hasten.store.sql import Tables
    from hasten.trace.log import Sink

START_STEPS = 1_024
"""Virtual runs start at a whole step of a second; there are so many in one."""


def start_run(
    app: App,
    inputs: Mapping[str, Any] | BaseModel,
    model: Model,
    options: RunOptions,
    tables: Tables | None = None,
) -> Run:
    """Start one run of ``app`` on the running loop, as ``options`` say."""
    resources = app.given(model, tables, is_simulated=options.simulated)
    return app.graph(options.mode).start(inputs, options=options, **resources)


def run_virtually(
    app: App,
    inputs: Mapping[str, Any],
    mode: str | None,
    *,
    sink: Sink,
    seed: int = 0,
    records_prompts: bool = False,
) -> Outcome:
    """Run ``app`` on the simulated model in virtual time, to its end; ``sink`` is a memory sink.

    It starts now and has an id of its own, so that it takes its place among those
    kept; the rest is fixed by the seed, to the last bit: the start is a fraction
    that adds to a time without rounding it anew.
    """
    epoch_s = math.floor(current_clock().now() * START_STEPS) / START_STEPS
    run_id = new_run_id(current_clock())

    async def main() -> Outcome:
        options = RunOptions(
            app=app.name, mode=mode or app.default_mode, run_id=run_id, sink=sink, simulated=True
        )
        tables = await app.open_tables(None)
        model = simulated_model(app, mode, records_prompts=records_prompts)
        return await start_run(app, inputs, model, options, tables).outcome()

    return virtual.run(main(), seed=seed, epoch_s=epoch_s)
