"""The wire to any OpenAI-compatible embeddings endpoint.

Owns the path. Leaves the fields to ``embed_wire``, HTTP and errors to ``http``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.model import embed_wire
from hasten.model.embed import EmbeddingModel
from hasten.model.http import Connections, Endpoint
from hasten.model.openai import bearer

if TYPE_CHECKING:
    from hasten.model.embed import Embedding, EmbedRequest


class OpenAIEmbedding(EmbeddingModel):
    """Asks the endpoint at ``base_url`` (``https://host/v1``) for the vectors of ``model``."""

    def __init__(
        self, *, base_url: str, model: str, api_key: str = "", endpoint: Endpoint | None = None
    ) -> None:
        endpoint = endpoint or Endpoint()
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._model = model
        headers = {**(bearer(api_key) if api_key else {}), **endpoint.headers}
        self._connections = Connections(model, headers, endpoint.deadlines)

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._model

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Return the vectors, all by one call."""
        body = embed_wire.to_body(request, model=self._model)
        async with self._connections.post(self._url, body) as reply:
            return embed_wire.read_answer(await reply.read(), request, model=self._model)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()
