"""Keys: distinct inputs never share a digest, equal inputs always do."""

from __future__ import annotations

import datetime as dt
import enum
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from hasten.cache.key import Key, make_key, mark, text_of
from hasten.caller import Caller
from hasten.errors import CodecError, InvalidInput

ALICE = Caller("acme", "alice")


def digest(*values: Any) -> bytes:
    """Return the digest of a key whose fields are ``values``, by position."""
    return make_key("use", {str(place): one for place, one in enumerate(values)}, ALICE).digest


class Colour(enum.Enum):
    """An enumeration in a key."""

    RED = "red"


class Struct(msgspec.Struct):
    """A struct in a key."""

    name: str


class Model(BaseModel):
    """A pydantic model in a key; it takes fields it does not declare."""

    model_config = ConfigDict(extra="allow")
    name: str


@dataclass
class Record:
    """A dataclass in a key."""

    name: str


DISTINCT: list[Any] = [
    1, 1.0, True, "1", b"1", None, "", b"", [], {}, [1], ["1"], [[1]], {"a": 1}, {"a": "1"}, {1: 1},
    0, 0.0, -0.0, False, "null", "true", "a:b", ["a", "b"], "a\x00b", {1}, {1, 2}, frozenset(),
    2**64, str(2**64), -(2**63) - 1, "\ud800", "\ud801", "\u00e9", "e\u0301",
    dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, microsecond=1),  # noqa: DTZ001 - naive on purpose
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.date(2026, 1, 1),
    "2026-01-01 00:00:00", Decimal(1), Decimal("1.0"), Colour.RED, "red",
    Struct("x"), Model(name="x"), Model(name="x", more=1), Record("x"), {"name": "x"},
]  # fmt: skip


def test_distinct_values_have_distinct_digests() -> None:
    """Types count, not only what a value looks like."""
    assert len({digest(value) for value in DISTINCT}) == len(DISTINCT)


def test_equal_inputs_have_one_digest() -> None:
    """Neither the order of fields nor that of dicts and sets matters; a tuple is a list."""
    assert (
        make_key("u", {"a": 1, "b": 2}, ALICE).digest
        == make_key("u", {"b": 2, "a": 1}, ALICE).digest
    )
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({3, 1, 2}) == digest({1, 2, 3})
    assert digest((1, (2,))) == digest([1, [2]])


def test_a_native_value_beside_an_odd_one_keeps_its_digest() -> None:
    """The short way of encoding and the long one give the same bytes."""
    fields = {"a": "x", "b": 1.5, "c": None}
    short = make_key("u", fields, ALICE).digest
    hidden = make_key("u", {**fields, "d": [1]}, ALICE)
    assert make_key("u", dict(fields), ALICE).digest == short
    assert hidden.digest == make_key("u", {"d": (1,), **fields}, ALICE).digest != short


def test_what_stands_beside_the_fields_counts() -> None:
    """Use, version, tenant, user and session are part of the digest, as the scope says."""
    fields = {"a": 1}
    bob, eve = Caller("acme", "bob"), Caller("evil", "alice")
    keys = [
        make_key("use", fields, ALICE),
        make_key("use2", fields, ALICE),
        make_key("use", fields, ALICE, version="2"),
        make_key("use", fields, eve),
        make_key("use", fields, ALICE, scope="public"),
        make_key("use", fields, ALICE, scope="user"),
        make_key("use", fields, bob, scope="user"),
        make_key("use", fields, ALICE, scope="session", session="s1"),
        make_key("use", fields, ALICE, scope="session", session="s2"),
        make_key("use", fields, bob, scope="session", session="s1"),
    ]
    assert len({key.digest for key in keys}) == len(keys)
    assert make_key("use", fields, bob).digest == keys[0].digest
    assert make_key("use", fields, eve, scope="public").digest == keys[4].digest


def test_session_scope_needs_a_session() -> None:
    """A session-scoped key without one would be shared by all sessions."""
    with pytest.raises(InvalidInput, match="pass session="):
        make_key("use", {}, ALICE, scope="session")


def test_a_value_without_a_canonical_form_is_refused() -> None:
    """An object's address is no identity; the message says what would do."""
    with pytest.raises(CodecError, match="cannot be part of a cache key"):
        digest(object())
    with pytest.raises(CodecError, match="a type cannot"):
        digest(Record)


