"""What a phase took and used."""

from __future__ import annotations

import pytest
from hypothesis import given

from hasten.trace.critical import OVERHEAD
from hasten.trace.phase import PhaseTotals, phase_totals
from hasten.trace.tree import Trace
from tests.trace.making import START_S, trace_of, traces


def test_a_phase_adds_up_what_is_below_it_and_what_names_it() -> None:
    """A tool started before its step counts to the phase, its time too; hits are counted."""
    trace = trace_of(
        (1, "tool", "risks", 0, 2, {"phase": "advice", "cache_hit": True}),
        (1, "step", "ideas", 0, 4, {"phase": "research"}),
        (3, "tool", "trends", 0, 1.5, {}),
        (3, "tool", "trends", 1.5, 2, {}),
        (3, "model", "sim", 2, 4, {"tokens_in": 10, "tokens_out": 20, "cost_usd": 0.5}),
        (1, "step", "advise", 4, 9, {"phase": "advice"}),
        (7, "model", "sim", 4, 9, {"tokens_in": 1, "tokens_out": 2, "cost_usd": 0.25}),
        (7, "model", "sim", 5, 8, {"tokens_in": 1}),
    )
    advice, research = phase_totals(trace)
    assert advice == PhaseTotals(
        phase="advice",
        start_s=START_S,
        end_s=START_S + 9,
        critical_ms=5_000,
        llm_calls=2,
        tool_calls=1,
        tool_breakdown={"risks": 2_000},
        cache_hits=1,
        tokens_in=2,
        tokens_out=2,
        cost_usd=0.25,
    )
    assert (research.phase, research.duration_ms, research.critical_ms) == (
        "research",
        4_000,
        4_000,
    )
    assert (research.llm_calls, research.tool_calls, research.tokens_out) == (1, 2, 20)
    assert research.tool_breakdown == {"trends": 2_000}


@given(traces())
def test_phases_lie_within_what_was_recorded(trace: Trace) -> None:
    """Each phase is there once, and what it adds to the run is no more than it lasted."""
    found = phase_totals(trace)
    assert [totals.phase for totals in found] == trace.phases()
    spans = [span for span in trace.spans if trace.phase_of(span)]
    assert sum(totals.tool_calls for totals in found) == len(
        [span for span in spans if span.kind == "tool"]
    )
    assert sum(totals.llm_calls for totals in found) == len(
        [span for span in spans if span.kind == "model"]
    )
    for totals in found:
        assert totals.phase == OVERHEAD or totals.critical_ms <= totals.duration_ms + 2e-3


def test_durations_of_tools_are_those_of_their_spans() -> None:
    """A tool still open counts up to now."""
    trace = trace_of((1, "tool", "slow", 1, 2, {"phase": "p"}), duration_s=4)
    trace.spans[1].end_s = None
    totals = phase_totals(Trace(trace.run, trace.spans))[0]
    assert totals.tool_breakdown == {"slow": pytest.approx(3_000)}
