"""Persona: the details page of a persona; ``README.md`` is its page.

Owns the manifest: the graphs, how the simulated model behaves for this application,
its tables, routes and page.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten import AlertRule, App, Cron, Operation
from hasten.apps.persona import compare
from hasten.apps.persona.baseline import GRAPH as BASELINE
from hasten.apps.persona.board import seed, whose_personas
from hasten.apps.persona.details import GRAPH as HASTEN
from hasten.apps.persona.events import PersonaLog
from hasten.apps.persona.inputs import COMPARE_SAMPLES, SAMPLES, CompareInputs, DetailsInputs
from hasten.apps.persona.sources import LATENCY_S, Sources
from hasten.apps.persona.tables import QUERIES, metadata
from hasten.apps.persona.targets import PROFILE, TARGETS
from hasten.apps.persona.visits import visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import APIRouter

    from hasten import Caller, Model, Tables

HERE = Path(__file__).parent

ALERTS = (
    AlertRule(figure="p95_s", level="warning", above=4.0),
    AlertRule(figure="p95_s", level="critical", above=6.0),
    AlertRule(figure="hit_rate", level="warning", below=0.5),
    AlertRule(figure="parse_errors", level="critical", above=0.01),
)
"""The plan's thresholds (Monitoring & Alerting)."""


def resources(model: Model, *, is_simulated: bool, tables: Tables) -> Mapping[str, Any]:
    """Return what the graphs take besides inputs; only a simulated run has simulated waits."""
    return {
        "model": model,
        "sources": Sources(LATENCY_S if is_simulated else None),
        "tables": tables,
    }


async def every_persona(tables: Tables) -> list[tuple[Caller, Mapping[str, Any]]]:
    """Return inputs for the details of every persona."""
    found = await whose_personas(tables)
    return [(caller, {"persona_id": persona_id}) for caller, persona_id in found]


def routes() -> APIRouter:
    """Return the routes; they need the web framework, which graphs do not."""
    from hasten.apps.persona.routes import router

    return router


app = App(
    name="persona",
    title="Persona details",
    about="A persona's journey, needs and pains, messaging and the figures of its segment.",
    inputs=DetailsInputs,
    graphs={"baseline": BASELINE, "hasten": HASTEN},
    phases={
        "storage": "Loading",
        "context": "Market context",
        "journey": "Customer journey",
        "needs": "Needs and pains",
        "messaging": "Messaging",
        "kpi": "Figures",
    },
    samples=SAMPLES,
    profile=PROFILE,
    resources=resources,
    rerun=None,  # a persona may have changed since: its answers are kept by version instead
    operations={
        "compare": Operation(
            title="Compare personas",
            about="Sets personas side by side; one that fails does not fail the others.",
            inputs=CompareInputs,
            graphs=compare.GRAPHS,
            phases={
                "compare": "Comparing",
                "storage": "Loading",
                "context": "Market context",
                "journey": "Customer journey",
                "needs": "Needs and pains",
                "messaging": "Messaging",
                "kpi": "Figures",
            },
            samples=COMPARE_SAMPLES,
            rerun=None,
        )
    },
    tables=metadata,
    migrations=HERE / "migrations",
    queries=QUERIES,
    seed=seed,
    storage_s=0.004,
    routes=routes,
    page=HERE / "page",
    log=PersonaLog(),
    load=visit,
    targets=TARGETS,
    alerts=ALERTS,
    cron=(
        Cron(
            name="nightly-details",
            at="0 3 * * *",
            inputs=every_persona,
            tags=("persona-details", "kpi"),
        ),
    ),
)
