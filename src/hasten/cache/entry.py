"""A stored value in its envelope: what it is, whose it is, how long it may live.

Owns the envelope's form and the checks on reading one. Leaves what its times
mean to ``decide`` and where it lies to ``tiers``. Pure.

The bytes are a CRC-32 over the rest, then the envelope as MessagePack. Whatever
does not match on reading, a byte, the format, the digest or the tenant, makes
the entry unreadable, and the reader takes that for a miss.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal

import msgspec

from hasten.cache.key import Part, Scope, mark
from hasten.errors import CodecError

if TYPE_CHECKING:
    from hasten.cache.key import Key

FORMAT = 1
"""The envelope's format number; an entry of any other is a miss."""

_CRC_BYTES = 4

Kind = Literal["value", "negative", "error"]


class Provenance(msgspec.Struct, frozen=True, array_like=True):
    """Where a value comes from: the run that computed it, what it cost, what it was built from.

    ``built_from`` are the digests of the entries used on the way.
    """

    run_id: str = ""
    compute_s: float = 0.0
    cost_usd: float = 0.0
    built_from: tuple[bytes, ...] = ()


class CacheEntry(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One stored value. Times are seconds since the Unix epoch.

    They are ``Clock.now()``, which has no speed: the run that reads an entry has
    another clock than the one that made it. Only ``compute_s`` is a duration on the
    clock of the run that made it.

    It is fresh until ``fresh_until_s`` (``None``: for ever), may be served stale
    while it is computed anew until ``revalidate_until_s``, and may stand in for
    an error until ``error_until_s``. It was filled in at ``generation``, and is dead
    as soon as one of its ``marks`` was bumped after the generation given for it.
    ``body`` is ``codec.encode`` of the value, or of an error's code and message.
    """

    format: int = FORMAT
    digest: bytes
    use: str
    version: str
    scope: Scope
    tenant: str
    user: str
    session: str
    label: str
    kind: Kind
    created_s: float
    fresh_until_s: float | None
    revalidate_until_s: float
    error_until_s: float
    generation: int
    is_kept: bool = False
    marks: dict[bytes, int]
    tags: tuple[str, ...]
    parts: tuple[Part, ...]
    provenance: Provenance
    body: bytes

    @property
    def until_s(self) -> float | None:
        """When the entry is of no use to anybody any more; ``None``: never."""
        if self.fresh_until_s is None:
            return None
        return max(self.fresh_until_s, self.revalidate_until_s, self.error_until_s)

    @property
    def owner(self) -> bytes:
        """The mark of the person the value belongs to; empty when it is nobody's."""
        return mark("user", self.tenant, self.user) if self.user else b""

    def age_s(self, now_s: float) -> float:
        """Return how long ago the value was computed; never below 0, clocks differ."""
        return max(now_s - self.created_s, 0.0)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CacheEntry).decode


def seal(entry: CacheEntry) -> bytes:
    """Return ``entry`` as the bytes a store keeps."""
    body = _encode(entry)
    return zlib.crc32(body).to_bytes(_CRC_BYTES) + body


def unseal(data: bytes) -> CacheEntry:
    """Return the entry in ``data``. Raises ``CodecError`` for bytes that are not whole."""
    body = memoryview(data)[_CRC_BYTES:]
    if zlib.crc32(body).to_bytes(_CRC_BYTES) != data[:_CRC_BYTES]:
        message = f"a cache entry of {len(data)} bytes does not match its checksum"
        raise CodecError(message)
    try:
        entry = _decode(body)
    except msgspec.MsgspecError as error:
        message = f"not a cache entry of format {FORMAT}: {error}"
        raise CodecError(message) from error
    if entry.format != FORMAT:
        message = f"a cache entry of format {entry.format}; this version reads {FORMAT}"
        raise CodecError(message)
    return entry


def unseal_for(key: Key, data: bytes) -> CacheEntry:
    """Return the entry in ``data`` if it is the one ``key`` asks for.

    Raises ``CodecError`` otherwise: a store that answers with somebody else's
    bytes must never be believed.
    """
    entry = unseal(data)
    if entry.digest != key.digest or entry.tenant != key.tenant or entry.user != key.user:
        message = "a store gave back the entry of another key"
        raise CodecError(message)
    return entry
