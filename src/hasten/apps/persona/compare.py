"""Several personas side by side: each one's details, and what they share.

Owns the graphs of the operation ``compare``. A persona that fails is named and does not
fail the others (persona plan 7); ``baseline`` takes them one after another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict

from hasten import Graph, HastenError, Model, Step, Tables, step
from hasten.apps.persona import baseline, details
from hasten.apps.persona.answers import CustomerJourney, Kpi, Messaging, NeedsAndPains
from hasten.apps.persona.board import Persona, find_any
from hasten.apps.persona.inputs import CompareInputs
from hasten.apps.persona.sources import Sources


class PersonaDetails(BaseModel):
    """All that is told of one persona."""

    model_config = ConfigDict(frozen=True)

    persona: Persona
    journey: CustomerJourney
    needs: NeedsAndPains
    messaging: Messaging
    kpi: Kpi


class Comparison(BaseModel):
    """Personas by id; those without details are in ``failed``, with the reason."""

    model_config = ConfigDict(frozen=True)

    personas: dict[str, PersonaDetails | None]
    failed: dict[str, str]


async def _side_by_side(
    model: Model, sources: Sources, tables: Tables, persona_id: str
) -> PersonaDetails:
    found = await details.persona(tables, persona_id)
    segment = await details.segment(found)
    try:
        async with asyncio.TaskGroup() as group:  # one that fails ends the others' calls, too
            journey = group.create_task(details.journey(model, sources, tables, found))
            needs = group.create_task(details.needs(model, sources, tables, found))
            messaging = group.create_task(details.messaging(model, sources, tables, found))
            kpi = group.create_task(details.kpi(sources, segment))
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    return PersonaDetails(
        persona=found,
        journey=journey.result(),
        needs=needs.result(),
        messaging=messaging.result(),
        kpi=kpi.result(),
    )


async def _in_turn(
    model: Model, sources: Sources, tables: Tables, persona_id: str
) -> PersonaDetails:
    found = await details.persona(tables, persona_id)
    journey = await baseline.journey(model, sources, tables, found)
    needs = await baseline.needs(model, sources, tables, found, journey)
    messaging = await baseline.messaging(model, sources, tables, found, needs)
    kpi = await baseline.kpi(sources, found, messaging)
    return PersonaDetails(persona=found, journey=journey, needs=needs, messaging=messaging, kpi=kpi)


Details = Callable[[Model, Sources, Tables, str], Awaitable[PersonaDetails]]


def _compared(details_of: Details, *, at_once: int) -> Step[..., Comparison]:
    async def comparison(
        model: Model, sources: Sources, tables: Tables, persona_ids: tuple[str, ...]
    ) -> Comparison:
        places = asyncio.Semaphore(at_once)

        async def one(persona_id: str) -> PersonaDetails | BaseException:
            async with places:
                try:
                    return await details_of(model, sources, tables, persona_id)
                except HastenError as error:
                    return error.__cause__ or error

        ids = tuple(dict.fromkeys(persona_ids))
        found = dict(zip(ids, await asyncio.gather(*map(one, ids)), strict=True))
        told = {name: made for name, made in found.items() if isinstance(made, PersonaDetails)}
        failed = {name: made for name, made in found.items() if isinstance(made, BaseException)}
        if not told:
            seen = await find_any(tables, ids)
            raise failed[seen.persona_id]
        return Comparison(
            personas={name: told.get(name) for name in ids},
            failed={name: str(error) for name, error in failed.items()},
        )

    return step(phase="compare", label="Comparing personas")(comparison)


def _graph(mode: str, details_of: Details, *, at_once: int) -> Graph:
    return Graph(
        f"persona.compare.{mode}",
        [_compared(details_of, at_once=at_once)],
        inputs=CompareInputs,
        outputs=("comparison",),
        resources={"model": Model, "sources": Sources, "tables": Tables},
    )


GRAPHS = {
    "baseline": _graph("baseline", _in_turn, at_once=1),
    "hasten": _graph("hasten", _side_by_side, at_once=5),
}
