"""Fortune: a temple poem, interpreted for a question; ``README.md`` is its page.

Owns the manifest: the two graphs, how the simulated model behaves for this
application, and the resources its graphs take.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten import App, ChainPolicy, LimitPolicy, SimProfile
from hasten.apps.fortune.baseline import GRAPH as BASELINE
from hasten.apps.fortune.hasten import GRAPH as HASTEN
from hasten.apps.fortune.inputs import SAMPLES, FortuneInputs
from hasten.apps.fortune.targets import TARGETS
from hasten.apps.fortune.temple import LATENCY_S, Temple
from hasten.apps.fortune.visits import visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import APIRouter

    from hasten import Model

PROFILE = SimProfile(
    name="sim-fortune",
    ttft_s=0.35,
    prefill_tokens_per_s=4_000.0,
    decode_tokens_per_s=63.0,
    jitter=0.02,
)
"""Calibrated so that the baseline's one call takes the plan's 35.8 s."""


def resources(model: Model, *, is_simulated: bool, **_given: Any) -> Mapping[str, Any]:
    """Return what the graphs take besides inputs; only a simulated run has simulated waits."""
    return {"model": model, "temple": Temple(LATENCY_S if is_simulated else None)}


def routes() -> APIRouter:
    """Return the routes; they need the web framework, which graphs do not."""
    from hasten.apps.fortune.routes import router

    return router


app = App(
    name="fortune",
    title="Temple fortune",
    about="A deity, a numbered poem and your question in; an interpretation in five parts out.",
    inputs=FortuneInputs,
    graphs={"baseline": BASELINE, "hasten": HASTEN},
    phases={
        "Queue": "Waiting in the queue",
        "RAG": "Looking up",
        "LLM": "Writing",
        "Validation": "Checking",
    },
    samples=SAMPLES,
    profile=PROFILE,
    chain=ChainPolicy(limit=LimitPolicy()),
    resources=resources,
    routes=routes,
    page=Path(__file__).parent / "page",
    load=visit,
    targets=TARGETS,
)
