"""Two groups of runs side by side: what got slower, costlier or less reused.

Owns the comparison; leaves each group's figures to ``report`` and ``phase``.
Pure. ``hasten analyze --compare`` shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from hasten.errors import InvalidInput
from hasten.trace.phase import phase_totals
from hasten.trace.report import one_kind, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.trace.tree import Trace

Measure = Literal["duration_ms", "cost_usd", "hit_rate"]

WHOLE = "run"
"""The subject that stands for whole runs."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How one figure of one subject moved: ``run``, ``phase NAME`` or ``tool NAME``.

    ``duration_ms`` is the median per run, ``cost_usd`` the mean per run,
    ``hit_rate`` the share of its calls that a cache answered. ``weight`` makes
    them comparable: the change as a share of the whole run's figure before, or
    of all calls; above 0 is worse. ``None``: the group has no such subject.
    """

    subject: str
    measure: Measure
    before: float | None
    after: float | None
    weight: float

    @property
    def verdict(self) -> str:
        """The change in a word, such as ``slower``."""
        worse, better = {
            "duration_ms": ("slower", "faster"),
            "cost_usd": ("costlier", "cheaper"),
            "hit_rate": ("less reused", "more reused"),
        }[self.measure]
        return worse if self.weight > 0 else better


Figures = dict[tuple[str, Measure], float]


def compare(before: Sequence[Trace], after: Sequence[Trace]) -> list[Change]:
    """Return every figure that moved, the worst first and the best last.

    ``InvalidInput`` when a group is empty or of mixed kinds, or when the two are of
    different kinds.
    """
    kinds = one_kind(before), one_kind(after)
    if kinds[0] != kinds[1]:
        message = f"runs of different kinds cannot be compared: {kinds[0]} and {kinds[1]}"
        raise InvalidInput(message, field="runs", allowed=[str(kinds[0])])
    old, new = _figures(before), _figures(after)
    changes = [
        Change(
            subject=subject,
            measure=measure,
            before=old.get((subject, measure)),
            after=new.get((subject, measure)),
            weight=_weight(subject, measure, old, new),
        )
        for subject, measure in dict.fromkeys([*old, *new])
    ]
    moved = [change for change in changes if change.weight]
    return sorted(moved, key=lambda change: -change.weight)


def _weight(subject: str, measure: Measure, old: Figures, new: Figures) -> float:
    was, became = old.get((subject, measure), 0.0), new.get((subject, measure), 0.0)
    if measure == "hit_rate":
        both = (subject, measure) in old and (subject, measure) in new
        return was - became if both else 0.0
    whole = old[WHOLE, measure] or new[WHOLE, measure]
    return (became - was) / whole if whole else 0.0


def _figures(traces: Sequence[Trace]) -> Figures:
    """Return a group's figures; work that only some runs have counts as 0 in the others."""
    per_run = [_figures_of(trace) for trace in traces]
    found: Figures = {}
    for subject, measure in dict.fromkeys(key for figures in per_run for key in figures):
        values = [figures.get((subject, measure), 0.0) for figures in per_run]
        mean = sum(values) / len(values)
        found[subject, measure] = percentile(values, 0.5) if measure == "duration_ms" else mean
    return found | _hit_rates(traces)


def _figures_of(trace: Trace) -> Figures:
    found: Figures = {
        (WHOLE, "duration_ms"): trace.duration_s * 1e3,
        (WHOLE, "cost_usd"): 0.0,
    }
    for totals in phase_totals(trace):
        found[f"phase {totals.phase}", "duration_ms"] = totals.duration_ms
        found[f"phase {totals.phase}", "cost_usd"] = totals.cost_usd
        for tool, duration_ms in totals.tool_breakdown.items():
            so_far_ms = found.get((f"tool {tool}", "duration_ms"), 0.0)
            found[f"tool {tool}", "duration_ms"] = so_far_ms + duration_ms
    found[WHOLE, "cost_usd"] = sum(
        span.attributes.get("cost_usd", 0.0) for span in trace.spans if span.kind == "model"
    )
    return found


def _hit_rates(traces: Sequence[Trace]) -> Figures:
    """Return the hit rates of every tool, and of all tools together."""
    hits: dict[str, list[bool]] = {}
    for trace in traces:
        for span in trace.spans:
            if span.kind == "tool":
                is_hit = bool(span.attributes.get("cache_hit"))
                hits.setdefault(WHOLE, []).append(is_hit)
                hits.setdefault(f"tool {span.name}", []).append(is_hit)
    return {(subject, "hit_rate"): sum(found) / len(found) for subject, found in hits.items()}
