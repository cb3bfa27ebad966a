"""An analysis as fast as its data allows: agents and frameworks side by side, in sections.

Owns the graph of the ``hasten`` mode. Every source is asked as soon as it is known what to
ask, and a framework waits for the agents it reads, not for all. An agent that fails is missed,
not waited for: the analysis says so and goes on. What is about an industry alone is written
from that alone, kept, and shared by its companies.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from hasten import CachePolicy, Graph, HastenError, Model, Step, Tables, step, write
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
    Section,
    agents_read,
)
from hasten.apps.consultant.inputs import FRAMEWORKS, AnalyzeInputs, FrameworkName
from hasten.apps.consultant.prompts import body, section_request
from hasten.apps.consultant.sources import (
    DAY_S,
    Benchmarks,
    Company,
    CompanySource,
    Filings,
    Industry,
)
from hasten.apps.consultant.tools import money_facts, own_facts, shared_facts

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

ANALYSTS = 5
"""Agents and frameworks at work at once (plan: ``MAX_CONCURRENT_AGENTS``)."""

CHAPTER_TIMEOUT_S = 60.0
_AGENTS = ("research", "market", "financial")


def _kept(use: str, *fields: str, days: int = 1) -> CachePolicy:
    return CachePolicy(
        use=use, ttl_s=days * DAY_S, fields=fields, ignore=("model",), tags=("analysis",)
    )


def _shared_step(chapter: Chapter, section: Section) -> Step[..., str]:
    async def write_shared(
        model: Model, industry: Industry, cases: str, read: dict[str, str]
    ) -> str:
        return await _write(model, chapter, section, shared_facts(industry, cases), read)

    return step(
        name=section.title.lower().replace(" ", "_"),
        phase=chapter.name,
        section=section.title,
        cache=_kept("industry_section", "industry", "cases", "read", days=7),
    )(write_shared)


_SHARED = {
    section.title: _shared_step(chapter, section)
    for chapter in (MARKET, *FRAMEWORK_CHAPTERS.values())
    for section in chapter.sections
    if section.is_shared
}


async def _write(
    model: Model,
    chapter: Chapter,
    section: Section,
    facts: Mapping[str, str],
    read: Mapping[str, str],
) -> str:
    request = section_request(chapter, section, facts, read)
    text = await write(model, request, section=section.title)
    if not body(text):
        message = f"the model wrote nothing for {section.title!r}"
        raise HastenError(message)
    return text


async def write_chapter(
    model: Model,
    chapter: Chapter,
    facts: Mapping[str, str],
    read: Mapping[str, str],
    about: tuple[Industry, str] | None = None,
) -> Findings:
    """Write all sections side by side; those on the industry ``about`` are shared."""

    def start(section: Section) -> Coroutine[Any, Any, str]:
        if section.is_shared and about is not None:
            seen = {title: read[title] for title in section.reads if title in read}
            return _SHARED[section.title](model, *about, seen)
        return _write(model, chapter, section, facts, read)

    # All end before an error is raised: none is left writing for a chapter that is given up.
    texts = await asyncio.gather(*map(start, chapter.sections), return_exceptions=True)
    written = {}
    for section, text in zip(chapter.sections, texts, strict=True):
        if isinstance(text, BaseException):
            raise text
        written[section.title] = body(text)
    return Findings(title=chapter.title, sections=written)


@step(
    phase="research",
    label="Researching the company",
    timeout_s=CHAPTER_TIMEOUT_S,
    limit="analysts",
    cache=_kept("research", "profile", "news"),
)
async def research(model: Model, profile: Company, news: tuple[str, ...]) -> Findings:
    """Say what the company is and what happens to it."""
    return await write_chapter(model, RESEARCH, own_facts(profile, news), {})


@step(
    phase="market",
    label="Sizing up the market",
    timeout_s=CHAPTER_TIMEOUT_S,
    limit="analysts",
)
async def market(model: Model, industry: Industry) -> Findings:
    """Say what the market is; the same for all companies of an industry."""
    return await write_chapter(model, MARKET, {}, {}, (industry, ""))


@step(
    phase="financial",
    label="Reading the figures",
    timeout_s=CHAPTER_TIMEOUT_S,
    limit="analysts",
    cache=_kept("financial", "profile", "filings", "benchmarks"),
)
async def financial(
    model: Model, profile: Company, filings: Filings, benchmarks: Benchmarks
) -> Findings:
    """Say what the figures say."""
    facts = own_facts(profile) | money_facts(filings, benchmarks)
    return await write_chapter(model, FINANCIAL, facts, {})


def _applied_step(chapter: Chapter) -> Step[..., Findings]:
    async def apply(
        model: Model,
        profile: Company,
        news: tuple[str, ...],
        industry: Industry,
        cases: str,
        agents: dict[str, Findings],
    ) -> Findings:
        facts = shared_facts(industry, cases) | own_facts(profile, news)
        return await write_chapter(model, chapter, facts, _texts(agents), (industry, cases))

    return step(
        name=f"{chapter.name}_applied",
        phase="frameworks",
        cache=_kept(chapter.name, "profile", "news", "industry", "cases", "agents"),
    )(apply)


def _framework_step(chapter: Chapter) -> Step[..., Findings | None]:
    applied, read = _applied_step(chapter), agents_read(chapter)

    async def if_asked(
        model: Model,
        frameworks: tuple[FrameworkName, ...],
        profile: Company,
        news: tuple[str, ...],
        industry: Industry,
        cases: str,
        **agents: Any,
    ) -> Findings | None:
        if chapter.name not in frameworks:
            return None
        came = {name: agents[name] for name in read if agents[name] is not None}
        if not came:
            message = f"{chapter.title} has nothing to apply to: no {' or '.join(read)} came"
            raise HastenError(message)
        return await applied(model, profile, news, industry, cases, came)

    return step(
        name=chapter.name,
        phase="frameworks",
        label=f"Applying {chapter.title}",
        timeout_s=CHAPTER_TIMEOUT_S,
        limit="analysts",
        soft_needs=read,
        soft_wait_s=math.inf,
    )(if_asked)


@step(phase="frameworks", soft_needs=FRAMEWORKS, soft_wait_s=math.inf)
async def views(frameworks: tuple[FrameworkName, ...], **found: Any) -> dict[str, Findings]:
    """Gather what was asked for. Raises ``HastenError`` when no framework came through."""
    came: dict[str, Findings] = {
        name: found[name] for name in frameworks if found[name] is not None
    }
    if not came:
        message = f"none of the frameworks came through: {', '.join(frameworks)}"
        raise HastenError(message)
    return came


@step(
    phase="synthesis",
    label="Writing the synthesis",
    timeout_s=CHAPTER_TIMEOUT_S,
    soft_needs=_AGENTS,
    soft_wait_s=math.inf,
    cache=_kept("synthesis"),
)
async def synthesis(
    model: Model, profile: Company, views: dict[str, Findings], **agents: Any
) -> Findings:
    """Say what it all comes to."""
    came = {name: agents[name] for name in _AGENTS if agents[name] is not None}
    return await write_chapter(model, SYNTHESIS, own_facts(profile), _texts(came | views))


def _texts(findings: Mapping[str, Findings]) -> dict[str, str]:
    return {title: text for one in findings.values() for title, text in one.sections.items()}


GRAPH = Graph(
    "consultant.hasten",
    [
        *tools.STEPS,
        research,
        market,
        financial,
        *(_framework_step(chapter) for chapter in FRAMEWORK_CHAPTERS.values()),
        views,
        synthesis,
        analysis_id,
    ],
    inputs=AnalyzeInputs,
    outputs=("profile", "research", "market", "financial", "views", "synthesis", "analysis_id"),
    optional=("research", "market", "financial"),
    resources={"model": Model, "source": CompanySource, "tables": Tables},
    limits={"analysts": ANALYSTS},
)