def test_separators_move_nothing() -> None:
    """Moving a separator from one field, name or tenant to the next gives another key."""
    seen = set()
    for glue in (":", "\x00", "|", "\x1f", "=", " "):
        for tenant, user, name, value in (
            ("a", f"b{glue}c", "n", "v"),
            (f"a{glue}b", "c", "n", "v"),
            ("a", "b", f"c{glue}n", "v"),
            ("a", "b", "c", f"n{glue}v"),
        ):
            seen.add(make_key("use", {name: value}, Caller(tenant, user), scope="user").digest)
    assert len(seen) == 6 * 4


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """Return a form that, unlike ``==``, tells 1 from 1.0 from True and 0.0 from -0.0."""
    if isinstance(value, dict):
        return ("dict", frozenset((name, typed(one)) for name, one in value.items()))
    if isinstance(value, list):
        return ("list", tuple(typed(one) for one in value))
    return (type(value).__name__, repr(value))


@given(values, values)
def test_digests_are_equal_exactly_when_inputs_are(one: Any, other: Any) -> None:
    """The encoding is injective and deterministic over nested plain values."""
    assert (digest(one) == digest(other)) == (typed(one) == typed(other))


@given(st.lists(st.text(alphabet=":\x00ab", max_size=6), max_size=4).map(tuple),
       st.lists(st.text(alphabet=":\x00ab", max_size=6), max_size=4).map(tuple))  # fmt: skip
def test_lists_of_hostile_text_never_collide(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Whatever separators the texts hold, their borders stay where they are."""
    assert (digest(*one) == digest(*other)) == (one == other)


def hostile(count: int) -> int:
    """Return how many of ``count`` distinct inputs, full of separators, share a digest."""
    draw = random.Random(7)
    pieces = ["a", "b", ":", "\x00", "|", "é", "é", "1", "", "a:b"]
    inputs: set[tuple[str, ...]] = set()
    while len(inputs) < count:
        inputs.add(tuple("".join(draw.choices(pieces, k=4)) for _ in range(draw.randint(1, 5))))
    return count - len({digest(*one) for one in inputs})


def test_no_collision_among_many_hostile_inputs() -> None:
    """20,000 distinct inputs made of separators have 20,000 digests."""
    assert hostile(20_000) == 0


@pytest.mark.slow
def test_no_collision_among_a_million_hostile_inputs() -> None:
    """The same with a million."""
    assert hostile(1_000_000) == 0


def test_label_shows_short_values_and_hides_long_ones() -> None:
    """A person can read a label; a long or unprintable text is in it as a digest only."""
    story = "I was dismissed from my last position for reasons I do not share"
    key = make_key("tool", {"area": "AI", "story": story, "flag": True, "odd": "a\nb"}, ALICE)
    assert key.label.startswith("tool area=AI flag=true odd=sha256:")
    assert "dismissed" not in key.label
    assert [part.name for part in key.parts()][:4] == ["version", "scope", "user", "session"]


def test_marks_name_all_a_value_can_be_dropped_by() -> None:
    """Key, use, user, session, fields and tags, each inside the key's tenant."""
    key = make_key("tool", {"area": "AI"}, ALICE, scope="session", session="s1")
    assert set(key.marks(["market:AI"])) == {
        mark("key", "acme", key.digest.hex()),
        mark("use", "acme", "tool"),
        mark("user", "acme", "alice"),
        mark("session", "acme", "s1"),
        mark("field", "acme", "area", "AI"),
        mark("tag", "acme", "market:AI"),
    }
    shared = make_key("tool", {"area": "AI"}, ALICE)
    assert mark("user", "acme", "alice") not in shared.marks()
    assert not set(make_key("tool", {"area": "AI"}, Caller("evil", "alice")).marks()) & set(
        shared.marks()
    )


def test_text_of_writes_values_as_people_do() -> None:
    """So that ``invalidate --field flag=true`` finds them."""
    assert [text_of(one) for one in (True, None, 5, "x", Colour.RED)] == [
        "true",
        "null",
        "5",
        "x",
        "red",
    ]


def test_keys_carry_what_they_were_made_from() -> None:
    """A key is a record: its scope, its tenant and its fields can be read."""
    key = make_key("use", {"a": 1}, ALICE, scope="public")
    assert isinstance(key, Key)
    assert (key.tenant, key.user, key.session, key.scope) == ("", "", "", "public")
