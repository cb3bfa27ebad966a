"""What a cached value is found by: a digest over everything that changes the answer.

Owns the encoding that digests are made from and the marks that invalidation
goes by. Leaves which fields go in to ``policy``. Pure: no I/O and no clock.

The encoding is MessagePack, which is typed and prefixes every part with its
length, so ``a:b`` + ``c`` and ``a`` + ``b:c`` differ, and so do ``1``, ``1.0``,
``True`` and ``"1"``. The tenant comes first. Types MessagePack does not know
become extensions, which no plain value can imitate. Text is taken as it is:
NFC and NFD are two keys, because a model answers the two differently.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import pathlib
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.errors import CodecError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hasten.caller import Caller

Scope = Literal["public", "tenant", "user", "session", "request"]
"""Who shares a value: everybody, one tenant, one person, one session, one request."""

SHOWN_CHARS = 40
"""Longer values appear in labels as a digest; nobody reads them, and they may be private."""

MARK_BYTES = 16

_WHOLE = 4
"""A key's parts begin with so many that are not fields."""

_KEY_DOMAIN, _PART_DOMAIN, _MARK_DOMAIN = "hasten key 1", "hasten part 1", "hasten mark 1"
_NATIVE = frozenset({str, bytes, int, float, bool, type(None)})
_BIG_INT, _ODD_TEXT, _MAPPING, _SET, _ATOM, _RECORD = range(1, 7)
_ATOMS = (
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
    pathlib.PurePath,
)
_encode = msgspec.msgpack.Encoder().encode


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One part of a key as it is kept for ``explain``: its name, its digest, what people see."""

    name: str
    digest: bytes
    shown: str


class Key(msgspec.Struct, frozen=True, eq=False):
    """A key: ``digest`` finds the value, the rest says what it was made from.

    ``tenant`` is empty for a public value; ``user`` and ``session`` are empty
    unless the scope is as narrow as that.
    """

    digest: bytes
    use: str
    version: str
    scope: Scope
    tenant: str
    user: str
    session: str
    fields: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The key in words: its use, and each field with its value or the value's digest."""
        return self.label_of(self.parts())

    def label_of(self, parts: Sequence[Part]) -> str:
        """Return the label, made of the key's own ``parts``."""
        shown = [f"{part.name}={part.shown}" for part in parts[_WHOLE:]]
        return " ".join((self.use, *shown))

    def parts(self) -> tuple[Part, ...]:
        """Return every part that went into the digest, named, for comparing two keys."""
        whole = {
            "version": self.version,
            "scope": self.scope,
            "user": self.user,
            "session": self.session,
        }
        named = [*whole.items(), *((name, self.fields[name]) for name in sorted(self.fields))]
        return tuple(_part(name, value) for name, value in named)

    def marks(self, tags: Iterable[str] = ()) -> tuple[bytes, ...]:
        """Return the marks by which a value under this key can be invalidated."""
        tenant = self.tenant
        found = [mark("key", tenant, self.digest.hex()), mark("use", tenant, self.use)]
        if self.user:
            found.append(mark("user", tenant, self.user))
        if self.session:
            found.append(mark("session", tenant, self.session))
        found += [mark("field", tenant, name, text_of(self.fields[name])) for name in self.fields]
        found += [mark("tag", tenant, tag) for tag in tags]
        return tuple(found)


MarkKind = Literal["key", "use", "user", "session", "field", "tag", "fill"]
"""What a mark is of; ``fill``: everything that is being computed for a tenant."""


