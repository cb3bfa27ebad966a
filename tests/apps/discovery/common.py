"""Running the discovery report in virtual time, with whatever is to go wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hasten import virtual
from hasten.apps.discovery import app
from hasten.apps.discovery.sources import LATENCY_S, Sources
from hasten.clock import current_clock
from hasten.errors import ModelRejected
from hasten.graph.outcome import RunOptions
from hasten.model.base import Model
from hasten.model.chain import build_chain
from hasten.model.simulated import SimulatedModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from hasten.graph.outcome import Outcome
    from hasten.model.base import Chunk, Request

MODES = ("baseline", "hasten")
NEVER_S = 10_000.0


class FaultySources(Sources):
    """Sources that fail, hang or talk nonsense for the tools named."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(LATENCY_S)
        self._faults = faults
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, tool: str, **fields: Any) -> Any:
        """Answer, or do what was ordered for ``tool``."""
        self.asked.append((tool, fields))
        fault = self._faults.get(tool)
        if fault == "fails":
            raise ConnectionError(tool)
        if fault == "hangs":
            await current_clock().sleep(NEVER_S)
        if fault == "nonsense":
            return {"scores": "very good", "trends": [], "players": None, tool: -1}
        return await super().ask(tool, **fields)


class ChosenModel(Model):
    """The simulated model, but the tasks that ``is_bad`` picks fail or hang."""

    def __init__(self, is_bad: Callable[[str], bool], *, hangs: bool) -> None:
        self._inner = SimulatedModel(app.profile)
        self._is_bad = is_bad
        self._hangs = hangs
        self.requests: list[Request] = []

    @property
    def name(self) -> str:
        """The simulated model's name."""
        return self._inner.name

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer, unless this task is one of the bad ones."""
        self.requests.append(request)
        if self._is_bad(request.task):
            if self._hangs:
                await current_clock().sleep(NEVER_S)
            message = f"no answer for {request.task}"
            raise ModelRejected(message, model=self.name)
        async for chunk in self._inner.stream(request):
            yield chunk


def discover(
    mode: str,
    *,
    sample: str = "chatbots",
    seed: int = 0,
    model: Model | None = None,
    inputs: Mapping[str, Any] | None = None,
    **resources: Any,
) -> Outcome:
    """Run one report to its end in virtual time; ``resources`` replace the usual ones."""

    async def main() -> Outcome:
        chain = build_chain(model or SimulatedModel(app.profile))
        given = {**app.resources(chain, is_simulated=True), **resources}
        options = RunOptions(app=app.name, mode=mode, simulated=True)
        asked = inputs or app.samples[sample]
        outcome = await app.graph(mode).run(asked, options=options, **given)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return outcome

    return virtual.run(main(), seed=seed)
