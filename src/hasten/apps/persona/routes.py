"""Personas over HTTP: list, change, copy, find those alike.

Owns the routes below ``/apps/persona``. Details and comparisons are runs, started here or
by ``/api/run``; leaves running to the context each is given.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query

from hasten import AppContext
from hasten.apps.persona.alike import alike
from hasten.apps.persona.board import (
    Persona,
    PersonaChange,
    change_persona,
    copy_persona,
    find_persona,
    list_personas,
)
from hasten.apps.persona.inputs import PersonaId

Here = Annotated[AppContext, Depends(AppContext.of)]
PersonaPath = Annotated[PersonaId, Path()]

router = APIRouter()


@router.get("/personas")
async def list_all(here: Here) -> list[Persona]:
    """Return the personas that the caller may see."""
    return await list_personas(here.tables)


@router.get("/personas/{persona_id}")
async def show(persona_id: PersonaPath, here: Here) -> Persona:
    """Return one persona."""
    return await find_persona(here.tables, persona_id)


@router.patch("/personas/{persona_id}")
async def change(persona_id: PersonaPath, asked: PersonaChange, here: Here) -> Persona:
    """Change a persona of the caller's; what was made from the version before is no longer used."""
    if not await change_persona(here.tables, persona_id, asked):
        await find_persona(here.tables, persona_id)
        raise HTTPException(403, f"persona {persona_id!r} is a sample: copy it, then change that")
    return await find_persona(here.tables, persona_id)


@router.post("/personas/{persona_id}/copy", status_code=201)
async def copy(persona_id: PersonaPath, here: Here) -> Persona:
    """Make a copy that is the caller's own."""
    source = await find_persona(here.tables, persona_id)
    return await copy_persona(here.tables, source, f"{persona_id[:20]}-{secrets.token_hex(4)}")


@router.get("/personas/{persona_id}/similar")
async def similar(
    persona_id: PersonaPath, here: Here, limit: Annotated[int, Query(ge=1, le=20)] = 5
) -> list[dict[str, Any]]:
    """Return who is most alike, with how much: 1 is the same."""
    source = await find_persona(here.tables, persona_id)
    others = [one for one in await list_personas(here.tables) if one.persona_id != persona_id]
    try:
        found = await alike(source, others)
    except ModuleNotFoundError as error:
        lacking = f"this server lacks {error.name}: pip install 'hasten[semantic]'"
        raise HTTPException(503, lacking) from None
    return [{"persona": one, "similarity": round(nearness, 3)} for nearness, one in found[:limit]]


@router.post("/personas/{persona_id}/details", status_code=202)
async def details(persona_id: PersonaPath, here: Here) -> dict[str, str]:
    """Start a run that tells a persona's details; follow it as any run."""
    await find_persona(here.tables, persona_id)
    run = await here.start({"persona_id": persona_id})
    return {"run_id": run.run_id, "events": f"/api/runs/{run.run_id}/events"}
