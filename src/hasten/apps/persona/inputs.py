"""Which persona to show, or which ones to compare, and inputs to try.

Owns what is valid. Whether a persona is there, and whose it is, ``board`` knows.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MOST_COMPARED = 5

PersonaId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]


class DetailsInputs(BaseModel):
    """One persona, by id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona_id: PersonaId = Field(title="Persona")


class CompareInputs(BaseModel):
    """Personas to set side by side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona_ids: tuple[PersonaId, ...] = Field(
        min_length=2, max_length=MOST_COMPARED, title="Personas"
    )


SAMPLES: dict[str, dict[str, Any]] = {
    "Marta": {"persona_id": "p01"},
    "Jonas": {"persona_id": "p02"},
    "Aiko": {"persona_id": "p03"},
}
COMPARE_SAMPLES: dict[str, dict[str, Any]] = {
    "three buyers": {"persona_ids": ["p01", "p02", "p03"]},
}
