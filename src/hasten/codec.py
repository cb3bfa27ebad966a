"""Values to bytes and back, with a format number; never pickle.

Owns the one encoding every store keeps: a format byte, a compression byte, a
MessagePack body, and Zstandard above ``COMPRESS_ABOVE_BYTES`` where it pays.
Leaves envelopes, digests and tenants to ``cache/entry``.
"""

from __future__ import annotations

import threading
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from hasten.errors import CodecError

if TYPE_CHECKING:
    import zstandard

T = TypeVar("T")

FORMAT = 1
"""The format number written today; a reader treats any other as unreadable."""

COMPRESS_ABOVE_BYTES = 2_048
MAX_BYTES = 1 << 30
"""No value is larger than this, so broken bytes cannot ask for all the memory there is."""

_PLAIN, _ZSTD = 0, 1
_HEADER_BYTES = 2


def encode(value: object) -> bytes:
    """Return ``value`` as bytes.

    Takes what MessagePack carries, plus msgspec structs, dataclasses, dates,
    and pydantic models (as their fields). Raises ``CodecError`` for anything else,
    for a value that contains itself, and above ``MAX_BYTES``.
    """
    try:
        body = _encoder().encode(value)
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        message = f"a {type(value).__name__} cannot be stored: {error}"
        raise CodecError(message) from error
    if len(body) > MAX_BYTES:
        message = f"a {type(value).__name__} of {len(body)} bytes is above the {MAX_BYTES} allowed"
        raise CodecError(message)
    if len(body) > COMPRESS_ABOVE_BYTES:
        packed = _per_thread.compressor.compress(body)
        if len(packed) < len(body):
            return bytes((FORMAT, _ZSTD)) + packed
    return bytes((FORMAT, _PLAIN)) + body


@overload
def decode(data: bytes) -> Any: ...
@overload
def decode(data: bytes, as_type: type[T]) -> T: ...
def decode(data: bytes, as_type: Any = Any) -> Any:
    """Return the value that ``encode`` made ``data`` from, checked against ``as_type``.

    Raises ``CodecError`` for another format number, broken bytes, or a value of another type.
    """
    if len(data) < _HEADER_BYTES or data[0] != FORMAT or data[1] not in (_PLAIN, _ZSTD):
        message = f"not in format {FORMAT}: starts with {data[:_HEADER_BYTES].hex() or 'nothing'}"
        raise CodecError(message)
    try:
        body = data[_HEADER_BYTES:]
        if data[1] == _ZSTD:
            body = _decompress(body)
        return msgspec.msgpack.decode(body, type=as_type, dec_hook=_model)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        message = f"broken bytes: {error}"
        raise CodecError(message) from error


def to_plain(value: object) -> Any:
    """Return ``value`` as what JSON can carry: dicts, lists, strings, numbers.

    Raises ``CodecError`` for a value that has no such form.
    """
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"a {type(value).__name__} has no plain form: {error}"
        raise CodecError(message) from error


def _plain(value: object) -> object:
    """Give msgspec the fields of a pydantic model; refuse anything else by raising."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        message = f"objects of type {type(value).__name__} have no portable form"
        raise TypeError(message)
    return dump(mode="json")


def _model(as_type: Any, fields: object) -> object:
    """Make a pydantic model of its fields; refuse any other type by raising."""
    validate = getattr(as_type, "model_validate", None)
    if validate is None:
        message = f"no {as_type} can be made of stored bytes"
        raise TypeError(message)
    return validate(fields)


@cache
def _encoder() -> msgspec.msgpack.Encoder:
    return msgspec.msgpack.Encoder(enc_hook=_plain)


class _PerThread(threading.local):
    """Zstandard's tools, which no two threads may use at once and which are dear to make."""

    @cached_property
    def compressor(self) -> zstandard.ZstdCompressor:
        """Make the compressor when it is first used."""
        import zstandard

        return zstandard.ZstdCompressor(level=1)

    @cached_property
    def decompressor(self) -> zstandard.ZstdDecompressor:
        """Make the decompressor when it is first used."""
        import zstandard

        return zstandard.ZstdDecompressor()


_per_thread = _PerThread()


def _decompress(body: bytes) -> bytes:
    import zstandard

    try:
        size_bytes = zstandard.frame_content_size(body)
        if size_bytes > MAX_BYTES:
            message = f"claims to hold {size_bytes} bytes"
            raise ValueError(message)
        return _per_thread.decompressor.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
