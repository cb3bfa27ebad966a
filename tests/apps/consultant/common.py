"""Analyses in virtual time, with whatever is to go wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hasten import virtual
from hasten.apps.consultant import app
from hasten.graph.outcome import RunOptions
from hasten.model.base import OuterModel
from hasten.model.chain import build_chain
from hasten.model.simulated import SimulatedModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from hasten.cache.cache import Cache
    from hasten.graph.outcome import Outcome
    from hasten.model.base import Chunk, Model, Request, Response


class Listening(OuterModel):
    """Keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(SimulatedModel(app.profile))
        self.asked: list[Request] = []

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer in pieces."""
        self.asked.append(request)
        async for chunk in self._inner.stream(request):
            yield chunk

    async def complete(self, request: Request) -> Response:
        """Answer whole."""
        self.asked.append(request)
        return await self._inner.complete(request)


async def analysing(
    mode: str = "hasten",
    *,
    model: Model | None = None,
    inputs: Mapping[str, Any] | None = None,
    cache: Cache | None = None,
    **resources: Any,
) -> Outcome:
    """Analyse on the running loop; ``resources`` replace the usual ones."""
    chain = build_chain(model or SimulatedModel(app.profile))
    tables = await app.open_tables(None)
    given = {**app.given(chain, tables, is_simulated=True), **resources}
    options = RunOptions(
        app=app.name, mode=mode, simulated=True, cache=cache, rerun=app.rerun if cache else None
    )
    outcome = await app.graph(mode).run(inputs or app.samples["one"], options=options, **given)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return outcome


def analyse(mode: str = "hasten", *, seed: int = 0, **asked: Any) -> Outcome:
    """Analyse once in virtual time."""
    return virtual.run(analysing(mode, **asked), seed=seed)
