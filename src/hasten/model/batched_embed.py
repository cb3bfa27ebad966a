"""Texts that are to be embedded within a short window go out in one request.

Owns the window, and who gets which vectors. A text that several callers ask for goes
out once. Leaves the format to the wires. Whoever embeds puts it around them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from hasten.clock import current_clock
from hasten.model.base import Usage, count_tokens
from hasten.model.embed import Embedding, EmbeddingModel, EmbedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

Text = str | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedBatchPolicy:
    """A request leaves with ``most_texts`` texts, or ``window_s`` after its first."""

    most_texts: int = 100
    window_s: float = 0.01

    def __post_init__(self) -> None:
        """Refuse a batch of nothing. Raises ``ValueError``."""
        if self.most_texts < 1 or self.window_s < 0:
            message = f"a batch has at least 1 text and no negative window: {self}"
            raise ValueError(message)


class BatchedEmbedding(EmbeddingModel):
    """Asks ``inner`` for the texts of many callers at once; each gets its own vectors.

    Only what asks for the same model, length and provider fields goes together. A
    caller's usage is its texts' part of what the provider counted, a shared text in
    full for each. A request that
    fails fails for all whose texts are in it; one that nobody waits for any more is
    stopped. ``calls`` counts the requests that left.
    """

    def __init__(self, inner: EmbeddingModel, policy: EmbedBatchPolicy | None = None) -> None:
        self._inner = inner
        self._policy = policy or EmbedBatchPolicy()
        self._batches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bytes, _Batch]] = (
            WeakKeyDictionary()
        )
        self.calls = 0

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._inner.name

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Return the vectors, once the batch that they are in has come back."""
        if not request.inputs:
            return await self._inner.embed(request)
        batch = self._batch(request)
        batch.waiters += 1
        batch.texts.update(dict.fromkeys(request.inputs))
        if len(batch.texts) >= self._policy.most_texts:
            self._leave(batch)
        try:
            found, vectors = await asyncio.shield(batch.done)
        finally:
            batch.waiters -= 1
            if not batch.waiters and batch.task is not None:
                batch.task.cancel()
        share = _tokens(request.inputs) / batch.tokens_asked
        return msgspec.structs.replace(
            found,
            vectors=tuple(vectors[text] for text in request.inputs),
            usage=Usage(round(found.usage.tokens_in * share)),
        )

    async def close(self) -> None:
        """Close what is asked."""
        await self._inner.close()

    def _batch(self, request: EmbedRequest) -> _Batch:
        loop = asyncio.get_running_loop()
        batches = self._batches.setdefault(loop, {})
        alike = msgspec.structs.replace(request, inputs=())
        key = msgspec.msgpack.encode(alike, order="deterministic")
        if key not in batches:
            batch = batches[key] = _Batch(alike, batches, key)
            delay_s = current_clock().loop_delay(self._policy.window_s)
            batch.timer = loop.call_later(delay_s, self._leave, batch)
        return batches[key]

    def _leave(self, batch: _Batch) -> None:
        batch.timer.cancel()
        del batch.others[batch.key]
        if batch.waiters:
            batch.task = asyncio.ensure_future(self._ask(batch))

    async def _ask(self, batch: _Batch) -> None:
        """Ask for all texts of a batch, as often as its limit makes it, side by side."""
        texts, most = tuple(batch.texts), self._policy.most_texts
        parts = [texts[begin : begin + most] for begin in range(0, len(texts), most)]
        self.calls += len(parts)
        asked = [msgspec.structs.replace(batch.alike, inputs=part) for part in parts]
        try:
            found = await asyncio.gather(*(self._inner.embed(one) for one in asked))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                batch.done.cancel()
                raise
            batch.done.set_exception(error)
            batch.done.exception()  # what nobody waits for may fail unheard
            return
        vectors = {
            text: vector
            for part, one in zip(parts, found, strict=True)
            for text, vector in zip(part, one.vectors, strict=True)
        }
        tokens_in = sum(one.usage.tokens_in for one in found)
        whole = msgspec.structs.replace(found[0], usage=Usage(tokens_in))
        batch.tokens_asked = _tokens(texts)
        batch.done.set_result((whole, vectors))


class _Batch:
    """Texts that leave together, and those who wait for them."""

    timer: asyncio.TimerHandle

    def __init__(self, alike: EmbedRequest, others: dict[bytes, _Batch], key: bytes) -> None:
        self.alike = alike
        self.others = others
        self.key = key
        self.texts: dict[Text, None] = {}
        self.tokens_asked = 1
        self.waiters = 0
        self.task: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[tuple[Embedding, dict[Text, tuple[float, ...]]]] = (
            loop.create_future()
        )


def _tokens(texts: Sequence[Text]) -> int:
    """Return about how many tokens ``texts`` are; at least one."""
    counts = (count_tokens(one) if isinstance(one, str) else len(one) for one in texts)
    return max(1, sum(counts))
