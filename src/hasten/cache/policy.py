"""How one use of the cache behaves: a single record, given where the use is declared.

Owns ``CachePolicy`` (what the application says) and ``Directives`` (what one
request says). Leaves applying them to ``decide``. Pure.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hasten.cache.key import Key, Scope, make_key, text_of
from hasten.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hasten.caller import Caller

_BREADTH: Final[tuple[Scope, ...]] = ("public", "tenant", "user", "session", "request")
"""The scopes, from the widest to the narrowest."""

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S


def _is_none(value: object) -> bool:
    return value is None


def _always(_value: object) -> bool:
    return True


def _nothing(_value: object) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """One use of the cache.

    ``use`` names it in keys, statistics and metrics. ``ttl_s`` is how long a value
    is fresh (``None``: for ever), shortened by up to the share ``jitter`` so that
    values stored together do not expire together. ``fields`` are the parameters
    that make the key (empty: all but those in ``ignore``); a value that is versioned
    elsewhere has its version, such as ``updated_at``, among them. ``ignore`` are
    parameters that do not change the answer, such as a client; a function with any
    other is refused, since what is shared must be made from its key alone. Raise
    ``version`` when the same fields give another answer. ``tags`` may name fields:
    ``market:{interest_area}``.

    A stale value is served while a new one is computed for
    ``stale_while_revalidate_s`` (RFC 5861 section 3), and in place of an error for
    ``stale_if_error_s`` (section 4). ``is_refreshed_early`` lets one caller refresh
    shortly before the end (XFetch: Vattani et al., "Optimal Probabilistic Cache
    Stampede Prevention", VLDB 2015).

    What may be stored: values up to ``max_bytes`` for which ``is_storable`` holds;
    negative ones (``is_negative``, by default ``None``) only for ``negative_ttl_s``
    and errors only for ``error_ttl_s``, by default neither. ``returns`` is the type
    values are decoded to. ``is_kept`` values are never dropped for size, ``is_local`` ones
    never leave the memory of the process that computed them.
    ``wait_s`` bounds how long to wait for another process that computes the same.
    ``saves`` says what a hit of a value spares besides time and money, for its span.
    """

    use: str
    ttl_s: float | None = HOUR_S
    scope: Scope = "tenant"
    fields: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    version: str = "1"
    tags: tuple[str, ...] = ()
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    jitter: float = 0.05
    is_refreshed_early: bool = True
    max_bytes: int = 8 * 1024 * 1024
    negative_ttl_s: float | None = None
    error_ttl_s: float | None = None
    is_negative: Callable[[Any], bool] = _is_none
    is_storable: Callable[[Any], bool] = _always
    saves: Callable[[Any], Mapping[str, float]] = _nothing
    returns: Any = Any
    is_kept: bool = False
    is_local: bool = False
    wait_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.use:
            message = "a cache policy needs a use: the name its statistics go by"
            raise InvalidInput(message, field="use", value=self.use)
        if self.ttl_s is not None and self.ttl_s <= 0:
            message = f"use {self.use!r}: ttl_s must be above 0 or None, not {self.ttl_s}"
            raise InvalidInput(message, field="ttl_s", value=self.ttl_s)
        if not 0 <= self.jitter < 1:
            message = f"use {self.use!r}: jitter is a share from 0 to below 1, not {self.jitter}"
            raise InvalidInput(message, field="jitter", value=self.jitter)

    def key(
        self, fields: Mapping[str, Any], caller: Caller, *, session: str = "", made_by: str = ""
    ) -> Key:
        """Return the key of ``fields``: of the declared ones, or of all but the ignored.

        ``made_by`` is what answers, such as a model's name.

        Raises ``InvalidInput`` for a declared field that is missing, ``CodecError``
        for a value no digest can be made of.
        """
        if self.fields:
            try:
                fields = {name: fields[name] for name in self.fields}
            except KeyError as error:
                name = str(error.args[0])
                message = f"use {self.use!r}: its key field {name!r} is missing"
                raise InvalidInput(message, field=name, allowed=self.fields) from None
        elif self.ignore:
            fields = {name: fields[name] for name in fields if name not in self.ignore}
        version = f"{self.version} by {made_by}" if made_by else self.version
        return make_key(
            self.use, fields, caller, scope=self.scope, version=version, session=session
        )

    def check_takes(self, names: Iterable[str]) -> None:
        """Check that a function of these parameters gives what depends on its key alone.

        Raises ``InvalidInput`` naming the parameters that are neither fields nor ignored.
        """
        known = {*self.fields, *self.ignore} if self.fields else set(names)
        strange = [name for name in names if name not in known]
        missing = [name for name in self.fields if name not in names]
        if strange or missing:
            wrong = (
                f"{strange} are neither its fields nor ignored"
                if strange
                else f"{missing} are no parameters"
            )
            message = f"use {self.use!r}: {wrong}; its fields are {list(self.fields)}"
            raise InvalidInput(message, field="fields", value=strange or missing)

    def tags_of(self, key: Key) -> tuple[str, ...]:
        """Return the tags of a value under ``key``, fields filled in.

        Raises ``InvalidInput`` for a tag that names a field the key lacks.
        """
        try:
            texts = {name: text_of(value) for name, value in key.fields.items()}
            return tuple(tag.format_map(texts) if "{" in tag else tag for tag in self.tags)
        except KeyError as error:
            message = f"use {self.use!r}: a tag names {error}, which is no field of its key"
            raise InvalidInput(message, field="tags", allowed=tuple(key.fields)) from None

    def tightened(self, *, scope: Scope | None = None, ttl_s: float | None = None) -> CachePolicy:
        """Return this policy with a narrower scope and a shorter life; never a wider one."""
        narrow = max(self.scope, scope or self.scope, key=_BREADTH.index)
        lives = [one for one in (self.ttl_s, ttl_s) if one is not None]
        return dataclasses.replace(self, scope=narrow, ttl_s=min(lives, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What one request asks of the cache, in the words of RFC 9111 section 5.2.1.

    ``max_stale_s`` is ``inf`` for ``max-stale`` without a number.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: float | None = None
    min_fresh_s: float = 0.0
    max_stale_s: float = 0.0


PLAIN = Directives()
"""A request that asks for nothing special."""

_FLAGS = {"no-cache": "no_cache", "no-store": "no_store", "only-if-cached": "only_if_cached"}
_SECONDS = {"max-age": "max_age_s", "min-fresh": "min_fresh_s", "max-stale": "max_stale_s"}


def parse_cache_control(header: str) -> Directives:
    """Return the directives of a ``Cache-Control`` request header.

    Unknown directives are ignored (RFC 9111 section 5.2.3); one whose number is
    none is taken in its strictest sense (section 4.2.1 asks for caution).
    """
    found: dict[str, Any] = {}
    for part in header.split(","):
        name, has_value, text = part.strip().partition("=")
        name = name.strip().lower()
        if name in _FLAGS:
            found[_FLAGS[name]] = True
        elif name in _SECONDS:
            found[_SECONDS[name]] = _seconds(name, text.strip().strip('"'), bool(has_value))
    return PLAIN if not found else Directives(**found)


def _seconds(name: str, text: str, has_value: bool) -> float:  # noqa: FBT001 - the header's own two facts
    if text.isascii() and text.isdigit():
        return float(text)
    if name == "max-stale":
        return 0.0 if has_value else float("inf")
    return 0.0 if name == "max-age" else float("inf")
