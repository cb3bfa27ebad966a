"""Consultant: the analysis of a company; ``README.md`` is its page.

Owns the manifest: the graphs, how the simulated model behaves for this application,
its tables, routes and page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten import App, CachePolicy, ChainPolicy, LimitPolicy
from hasten.apps.consultant.baseline import GRAPH as BASELINE
from hasten.apps.consultant.hasten import GRAPH as HASTEN
from hasten.apps.consultant.inputs import SAMPLES, AnalyzeInputs
from hasten.apps.consultant.sources import LATENCY_S, SampleSource
from hasten.apps.consultant.targets import PROFILE, TARGETS
from hasten.apps.consultant.tools import DAY_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten import Model

RERUN = CachePolicy(use="analysis", ttl_s=DAY_S, scope="user", is_kept=True, tags=("analysis",))
"""A whole analysis lives a day (plan: L3), since what is heard of a company changes."""


def resources(model: Model, *, is_simulated: bool, **_given: Any) -> Mapping[str, Any]:
    """Return what the graphs take besides inputs; only a simulated run has simulated waits."""
    return {"model": model, "source": SampleSource(LATENCY_S if is_simulated else None)}


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
    },
    samples=SAMPLES,
    profile=PROFILE,
    chain=ChainPolicy(limit=LimitPolicy()),
    resources=resources,
    rerun=RERUN,
    targets=TARGETS,
)
