"""Policies and request directives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.cache.policy import PLAIN, CachePolicy, Directives, parse_cache_control
from hasten.caller import Caller
from hasten.errors import InvalidInput

ALICE = Caller("acme", "alice")


def test_only_declared_fields_make_the_key() -> None:
    """What is not declared cannot change the key, so it cannot be in the value either."""
    policy = CachePolicy(use="trends", fields=("area",), version="3")
    one = policy.key({"area": "AI", "story": "mine"}, ALICE)
    other = policy.key({"area": "AI", "story": "yours"}, ALICE)
    assert one.digest == other.digest
    assert (dict(one.fields), one.version) == ({"area": "AI"}, "3")
    every = CachePolicy(use="trends")
    assert (
        every.key({"area": "AI", "x": 1}, ALICE).digest
        != every.key({"area": "AI", "x": 2}, ALICE).digest
    )


def test_what_is_ignored_makes_no_key() -> None:
    """Without declared fields all but the ignored ones count."""
    policy = CachePolicy(use="t", ignore=("client",))
    one, other = [policy.key({"q": "a", "client": client}, ALICE) for client in (object(), None)]
    assert one.digest == other.digest
    assert dict(one.fields) == {"q": "a"}
    assert policy.key({"q": "b"}, ALICE).digest != one.digest


def test_a_missing_key_field_is_named() -> None:
    """A key that lacks a part would be shared too widely."""
    with pytest.raises(InvalidInput, match="'area' is missing") as caught:
        CachePolicy(use="trends", fields=("area",)).key({}, ALICE)
    assert caught.value.field == "area"


def test_tags_take_values_from_the_key() -> None:
    """And a tag that names no field says so."""
    policy = CachePolicy(use="t", tags=("market", "market:{area}", "on:{flag}"))
    assert policy.tags_of(policy.key({"area": "AI", "flag": True}, ALICE)) == (
        "market",
        "market:AI",
        "on:true",
    )
    with pytest.raises(InvalidInput, match="no field of its key"):
        policy.tags_of(policy.key({"area": "AI"}, ALICE))


@pytest.mark.parametrize(
    "wrong", [{"use": ""}, {"ttl_s": 0}, {"ttl_s": -1}, {"jitter": 1}, {"jitter": -0.1}]
)
def test_a_policy_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    """At the place where it is written, naming the field."""
    with pytest.raises(InvalidInput) as caught:
        CachePolicy(**{"use": "t", **wrong})  # type: ignore[arg-type]
    assert caught.value.field in wrong


def test_tightening_never_widens() -> None:
    """A caller may narrow the scope and shorten the life, nothing else."""
    policy = CachePolicy(use="t", scope="user", ttl_s=100)
    assert policy.tightened(scope="public", ttl_s=1000) == policy
    narrow = policy.tightened(scope="session", ttl_s=10)
    assert (narrow.scope, narrow.ttl_s) == ("session", 10)
    forever = CachePolicy(use="t", ttl_s=None)
    assert forever.tightened().ttl_s is None
    assert forever.tightened(ttl_s=5).ttl_s == 5


@pytest.mark.parametrize(
    ("header", "meaning"),
    [
        ("", PLAIN),
        ("unknown, private=x", PLAIN),
        ("no-cache", Directives(no_cache=True)),
        ("No-Store , ONLY-IF-CACHED", Directives(no_store=True, only_if_cached=True)),
        ("max-age=60", Directives(max_age_s=60)),
        ('max-age="60"', Directives(max_age_s=60)),
        ("max-age=soon", Directives(max_age_s=0)),
        ("max-age=-1", Directives(max_age_s=0)),
        ("max-stale", Directives(max_stale_s=math.inf)),
        ("max-stale=5, min-fresh=3", Directives(max_stale_s=5, min_fresh_s=3)),
        ("max-stale=x", Directives(max_stale_s=0)),
        ("min-fresh=x", Directives(min_fresh_s=math.inf)),
    ],
)
def test_cache_control_is_read_as_the_rfc_says(header: str, meaning: Directives) -> None:
    """RFC 9111 section 5.2.1; what cannot be read is taken strictly."""
    assert parse_cache_control(header) == meaning


@given(st.text())
def test_no_header_breaks_the_parser(header: str) -> None:
    """Whatever a client sends, there is an answer."""
    assert isinstance(parse_cache_control(header), Directives)
