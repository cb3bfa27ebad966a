"""The report as its plan found it: one thing after another.

Owns the graph of the ``baseline`` mode: three tasks in a row, each calling its
tools one by one and then the model once, with everything known so far in the
prompt (discovery plan 1.1, "current flow"). Ideas come out of the research
call, so the tool that scores them follows it. Prompts, tools, lengths and the
layout of the report are those of the ``hasten`` mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hasten import Graph, Model, parse, step, write
from hasten.apps.discovery.findings import Finding, Ideas
from hasten.apps.discovery.inputs import DiscoveryInputs
from hasten.apps.discovery.prompts import (
    MARKET_TOOLS,
    OUTPUTS,
    PERSON,
    research_answer,
    task_request,
)
from hasten.apps.discovery.report import TASK_TIMEOUT_S, assemble, split
from hasten.apps.discovery.shelf import ReportStore, report_document, report_record
from hasten.apps.discovery.sources import Sources, plain_ideas
from hasten.apps.discovery.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RECOMMENDATION_TOOLS = (
    "assess_startup_risks",
    "estimate_startup_costs",
    "project_revenue",
    "check_financial_viability",
    "generate_customer_persona",
    "generate_validation_questions",
    "check_domain_availability",
)


class Research(NamedTuple):
    """What the research task hands on."""

    ideas: Ideas
    findings: Mapping[str, Finding]
    texts: Mapping[str, str]


async def _short_profile(**person: Any) -> str:
    return assemble("profile_analysis", person)


async def _short_research(interest_area: str, sub_interest_area: str) -> Research:
    return Research(plain_ideas(interest_area, sub_interest_area), {}, {})


async def _short_recommendation(**given: Any) -> str:
    return assemble("recommendation", given)


@step(
    phase="profile_analysis",
    label="Analyzing the profile",
    timeout_s=TASK_TIMEOUT_S,
    fallback=_short_profile,
    needs=tuple(PERSON),
)
async def profile_analysis(model: Model, **person: str) -> str:
    """Write the whole profile in one call."""
    request = task_request("profile_analysis", person)
    text = await write(model, request, section="profile_analysis")
    return assemble("profile_analysis", {**person, **split("profile_analysis", text, person)})


@step(
    phase="idea_research",
    label="Researching ideas",
    timeout_s=TASK_TIMEOUT_S,
    fallback=_short_research,
    needs=tuple(PERSON),
)
async def research(
    model: Model, sources: Sources, profile_analysis: str, **person: str
) -> Research:
    """Look at the market tool by tool, find ideas and write about them in one call, score them."""
    findings = await _call_tools(MARKET_TOOLS, sources, person)
    request = task_request(
        "idea_research", person, findings=findings.values(), before=[profile_analysis]
    )
    answer = (await parse(model, request, research_answer())).value
    texts = answer.model_dump(exclude={"ideas"})
    ideas = Ideas(ideas=answer.ideas)
    findings |= await _call_tools(["validate_startup_idea"], sources, {**person, "ideas": ideas})
    return Research(ideas, findings, texts)


@step(phase="idea_research", label="Putting together the research", needs=tuple(PERSON))
async def startup_ideas_research(research: Research, **person: str) -> str:
    """Put the research together."""
    known = {**person, **research.texts, **research.findings, "ideas": research.ideas}
    return assemble("idea_research", known)


@step(
    phase="recommendation",
    label="Writing recommendations",
    timeout_s=TASK_TIMEOUT_S,
    fallback=_short_recommendation,
    needs=tuple(PERSON),
)
async def personalized_recommendations(
    model: Model,
    sources: Sources,
    research: Research,
    profile_analysis: str,
    startup_ideas_research: str,
    **person: str,
) -> str:
    """Look at money, risk and customer tool by tool, then write everything in one call."""
    known = {**person, "ideas": research.ideas}
    findings = await _call_tools(RECOMMENDATION_TOOLS, sources, known)
    request = task_request(
        "recommendation",
        person,
        findings=findings.values(),
        before=[profile_analysis, startup_ideas_research],
    )
    text = await write(model, request, section="personalized_recommendations")
    return assemble(
        "recommendation", {**known, **findings, **split("recommendation", text, person)}
    )


async def _call_tools(
    names: Iterable[str], sources: Sources, known: Mapping[str, Any]
) -> dict[str, Finding]:
    """Call tools one after another, each with those of the ``known`` values that it declares."""
    return {
        name: await TOOLS[name](
            sources, **{field: known[field] for field in TOOLS[name].policy.needs}
        )
        for name in names
    }


GRAPH = Graph(
    "discovery.baseline",
    [
        profile_analysis,
        research,
        startup_ideas_research,
        personalized_recommendations,
        report_document,
        report_record,
    ],
    inputs=DiscoveryInputs,
    outputs=tuple(OUTPUTS.values()),
    effects=("report_record",),
    resources={"model": Model, "sources": Sources, "shelf": ReportStore},
)
