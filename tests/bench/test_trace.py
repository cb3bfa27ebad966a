"""The benchmark of recording still runs; how fast is for the benchmark to say."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

import pytest

from bench.trace import SPANS, new_recorder, span_us

if TYPE_CHECKING:
    from hasten.trace.recorder import Recorder


@pytest.mark.parametrize("has_listener", [True, False])
def test_it_measures_spans_that_are_recorded(
    *, has_listener: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is timed really opens and closes that many spans."""
    made: list[Recorder] = []

    def remembered() -> Recorder:
        made.append(new_recorder())
        return made[0]

    monkeypatch.setattr("bench.trace.new_recorder", remembered)
    assert contextvars.copy_context().run(span_us, has_listener=has_listener) > 0
    assert len(made[0].spans) == SPANS + 1
    assert all(span.end_s is not None for span in made[0].spans[1:])
