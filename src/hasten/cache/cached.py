"""``@cached``: an async function whose results the cache in force keeps.

Owns the decorator and the context variable that carries the cache of a task.
``graph/run`` and ``serve`` put a cache in force; where none is, a cached function
is a plain one. Leaves everything else to ``Cache``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, get_type_hints

import msgspec

from hasten.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from hasten.cache.cache import Cache
    from hasten.cache.policy import CachePolicy

P = ParamSpec("P")
T = TypeVar("T")

_cache: ContextVar[Cache | None] = ContextVar("hasten_cache", default=None)
_maker: ContextVar[str] = ContextVar("hasten_maker", default="")


def current_cache() -> Cache | None:
    """Return the cache in force here, if there is one."""
    return _cache.get()


def set_cache(cache: Cache | None, made_by: str = "") -> None:
    """Put ``cache`` in force for this task and the tasks it starts.

    ``made_by`` is what answers there, such as a model's name: values of one maker
    are never given where another is asked.
    """
    _cache.set(cache)
    _maker.set(made_by)


def current_maker() -> str:
    """Return what answers here; part of every key made here."""
    return _maker.get()


@contextmanager
def use_cache(cache: Cache | None) -> Iterator[Cache | None]:
    """Put ``cache`` in force for this block and for the tasks started inside it."""
    token = _cache.set(cache)
    try:
        yield cache
    finally:
        _cache.reset(token)


def cached(
    policy: CachePolicy,
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Keep an async function's results under ``policy``.

    The key is made of the parameters that are the policy's fields, or of all it does
    not ignore. A policy that does not say what it ``returns`` takes the function's
    annotation. Raises ``InvalidInput`` for a parameter that is neither field nor
    ignored, and for an annotation that no value can be made of stored bytes.
    """

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        signature = inspect.signature(function)
        names = tuple(signature.parameters)
        defaults = {
            one.name: one.default
            for one in signature.parameters.values()
            if one.default is not inspect.Parameter.empty
        }
        policy.check_takes(names)
        kept = with_returns(policy, function)

        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            cache = _cache.get()
            if cache is None:
                return await function(*args, **kwargs)
            given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
            key = cache.key(kept, **given)
            return await cache.get_or_compute(key, lambda: function(*args, **kwargs), kept)

        return call

    return decorate


def with_returns(policy: CachePolicy, function: Callable[..., Any]) -> CachePolicy:
    """Return ``policy`` with what ``function`` returns, unless it says so itself.

    Raises ``InvalidInput`` for a type that no value can be made of stored bytes.
    """
    if policy.returns is not Any:
        return policy
    returns = get_type_hints(function).get("return", Any)
    if not _is_plain(msgspec.inspect.type_info(returns)):
        message = (
            f"use {policy.use!r}: {returns} cannot be made of stored bytes; "
            "set returns= to a type of plain values, structs, dataclasses or pydantic models"
        )
        raise InvalidInput(message, field="returns", value=returns)
    return dataclasses.replace(policy, returns=returns)


def _is_plain(found: Any, seen: tuple[Any, ...] = ()) -> bool:
    """Whether a type, as msgspec sees it, has no part that only its own code could make."""
    if isinstance(found, msgspec.inspect.CustomType):
        return hasattr(found.cls, "model_validate")
    if isinstance(found, (tuple, list)):
        return all(_is_plain(one, seen) for one in found)
    if not isinstance(found, msgspec.Struct) or any(found is one for one in seen):
        return True
    parts = [getattr(found, name) for name in found.__struct_fields__]
    return all(_is_plain(one, (*seen, found)) for one in parts)
