"""What an embedding model is: it turns texts into vectors, as many at once as it is given.

Owns the interface and its records. Leaves the format to ``embed_wire``, the
endpoints to ``openai_embed`` and the simulated one to ``simulated_embed``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from hasten.model.base import Usage


class EmbedRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Texts to embed, or their tokens; ``dimensions`` is how long a vector shall be.

    ``extra`` holds provider fields passed through untouched.
    """

    inputs: tuple[str | tuple[int, ...], ...]
    model: str = ""
    dimensions: int | None = None
    extra: dict[str, Any] = {}


class Embedding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A vector for each input, in order."""

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage = Usage()
    simulated: bool = False
    extra: dict[str, Any] = {}


class EmbeddingModel(ABC):
    """Embeds texts. Raises ``ModelError`` only; foreign errors stop at the wire."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Who answers when a request names no model."""

    @abstractmethod
    async def embed(self, request: EmbedRequest) -> Embedding:
        """Return the vectors."""

    async def close(self) -> None:
        """Give back connections; a model that holds none does nothing."""
