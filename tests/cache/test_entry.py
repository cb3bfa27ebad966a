"""Envelopes: what was sealed comes back, and nothing else ever does."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import codec
from hasten.cache import entry as entries
from hasten.cache.entry import CacheEntry, Provenance, seal, unseal, unseal_for
from hasten.cache.key import Key, make_key
from hasten.caller import Caller
from hasten.errors import CodecError

ALICE = Caller("acme", "alice")


def an_entry(key: Key, value: object = "answer", **changes: object) -> CacheEntry:
    """Return an entry under ``key``, made at 1,000 s and fresh until 1,100 s."""
    fields = {
        "digest": key.digest, "use": key.use, "version": key.version, "scope": key.scope,
        "tenant": key.tenant, "user": key.user, "session": key.session, "label": key.label,
        "kind": "value", "created_s": 1000.0, "fresh_until_s": 1100.0,
        "revalidate_until_s": 1100.0, "error_until_s": 1100.0, "generation": 1,
        "marks": dict.fromkeys(key.marks(), 1), "tags": (), "parts": key.parts(),
        "provenance": Provenance(), "body": codec.encode(value),
    }  # fmt: skip
    return CacheEntry(**{**fields, **changes})  # type: ignore[arg-type]


KEY = make_key("use", {"a": 1}, ALICE)
SEALED = seal(an_entry(KEY, {"text": "x" * 50}))


def test_an_entry_survives_sealing() -> None:
    """Every field comes back as it was."""
    entry = an_entry(KEY, provenance=Provenance("run_1", 2.5, 0.01, (b"d",)), tags=("t",))
    assert unseal_for(KEY, seal(entry)) == entry


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_changed_byte_makes_an_entry_unreadable(place: int, change: int) -> None:
    """Whichever byte a disk or a network spoils."""
    spoilt = bytearray(SEALED)
    spoilt[place] ^= change
    with pytest.raises(CodecError):
        unseal(bytes(spoilt))


@given(st.integers(0, len(SEALED) - 1))
def test_a_cut_entry_is_unreadable(length: int) -> None:
    """Wherever a write was interrupted."""
    with pytest.raises(CodecError):
        unseal(SEALED[:length])


def test_an_entry_of_another_key_is_refused() -> None:
    """Another digest, tenant or user: the store is not believed."""
    others = [
        make_key("use", {"a": 2}, ALICE),
        make_key("use", {"a": 1}, Caller("evil", "alice")),
        make_key("use", {"a": 1}, Caller("acme", "bob"), scope="user"),
    ]
    for other in others:
        with pytest.raises(CodecError, match="another key"):
            unseal_for(other, SEALED)
    forged = seal(an_entry(KEY, tenant="evil"))
    with pytest.raises(CodecError, match="another key"):
        unseal_for(KEY, forged)


def test_another_format_is_refused() -> None:
    """An envelope of a later version, or no envelope at all, is a miss."""
    later = seal(an_entry(KEY, format=entries.FORMAT + 1))
    with pytest.raises(CodecError, match="this version reads"):
        unseal(later)
    body = msgspec.msgpack.encode(["not", "an", "entry"])
    framed = entries.zlib.crc32(body).to_bytes(4) + body
    with pytest.raises(CodecError, match="not a cache entry"):
        unseal(framed)


def test_an_entry_is_of_use_until_its_last_window_ends() -> None:
    """Stores may drop it then, and not before; without an end, never."""
    entry = an_entry(KEY, revalidate_until_s=1200.0, error_until_s=1500.0)
    assert entry.until_s == 1500.0
    assert an_entry(KEY, fresh_until_s=None).until_s is None
    assert (entry.age_s(1010.0), entry.age_s(990.0)) == (10.0, 0.0)
