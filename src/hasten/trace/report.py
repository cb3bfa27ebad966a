"""What many runs have in common: percentiles, bottlenecks, repeated calls.

Owns the figures over runs of one kind; runs of another clock or speed, or with
a simulated model, are never averaged with them. Pure: traces in, records out.
``cli`` and the console show them; ``compare`` sets two groups side by side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.clock import ClockKind
from hasten.errors import InvalidInput
from hasten.trace.critical import critical_path
from hasten.trace.phase import phase_totals
from hasten.trace.slack import slack_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.trace.span import Span
    from hasten.trace.tree import Trace


class RunKind(msgspec.Struct, frozen=True, order=True):
    """What must be equal for runs to share a figure."""

    clock: ClockKind
    speed: float
    simulated: bool

    def __str__(self) -> str:
        model = "simulated" if self.simulated else "real"
        return f"{self.clock} clock, speed {self.speed:g}, {model} model"


class Percentiles(msgspec.Struct, frozen=True):
    """The spread of ``count`` durations, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class RunTimes(msgspec.Struct, frozen=True):
    """How long runs of one kind took, in whole and by phase.

    A phase's ``count`` is the number of runs that had it.
    """

    kind: RunKind
    total: Percentiles
    phases: dict[str, Percentiles]


class Bottleneck(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece of work adds to the critical path of a run, on average over the runs.

    ``critical_ms`` counts the time the run waited for this work itself, not for
    something inside it, and ``share`` is that over the runs' duration. ``calls``
    and ``duration_ms`` (from start to end) are per run too. ``slack_ms`` is how
    much later it could have ended, the least of its calls.
    """

    phase: str | None
    kind: str
    name: str
    critical_ms: float
    share: float
    slack_ms: float
    calls: float
    duration_ms: float
    runs: int


class RepeatedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that computed the same thing more than once: same name, same parameters.

    ``most_in_one_run`` tells repeats within a run from those across ``runs``.
    ``repeated_ms`` is what all calls but the first took.
    """

    tool: str
    params: dict[str, Any]
    calls: int
    runs: int
    most_in_one_run: int
    repeated_ms: float


def kind_of(trace: Trace) -> RunKind:
    """Return which runs this one may be averaged with."""
    run = trace.run
    return RunKind(run.clock, run.speed, run.simulated)


def by_kind(traces: Sequence[Trace]) -> dict[RunKind, list[Trace]]:
    """Part the runs by kind, the kind with the most runs first."""
    found: dict[RunKind, list[Trace]] = {}
    for trace in traces:
        found.setdefault(kind_of(trace), []).append(trace)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def one_kind(traces: Sequence[Trace]) -> RunKind:
    """Return the kind all of these runs are of. ``InvalidInput`` when there is not exactly one."""
    kinds = list(by_kind(traces))
    if len(kinds) == 1:
        return kinds[0]
    names = [str(kind) for kind in kinds]
    found = (
        f"these runs are of several kinds ({'; '.join(names)})" if kinds else "there are no runs"
    )
    message = f"{found}: a figure is made of runs of one kind"
    raise InvalidInput(message, field="runs", allowed=names)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie.

    Between two values it interpolates linearly (type 7 of Hyndman and Fan,
    "Sample Quantiles in Statistical Packages", 1996; what spreadsheets and NumPy do).
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def percentiles(durations_ms: Sequence[float]) -> Percentiles:
    """Return P50, P95 and P99 of at least one duration."""
    shares = (0.5, 0.95, 0.99)
    return Percentiles(len(durations_ms), *(percentile(durations_ms, share) for share in shares))


def run_times(traces: Sequence[Trace]) -> RunTimes:
    """Return the percentiles of the runs and of their phases. ``InvalidInput`` for mixed kinds."""
    kind = one_kind(traces)
    phases: dict[str, list[float]] = {}
    for trace in traces:
        for totals in phase_totals(trace):
            phases.setdefault(totals.phase, []).append(totals.duration_ms)
    return RunTimes(
        kind,
        percentiles([trace.duration_s * 1e3 for trace in traces]),
        {phase: percentiles(durations_ms) for phase, durations_ms in phases.items()},
    )


class _Sum:
    """A bottleneck being added up."""

    def __init__(self) -> None:
        self.critical_s = 0.0
        self.duration_s = 0.0
        self.calls = 0
        self.slacks_s: dict[str, float] = {}


def bottlenecks(traces: Sequence[Trace]) -> list[Bottleneck]:
    """Return all work, what adds most to the critical path first. ``InvalidInput`` for mixed kinds.

    Work is the same in two runs when its phase, kind and name are. The run
    itself stands for what no span accounts for.
    """
    one_kind(traces)
    sums: dict[tuple[str | None, str, str], _Sum] = {}
    for trace in traces:
        _add_run(trace, sums)
    total_s = sum(trace.duration_s for trace in traces)
    runs = len(traces)
    found = [
        Bottleneck(
            phase=phase,
            kind=kind,
            name=name,
            critical_ms=one.critical_s / runs * 1e3,
            share=one.critical_s / total_s if total_s else 0.0,
            slack_ms=sum(one.slacks_s.values()) / len(one.slacks_s) * 1e3,
            calls=one.calls / runs,
            duration_ms=one.duration_s / runs * 1e3,
            runs=len(one.slacks_s),
        )
        for (phase, kind, name), one in sums.items()
    ]
    return sorted(found, key=lambda one: (-one.critical_ms, one.slack_ms, -one.duration_ms))


def _add_run(trace: Trace, sums: dict[tuple[str | None, str, str], _Sum]) -> None:
    slack = slack_s(trace)
    run_id = trace.run.run_id

    def sum_of(span: Span) -> _Sum:
        return sums.setdefault((trace.phase_of(span), span.kind, span.name), _Sum())

    for span, _ in trace.walk():
        one = sum_of(span)
        one.calls += 1
        one.duration_s += trace.end_of(span) - span.start_s
        one.slacks_s[run_id] = min(one.slacks_s.get(run_id, math.inf), slack[span.span_id])
    for segment in critical_path(trace):
        sum_of(segment.span).critical_s += segment.duration_s


def repeated_calls(traces: Sequence[Trace]) -> list[RepeatedCall]:
    """Return tool calls that computed the same thing again, the most time lost first.

    A call is known by the parameters its span declares (``params``); one that
    declares none, or that a cache answered, is not counted. ``InvalidInput`` for mixed kinds.
    """
    one_kind(traces)
    found: dict[tuple[str, str], list[tuple[Trace, Span]]] = {}
    for trace in traces:
        for span in trace.spans:
            params = span.attributes.get("params")
            if span.kind == "tool" and params and not span.attributes.get("cache_hit"):
                found.setdefault((span.name, repr(_sorted(params))), []).append((trace, span))
    repeats = [_repeat(calls) for calls in found.values() if len(calls) > 1]
    return sorted(repeats, key=lambda repeat: -repeat.repeated_ms)


def _repeat(calls: Sequence[tuple[Trace, Span]]) -> RepeatedCall:
    runs: dict[str, int] = {}
    for trace, _ in calls:
        runs[trace.run.run_id] = runs.get(trace.run.run_id, 0) + 1
    calls = sorted(calls, key=lambda call: call[1].start_s)
    first = calls[0][1]
    return RepeatedCall(
        tool=first.name,
        params=first.attributes["params"],
        calls=len(calls),
        runs=len(runs),
        most_in_one_run=max(runs.values()),
        repeated_ms=sum(trace.end_of(span) - span.start_s for trace, span in calls[1:]) * 1e3,
    )


def _sorted(value: object) -> object:
    """Return ``value`` with its dicts in one order, so that equal parameters read the same."""
    if isinstance(value, dict):
        return sorted((str(key), _sorted(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_sorted(inner) for inner in value]
    return value
