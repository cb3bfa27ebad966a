"""The encoding: everything it takes comes back, everything broken is a ``CodecError``."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import threading
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hasten import codec
from hasten.errors import CodecError

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner, max_size=8),
    max_leaves=30,
)


class Place(msgspec.Struct, frozen=True):
    """A struct that holds another kind of record and a date."""

    name: str
    at: dt.datetime


@dataclass
class Point:
    """A plain dataclass."""

    x: int
    y: float


class Poem(BaseModel):
    """A pydantic model with a field that JSON has no type for."""

    title: str
    written: dt.date


@given(values)
def test_round_trip(value: Any) -> None:
    """What MessagePack carries comes back equal."""
    assert codec.decode(codec.encode(value)) == value


@given(values)
def test_same_value_same_bytes(value: Any) -> None:
    """Encoding has no hidden state: the second time gives the same bytes."""
    assert codec.encode(value) == codec.encode(value)


POEM = Poem(title="t", written=dt.date(2026, 1, 2))


@pytest.mark.parametrize(
    ("value", "as_type"),
    [
        (Place("a", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)), Place),
        (Point(1, 2.5), Point),
        (POEM, Poem),
        ([Point(1, 2.5)], list[Point]),
        ((POEM, POEM), tuple[Poem, ...]),
        ({"a": POEM, "b": None}, dict[str, Poem | None]),
    ],
)
def test_round_trip_of_records(value: Any, as_type: Any) -> None:
    """Structs, dataclasses and pydantic models come back as their own type, in containers too."""
    assert codec.decode(codec.encode(value), as_type) == value


def test_nan_survives() -> None:
    """NaN equals nothing, so it has its own check."""
    assert math.isnan(codec.decode(codec.encode(math.nan)))


def test_large_values_are_compressed_where_it_pays() -> None:
    """Long repetitive text shrinks, long random bytes stay plain, both come back."""
    text, noise = "market trends " * 1_000, bytes(range(256)) * 16
    shuffled = bytes((7 * n * n + 13 * n + (n >> 3)) % 251 for n in range(3_000))
    assert len(codec.encode(text)) < len(text) / 10
    for value in (text, noise, shuffled):
        assert codec.decode(codec.encode(value)) == value
    assert codec.encode("x" * codec.COMPRESS_ABOVE_BYTES)[1] == 1
    assert codec.encode("x" * (codec.COMPRESS_ABOVE_BYTES - 100))[1] == 0


_endless: list[Any] = []
_endless.append(_endless)


@pytest.mark.parametrize("value", [object(), 2**65, "\ud800", _endless, {"a": [object()]}])
def test_what_has_no_form_is_refused(value: Any) -> None:
    """A value that bytes cannot carry is an error of ours, never a foreign one."""
    with pytest.raises(CodecError):
        codec.encode(value)


@pytest.mark.parametrize("value", [object(), _endless])
def test_plain_form_refuses_too(value: Any) -> None:
    """The plain form has the same limits as the bytes."""
    with pytest.raises(CodecError):
        codec.to_plain(value)


def test_plain_form_is_json() -> None:
    """Records become dicts, dates and keys become text."""
    value = {"p": Poem(title="t", written=dt.date(2026, 1, 2)), 3: Point(1, 2.5)}
    expected = {"p": {"title": "t", "written": "2026-01-02"}, "3": {"x": 1, "y": 2.5}}
    assert json.loads(json.dumps(codec.to_plain(value))) == codec.to_plain(value) == expected


def test_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on size is checked when writing."""
    monkeypatch.setattr(codec, "MAX_BYTES", 100)
    with pytest.raises(CodecError, match="above the 100 allowed"):
        codec.encode("x" * 101)


def test_a_wrong_type_is_named() -> None:
    """A value of another type than asked for is broken bytes to its reader."""
    with pytest.raises(CodecError, match="Expected `int`"):
        codec.decode(codec.encode("seven"), int)
    with pytest.raises(CodecError, match="written"):
        codec.decode(codec.encode({"title": "t"}), Poem)
    with pytest.raises(CodecError, match="can be made of stored bytes"):
        codec.decode(codec.encode("seven"), threading.Thread)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x02\x00\xc0",
        b"\x01\x07\xc0",
        b"\x01\x00",
        b"\x01\x00\xc0\xc0",
        b"\x01\x01not a frame",
        b"\x01\x00" + b"\x91" * 100_000,
        b"\x01\x01\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little") + b"\x01\x00\x00",
    ],
    ids=["empty", "short", "format", "mark", "no body", "tail", "frame", "deep", "huge"],
)
def test_broken_bytes(data: bytes) -> None:
    """Each way of being broken is a ``CodecError``, including a frame that claims 2^60 bytes."""
    with pytest.raises(CodecError):
        codec.decode(data)


@given(values, st.data())
def test_damaged_bytes_never_raise_anything_else(value: Any, data: st.DataObject) -> None:
    """Flipping, cutting or adding bytes gives another value or a ``CodecError``."""
    whole = bytearray(codec.encode([value, "long text " * 300]))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.binary(max_size=4))
    with contextlib.suppress(CodecError):
        codec.decode(bytes(whole[:cut]) + tail)
