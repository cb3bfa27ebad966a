"""Reading and changing personas: who may see which, and their versions.

Owns the queries and the samples that every database begins with. Each change of a
persona raises its version, which is part of every key made from it: two changes within
one second are two versions (persona plan 5 took whole seconds).
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hasten import Caller, Tables, current_caller, current_clock
from hasten.apps.persona.answers import Demographics
from hasten.apps.persona.tables import (
    personas,
    personas_of,
    projects,
    responses,
    said_by,
    seen_by,
)

RESPONSES = 20
"""How many interview answers there are of a sample persona."""

SAMPLED_AT_S = 1_760_572_800.0
"""When the samples were last changed: the day of the persona plan."""


class Persona(BaseModel):
    """A person as a project imagines them; ``version`` counts the changes."""

    model_config = ConfigDict(frozen=True)

    persona_id: str
    project_id: str
    full_name: str
    age: int
    gender: str
    education_level: str
    income_bracket: str
    location: str
    occupation: str
    background: str
    version: int
    updated_at_s: float

    @property
    def demographics(self) -> Demographics:
        """The five fields that make a segment."""
        return Demographics.model_validate({name: getattr(self, name) for name in _SEGMENT})


_SEGMENT = tuple(Demographics.model_fields)


_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class PersonaChange(BaseModel):
    """What may be changed of a persona; what is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    full_name: _Text | None = Field(None, min_length=1, max_length=80)
    age: int | None = Field(None, ge=16, le=100)
    gender: _Text | None = Field(None, min_length=1, max_length=40)
    education_level: _Text | None = Field(None, min_length=1, max_length=40)
    income_bracket: _Text | None = Field(None, min_length=1, max_length=40)
    location: _Text | None = Field(None, min_length=1, max_length=80)
    occupation: _Text | None = Field(None, min_length=1, max_length=120)
    background: _Text | None = Field(None, max_length=4_000)


async def find_persona(tables: Tables, persona_id: str) -> Persona:
    """Return a persona that the caller may see. Raises ``NotFound``."""
    is_seen = seen_by(current_caller().tenant)
    which = sa.select(personas).where(personas.c.persona_id == persona_id, is_seen)
    return Persona.model_validate(await tables.one(which, f"there is no persona {persona_id!r}"))


async def find_any(tables: Tables, persona_ids: tuple[str, ...]) -> Persona:
    """Return one of these personas. Raises ``NotFound``, naming all, if the caller may see none."""
    which = sa.select(personas).where(
        personas.c.persona_id.in_(persona_ids), seen_by(current_caller().tenant)
    )
    names = ", ".join(map(repr, persona_ids))
    row = await tables.one(which.limit(1), f"there are no personas {names}")
    return Persona.model_validate(row)


async def list_personas(tables: Tables) -> list[Persona]:
    """Return all personas that the caller may see, by project and name."""
    rows = await tables.rows(personas_of(current_caller().tenant))
    return [Persona.model_validate(row) for row in rows]


async def whose_personas(tables: Tables) -> list[tuple[Caller, str]]:
    """Return the ids of all personas, each with a caller of every tenant that may see it.

    The samples are everybody's who has a persona; as long as nobody has, the local user's.
    """
    rows = await tables.rows(sa.select(personas).order_by(personas.c.updated_at_s.desc()))
    users = {row["tenant"]: row["user"] for row in rows if row["tenant"]}
    callers = [Caller(tenant, user) for tenant, user in users.items()] or [Caller("local", "local")]
    return [
        (caller, row["persona_id"])
        for caller in callers
        for row in rows
        if row["tenant"] in ("", caller.tenant)
    ]


async def responses_of(tables: Tables, persona_id: str, limit: int) -> tuple[str, ...]:
    """Return what a persona said in interviews, at most ``limit`` answers."""
    rows = await tables.rows(said_by(persona_id).limit(limit))
    return tuple(row["said"] for row in rows)


async def copy_persona(tables: Tables, source: Persona, persona_id: str) -> Persona:
    """Keep a copy of ``source`` that belongs to the caller and may be changed."""
    owner = _owner()
    copied = source.model_dump() | {"persona_id": persona_id, "version": 1}
    row = copied | owner | {"updated_at_s": current_clock().now()}
    said = await responses_of(tables, source.persona_id, RESPONSES)
    await tables.put_many(personas, [row])
    await tables.put_many(responses, _responses(persona_id, said, owner))
    return Persona.model_validate(row)


async def change_persona(tables: Tables, persona_id: str, change: PersonaChange) -> bool:
    """Change a persona of the caller's tenant and raise its version; whether there was one."""
    values = change.model_dump(exclude_none=True)
    which = sa.update(personas).where(
        personas.c.persona_id == persona_id, personas.c.tenant == current_caller().tenant
    )
    changed = which.values(
        **values, version=personas.c.version + 1, updated_at_s=current_clock().now()
    )
    return bool(await tables.execute(changed))


async def seed(tables: Tables) -> None:
    """Keep the sample project: nobody's, so all may see it and no one change it."""
    told = _samples()
    nobody = {"tenant": "", "user": ""}
    project = {name: told[name] for name in ("project_id", "name", "market")}
    await tables.put_many(projects, [project | nobody])
    rows = [row | nobody for row in sample_rows()]
    await tables.put_many(personas, rows)
    answers = [
        answer for row in rows for answer in _responses(row["persona_id"], told["said"], nobody)
    ]
    await tables.put_many(responses, answers)


def market_context() -> str:
    """Return what is known of the sample project's market."""
    return str(_samples()["context"]).strip()


def sample_rows() -> list[dict[str, Any]]:
    """Return the sample personas: one of each segment in turn, so that neighbours differ."""
    told = _samples()
    segments = told["segments"]
    found = []
    for place in range(len(segments) * len(segments[0]["names"])):
        segment = segments[place % len(segments)]
        fixed = {name: value for name, value in segment.items() if name != "names"}
        found.append(
            {
                **fixed,
                "persona_id": f"p{place + 1:02d}",
                "project_id": told["project_id"],
                "full_name": segment["names"][place // len(segments)],
                "version": 1,
                "updated_at_s": SAMPLED_AT_S,
            }
        )
    return found


def _responses(
    persona_id: str, said: tuple[str, ...] | list[str], owner: dict[str, str]
) -> list[dict[str, str]]:
    return [
        {"response_id": f"{persona_id}-{number:02d}", "persona_id": persona_id, "said": one} | owner
        for number, one in enumerate(said)
    ]


def _owner() -> dict[str, str]:
    caller = current_caller()
    return {"tenant": caller.tenant, "user": caller.user}


@cache
def _samples() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("samples.toml").read_text(encoding="utf-8"))
