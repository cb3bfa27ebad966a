"""Chance that can be repeated, today and next year."""

from __future__ import annotations

from hasten.model.base import Request
from hasten.model.draw import digest_of, draw


def test_draws_are_the_same_in_every_process() -> None:
    """A figure written down here once: runs recorded long ago can be run again."""
    assert draw(1, "a").random() == 0.6483407099493149
    assert digest_of(Request.ask("x")).hex() == "60f3b655d579d84f90aa99ffd20e0185"


def test_every_part_counts_and_parts_do_not_run_together() -> None:
    """Another seed, another part, the same letters cut elsewhere: other draws."""
    parts = [(1, "ab", "c"), (1, "a", "bc"), (1, "abc"), (2, "ab", "c"), (1, "ab", b"d")]
    draws = {draw(*part).random() for part in parts}
    assert len(draws) == len(parts)


def test_the_digest_sees_all_of_a_request_and_not_the_order_of_keys() -> None:
    """Equal requests have equal digests, and a field more makes another."""
    one = Request.ask("x", extra={"a": 1, "b": 2})
    two = Request.ask("x", extra={"b": 2, "a": 1})
    assert digest_of(one) == digest_of(two)
    digests = {
        digest_of(request)
        for request in (
            one,
            Request.ask("x"),
            Request.ask("x", seed=0),
            Request.ask("x", model="m"),
        )
    }
    assert len(digests) == 4
