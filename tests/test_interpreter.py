"""The interpreter as a server has it, for a block."""

from __future__ import annotations

import gc
import sys

from hasten.interpreter import SWITCH_S, as_in_a_server


def test_what_is_there_is_spared_and_afterwards_all_is_as_before() -> None:
    """New garbage is still found; the block's end gives back what was spared."""

    def state() -> tuple[float, tuple[int, int, int], int]:
        return sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()

    before = state()
    with as_in_a_server():
        assert sys.getswitchinterval() == SWITCH_S
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() > before[1]
        ring: list[object] = []
        ring.append(ring)
        del ring
        assert gc.collect() >= 1
    assert state() == before
