"""The arithmetic of the fresh share: what may be reused never breaks the floor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hasten.cache.block import choose, fresh_share

LENGTHS = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 5_000))


@given(LENGTHS, st.data(), st.floats(0, 1))
def test_the_chosen_blocks_keep_to_the_floor(
    chars: dict[str, int], data: st.DataObject, floor: float
) -> None:
    """Even if every chosen block is reused, at least the floor's share is fresh."""
    names = st.sets(st.sampled_from(sorted(chars))) if chars else st.just(set())
    stored, blocks = data.draw(names), data.draw(names)
    chosen = choose(chars, stored, blocks, floor)
    assert chosen <= blocks
    assert fresh_share(chars, chosen) >= floor - 1e-9


@given(LENGTHS, st.data(), st.floats(0, 1))
def test_no_further_block_would_fit(
    chars: dict[str, int], data: st.DataObject, floor: float
) -> None:
    """What is left out would break the floor."""
    blocks = data.draw(st.sets(st.sampled_from(sorted(chars)))) if chars else set()
    chosen = choose(chars, blocks, blocks, floor)
    for name in blocks - chosen:
        assert fresh_share(chars, chosen | {name}) < floor + 1e-9


def test_the_longest_stored_block_comes_first() -> None:
    """It saves the most; what is not stored yet takes what room is left."""
    chars = {"fresh": 100, "long": 60, "short": 30, "new": 90, "small": 20}
    assert choose(chars, {"long", "short"}, {"long", "short", "new", "small"}, 0.72) == {
        "long",
        "small",
    }


def test_nothing_is_all_fresh() -> None:
    """An answer without a character breaks no floor."""
    assert fresh_share({}, ()) == 1.0
    assert fresh_share({"empty": 0}, {"empty"}) == 1.0
