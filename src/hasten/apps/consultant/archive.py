"""Past analyses: kept as they end, listed, read whole or by section.

Owns the step that keeps an analysis and the queries that find one again. Who made it may
read it, and everyone of the tenant; leaves HTTP to ``routes``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from hasten import Tables, current_caller, current_clock, step
from hasten.apps.consultant.chapters import AGENTS, FRAMEWORK_CHAPTERS, SYNTHESIS, Findings
from hasten.apps.consultant.inputs import FrameworkName
from hasten.apps.consultant.sources import DAY_S, Company
from hasten.apps.consultant.tables import NEWEST, analyses, analyses_of, sections, sections_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class SectionText(BaseModel):
    """One section of a kept analysis."""

    model_config = ConfigDict(frozen=True)

    section_id: str
    chapter: str
    chapter_title: str
    title: str
    text: str


class AnalysisSummary(BaseModel):
    """A kept analysis without its text; ``missing`` names the agents that did not come through."""

    model_config = ConfigDict(frozen=True)

    analysis_id: str
    company: str
    company_name: str
    industry: str
    frameworks: tuple[str, ...]
    missing: tuple[str, ...]
    summary: str
    created_at_s: float


class Analysis(AnalysisSummary):
    """A kept analysis, whole."""

    sections: tuple[SectionText, ...]


MOST_SECTIONS = len(SYNTHESIS.sections) + sum(
    len(one.sections) for one in (*AGENTS, *FRAMEWORK_CHAPTERS.values())
)

_NEWEST = NEWEST.limit(MOST_SECTIONS)

AGENT_NAMES = ("research", "market", "financial")


@step(
    phase="db_write",
    label="Keeping the analysis",
    soft_needs=AGENT_NAMES,
    soft_wait_s=60.0,
)
async def analysis_id(
    tables: Tables,
    frameworks: tuple[FrameworkName, ...],
    profile: Company,
    views: dict[str, Findings],
    synthesis: Findings,
    **agents: Any,
) -> str:
    """Keep the analysis and return the id it is found by."""
    caller, now_s = current_caller(), current_clock().now()
    owner = {"tenant": caller.tenant, "user": caller.user}
    seed = f"{caller.tenant}\0{caller.user}\0{profile.id}\0{now_s!r}\0{synthesis.sections}"
    found = hashlib.sha256(seed.encode()).hexdigest()[:20]
    came = {name: agents[name] for name in AGENT_NAMES if agents[name] is not None}
    chapters = {"synthesis": synthesis, **came, **views}
    rows = [row | owner for row in _section_rows(found, chapters)]
    asked = (*AGENT_NAMES, *frameworks)
    summary = {
        "analysis_id": found,
        "company": profile.id,
        "company_name": profile.name,
        "industry": profile.industry,
        "frameworks": list(frameworks),
        "missing": [name for name in asked if name not in chapters],
        "summary": next(iter(synthesis.sections.values()), ""),
        "created_at_s": now_s,
    }
    await tables.put_many(sections, rows)
    await tables.put_many(analyses, [summary | owner])
    return found


async def newest_analysis(tables: Tables) -> Analysis | None:
    """Return the caller's newest analysis, whole, in one read that is kept until they make another.

    Its rows never change, and it is theirs: it goes with them when they are erased.
    """
    caller = current_caller()
    whose = {"tenant": caller.tenant, "user": caller.user}
    rows = await tables.query(_NEWEST, whose, ttl_s=DAY_S)
    if not rows:
        return None
    own = [row for row in rows if row["analysis_id"] == rows[0]["analysis_id"]]
    return Analysis.model_validate(rows[0] | {"sections": own})


async def list_analyses(
    tables: Tables, *, company: str = "", limit: int = 20, use_cache: bool = True
) -> list[AnalysisSummary]:
    """Return the caller's analyses, or their tenant's of one company, newest first."""
    caller = current_caller()
    which = analyses_of(caller.tenant, caller.user, company).limit(limit)
    rows = await tables.query(which, use_cache=use_cache)
    return [AnalysisSummary.model_validate(row) for row in rows]


async def find_analysis(tables: Tables, analysis_id: str) -> AnalysisSummary:
    """Return an analysis of the caller's tenant without its text. Raises ``NotFound``."""
    which = analyses.select().where(
        analyses.c.analysis_id == analysis_id, analyses.c.tenant == current_caller().tenant
    )
    row = await tables.one(which, f"there is no analysis {analysis_id!r}")
    return AnalysisSummary.model_validate(row)


async def read_analysis(tables: Tables, analysis_id: str) -> Analysis:
    """Return an analysis with all its sections. Raises ``NotFound``."""
    found = await find_analysis(tables, analysis_id)
    texts = await read_sections(tables, analysis_id)
    return Analysis(**found.model_dump(), sections=texts)


async def read_sections(tables: Tables, analysis_id: str) -> tuple[SectionText, ...]:
    """Return the sections of an analysis that the caller is known to be allowed to see."""
    return tuple(map(SectionText.model_validate, await tables.query(sections_of(analysis_id))))


async def many_analyses(tables: Tables, ids: Iterable[str]) -> dict[str, AnalysisSummary | None]:
    """Return up to 500 analyses at once by id; another tenant's is not there."""
    wanted, tenant = list(dict.fromkeys(ids)), current_caller().tenant
    rows = await tables.get_many(analyses, wanted)
    return {
        name: AnalysisSummary.model_validate(row) if row and row["tenant"] == tenant else None
        for name, row in zip(wanted, rows, strict=True)
    }


def _section_rows(analysis_id: str, chapters: dict[str, Findings]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, chapter in chapters.items():
        for title, text in chapter.sections.items():
            place = len(found)
            found.append(
                {
                    "section_id": f"{analysis_id}-{place:02d}",
                    "analysis_id": analysis_id,
                    "place": place,
                    "chapter": name,
                    "chapter_title": chapter.title,
                    "title": title,
                    "text": text,
                }
            )
    return found
