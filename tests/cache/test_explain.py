"""Explanations: the deciding reason, and the part of the key that differs."""

from __future__ import annotations

from hasten.cache.decide import Fresh, Miss, Stale
from hasten.cache.explain import Difference, Explanation, nearest
from hasten.cache.key import make_key
from hasten.caller import Caller
from tests.cache.test_entry import an_entry

ALICE = Caller("acme", "alice")


def key(caller: Caller = ALICE, version: str = "1", **fields: object):  # noqa: ANN201 - a Key
    """Return a key of the tool."""
    return make_key("tool", fields, caller, version=version)


def test_a_near_miss_names_the_part_that_differs() -> None:
    """The nearest first; what both share is not told."""
    stored = [
        an_entry(key(area="AI", style="team", budget=5)),
        an_entry(key(area="AI", style="solo", budget=7)),
        an_entry(key(version="2", area="AI", style="solo", budget=5)),
        an_entry(key(area="health")),
    ]
    near = nearest(key(area="AI", style="solo", budget=5), stored, 1060.0)
    assert [one.differences for one in near] == [
        (Difference("style", "solo", "team"),),
        (Difference("budget", "5", "7"),),
        (Difference("version", "1", "2"),),
    ]
    assert near[0].age_s == 60.0


def test_missing_and_additional_parts_are_shown() -> None:
    """A field only one side has is compared with ``-``."""
    stored = [an_entry(key(area="AI", extra=1))]
    (near,) = nearest(key(area="AI", style="solo"), stored, 1000.0)
    assert near.differences == (Difference("style", "solo", "-"), Difference("extra", "-", "1"))


def test_other_tenants_uses_and_the_key_itself_are_no_candidates() -> None:
    """What another tenant keeps is never told."""
    same = key(area="AI")
    stored = [
        an_entry(same),
        an_entry(key(Caller("evil", "x"), area="AI2")),
        an_entry(make_key("other", {"area": "AI"}, ALICE)),
    ]
    assert nearest(same, stored, 1000.0) == ()


def test_reasons_are_words() -> None:
    """Each kind of decision says itself."""
    assert Explanation("l", "d", "memory", Fresh(12.0, 5.0)).reason == "hit in memory: 12 s old"
    assert (
        Explanation("l", "d", "disk", Stale(12.0, "stale-if-error")).reason
        == "stale in disk: stale-if-error"
    )
    assert Explanation("l", "d", "", Miss("expired 3 s ago")).reason == "miss: expired 3 s ago"
