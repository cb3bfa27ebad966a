"""The consultant's day: drawn from its seed, valid, and counted alike in both modes."""

from __future__ import annotations

import random
from collections import Counter

from bench import consultant
from bench.harness import OURS
from hasten.apps.consultant import app


def test_a_day_is_drawn_from_its_seed() -> None:
    """All three kinds about equally, in order of time, no talk before there is an analysis."""
    drawn = consultant.visits(random.Random(3), 600)
    assert drawn == consultant.visits(random.Random(3), 600)
    kinds: Counter[str] = Counter()
    for own in drawn.values():
        asked = [visit.operation for visit in own]
        assert "chat" not in asked[: asked.index("")] if "" in asked else "chat" not in asked
        assert [visit.at_s for visit in own] == sorted(visit.at_s for visit in own)
        kinds.update(asked)
        for visit in own:
            model = app.operation(visit.operation) if visit.operation else app
            model.inputs.model_validate(visit.inputs)
    assert kinds.total() == 600
    assert min(kinds.values()) > 100


def test_both_modes_are_counted_alike() -> None:
    """The baseline keeps nothing and makes all; ours asks for less text and sends it packed."""
    before, ours = (consultant.live(mode, 12) for mode in ("baseline", OURS))
    assert (before.wanted, before.made_percent) == (0, 100.0)
    assert 0 < ours.found < ours.wanted
    assert 0 < ours.tokens < before.tokens
    assert 0 < ours.cost_usd < before.cost_usd
    assert 0 < ours.bytes_out < before.bytes_out / 2
