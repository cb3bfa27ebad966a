"""The simulated embedding model: the same text always has the same vector, kin texts kin ones.

Owns the vectors: each word adds a direction drawn from the seed and the word
(feature hashing; Weinberger et al., 2009), so that texts that share words lie
close. It knows nothing of meaning, and its name says that it is simulated.
``serve/sim`` puts it behind HTTP.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from hasten.clock import current_clock
from hasten.model.base import Usage, count_tokens
from hasten.model.draw import draw
from hasten.model.embed import Embedding, EmbeddingModel, EmbedRequest
from hasten.model.simulated import SimProfile
from hasten.model.wire_format import SIMULATED, simulated_name

DIMENSIONS = 256
"""How long a vector is when nobody says."""

_NAME = f"{SIMULATED}embedding"
_PLACES = 8
_WORD = re.compile(r"\w+")
_KNOWN_WORDS = 10_000


class SimulatedEmbedding(EmbeddingModel):
    """Embeds by itself, in the time its profile gives to reading the tokens."""

    def __init__(self, profile: SimProfile | None = None) -> None:
        self._profile = profile or SimProfile()

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return _NAME

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Return the vectors, of length 1."""
        texts = [one if isinstance(one, str) else " ".join(map(str, one)) for one in request.inputs]
        tokens = sum(map(count_tokens, texts))
        await current_clock().sleep(tokens / self._profile.prefill_tokens_per_s)
        size = request.dimensions or DIMENSIONS
        return Embedding(
            vectors=tuple(_vector(self._profile.seed, text, size) for text in texts),
            model=simulated_name(request.model or _NAME),
            usage=Usage(tokens),
            simulated=True,
        )


def _vector(seed: int, text: str, size: int) -> tuple[float, ...]:
    summed = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        for place, weight in _direction(seed, word, size):
            summed[place] += weight
    length = math.hypot(*summed)
    if not length:
        return (1.0, *[0.0] * (size - 1))
    return tuple(value / length for value in summed)


@lru_cache(maxsize=_KNOWN_WORDS)
def _direction(seed: int, word: str, size: int) -> tuple[tuple[int, float], ...]:
    """Return the few places where ``word`` adds to a vector, and how much."""
    chance = draw(seed, "embedding", word)
    return tuple((chance.randrange(size), chance.choice((-1.0, 1.0))) for _ in range(_PLACES))
