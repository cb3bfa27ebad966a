"""Consultant: the analysis of a company; ``README.md`` is its page.

Owns the manifest: the graphs, how the simulated model behaves for this application,
its tables, routes and page.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten import AlertRule, App, CachePolicy, ChainPolicy, Cron, LimitPolicy, Operation
from hasten.apps.consultant import chat, forecast, monitors
from hasten.apps.consultant.baseline import GRAPH as BASELINE
from hasten.apps.consultant.edgar import EdgarSource
from hasten.apps.consultant.hasten import GRAPH as HASTEN
from hasten.apps.consultant.inputs import SAMPLES, AnalyzeInputs
from hasten.apps.consultant.sources import DAY_S, LATENCY_S, EitherSource, SampleSource
from hasten.apps.consultant.tables import QUERIES, analyses, metadata, sections
from hasten.apps.consultant.targets import PROFILE, TARGETS
from hasten.apps.consultant.visits import visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import APIRouter

    from hasten import Model

HERE = Path(__file__).parent

RERUN = CachePolicy(use="analysis", ttl_s=DAY_S, scope="user", is_kept=True, tags=("analysis",))
"""A whole analysis lives a day (plan: L3), since what is heard of a company changes."""


ALERTS = (
    AlertRule(figure="hit_rate", level="warning", below=0.5),
    AlertRule(figure="failures", level="critical", above=0.01),
)
"""The plan's goals: more than half of what is asked again is kept, next to nothing fails."""

WATCH = Cron(name="monitors", at="* * * * *", operation="check", inputs=monitors.whose_are_due)
"""Each minute, for each person who has a monitor that is due: a monitor's shortest time."""


def resources(model: Model, *, is_simulated: bool, **_given: Any) -> Mapping[str, Any]:
    """Return what the graphs take besides inputs; only a simulated run has simulated waits."""
    sample = SampleSource(LATENCY_S if is_simulated else None)
    return {"model": model, "source": EitherSource(sample, EdgarSource())}


def routes() -> APIRouter:
    """Return the routes; they need the web framework, which graphs do not."""
    from hasten.apps.consultant.routes import router

    return router


app = App(
    name="consultant",
    title="Company analysis",
    about="A company through up to five frameworks: research, market, figures, what it all means.",
    inputs=AnalyzeInputs,
    graphs={"baseline": BASELINE, "hasten": HASTEN},
    phases={
        "company": "Company",
        "research": "Research",
        "market": "Market",
        "financial": "Financials",
        "frameworks": "Frameworks",
        "synthesis": "Synthesis",
        "db_write": "Keeping",
    },
    samples=SAMPLES,
    profile=PROFILE,
    chain=ChainPolicy(limit=LimitPolicy()),
    resources=resources,
    rerun=RERUN,
    operations={
        "chat": Operation(
            title="Talk about an analysis",
            about="Answers questions from an analysis, remembers the talk, cites what it read.",
            inputs=chat.ChatInputs,
            graphs=chat.GRAPHS,
            phases={"storage": "Loading", "reply": "Answering"},
            samples=chat.SAMPLES,
            rerun=None,  # the same words are another question later in a talk
        ),
        "forecast": Operation(
            title="Forecast",
            about="A figure some years ahead: intervals by statistics, scenarios in words.",
            inputs=forecast.ForecastInputs,
            graphs=forecast.GRAPHS,
            phases={
                "company": "Company",
                "financial": "Figures",
                "projection": "Projection",
                "scenarios": "Scenarios",
            },
            samples=forecast.SAMPLES,
            rerun=dataclasses.replace(RERUN, use="forecast"),
        ),
        "check": Operation(
            title="Check monitors",
            about="Looks at the companies that are due and raises alerts for what moved.",
            inputs=monitors.CheckInputs,
            graphs={"baseline": monitors.GRAPH, "hasten": monitors.GRAPH},
            phases={"storage": "Finding what is due", "check": "Looking"},
            samples={"due": {}},
            rerun=None,
        ),
    },
    tables=metadata,
    kept_tables=(analyses, sections),
    migrations=HERE / "migrations",
    queries=QUERIES,
    routes=routes,
    page=HERE / "page",
    cron=(WATCH,),
    load=visit,
    alerts=ALERTS,
    targets=TARGETS,
)
