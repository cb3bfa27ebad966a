"""The race on the simulated model: what the baseline takes, what is left of it, at what price."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pytest

from hasten.apps.discovery.inputs import MAX_SUMMARY_CHARS, SAMPLES
from hasten.apps.discovery.prompts import MARKET_TOOLS, OUTPUTS
from hasten.codec import encode
from hasten.trace.critical import breakdown, critical_path
from hasten.trace.tree import Trace
from tests.apps.discovery.common import MODES, discover

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome

PLAN_CALLS_S = {"profile_analysis": 18.3, "idea_research": 8.0, "recommendation": 10.5}
PLAN_PHASES_S = {
    "profile_analysis": 18.3,
    "idea_research": 33.6,
    "recommendation": 40.3,
    "file_io": 0.25,
    "db_write": 0.15,
}
"""Discovery plan 0.1; the recommendation with the two tools that plan leaves untimed (4.0 s)."""

SHARE = 0.05

run_once = cache(discover)


def words(outcome: Outcome) -> int:
    """Count the words of the whole answer."""
    return sum(len(text.split()) for text in outcome.outputs.values())


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_baseline_takes_what_the_plan_found(sample: str) -> None:
    """About 93 s: three model calls and eleven tool calls in a row, at the plan's times."""
    outcome = run_once("baseline", sample=sample)
    record = outcome.record
    assert record.status == "complete"
    assert 92 <= record.duration_s <= 95
    assert (record.llm_calls, record.tool_calls) == (3, 11)
    calls = {span.attributes["task"]: span for span in outcome.spans if span.kind == "model"}
    for task, plan_s in PLAN_CALLS_S.items():
        assert calls[task].duration_s == pytest.approx(plan_s, rel=0.1)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_baseline_spends_it_where_the_plan_found_it(sample: str) -> None:
    """The phases follow one another and add up to the whole."""
    outcome = run_once("baseline", sample=sample)
    parts = breakdown(Trace(outcome.record, outcome.spans))
    for phase, plan_s in PLAN_PHASES_S.items():
        assert parts.parts_us[phase] / 1e6 == pytest.approx(plan_s, rel=0.05)
    assert parts.overhead_us == 0


def test_hasten_spends_it_on_market_ideas_and_validation() -> None:
    """The critical path is trends, ideas, validation, comparison, saving; no profile."""
    outcome = run_once("hasten")
    path = [segment.span.name for segment in critical_path(Trace(outcome.record, outcome.spans))]
    assert path == [
        "research_market_trends",
        "ideas",
        "validate_startup_idea",
        "Comparison of Your Ideas",
        "report_document",
        "report_record",
    ]


@pytest.mark.parametrize("sample", SAMPLES)
def test_hasten_is_there_in_a_quarter_of_the_time(sample: str) -> None:
    """At most 22 s cold, the first text within a second, with every tool called and every phase."""
    outcome = run_once("hasten", sample=sample)
    record = outcome.record
    assert record.status == "complete"
    assert record.duration_s <= 22
    assert record.first_text_s is not None
    assert record.first_text_s <= 1
    assert record.tool_calls == 11
    parts = breakdown(Trace(outcome.record, outcome.spans))
    assert set(parts.parts_us) == set(PLAN_PHASES_S)
    assert sum(parts.parts_us.values()) + parts.overhead_us == parts.total_us


@pytest.mark.parametrize("sample", SAMPLES)
def test_speed_is_not_bought_with_tokens(sample: str) -> None:
    """Input tokens stay within 1.5 times the baseline's, output tokens and length about equal."""
    before, after = (run_once(mode, sample=sample) for mode in MODES)
    assert after.record.tokens_in <= 1.5 * before.record.tokens_in
    assert after.record.tokens_out == pytest.approx(before.record.tokens_out, rel=SHARE)
    assert words(after) == pytest.approx(words(before), rel=SHARE)


