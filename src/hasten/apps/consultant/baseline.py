"""An analysis as its plan found it: agents, frameworks and synthesis one after another.

Owns the graph of the ``baseline`` mode. The same sources, chapters and lengths; each chapter
is one call that is told all that is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten import Graph, HastenError, Model, Tables, step
from hasten.apps.consultant import tools
from hasten.apps.consultant.archive import analysis_id
from hasten.apps.consultant.chapters import (
    FINANCIAL,
    FRAMEWORK_CHAPTERS,
    MARKET,
    RESEARCH,
    SYNTHESIS,
    Chapter,
    Findings,
)
from hasten.apps.consultant.inputs import AnalyzeInputs, FrameworkName
from hasten.apps.consultant.prompts import chapter_request, split
from hasten.apps.consultant.sources import Company, CompanySource
from hasten.apps.consultant.tools import money_facts, own_facts, shared_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL_TIMEOUT_S = 60.0


@step(phase="research", label="Researching the company", timeout_s=CALL_TIMEOUT_S)
async def research(model: Model, source: CompanySource, company: str, profile: Company) -> Findings:
    """Say what the company is and what happens to it."""
    news = await tools.news(source, company)
    return await answer_chapter(model, RESEARCH, own_facts(profile, news))


@step(phase="market", label="Sizing up the market", timeout_s=CALL_TIMEOUT_S)
async def market(
    model: Model,
    source: CompanySource,
    industry_id: str,
    research: Findings,  # noqa: ARG001 - the research comes first
) -> Findings:
    """Say what the market is."""
    industry = await tools.industry(source, industry_id)
    return await answer_chapter(model, MARKET, shared_facts(industry))


@step(phase="financial", label="Reading the figures", timeout_s=CALL_TIMEOUT_S)
async def financial(
    model: Model,
    source: CompanySource,
    profile: Company,
    market: Findings,  # noqa: ARG001 - the market comes first
) -> Findings:
    """Say what the figures say."""
    filings = await tools.filings(source, profile.id)
    benchmarks = await tools.benchmarks(source, profile.industry)
    return await answer_chapter(
        model, FINANCIAL, own_facts(profile) | money_facts(filings, benchmarks)
    )


@step(phase="frameworks", label="Applying the frameworks")
async def views(
    model: Model,
    source: CompanySource,
    frameworks: tuple[FrameworkName, ...],
    profile: Company,
    research: Findings,
    market: Findings,
    financial: Findings,
) -> dict[str, Findings]:
    """Apply the frameworks in turn to all that was found."""
    cases = await tools.cases(source, profile.industry)
    facts = own_facts(profile) | {"Case": cases}
    agents = (research, market, financial)
    return {
        name: await answer_chapter(model, FRAMEWORK_CHAPTERS[name], facts, *agents)
        for name in frameworks
    }


@step(phase="synthesis", label="Writing the synthesis", timeout_s=CALL_TIMEOUT_S)
async def synthesis(
    model: Model,
    profile: Company,
    research: Findings,
    market: Findings,
    financial: Findings,
    views: dict[str, Findings],
) -> Findings:
    """Say what it all comes to."""
    earlier = (research, market, financial, *views.values())
    return await answer_chapter(model, SYNTHESIS, own_facts(profile), *earlier)


async def answer_chapter(
    model: Model, chapter: Chapter, facts: Mapping[str, str], *earlier: Findings
) -> Findings:
    """Write a whole chapter in one call. Raises ``HastenError`` if a section is left out."""
    response = await model.complete(chapter_request(chapter, facts, earlier))
    found = split(response.text, chapter)
    if len(found) < len(chapter.sections):
        missing = [one.title for one in chapter.sections if one.title not in found]
        message = f"the model left out {missing} of {chapter.title!r}"
        raise HastenError(message)
    return Findings(title=chapter.title, sections=found)


GRAPH = Graph(
    "consultant.baseline",
    [tools.profile, tools.industry_id, research, market, financial, views, synthesis, analysis_id],
    inputs=AnalyzeInputs,
    outputs=("profile", "research", "market", "financial", "views", "synthesis", "analysis_id"),
    resources={"model": Model, "source": CompanySource, "tables": Tables},
)
