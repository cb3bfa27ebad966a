"""Who is like whom: vectors of what a persona is, compared.

Owns the text a persona is embedded as, and how long a vector is kept (30 days, by text).
The vectors are wordllama's, whose weights come with the package ``hasten[semantic]``.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten import CachePolicy, cached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.apps.persona.board import Persona

DAY_S = 86_400.0


async def alike(source: Persona, others: Sequence[Persona]) -> list[tuple[float, Persona]]:
    """Return the others with their nearness to ``source``, the nearest first."""
    own = await embedded(described(source))
    vectors = [await embedded(described(one)) for one in others]
    near = [sum(map(float.__mul__, own, vector)) for vector in vectors]
    return sorted(zip(near, others, strict=True), key=lambda pair: -pair[0])


def described(persona: Persona) -> str:
    """Return what makes a persona like another: everything but the name."""
    return (
        f"{persona.occupation}. {persona.age} years, {persona.gender}, {persona.education_level}, "
        f"{persona.income_bracket}, {persona.location}. {persona.background}"
    )


@cached(CachePolicy(use="embedding", ttl_s=30 * DAY_S, fields=("text",), version="wordllama-256"))
async def embedded(text: str) -> list[float]:
    """Return the unit vector of a text; worked out in a thread, since the model takes a while."""
    return await asyncio.to_thread(_embed, text)


def _embed(text: str) -> list[float]:
    vector: list[float] = _model().embed([text], norm=True)[0].tolist()
    return vector


@cache
def _model() -> Any:
    import wordllama

    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
