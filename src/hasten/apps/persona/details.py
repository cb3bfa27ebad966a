"""A persona's details in the ``hasten`` mode: four answers side by side, each kept by version.

Owns the steps and what may be kept of them: what is made from a persona lives an hour
and is keyed by all that is known of the person, its version included; the figures of a
segment live a day and are shared by all who are in it.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from hasten import CachePolicy, Graph, Model, Tables, parse, step, tool
from hasten.apps.persona.answers import CustomerJourney, Demographics, Kpi, Messaging, NeedsAndPains
from hasten.apps.persona.board import Persona, find_persona, responses_of
from hasten.apps.persona.inputs import DetailsInputs
from hasten.apps.persona.prompts import (
    ANSWERS,
    CONTEXT_CHARS,
    JOURNEY,
    MESSAGING,
    NEEDS,
    Task,
    short_request,
)
from hasten.apps.persona.sources import Sources

T = TypeVar("T", bound=BaseModel)

HOUR_S, DAY_S = 3_600.0, 86_400.0
CALL_TIMEOUT_S = 20.0


def kept(use: str) -> CachePolicy:
    """Return how an answer made from a persona is kept (persona plan 5).

    What the persona said in interviews is of its version, too: a new answer raises it.
    What was made at night is shown at once the day after, and made anew meanwhile.
    """
    return CachePolicy(
        use=use,
        ttl_s=HOUR_S,
        stale_while_revalidate_s=DAY_S,
        fields=("persona",),
        ignore=("model", "sources", "tables"),
        tags=("persona-details",),
    )


@step(phase="storage", label="Loading the persona", log_fields=("persona_id",))
async def persona(tables: Tables, persona_id: str) -> Persona:
    """Load the persona."""
    return await find_persona(tables, persona_id)


@tool(phase="context", timeout_s=5.0, log_fields=("project_id",))
async def market_context(sources: Sources, project_id: str) -> str:
    """Look up what is known of the project's market."""
    return await sources.context(project_id, CONTEXT_CHARS)


@step(
    phase="journey",
    label="Drawing the customer journey",
    timeout_s=CALL_TIMEOUT_S,
    cache=kept("journey"),
)
async def journey(
    model: Model, sources: Sources, tables: Tables, persona: Persona
) -> CustomerJourney:
    """Draw the journey."""
    return await _answer(JOURNEY, CustomerJourney, model, sources, tables, persona)


@step(
    phase="needs",
    label="Deriving needs and pains",
    timeout_s=CALL_TIMEOUT_S,
    cache=kept("needs"),
)
async def needs(model: Model, sources: Sources, tables: Tables, persona: Persona) -> NeedsAndPains:
    """Derive needs and pains."""
    return await _answer(NEEDS, NeedsAndPains, model, sources, tables, persona)


@step(
    phase="messaging",
    label="Writing the messaging",
    timeout_s=CALL_TIMEOUT_S,
    cache=kept("messaging"),
)
async def messaging(model: Model, sources: Sources, tables: Tables, persona: Persona) -> Messaging:
    """Write how to speak to them."""
    return await _answer(MESSAGING, Messaging, model, sources, tables, persona)


@step(phase="kpi", label="Finding the segment")
async def segment(persona: Persona) -> Demographics:
    """Take the five fields that make a segment."""
    return persona.demographics


@tool(
    phase="kpi",
    label="Working out the segment's figures",
    timeout_s=5.0,
    cache=CachePolicy(
        use="kpi_snapshot", ttl_s=DAY_S, fields=("segment",), ignore=("sources",), tags=("kpi",)
    ),
)
async def kpi(sources: Sources, segment: Demographics) -> Kpi:
    """Work out the figures of the segment."""
    return await sources.kpi(segment)


async def _answer(
    task: Task, form: type[T], model: Model, sources: Sources, tables: Tables, persona: Persona
) -> T:
    context = await market_context(sources, persona.project_id)
    said = await responses_of(tables, persona.persona_id, ANSWERS)
    return (await parse(model, short_request(task, persona, context, said), form)).value


GRAPH = Graph(
    "persona.hasten",
    [persona, journey, needs, messaging, segment, kpi],
    inputs=DetailsInputs,
    outputs=("persona", "journey", "needs", "messaging", "kpi"),
    resources={"model": Model, "sources": Sources, "tables": Tables},
)
