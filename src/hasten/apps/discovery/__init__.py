"""Discovery: a startup-idea report from eight inputs; ``README.md`` is its page.

Owns the manifest: the two graphs, how the simulated model behaves for this
application, and the resources its graphs take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten import App, ChainPolicy, LimitPolicy, SimProfile
from hasten.apps.discovery.baseline import GRAPH as BASELINE
from hasten.apps.discovery.hasten import GRAPH as HASTEN
from hasten.apps.discovery.inputs import SAMPLES, DiscoveryInputs
from hasten.apps.discovery.shelf import WRITE_S, ReportStore
from hasten.apps.discovery.sources import LATENCY_S, Sources
from hasten.apps.discovery.targets import TARGETS
from hasten.apps.discovery.visits import visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten import Model

PROFILE = SimProfile(
    name="sim-discovery",
    ttft_s=0.35,
    prefill_tokens_per_s=4_000.0,
    decode_tokens_per_s=79.0,
    jitter=0.02,
)
"""Calibrated so that the baseline's three calls take the plan's 18.3, 8.0 and 10.5 s."""


def resources(model: Model, *, is_simulated: bool) -> Mapping[str, Any]:
    """Return what the graphs take besides inputs; only a simulated run has simulated waits."""
    return {
        "model": model,
        "sources": Sources(LATENCY_S if is_simulated else None),
        "shelf": ReportStore(WRITE_S if is_simulated else None),
    }


app = App(
    name="discovery",
    title="Startup discovery report",
    about="Eight inputs in, three reports out: who you are, what to build, how to start.",
    inputs=DiscoveryInputs,
    graphs={"baseline": BASELINE, "hasten": HASTEN},
    phases={
        "profile_analysis": "Profile analysis",
        "idea_research": "Idea research",
        "recommendation": "Recommendation",
        "file_io": "Putting together",
        "db_write": "Saving",
    },
    samples=SAMPLES,
    profile=PROFILE,
    chain=ChainPolicy(limit=LimitPolicy()),
    resources=resources,
    load=visit,
    targets=TARGETS,
)
