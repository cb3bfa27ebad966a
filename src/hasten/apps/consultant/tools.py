"""What the agents look up, and what may be kept of it.

Owns the tools. What is of a company lives a day, what is of an industry a week; both are
public facts that everyone may share. A source that fails leaves a gap and a degraded run;
without the company itself there is no analysis, without filings no financial agent. Both
modes use them.
"""

from __future__ import annotations

from hasten import CachePolicy, step, tool
from hasten.apps.consultant.prompts import (
    Facts,
    benchmark_facts,
    company_facts,
    filing_facts,
    industry_facts,
    news_facts,
)
from hasten.apps.consultant.sources import (
    DAY_S,
    Benchmarks,
    Company,
    CompanySource,
    Filings,
    Industry,
)

TOOL_TIMEOUT_S = 15.0

COMPANY_TAG = "company:{company}"
INDUSTRY_TAG = "industry:{industry_id}"


def _kept(use: str, field: str, days: int) -> CachePolicy:
    tag = COMPANY_TAG if field == "company" else INDUSTRY_TAG
    return CachePolicy(
        use=use,
        ttl_s=days * DAY_S,
        scope="public",
        fields=(field,),
        ignore=("source",),
        tags=(tag,),
    )


@tool(
    phase="company",
    label="Looking the company up",
    log_fields=("company",),
    timeout_s=TOOL_TIMEOUT_S,
    cache=_kept("company", "company", 1),
)
async def profile(source: CompanySource, company: str) -> Company:
    """Look up who the company is."""
    return await source.company(company)


@step(phase="company")
async def industry_id(profile: Company) -> str:
    """Take its industry: all that is kept by industry is keyed by this alone."""
    return profile.industry


async def _no_news() -> tuple[str, ...]:
    return ()


async def _only_a_name(industry_id: str) -> Industry:
    return Industry(id=industry_id, name=industry_id, facts={})


async def _no_benchmarks() -> Benchmarks:
    return Benchmarks()


async def _no_case() -> str:
    return ""


@tool(
    phase="research",
    label="Reading the news",
    timeout_s=TOOL_TIMEOUT_S,
    fallback=_no_news,
    cache=_kept("news", "company", 1),
)
async def news(source: CompanySource, company: str) -> tuple[str, ...]:
    """Find what was lately heard of it."""
    return await source.news(company)


@tool(
    phase="market",
    label="Reading about the industry",
    timeout_s=TOOL_TIMEOUT_S,
    fallback=_only_a_name,
    cache=_kept("industry", "industry_id", 7),
)
async def industry(source: CompanySource, industry_id: str) -> Industry:
    """Find what is known of the industry."""
    return await source.industry(industry_id)


@tool(
    phase="financial",
    label="Reading the filings",
    timeout_s=TOOL_TIMEOUT_S,
    cache=_kept("filings", "company", 1),
)
async def filings(source: CompanySource, company: str) -> Filings:
    """Read the figures."""
    return await source.filings(company)


@tool(
    phase="financial",
    label="Finding the middle of the industry",
    timeout_s=TOOL_TIMEOUT_S,
    fallback=_no_benchmarks,
    cache=_kept("benchmarks", "industry_id", 7),
)
async def benchmarks(source: CompanySource, industry_id: str) -> Benchmarks:
    """Find the middle of the industry."""
    return await source.benchmarks(industry_id)


@tool(
    phase="frameworks",
    label="Looking for cases to compare with",
    timeout_s=TOOL_TIMEOUT_S,
    fallback=_no_case,
    cache=_kept("cases", "industry_id", 7),
)
async def cases(source: CompanySource, industry_id: str) -> str:
    """Find a case from the same industry."""
    return await source.cases(industry_id)


def own_facts(company: Company, news: tuple[str, ...] = ()) -> Facts:
    """Return what is told of the company besides its figures."""
    return company_facts(company) | news_facts(news)


def shared_facts(industry: Industry, cases: str = "") -> Facts:
    """Return what is told of the industry."""
    return industry_facts(industry) | ({"Case": cases} if cases else {})


def money_facts(filings: Filings, benchmarks: Benchmarks) -> Facts:
    """Return what is told of money."""
    return filing_facts(filings) | benchmark_facts(benchmarks)


STEPS = (profile, industry_id, news, industry, filings, benchmarks, cases)
