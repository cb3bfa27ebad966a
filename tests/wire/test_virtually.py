"""A run in virtual time: now, by itself, the same for the same seed."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from hasten.errors import InvalidInput
from hasten.trace.log import MemorySink
from hasten.wire_runs import run_virtually
from tests.toy import toy_app

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome

TEA = {"topic": "tea"}


def outcome(seed: int = 0, sink: MemorySink | None = None) -> Outcome:
    """Run the toy in virtual time."""
    return run_virtually(toy_app(), TEA, None, sink=sink or MemorySink(), seed=seed)


def spans(found: Outcome) -> list[tuple[Any, ...]]:
    """Return the spans, their times counted from the run's start."""
    began_s = found.record.started_s
    return [
        (span.name, span.start_s - began_s, (span.end_s or 0) - began_s, span.attributes)
        for span in found.spans
    ]


def test_no_thread_and_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens in this thread, in memory."""

    def refuse(*_args: Any, **_options: Any) -> None:
        pytest.fail("virtual time reached out")

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert outcome().status == "complete"


def test_it_starts_now_under_its_own_id() -> None:
    """Among runs that are kept it stands where it was made."""
    before_s = time.time()
    first, second = outcome(), outcome()
    assert first.run_id != second.run_id
    assert before_s - 0.01 <= first.record.started_s <= time.time()
    assert (first.record.clock, first.record.simulated, first.record.mode) == (
        "virtual",
        True,
        "hasten",
    )


def test_a_seed_fixes_it_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it is made, no time in it is rounded otherwise."""
    first = outcome(seed=3)
    monkeypatch.setattr("time.time", lambda: 1_900_000_000.123_456_7)
    again = outcome(seed=3)
    assert spans(again) == spans(first)
    assert again.record.duration_s == first.record.duration_s
    assert again.outputs == first.outputs


def test_its_sink_has_it() -> None:
    """Record, events and spans, ready to be copied."""
    sink = MemorySink()
    found = outcome(sink=sink)
    assert list(sink._runs) == [found.run_id]
    assert len(sink._events[found.run_id]) > len(found.spans)


def test_wrong_inputs_are_refused() -> None:
    """As everywhere."""
    with pytest.raises(InvalidInput, match="'topic' must be one of"):
        run_virtually(toy_app(), {"topic": "milk"}, None, sink=MemorySink())
