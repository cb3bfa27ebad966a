"""The response cache: a question that was answered a short while ago is not asked again.

Owns what of a request makes its key, which answers may be stored, and what a hit
says it saved. Leaves storing, sharing and single-flight, of plain and of streamed
calls, to ``cache``. ``chain`` puts it outermost, so that a hit passes nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.cache.decide import Miss
from hasten.cache.flight import Answer
from hasten.cache.policy import PLAIN, CachePolicy
from hasten.cache.reading import CacheReading
from hasten.cache.request import current_session
from hasten.cache.trail import add_tags
from hasten.errors import ModelUnavailable
from hasten.model.base import Chunk, OuterModel, Response, Saved

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from hasten.cache.cache import Cache
    from hasten.cache.key import Key, Scope
    from hasten.cache.policy import Directives
    from hasten.model.base import Model, Request

USE = "model"
"""The name of this use of the cache, in keys, statistics and metrics."""

UNKEYED = frozenset({"task", "section", "is_repair", "model", "extra"})
"""Fields of a request that are not in the key as they are: these do not change the answer."""

UNKEYED_EXTRA = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "stream",
        "stream_options",
        "user",
    }
)
"""Provider fields that say who asks or how to send the answer, never what it is."""

_WHOLE = frozenset({"stop", "tool_calls"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsePolicy:
    """How long answers are kept, how many, for whom, and to which questions.

    Above ``max_entries`` the answer that this process has not used for longest is
    dropped. With ``max_temperature`` an answer is stored only if the request asks
    for no more than that, or gives a seed: who asks for chance wants another answer.
    """

    ttl_s: float = 1_800.0
    max_entries: int = 1_000
    scope: Scope = "tenant"
    max_temperature: float | None = None
    tags: tuple[str, ...] = ()

    def takes(self, request: Request) -> bool:
        """Whether an answer to ``request`` may be stored and reused."""
        most = self.max_temperature
        if most is None or request.seed is not None:
            return True
        return request.temperature is not None and request.temperature <= most


def key_fields(request: Request, name: str) -> dict[str, Any]:
    """Return everything in ``request`` that changes the answer of the model called ``name``."""
    fields = {
        field: getattr(request, field)
        for field in request.__struct_fields__
        if field not in UNKEYED
    }
    fields["model"] = request.model or name
    fields["extra"] = {
        field: value for field, value in request.extra.items() if field not in UNKEYED_EXTRA
    }
    return fields


def is_whole(response: Response) -> bool:
    """Whether an answer is good for others: neither cut off, nor filtered, nor empty."""
    return response.finish_reason in _WHOLE and bool(response.text or response.tool_calls)


class CachedModel(OuterModel):
    """Answers from ``cache`` what ``inner`` has answered there.

    An answer carries the tag ``session:<id>`` of the session that asked, so that it
    can be dropped with it. Raises what ``inner`` and ``Cache.get_or_compute`` raise.
    """

    def __init__(self, inner: Model, cache: Cache, policy: ResponsePolicy | None = None) -> None:
        super().__init__(inner)
        self._cache = cache
        self._policy = policy or ResponsePolicy()
        self._use = CachePolicy(
            use=USE,
            ttl_s=self._policy.ttl_s,
            scope=self._policy.scope,
            tags=self._policy.tags,
            is_storable=is_whole,
            returns=Response,
            saves=_saved_tokens,
        )
        self._used: OrderedDict[bytes, None] = OrderedDict()

    async def complete(self, request: Request, *, directives: Directives = PLAIN) -> Response:
        """Answer whole: stored, from a call under way, or anew."""
        if not self._policy.takes(request):
            return await self._inner.complete(request)

        async def ask() -> Response:
            _tag_session()
            return await self._inner.complete(request)

        key = self._key(request)
        answer = await self._cache.answer(key, ask, self._use, directives=directives)
        self._note(key)
        return _given(answer)

    async def stream(
        self, request: Request, *, directives: Directives = PLAIN
    ) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece; who joins a stream under way reads it from its start.

        A stored answer comes in one piece.
        """
        if not self._policy.takes(request):
            async with aclosing(self._inner.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return

        def opened() -> AsyncGenerator[Chunk, None]:
            _tag_session()
            return self._inner.stream(request)

        key = self._key(request)
        found = await self._cache.open_stream(
            key, opened, self._use, self._whole, directives=directives
        )
        answer = found if isinstance(found, Answer) else None
        if isinstance(found, CacheReading):
            async with aclosing(found.pieces()) as pieces:
                async for piece in pieces:
                    if piece.response is not None:
                        found.let_end()  # a stream is stored on its terminal event
                    if piece.response is None or found.is_mine:
                        yield piece
            answer = None if found.is_mine and found.has_pieces else found.answer
        self._note(key)
        if answer is None:
            return
        response = _given(answer)
        if response.text and (isinstance(found, Answer) or not found.has_pieces):
            yield Chunk(text=response.text)
        yield Chunk(response=response)

    def _key(self, request: Request) -> Key:
        return self._cache.key(self._use, **key_fields(request, self.name))

    def _whole(self, chunks: Sequence[Chunk]) -> Response:
        last = chunks[-1].response if chunks else None
        if last is None:
            message = f"the stream of {self.name} ended without its last chunk"
            raise ModelUnavailable(message, model=self.name)
        return last

    def _note(self, key: Key) -> None:
        """Note that the entry was used now, and drop the one that was not for longest."""
        self._used[key.digest] = None
        self._used.move_to_end(key.digest)
        if len(self._used) > self._policy.max_entries:
            oldest, _ = self._used.popitem(last=False)
            self._cache.flights.run(self._cache.delete([oldest]), "response cache is full")


def _tag_session() -> None:
    session = current_session()
    if session:
        add_tags(f"session:{session}")


def _saved_tokens(response: Response) -> Mapping[str, float]:
    usage = response.usage
    return {"saved_tokens_in": usage.tokens_in, "saved_tokens_out": usage.tokens_out}


def _given(answer: Answer) -> Response:
    """Return the response of ``answer``, with what it saved if it was not asked for anew."""
    response: Response = answer.value
    if isinstance(answer.decision, Miss) and not answer.is_collapsed:
        return response
    origin = answer.entry.provenance if answer.entry is not None else None
    waited = isinstance(answer.decision, Miss)
    saved = Saved(
        tokens_in=response.usage.tokens_in,
        tokens_out=response.usage.tokens_out,
        usd=origin.cost_usd if origin is not None else 0.0,
        s=0.0 if waited or origin is None else origin.compute_s,
    )
    return msgspec.structs.replace(response, saved=saved)