def make_key(
    use: str,
    fields: Mapping[str, Any],
    caller: Caller,
    *,
    scope: Scope = "tenant",
    version: str = "1",
    session: str = "",
) -> Key:
    """Return the key of ``fields`` for ``use`` within ``scope``.

    Raises ``CodecError`` for a field no digest can be made of, and
    ``InvalidInput`` for session scope without a session.
    """
    tenant = "" if scope == "public" else caller.tenant
    user = "" if scope in {"public", "tenant"} else caller.user
    if scope != "session":
        session = ""
    elif not session:
        message = f"use {use!r} is cached per session: pass session="
        raise InvalidInput(message, field="session", value=session)
    values: list[Any] = [_KEY_DOMAIN, tenant, scope, user, session, use, version]
    is_native = True
    for name in sorted(fields):
        value = fields[name]
        values.append(name)
        values.append(value)
        if type(value) not in _NATIVE:
            is_native = False
    return Key(
        hashlib.sha256(_pack(values, is_native=is_native)).digest(),
        use,
        version,
        scope,
        tenant,
        user,
        session,
        fields,
    )


def mark(kind: MarkKind, tenant: str, *words: str) -> bytes:
    """Return the mark of one thing values can be invalidated by, inside one tenant."""
    return digest_of(_MARK_DOMAIN, kind, tenant, *words)[:MARK_BYTES]


def text_of(value: object) -> str:
    """Return a field's value as a person writes it: ``true``, ``null``, ``5``, the text itself."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, enum.Enum):
        return text_of(value.value)
    return value if isinstance(value, str) else str(value)


def _part(name: str, value: object) -> Part:
    digest = digest_of(_PART_DOMAIN, value)
    text = text_of(value)
    is_short = len(text) <= SHOWN_CHARS and text.isprintable()
    return Part(name, digest[:8], text if is_short else f"sha256:{digest[:6].hex()}")


def digest_of(*parts: object) -> bytes:
    """Return the digest of plain values. Raises ``CodecError`` for one there is none of."""
    is_native = all(type(part) in _NATIVE for part in parts)
    return hashlib.sha256(_pack(list(parts), is_native=is_native)).digest()


def _pack(values: list[Any], *, is_native: bool) -> bytes:
    """Encode ``values``; the short way gives the same bytes and is taken when it can be."""
    if is_native:
        try:
            return _encode(values)
        except (OverflowError, UnicodeEncodeError):
            pass
    return _encode([_canonical(value) for value in values])


def _canonical(value: Any) -> Any:
    """Return ``value`` as something MessagePack encodes in one way only."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _tagged(_BIG_INT, str(value))
    if kind in _NATIVE:
        return value
    if kind in (list, tuple):
        return [_canonical(one) for one in value]
    if isinstance(value, dict):
        pairs = sorted((_encode(_canonical(name)), _canonical(value[name])) for name in value)
        return _tagged(_MAPPING, pairs)
    if isinstance(value, (set, frozenset)):
        return _tagged(_SET, sorted(_encode(_canonical(one)) for one in value))
    return _canonical_object(value)


def _canonical_object(value: Any) -> Any:
    name = type(value).__qualname__
    if isinstance(value, enum.Enum):
        return _tagged(_ATOM, [name, _canonical(value.value)])
    if isinstance(value, _ATOMS):
        return _tagged(_ATOM, [name, str(value)])
    fields = _fields(value)
    if fields is None:
        message = f"a {name} cannot be part of a cache key: pass plain values or a record"
        raise CodecError(message)
    return _tagged(_RECORD, [name, _canonical(fields)])


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a struct, dataclass or pydantic model; ``None`` for another value."""
    kind: Any = type(value)
    names = _field_names(kind)
    if names is None:
        return None
    fields = {name: getattr(value, name) for name in names}
    extra = getattr(value, "__pydantic_extra__", None)
    return fields | extra if extra else fields


@lru_cache(maxsize=4_096)
def _field_names(kind: Any) -> tuple[str, ...] | None:
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    if dataclasses.is_dataclass(kind):
        return tuple(one.name for one in dataclasses.fields(kind))
    model_fields = getattr(kind, "model_fields", None)
    return tuple(model_fields) if isinstance(model_fields, dict) else None


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return _tagged(_ODD_TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def _tagged(kind: int, body: object) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(kind, _encode(body))
