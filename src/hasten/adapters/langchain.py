"""Our cache as LangChain's: ``set_llm_cache(LangChainCache())``.

Owns how LangChain's answers become plain values and back. They are rebuilt from
their fields by the classes of messages alone, never by ``langchain_core.load``,
which makes whatever object the bytes name. Leaves the thread to ``blocking`` and
caching to ``cache``. Needs ``langchain-core``, which whoever imports this has.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, Generation

from hasten.adapters.blocking import BlockingCache
from hasten.cache.policy import CachePolicy, Directives
from hasten.errors import NotCached

if TYPE_CHECKING:
    from hasten.cache.cache import Cache

USE = "langchain"
"""The name of this use of the cache, in keys, statistics and metrics."""


class LangChainCache(BaseCache):
    """Keeps the answers of LangChain's models, for the tenant of the caller in force.

    ``cache`` is by default one in memory; ``BlockingCache(configured)`` is the one of
    the settings. ``policy`` says how long and for whom. It is to be closed by whoever
    made it.
    """

    def __init__(
        self, cache: BlockingCache | None = None, policy: CachePolicy | None = None
    ) -> None:
        self._cache = cache or BlockingCache()
        self._policy = policy or CachePolicy(use=USE, ttl_s=1_800.0)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return what ``llm_string`` answered to ``prompt``, if it is kept."""
        return self._cache.submit(lambda cache: self._find(cache, prompt, llm_string)).result()

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return what ``llm_string`` answered to ``prompt``, if it is kept."""
        found = self._cache.submit(lambda cache: self._find(cache, prompt, llm_string))
        return await asyncio.wrap_future(found)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep the answer."""
        told = [_plain(one) for one in return_val]
        self._cache.submit(lambda cache: self._keep(cache, prompt, llm_string, told)).result()

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep the answer."""
        told = [_plain(one) for one in return_val]
        kept = self._cache.submit(lambda cache: self._keep(cache, prompt, llm_string, told))
        await asyncio.wrap_future(kept)

    def clear(self, **kwargs: Any) -> None:
        """Drop all answers of the caller's tenant."""
        del kwargs  # other caches' own
        self._cache.submit(self._drop).result()

    async def aclear(self, **kwargs: Any) -> None:
        """Drop all answers of the caller's tenant."""
        del kwargs
        await asyncio.wrap_future(self._cache.submit(self._drop))

    async def _find(self, cache: Cache, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        async def nothing() -> Any:
            message = "only what is kept is asked for"
            raise NotCached(message)

        key = cache.key(self._policy, prompt=prompt, llm=llm_string)
        try:
            answer = await cache.answer(
                key, nothing, self._policy, directives=Directives(only_if_cached=True)
            )
        except NotCached:
            return None
        return [_generation(one) for one in answer.value]

    async def _keep(
        self, cache: Cache, prompt: str, llm_string: str, told: list[dict[str, Any]]
    ) -> None:
        await cache.put(cache.key(self._policy, prompt=prompt, llm=llm_string), told, self._policy)

    async def _drop(self, cache: Cache) -> None:
        await cache.invalidate(f"use={self._policy.use}", why="cleared by LangChain")


def _plain(generation: Any) -> dict[str, Any]:
    told = {"info": generation.generation_info}
    if isinstance(generation, ChatGeneration):
        return {**told, "message": message_to_dict(generation.message)}
    return {**told, "text": generation.text}


def _generation(told: dict[str, Any]) -> Generation:
    if "message" not in told:
        return Generation(text=told["text"], generation_info=told["info"])
    (message,) = messages_from_dict([told["message"]])
    return ChatGeneration(message=message, generation_info=told["info"])
