"""Okr: a coach that takes a team to scored objectives and key results; ``README.md`` is its page.

Owns the manifest: the graphs, how the simulated model behaves for this application,
its tables, routes and page.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten import App, Operation
from hasten.apps.okr import warm
from hasten.apps.okr.baseline import GRAPH as BASELINE
from hasten.apps.okr.chat import GRAPH as HASTEN
from hasten.apps.okr.inputs import SAMPLES, MessageInputs, Team
from hasten.apps.okr.knowledge import LATENCY_S, Knowledge
from hasten.apps.okr.tables import metadata
from hasten.apps.okr.targets import CHAIN, COMPACTION, PROFILE, REUSE, TARGETS
from hasten.apps.okr.visits import visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import APIRouter

    from hasten import Model, Tables

HERE = Path(__file__).parent

PHASES = {
    "storage": "Loading and keeping",
    "knowledge": "Looking up",
    "assessment": "Scoring",
    "prompt": "Preparing",
    "model": "Writing",
}


def resources(model: Model, *, is_simulated: bool, tables: Tables) -> Mapping[str, Any]:
    """Return what the graphs take besides inputs; only a simulated run has simulated waits."""
    knowledge = Knowledge(LATENCY_S if is_simulated else 0.0)
    return {"model": model, "tables": tables, "knowledge": knowledge}


def routes() -> APIRouter:
    """Return the routes; they need the web framework, which graphs do not."""
    from hasten.apps.okr.routes import router

    return router


app = App(
    name="okr",
    title="OKR coach",
    about="Tell the coach what your team wants; get objectives and key results, each with a score.",
    inputs=MessageInputs,
    graphs={"baseline": BASELINE, "hasten": HASTEN},
    phases=PHASES,
    samples=SAMPLES,
    profile=PROFILE,
    chain=CHAIN,
    rerun=None,  # a message moves the conversation on: only the model's answers are reused
    resources=resources,
    operations={
        "warm": Operation(
            title="Warm the coach",
            about="Asks ahead of time what many teams ask, for a team of this kind.",
            inputs=Team,
            graphs={"hasten": warm.GRAPH},
            phases={"model": "Asking", "knowledge": "Looking up"},
            samples={"product team": {}},
            rerun=None,
        )
    },
    tables=metadata,
    migrations=HERE / "migrations",
    storage_s=0.00026,  # what the plan measured (okr plan 5)
    routes=routes,
    page=HERE / "page",
    load=visit,
    targets=TARGETS,
    experiments=(COMPACTION, REUSE),
)
