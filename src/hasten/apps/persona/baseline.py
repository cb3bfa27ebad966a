"""A persona's details as the plan found them: one answer after another, long prompts.

Owns the graph of the ``baseline`` mode. The same four answers, asked for in prose with
all that is known and the schema spelt out, read by hand, nothing kept.
"""

from __future__ import annotations

from typing import TypeVar

import pydantic
from pydantic import BaseModel

from hasten import Graph, HastenError, Model, Tables, step
from hasten.apps.persona.answers import CustomerJourney, Kpi, Messaging, NeedsAndPains
from hasten.apps.persona.board import Persona, responses_of
from hasten.apps.persona.details import CALL_TIMEOUT_S, persona
from hasten.apps.persona.inputs import DetailsInputs
from hasten.apps.persona.prompts import (
    JOURNEY,
    LONG_ANSWERS,
    LONG_CONTEXT_CHARS,
    MESSAGING,
    NEEDS,
    Task,
    long_request,
)
from hasten.apps.persona.sources import Sources

T = TypeVar("T", bound=BaseModel)


@step(phase="journey", label="Drawing the customer journey", timeout_s=CALL_TIMEOUT_S)
async def journey(
    model: Model, sources: Sources, tables: Tables, persona: Persona
) -> CustomerJourney:
    """Draw the journey."""
    return await _answer(JOURNEY, CustomerJourney, model, sources, tables, persona)


@step(phase="needs", label="Deriving needs and pains", timeout_s=CALL_TIMEOUT_S)
async def needs(
    model: Model,
    sources: Sources,
    tables: Tables,
    persona: Persona,
    journey: CustomerJourney,  # noqa: ARG001 - the journey comes first
) -> NeedsAndPains:
    """Derive needs and pains."""
    return await _answer(NEEDS, NeedsAndPains, model, sources, tables, persona)


@step(phase="messaging", label="Writing the messaging", timeout_s=CALL_TIMEOUT_S)
async def messaging(
    model: Model,
    sources: Sources,
    tables: Tables,
    persona: Persona,
    needs: NeedsAndPains,  # noqa: ARG001 - the needs come first
) -> Messaging:
    """Write how to speak to them."""
    return await _answer(MESSAGING, Messaging, model, sources, tables, persona)


@step(phase="kpi", label="Working out the segment's figures")
async def kpi(
    sources: Sources,
    persona: Persona,
    messaging: Messaging,  # noqa: ARG001 - the messaging comes first
) -> Kpi:
    """Work out the figures of the segment."""
    return await sources.kpi(persona.demographics)


async def _answer(
    task: Task, form: type[T], model: Model, sources: Sources, tables: Tables, persona: Persona
) -> T:
    context = await sources.context(persona.project_id, LONG_CONTEXT_CHARS)
    said = await responses_of(tables, persona.persona_id, LONG_ANSWERS)
    response = await model.complete(long_request(task, persona, context, said))
    try:
        return form.model_validate_json(response.text)
    except pydantic.ValidationError as error:
        message = f"the answer for {task.name} is no {form.__name__}: {error.error_count()} errors"
        raise HastenError(message) from error


GRAPH = Graph(
    "persona.baseline",
    [persona, journey, needs, messaging, kpi],
    inputs=DetailsInputs,
    outputs=("persona", "journey", "needs", "messaging", "kpi"),
    resources={"model": Model, "sources": Sources, "tables": Tables},
)
