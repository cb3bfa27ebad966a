"""The eleven tools: each asks the sources one thing and gives back a checked finding.

Owns what each tool may see (its declared fields, nothing else), what people
are told while it runs, how long it may take, and what stands in for it. A
source that fails, hangs or talks nonsense ends in a ``MissingFinding``, and
the run is degraded. ``baseline`` calls them one by one, ``hasten`` side by side.
What is known of a market is kept for days (discovery plan 1.2); what depends on
ideas, and whether a domain is free, is asked each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hasten import CachePolicy, Step, tool
from hasten.apps.discovery import findings
from hasten.apps.discovery.findings import Finding, MissingFinding
from hasten.apps.discovery.sources import Sources  # noqa: TC001 - a graph reads annotations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DAY_S = 86_400.0

MARKET_TAGS = ("market:{interest_area}",)
"""On all that is known of a market, and so on all that is made from it."""

TOOL_TIMEOUT_S = 12.0
"""No tool takes longer than this; the slowest was timed at 8.9 s."""


class ToolSpec(NamedTuple):
    """One tool: ``fields`` is all it sees, ``finding`` what an answer must be.

    ``kept_days`` is how long an answer serves everybody who asks with the same fields.
    """

    name: str
    phase: str
    finding: type[Finding]
    what: str
    label: str
    fields: tuple[str, ...]
    kept_days: int | None = None


_MARKET = ("interest_area", "sub_interest_area")

_SPECS = (
    ToolSpec(
        "research_market_trends",
        "idea_research",
        findings.MarketTrends,
        "Market trends",
        "Analyzing market trends",
        _MARKET,
        7,
    ),
    ToolSpec(
        "analyze_competitors",
        "idea_research",
        findings.Competitors,
        "Competitors",
        "Looking at competitors",
        _MARKET,
        14,
    ),
    ToolSpec(
        "estimate_market_size",
        "idea_research",
        findings.MarketSize,
        "Market size",
        "Estimating the market's size",
        _MARKET,
        30,
    ),
    ToolSpec(
        "validate_startup_idea",
        "idea_research",
        findings.Validation,
        "Validation",
        "Validating the ideas",
        ("ideas", *_MARKET),
    ),
    ToolSpec(
        "assess_startup_risks",
        "recommendation",
        findings.Risks,
        "Risks",
        "Assessing risks",
        ("interest_area", "work_style", "budget_range"),
        14,
    ),
    ToolSpec(
        "estimate_startup_costs",
        "recommendation",
        findings.Costs,
        "Startup costs",
        "Estimating costs",
        ("interest_area", "budget_range"),
        14,
    ),
    ToolSpec(
        "project_revenue",
        "recommendation",
        findings.Revenue,
        "Revenue",
        "Projecting revenue",
        ("ideas", *_MARKET, "time_commitment"),
    ),
    ToolSpec(
        "check_financial_viability",
        "recommendation",
        findings.Viability,
        "Financial viability",
        "Checking financial viability",
        ("ideas", *_MARKET, "time_commitment", "budget_range"),
    ),
    ToolSpec(
        "generate_customer_persona",
        "recommendation",
        findings.Persona,
        "Customer persona",
        "Describing the customer",
        ("ideas", *_MARKET),
    ),
    ToolSpec(
        "generate_validation_questions",
        "recommendation",
        findings.Questions,
        "Validation questions",
        "Writing validation questions",
        ("ideas",),
    ),
    ToolSpec(
        "check_domain_availability",
        "recommendation",
        findings.Domains,
        "Domain names",
        "Checking domain names",
        ("ideas",),
    ),
)


def _tool(spec: ToolSpec) -> Step[..., Finding]:
    async def ask(sources: Sources, **fields: Any) -> Finding:
        return spec.finding.model_validate(await sources.ask(spec.name, **fields))

    return tool(
        name=spec.name,
        phase=spec.phase,
        label=spec.label,
        needs=spec.fields,
        log_fields=tuple(name for name in spec.fields if name != "ideas"),
        timeout_s=TOOL_TIMEOUT_S,
        fallback=_missing(spec.what),
        cache=_kept(spec, spec.kept_days) if spec.kept_days else None,
    )(ask)


def _kept(spec: ToolSpec, days: int) -> CachePolicy:
    return CachePolicy(
        use=spec.name,
        ttl_s=days * DAY_S,
        fields=spec.fields,
        ignore=("sources",),
        tags=MARKET_TAGS,
        returns=spec.finding,
    )


def _missing(what: str) -> Callable[[], Awaitable[Finding]]:
    async def say_missing() -> Finding:
        return MissingFinding(what=what)

    return say_missing


TOOLS = {spec.name: _tool(spec) for spec in _SPECS}
"""All tools by name, in the order the baseline calls them."""
