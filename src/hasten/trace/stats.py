"""What the runs of this process came to: plain counters, read when somebody asks.

Owns counting runs that have ended, from their records and spans alone. Leaves
showing to ``serve/metrics``. ``wire.Runtime`` adds each run once, at its end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span

RUN_BUCKETS_S = (0.005, 0.05, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the durations counted together; what is longer is counted apart."""


class RunDurations:
    """How long the runs of one application and mode took, on their own clock."""

    __slots__ = ("_counts", "total_s")

    def __init__(self) -> None:
        self.total_s = 0.0
        self._counts = [0] * (len(RUN_BUCKETS_S) + 1)

    def add(self, duration_s: float) -> None:
        """Count one."""
        self.total_s += duration_s
        self._counts[bisect_left(RUN_BUCKETS_S, duration_s)] += 1

    def upto(self) -> list[int]:
        """Return how many took up to each bound, then how many there are in all."""
        return list(accumulate(self._counts))


class RunStats:
    """Counters of the runs that have ended, by names that the applications declare.

    ``runs`` by app, mode and status; ``steps`` (tools among them) by app, kind, name
    and status; ``model_calls`` by app, model and status; ``tokens`` by app, model and
    ``in`` or ``out``; ``cost_usd`` by app and model. Of the provider's prompt cache,
    ``prompt_tokens`` by app, model and ``read`` or ``written``, and ``prompt_usd`` by app,
    model and ``saved`` or ``spent``.
    """

    def __init__(self) -> None:
        self.runs: Counter[tuple[str, ...]] = Counter()
        self.steps: Counter[tuple[str, ...]] = Counter()
        self.model_calls: Counter[tuple[str, ...]] = Counter()
        self.tokens: Counter[tuple[str, ...]] = Counter()
        self.cost_usd: dict[tuple[str, ...], float] = {}
        self.prompt_tokens: Counter[tuple[str, ...]] = Counter()
        self.prompt_usd: dict[tuple[str, ...], float] = {}
        self.durations: dict[tuple[str, ...], RunDurations] = {}

    def add(self, run: RunRecord, spans: Iterable[Span]) -> None:
        """Count a run that has ended, with all that was done in it."""
        self.runs[run.app, run.mode, run.status] += 1
        self.durations.setdefault((run.app, run.mode), RunDurations()).add(run.duration_s)
        for span in spans:
            if span.kind in {"step", "tool"}:
                self.steps[run.app, span.kind, span.name, span.status] += 1
            elif span.kind == "model":
                self._add_model_call(run.app, span)

    def _add_model_call(self, app: str, span: Span) -> None:
        said = span.attributes
        model = said.get("model", "")
        self.model_calls[app, model, span.status] += 1
        self.tokens[app, model, "in"] += said.get("tokens_in", 0)
        self.tokens[app, model, "out"] += said.get("tokens_out", 0)
        cost_usd = self.cost_usd.get((app, model), 0.0)
        self.cost_usd[app, model] = cost_usd + said.get("cost_usd", 0.0)
        add_prompt_cache(said, (app, model), self.prompt_tokens, self.prompt_usd)


def add_prompt_cache(
    said: Mapping[str, Any],
    row: tuple[str, ...],
    tokens: Counter[tuple[str, ...]],
    usd: dict[tuple[str, ...], float],
) -> None:
    """Count what a model's span says of its provider's prompt cache, if it says anything."""
    for name, kind in (("cached_tokens_in", "read"), ("cache_write_tokens_in", "written")):
        if count := said.get(name):
            tokens[*row, kind] += count
    for name, kind in (("prompt_saved_usd", "saved"), ("prompt_written_usd", "spent")):
        if amount := said.get(name):
            usd[*row, kind] = usd.get((*row, kind), 0.0) + amount