def test_a_long_summary_costs_no_more_than_its_share() -> None:
    """At the longest summary allowed, first text, tokens and time stay within their bounds."""
    summary = "I ran the night desk of a small hotel and kept its books. " * 400
    inputs = {**SAMPLES["chatbots"], "experience_summary": summary[:MAX_SUMMARY_CHARS]}
    before, after = (discover(mode, inputs=inputs).record for mode in MODES)
    assert after.tokens_in <= 1.5 * before.tokens_in
    assert after.duration_s <= 22
    assert after.first_text_s is not None
    assert after.first_text_s <= 1


@pytest.mark.parametrize("sample", SAMPLES)
def test_both_modes_answer_the_same(sample: str) -> None:
    """The same outputs, headings and figures; only what follows from the ideas differs."""
    before, after = (run_once(mode, sample=sample).outputs for mode in MODES)
    assert set(before) == set(after) == set(OUTPUTS.values())
    for name, text in after.items():
        for pattern in (r"^#+ .*$", r"^- \*\*(?:Idea|Score|Revenue|Break-even|Question).*?:\*\*"):
            headings = re.compile(pattern, re.MULTILINE)
            assert headings.findall(text) == headings.findall(before[name])
    fixed = (
        "growth",
        "Trends",
        "Competitors",
        "Open gap",
        "market",
        "Monthly total",
        "Met through",
    )
    for label in fixed:
        line = re.compile(rf"^- \*\*.*{label}:\*\*.*$", re.MULTILINE)
        found = line.findall("\n".join(after.values()))
        assert found
        assert found == line.findall("\n".join(before.values()))


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("mode", MODES)
def test_sections_do_not_repeat_each_other(mode: str, sample: str) -> None:
    """No sentence of the prose stands twice in a report."""
    lines = "\n".join(run_once(mode, sample=sample).outputs.values()).splitlines()
    prose = " ".join(line for line in lines if not line.startswith(("#", "- **")))
    sentences = Counter(
        found for found in re.split(r"(?<=[.!?])\s+", prose) if found.count(" ") > 3
    )
    assert [sentence for sentence, count in sentences.items() if count > 1] == []


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("mode", MODES)
def test_the_report_is_about_this_person(mode: str, sample: str) -> None:
    """It names their field, their means and what they told of themselves."""
    outputs = run_once(mode, sample=sample).outputs
    inputs = SAMPLES[sample]
    told = " ".join(inputs["experience_summary"].split()[:4])
    assert told in outputs["profile_analysis"]
    whole = "\n".join(outputs.values())
    for field in ("goal_type", "time_commitment", "budget_range", "sub_interest_area"):
        assert inputs[field] in whole


def test_nothing_waits_that_need_not() -> None:
    """What needs only inputs starts at once; ideas wait for the market, the rest for ideas."""
    outcome = run_once("hasten")
    start_s = {span.name: span.start_s - outcome.record.started_s for span in outcome.spans}
    end_s = {span.name: (span.end_s or 0) - outcome.record.started_s for span in outcome.spans}
    at_once = (*MARKET_TOOLS, "assess_startup_risks", "estimate_startup_costs", "core_motivation")
    assert [start_s[name] for name in at_once] == [0] * len(at_once)
    assert start_s["ideas"] == max(end_s[name] for name in MARKET_TOOLS)
    with_ideas = (
        "validate_startup_idea",
        "project_revenue",
        "generate_customer_persona",
        "roadmap",
    )
    assert [start_s[name] for name in with_ideas] == [end_s["ideas"]] * len(with_ideas)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_gives_the_same_trace(mode: str) -> None:
    """Every span and the whole record are the same, to the microsecond."""
    one, two = (discover(mode, seed=5) for _ in range(2))
    assert encode(one.spans) == encode(two.spans)
    assert encode(one.record) == encode(two.record)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_order_of_ready_tasks_does_not_matter(seed: int) -> None:
    """Whatever runs first in an instant, the report and its time are the same."""
    usual, other = run_once("hasten"), discover("hasten", seed=seed)
    assert other.outputs == usual.outputs
    assert other.record.duration_s == pytest.approx(usual.record.duration_s)
