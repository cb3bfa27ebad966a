"""Asking the temple in virtual time, with whatever is to go wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hasten import virtual
from hasten.apps.fortune import app
from hasten.apps.fortune.temple import LATENCY_S, Temple
from hasten.clock import current_clock
from hasten.graph.outcome import RunOptions
from hasten.model.chain import build_chain
from hasten.model.simulated import SimulatedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.apps.fortune.temple import Passage
    from hasten.cache.cache import Cache
    from hasten.graph.outcome import Outcome
    from hasten.model.base import Model

NEVER_S = 10_000.0


class SlowTemple(Temple):
    """A temple whose search hangs."""

    def __init__(self) -> None:
        super().__init__(LATENCY_S)

    async def passages(self, question: str) -> tuple[Passage, ...]:
        """Never answer."""
        await current_clock().sleep(NEVER_S)
        return await super().passages(question)


async def asking(
    mode: str = "hasten",
    *,
    model: Model | None = None,
    inputs: Mapping[str, Any] | None = None,
    cache: Cache | None = None,
    **resources: Any,
) -> Outcome:
    """Ask on the running loop; ``resources`` replace the usual ones."""
    chain = build_chain(model or SimulatedModel(app.profile))
    given = {**app.resources(chain, is_simulated=True), **resources}
    options = RunOptions(
        app=app.name, mode=mode, simulated=True, cache=cache, rerun=app.rerun if cache else None
    )
    outcome = await app.graph(mode).run(inputs or app.samples["love"], options=options, **given)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return outcome


def ask(mode: str = "hasten", *, seed: int = 0, **asked: Any) -> Outcome:
    """Ask once in virtual time."""
    return virtual.run(asking(mode, **asked), seed=seed)
