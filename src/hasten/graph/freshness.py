"""The freshness guarantee: how much of an answer put together from sections a run must make.

Owns ``Freshness`` (what an application declares) and what it means for one run: which
blocks may be reused, and writing some anew when what came is not fresh enough. Leaves
the arithmetic to ``cache/block``, keeping blocks to ``cache`` and order to ``run``.

A section counts as fresh when this run wrote it, whatever the tools it read came from.
"""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from hasten.cache.block import choose, fresh_share
from hasten.cache.browse import peek
from hasten.cache.cached import current_cache
from hasten.errors import FreshnessRefused, GraphError
from hasten.trace.recorder import current_recorder, degrade, emit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from hasten.cache.cache import Cache
    from hasten.cache.policy import Directives
    from hasten.graph.attempt import Settled, StepAttempt
    from hasten.graph.graph import Graph
    from hasten.graph.step import Step
    from hasten.trace.event import RunRecord

    Give = Callable[[str, Settled], None]

SPARE_SHARE = 0.03
"""Blocks are chosen for a share this much above the floor: lengths are only known afterwards."""

CEILING_S = 60 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How much of an answer each run must make itself (discovery plan 2.5, 5.1).

    ``sections`` are the steps whose texts the answer is put together from, with their
    usual length in characters; those that are cached are its blocks. ``floor`` takes a
    run's inputs and returns the share of all characters, from 0 to 1, that the run must
    write. Sections in ``always_fresh`` must not be cached, and no block may be older
    than ``max_age_s``.
    """

    sections: Mapping[str, int]
    floor: Callable[[Any], float]
    always_fresh: tuple[str, ...] = ()
    max_age_s: float = CEILING_S

    def check(self, graph: Graph) -> None:
        """Check that ``graph`` can keep to this. Raises ``GraphError`` naming the section."""
        unknown = sorted({*self.sections, *self.always_fresh} - set(graph.position))
        if unknown:
            _refuse(graph, f"freshness names {unknown}, which are no steps of it")
        shown = set(graph.outputs).union(*(graph.after[graph.position[o]] for o in graph.outputs))
        for name in {**self.sections, **dict.fromkeys(self.always_fresh)}:
            self._check_section(graph, graph.steps[graph.position[name]], shown)

    def _check_section(self, graph: Graph, step: Step[..., Any], shown: set[str]) -> None:
        if step.returns is not str:
            _refuse(graph, f"section {step.name!r} must return str")
        if step.name not in shown:
            _refuse(graph, f"section {step.name!r} is no output, nor does one take it")
        if step.cache is None:
            return
        if step.name in self.always_fresh:
            _refuse(graph, f"section {step.name!r} is always fresh, so it must not be cached")
        policy = step.cache
        beyond_s = max(policy.stale_while_revalidate_s, policy.stale_if_error_s)
        if policy.ttl_s is None or policy.ttl_s + beyond_s > self.max_age_s:
            _refuse(graph, f"block {step.name!r} may get older than {self.max_age_s:g} s")


class _Part(NamedTuple):
    """A section or an output that is there.

    ``again`` makes it anew in ``context``; ``age_s`` is ``None`` if the run made it.
    """

    again: StepAttempt
    context: contextvars.Context
    settled: Settled
    age_s: float | None

    @property
    def chars(self) -> int:
        return len(self.settled.value or "")


class RunFreshness:
    """One run's guarantee: ``plan`` before its steps start, each through ``run``, then ``close``.

    The ``give`` of a method puts a value in the place of one that a step gave before.
    """

    def __init__(self, graph: Graph, floor: float, asked: Directives) -> None:
        self._graph = graph
        self._floor = floor
        # A block must not outlive its policy, however stale an answer the request would take.
        self._asked = replace(asked, max_stale_s=0.0)
        self._sections = {} if graph.freshness is None else graph.freshness.sections
        self._blocks = tuple(name for name in self._sections if self._step(name).cache is not None)
        self._may_reuse = frozenset(self._blocks)
        self._open = set(self._sections)
        self._parts: dict[str, _Part] = {}
        self._renewed: dict[str, Settled] = {}

    @classmethod
    def of(
        cls,
        graph: Graph,
        inputs: BaseModel,
        asked: Directives,
    ) -> RunFreshness | None:
        """Return the guarantee that ``graph`` gives for ``inputs``, if it gives one."""
        if graph.freshness is None:
            return None
        return cls(graph, graph.freshness.floor(inputs), asked)

    async def plan(self, values: Mapping[str, Any]) -> None:
        """Choose the blocks that may be reused, given the run's inputs in ``values``."""
        cache = current_cache()
        if cache is None:
            return
        stored = {}
        for name in self._blocks:
            text = await self._stored(cache, self._step(name), values)
            if text is not None:
                stored[name] = len(text)
        chars = {**self._sections, **stored}
        floor = min(self._floor + SPARE_SHARE, 1.0)
        self._may_reuse = choose(chars, stored, self._blocks, floor)

    async def _stored(
        self, cache: Cache, step: Step[..., Any], values: Mapping[str, Any]
    ) -> str | None:
        policy = step.cache
        if policy is None:
            return None
        names = policy.fields or tuple(name for name in step.wants if name not in policy.ignore)
        known = {**step.defaults, **values}
        if any(name not in known for name in names):
            return None
        key = cache.key(policy, **{name: known[name] for name in names})
        found: str | None = await peek(cache, key, policy, self._asked)
        return found

    def directives(self, name: str, asked: Directives) -> Directives:
        """Return what the step ``name`` asks of the cache in a run that asks for ``asked``."""
        if name not in self._blocks:
            return asked
        return self._asked if name in self._may_reuse else _anew(self._asked)

    async def run(self, attempt: StepAttempt, give: Give) -> Settled:
        """Run a step, and once the last section is there see to it that enough is fresh.

        Raises ``FreshnessRefused`` when that cannot be.
        """
        name = attempt.step.name
        if name not in self._sections and name not in self._graph.outputs:
            return await attempt.run()
        again = replace(attempt, attributes=dict(attempt.attributes))
        part = _Part(again, contextvars.copy_context(), await attempt.run(), attempt.age_s)
        while self._is_outdated(part.again):
            part = await self._made_again(part)
        self._parts[name] = part
        if name in self._open:
            self._open.discard(name)
            if not self._open:
                await self._see_to_it(give)
        return self._renewed.get(name, part.settled)

    def skip(self, name: str) -> None:
        """Note that a step will not run."""
        self._open.discard(name)

    def close(self, record: RunRecord) -> FreshnessRefused | None:
        """Let ``record`` say what was reused; return the error if too little is fresh."""
        if record.reuse:
            return None
        try:
            self._check()
        except FreshnessRefused as error:
            return error
        record.reuse = self._report()
        return None

    def _check(self) -> None:
        share = self._share()
        if share < self._floor:
            message = (
                f"{share:.0%} of the answer could be written for this request; "
                f"it takes {self._floor:.0%}: try again later"
            )
            raise FreshnessRefused(message)

    def _report(self) -> dict[str, Any]:
        parts = {name: part for name, part in self._parts.items() if name in self._sections}
        there = {name: part for name, part in parts.items() if part.settled.result != "none"}
        cached = {name: part.age_s for name, part in there.items() if part.age_s is not None}
        return {
            "fresh_share": round(self._share(), 4),
            "cached_components": cached,
            "fresh_components": {name: 0.0 for name in there if name not in cached},
        }

    def _share(self) -> float:
        chars = {name: part.chars for name, part in self._parts.items() if name in self._sections}
        return fresh_share(chars, self._reused())

    def _reused(self) -> list[str]:
        """Return the blocks that came from the cache, the longest first."""
        names = [name for name in self._blocks if name in self._parts]
        reused = [name for name in names if self._parts[name].age_s is not None]
        return sorted(reused, key=lambda name: -self._parts[name].chars)

    async def _see_to_it(self, give: Give) -> None:
        """Write reused blocks anew, the longest first, until enough is fresh."""
        for name in self._reused():
            if self._share() >= self._floor:
                return
            await self._renew(name, give)
        self._check()

    async def _renew(self, name: str, give: Give) -> None:
        """Write one block anew, and put the outputs that show it together again."""
        section = self._parts[name].again.section
        recorder = current_recorder()
        if recorder is not None:
            recorder.flush_text()
        emit("text.replaced", section=section, text="")
        part = await self._made_again(self._parts[name])
        if part.settled.error is not None:
            degrade(name, part.settled.reason)
        if part.settled.result == "none":
            emit("text.replaced", section=section, text=self._parts[name].settled.value)
            return
        self._take(name, part, give)
        for output in self._graph.outputs:
            shown = self._parts.get(output)
            if shown is not None and self._is_outdated(shown.again):
                self._take(output, await self._made_again(shown), give)

    def _take(self, name: str, part: _Part, give: Give) -> None:
        self._parts[name] = part
        self._renewed[name] = part.settled
        give(name, part.settled)

    def _is_outdated(self, attempt: StepAttempt) -> bool:
        return any(
            name in self._renewed and value is not self._renewed[name].value
            for name, value in attempt.values.items()
        )

    async def _made_again(self, part: _Part) -> _Part:
        """Make a part anew from what its inputs are now, where it was made before."""
        old = part.again
        new = {name: one.value for name, one in self._renewed.items() if name in old.values}
        again = replace(
            old, values={**old.values, **new}, directives=_anew(self._asked), record=None
        )
        attempt = replace(again, attributes={**again.attributes, "reason": "not fresh enough"})
        task = asyncio.create_task(attempt.run(), context=part.context)
        return _Part(again, part.context, await task, attempt.age_s)

    def _step(self, name: str) -> Step[..., Any]:
        return self._graph.steps[self._graph.position[name]]


def _anew(asked: Directives) -> Directives:
    return replace(asked, no_cache=True, only_if_cached=False)


def _refuse(graph: Graph, why: str) -> NoReturn:
    message = f"graph {graph.name!r}: {why}"
    raise GraphError(message)
