"""Counting runs that have ended."""

from __future__ import annotations

from hasten.trace.event import RunRecord
from hasten.trace.span import Span
from hasten.trace.stats import RUN_BUCKETS_S, RunDurations, RunStats


def test_durations_are_counted_up_to_their_bound() -> None:
    """A bound includes what is exactly as long; beyond the last, only the whole number grows."""
    durations = RunDurations()
    for duration_s in (0.0, RUN_BUCKETS_S[0], RUN_BUCKETS_S[-1], RUN_BUCKETS_S[-1] + 1):
        durations.add(duration_s)
    counts = durations.upto()
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2, 2, 3, 4)
    assert durations.total_s == sum((RUN_BUCKETS_S[0], RUN_BUCKETS_S[-1], RUN_BUCKETS_S[-1] + 1))


def test_a_run_is_counted_with_what_was_done_in_it() -> None:
    """Steps and tools by name and status, model calls with tokens and cost, nothing else."""
    run = RunRecord(
        run_id="r1",
        app="toy",
        graph="toy",
        mode="hasten",
        tenant="t",
        user="u",
        clock="real",
        speed=1.0,
        simulated=True,
        started_s=10.0,
        ended_s=12.0,
        status="complete",
    )
    said = {"model": "m", "tokens_in": 5, "tokens_out": 7, "cost_usd": 0.25}
    spans = [
        Span(1, None, "run", "toy", 10.0, 12.0, "ok"),
        Span(2, 1, "tool", "look", 10.0, 11.0, "failed"),
        Span(3, 1, "model", "m", 11.0, 12.0, "ok", said),
        Span(4, 1, "cache", "facts", 11.0, 12.0, "ok"),
    ]
    stats = RunStats()
    for _ in range(2):
        stats.add(run, spans)
    assert stats.runs == {("toy", "hasten", "complete"): 2}
    assert stats.steps == {("toy", "tool", "look", "failed"): 2}
    assert stats.model_calls == {("toy", "m", "ok"): 2}
    assert stats.tokens == {("toy", "m", "in"): 10, ("toy", "m", "out"): 14}
    assert stats.cost_usd == {("toy", "m"): 0.5}
    assert stats.durations["toy", "hasten"].total_s == 4.0
