"""Asking an upstream for embeddings as texts, not as bytes: of many callers in one request.

Owns what an upstream's embeddings stand on, and the answer in OpenAI's form. Leaves
putting requests together to ``model/batched_embed`` and the formats to ``embed_wire``.
``relay`` asks here where the settings want requests put together, and where the
simulated model answers; all other embeddings go through untouched.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hasten.errors import ModelTimeout, ModelUnavailable, RateLimited
from hasten.model import embed_wire
from hasten.model.batched_embed import BatchedEmbedding, EmbedBatchPolicy
from hasten.model.embed import EmbeddingModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.model.embed import Embedding, EmbedRequest
    from hasten.serve.gateway.upstreams import Upstream

_OK, _TOO_MANY = 200, 429


class UpstreamEmbedding(EmbeddingModel):
    """Asks ``inner`` for an upstream, and notes there how each call ended."""

    def __init__(self, upstream: Upstream, inner: EmbeddingModel) -> None:
        self._upstream = upstream
        self._inner = inner

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._inner.name

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Return the vectors."""
        try:
            found = await self._inner.embed(request)
        except RateLimited as error:
            self._upstream.note(_TOO_MANY, error.retry_after_s)
            raise
        except (ModelTimeout, ModelUnavailable):
            self._upstream.note(0)
            raise
        self._upstream.note(_OK)
        return found

    async def close(self) -> None:
        """Close what is asked."""
        await self._inner.close()


async def embed(who: Sequence[Upstream], body: bytes) -> tuple[Embedding, dict[str, Any]]:
    """Return the vectors that ``body`` asks for, and the answer's own body.

    The first of ``who`` that does not fail answers. Raises ``InvalidInput`` naming the
    field, and the last one's ``ModelError``.
    """
    wanted, encoding = embed_wire.read_request(body)
    found = await _vectors(who, wanted)
    return found, embed_wire.answer_out(found, encoding=encoding)


async def _vectors(who: Sequence[Upstream], wanted: EmbedRequest) -> Embedding:
    for upstream in who[:-1]:
        with suppress(RateLimited, ModelUnavailable):
            return await _embedding_of(upstream).embed(wanted)
    return await _embedding_of(who[-1]).embed(wanted)


def _embedding_of(upstream: Upstream) -> EmbeddingModel:
    """Return what answers for an upstream, made at its first use."""
    if upstream.embedding is None:
        made: EmbeddingModel = UpstreamEmbedding(upstream, _wire_of(upstream))
        window_s = upstream.settings.embed_window_s
        if window_s:
            made = BatchedEmbedding(made, EmbedBatchPolicy(window_s=window_s))
        upstream.embedding = made
    return upstream.embedding


def _wire_of(upstream: Upstream) -> EmbeddingModel:
    if upstream.protocol == "simulated":
        from hasten.model.simulated_embed import SimulatedEmbedding

        return SimulatedEmbedding()
    from hasten.model.http import Deadlines, Endpoint
    from hasten.model.openai_embed import OpenAIEmbedding

    settings = upstream.settings
    within = Deadlines(
        connect_s=settings.connect_s, read_s=settings.read_s, total_s=settings.total_s
    )
    return OpenAIEmbedding(
        base_url=settings.base_url,
        model=upstream.name,
        api_key=upstream.api_key,
        endpoint=Endpoint(deadlines=within),
    )
