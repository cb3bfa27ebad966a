"""Forecasts of a company's figures: intervals by statistics, scenarios in words.

Owns the graphs of the operation ``forecast``; leaves the statistics to ``projection``.
``baseline`` has the scenarios written in one call, ``hasten`` side by side.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hasten import CachePolicy, Graph, HastenError, Model, step, tool
from hasten.apps.consultant import tools
from hasten.apps.consultant.baseline import answer_chapter
from hasten.apps.consultant.chapters import Chapter, Findings, Section
from hasten.apps.consultant.hasten import write_chapter
from hasten.apps.consultant.inputs import CompanyId
from hasten.apps.consultant.sources import DAY_S, Company, CompanySource, Filings
from hasten.apps.consultant.tools import own_facts

Metric = Literal["revenue", "operating_profit", "net_profit"]

LEAST_YEARS = 6
"""A shorter series tells no trend from chance."""


class ForecastInputs(BaseModel):
    """A figure of a company, some years ahead; ``confidence`` is the intervals' share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: CompanyId = Field(max_length=80, title="Company")
    metric: Metric = Field("revenue", title="Figure")
    years: int = Field(3, ge=1, le=10, title="Years ahead")
    confidence: float = Field(0.8, ge=0.5, le=0.99, title="Share inside the interval")


class ForecastYear(BaseModel):
    """A year to come, in millions of USD."""

    model_config = ConfigDict(frozen=True)

    year: int
    likely: float
    low: float
    high: float


class Projection(BaseModel):
    """The years to come; ``form`` names the model, ``past`` what it was made from."""

    model_config = ConfigDict(frozen=True)

    metric: Metric
    confidence: float
    form: str
    first_year: int
    past: tuple[float, ...]
    ahead: tuple[ForecastYear, ...]


SCENARIOS = Chapter(
    "scenarios",
    "Scenarios",
    "You explain forecasts to a board.",
    63,
    (
        Section("Most likely", "what has to stay as it is", ("About", "Likely")),
        Section("If it goes well", "what would lift it there", ("About", "High")),
        Section("If it goes badly", "what would push it there", ("About", "Low")),
    ),
    max_tokens=600,
)


@step(
    phase="projection",
    label="Projecting the figures",
    cache=CachePolicy(
        use="projection",
        ttl_s=30 * DAY_S,
        scope="public",
        fields=("filings", "metric", "years", "confidence"),
    ),
)
async def projection(filings: Filings, metric: Metric, years: int, confidence: float) -> Projection:
    """Project the figures."""
    from hasten.apps.consultant.projection import projected

    past: tuple[float, ...] = getattr(filings, metric)
    if len(past) < LEAST_YEARS:
        message = f"{metric}: {len(past)} years are known, a forecast wants {LEAST_YEARS}"
        raise HastenError(message)
    form, ahead = await projected(past, years, confidence)
    last_year = filings.first_year + len(past) - 1
    return Projection(
        metric=metric,
        confidence=confidence,
        form=form,
        first_year=filings.first_year,
        past=past,
        ahead=tuple(
            ForecastYear(year=last_year + place, likely=likely, low=low, high=high)
            for place, (likely, low, high) in enumerate(ahead, 1)
        ),
    )


@step(
    phase="scenarios",
    label="Writing the scenarios",
    timeout_s=30.0,
    cache=CachePolicy(use="scenarios", ttl_s=DAY_S, ignore=("model",), tags=("analysis",)),
)
async def scenarios(model: Model, profile: Company, projection: Projection) -> Findings:
    """Say what each scenario takes, side by side."""
    return await write_chapter(model, SCENARIOS, scenario_facts(profile, projection), {})


@step(name="scenarios", phase="scenarios", label="Writing the scenarios", timeout_s=30.0)
async def long_scenarios(model: Model, profile: Company, projection: Projection) -> Findings:
    """Say what each scenario takes, in one call."""
    return await answer_chapter(model, SCENARIOS, scenario_facts(profile, projection))


@tool(name="filings", phase="financial", label="Reading the filings", timeout_s=15.0)
async def filings_after(source: CompanySource, profile: Company) -> Filings:
    """Read the figures once the company is known."""
    return await source.filings(profile.id)


def scenario_facts(profile: Company, projection: Projection) -> dict[str, str]:
    """Return what the scenarios are told."""
    named = {"Likely": "likely", "Low": "low", "High": "high"}
    what = projection.metric.replace("_", " ")
    return own_facts(profile) | {
        label: f"{what} "
        + ", ".join(f"{one.year} {getattr(one, name):g}" for one in projection.ahead)
        for label, name in named.items()
    }


_RESOURCES = {"model": Model, "source": CompanySource}
_OUTPUTS = ("profile", "projection", "scenarios")
GRAPHS = {
    "baseline": Graph(
        "consultant.forecast.baseline",
        [tools.profile, filings_after, projection, long_scenarios],
        inputs=ForecastInputs,
        outputs=_OUTPUTS,
        resources=_RESOURCES,
    ),
    "hasten": Graph(
        "consultant.forecast.hasten",
        [tools.profile, tools.filings, projection, scenarios],
        inputs=ForecastInputs,
        outputs=_OUTPUTS,
        resources=_RESOURCES,
    ),
}
SAMPLES: dict[str, dict[str, Any]] = {
    "revenue": {"company": "ledgerleaf"},
    "profit": {"company": "cardia-loop", "metric": "net_profit", "years": 5, "confidence": 0.9},
}
