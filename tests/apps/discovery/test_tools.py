"""The tools: checked findings for everybody, from declared fields and nothing else."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from typing import Any, get_args

import pytest

from hasten.apps.discovery import findings
from hasten.apps.discovery.findings import Finding, Idea, Ideas
from hasten.apps.discovery.inputs import (
    SAMPLES,
    SUB_AREAS,
    BudgetRange,
    TimeCommitment,
    WorkStyle,
)
from hasten.apps.discovery.sources import LATENCY_S, Sources, plain_ideas
from hasten.apps.discovery.tools import TOOLS
from tests.apps.discovery.common import FaultySources, discover

PLAN_KEYS = {
    "research_market_trends": {"interest_area", "sub_interest_area"},
    "analyze_competitors": {"interest_area", "sub_interest_area"},
    "estimate_market_size": {"interest_area", "sub_interest_area"},
    "assess_startup_risks": {"interest_area", "work_style", "budget_range"},
    "estimate_startup_costs": {"interest_area", "budget_range"},
}
"""What the five tools that may be reused look at: discovery plan 1.2."""

AREAS = [(area, sub_area) for area, subs in SUB_AREAS.items() for sub_area in subs]


def find(name: str, **known: Any) -> Finding:
    """Call one tool outside any run."""
    wanted = {field: known[field] for field in TOOLS[name].policy.needs}
    return asyncio.run(TOOLS[name](Sources(), **wanted))


@pytest.mark.parametrize(("area", "sub_area"), AREAS)
def test_every_tool_knows_every_area(area: str, sub_area: str) -> None:
    """All eleven give a finding with something to read, for every combination of fields."""
    ideas = plain_ideas(area, sub_area)
    for time, budget, style in itertools.product(
        *map(get_args, (TimeCommitment, BudgetRange, WorkStyle))
    ):
        known = {
            "ideas": ideas,
            "interest_area": area,
            "sub_interest_area": sub_area,
            "time_commitment": time,
            "budget_range": budget,
            "work_style": style,
        }
        for name in TOOLS:
            lines = find(name, **known).lines()
            assert lines
            assert all(lines.values())


def test_areas_differ() -> None:
    """No two sub-areas tell the same about competitors, trends or size."""
    for name in ("research_market_trends", "analyze_competitors", "estimate_market_size"):
        told = [
            str(find(name, interest_area=area, sub_interest_area=sub_area))
            for area, sub_area in AREAS
        ]
        assert len(set(told)) == len(told)


def test_reusable_tools_look_at_the_plans_keys() -> None:
    """What will be shared between people is computed from the plan's key fields only."""
    for name, keys in PLAN_KEYS.items():
        assert set(TOOLS[name].policy.needs) == keys
        assert set(TOOLS[name].policy.log_fields) == keys


def test_no_tool_sees_or_logs_the_summary() -> None:
    """In either mode sources are asked with declared fields, none of them personal."""
    for mode in ("baseline", "hasten"):
        sources = FaultySources({})
        outcome = discover(mode, sources=sources)
        assert sorted(name for name, _ in sources.asked) == sorted(TOOLS)
        for name, fields in sources.asked:
            assert set(fields) == set(TOOLS[name].policy.needs)
        logged = [
            span.attributes["params"] for span in outcome.spans if "params" in span.attributes
        ]
        told = str(logged)
        assert SAMPLES["chatbots"]["experience_summary"][:30] not in told
        assert "ideas" not in told


def test_latencies_are_the_plans() -> None:
    """Each tool takes its time and no tool is without one."""
    assert set(LATENCY_S) == set(TOOLS)
    assert sum(LATENCY_S.values()) == pytest.approx(55.4)


def test_money_follows_time_and_budget() -> None:
    """More hours earn more, and a wider budget costs more to start."""
    area = {"interest_area": "Education", "sub_interest_area": "Tutoring"}
    ideas = plain_ideas(**area)
    little, much = (
        find("project_revenue", ideas=ideas, time_commitment=time, **area)
        for time in ("<5 hrs/week", "20+ hrs/week")
    )
    assert isinstance(little, findings.Revenue)
    assert isinstance(much, findings.Revenue)
    assert little.ideas[0].month_12_usd < much.ideas[0].month_12_usd
    free, rich = (
        find("estimate_startup_costs", interest_area="Education", budget_range=budget)
        for budget in ("Free / Sweat-equity only", "$20k+")
    )
    assert isinstance(free, findings.Costs)
    assert isinstance(rich, findings.Costs)
    assert free.once_usd == 0 < rich.once_usd


def test_an_idea_that_speaks_to_the_market_scores_higher() -> None:
    """Validation reads what an idea says."""
    near = Idea(
        name="Same Name", offer="answers the same questions asked by phone", customer="small hotels"
    )
    far = Idea(name="Same Name", offer="sells umbrellas", customer="anybody")
    found = find(
        "validate_startup_idea",
        ideas=Ideas(ideas=(near, far, far)),
        interest_area="AI / Automation",
        sub_interest_area="Chatbots",
    )
    assert isinstance(found, findings.Validation)
    assert found.scores[0].score > found.scores[1].score == found.scores[2].score


def test_every_finding_is_concrete() -> None:
    """Each record says itself; none relies on the abstract one."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(findings, inspect.isclass)
        if issubclass(kind, Finding)
    ]
    assert [
        kind.__name__ for kind in kinds if kind is not Finding and "lines" not in vars(kind)
    ] == []
