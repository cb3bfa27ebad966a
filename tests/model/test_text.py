"""A section is written as it comes, and a broken stream repeats nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.errors import ModelRejected, ModelTimeout, ModelUnavailable
from hasten.model.base import Request
from hasten.model.chain import build_chain
from hasten.model.text import write
from hasten.testing.model import BrokenAnswer, FakeModel, Script
from tests.model.recording import recorded

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent

ASK = Request.ask("Write something")


def _written(*script: Script) -> tuple[str, list[RunEvent], FakeModel]:
    """Return the text, the events it was written with, and the wire that was asked."""

    async def main() -> tuple[str, list[RunEvent], FakeModel]:
        with recorded() as recorder:
            events: list[RunEvent] = []
            recorder.listeners.append(events.append)
            wire = FakeModel(*script, piece_s=0.03)
            text = await write(build_chain(wire), ASK, section="Risks")
            recorder.flush_text()
        return text, [event for event in events if event.type.startswith("text")], wire

    return virtual.run(main())


def test_pieces_become_text_events_of_the_section() -> None:
    """Put together they are the answer; the first comes at once and alone."""
    text, events, wire = _written("one two three four five six seven eight")
    assert text == "one two three four five six seven eight"
    assert "".join(event.data["text"] for event in events) == text
    assert {event.data["section"] for event in events} == {"Risks"}
    assert events[0].data["text"] == "one"
    assert 1 < len(events) < 8
    assert wire.requests[0].section == "Risks"


@pytest.mark.parametrize("error", [ModelUnavailable("gone"), ModelTimeout("late")])
def test_a_broken_stream_is_finished_by_a_plain_call(error: ModelUnavailable) -> None:
    """Only what was missing is sent, nothing twice."""
    text, events, wire = _written(BrokenAnswer("one two", error), "one two three four")
    assert text == "one two three four"
    assert [event.type for event in events] == ["text"] * len(events)
    assert "".join(event.data["text"] for event in events) == text
    assert len(wire.requests) == 2


def test_a_different_plain_answer_replaces_what_was_written() -> None:
    """An event says so, after everything that it replaces."""
    text, events, _ = _written(
        BrokenAnswer("one two three", ModelUnavailable("gone")), "quite other"
    )
    assert text == "quite other"
    assert [event.type for event in events[:-1]] == ["text"] * (len(events) - 1)
    assert "".join(event.data["text"] for event in events[:-1]) == "one two three"
    assert events[-1].type == "text.replaced"
    assert events[-1].data == {"section": "Risks", "text": "quite other"}


def test_a_failure_before_the_first_piece_is_the_chains_affair() -> None:
    """The chain retries it; when it gives up, so does the section."""
    text, _, wire = _written(ModelUnavailable("gone"), "hello")
    assert (text, len(wire.requests)) == ("hello", 2)
    with pytest.raises(ModelUnavailable):
        _written(ModelUnavailable("gone"))


def test_an_error_that_a_plain_call_would_meet_again_comes_out() -> None:
    """A rejected request is not asked again."""
    with pytest.raises(ModelRejected):
        _written(BrokenAnswer("one", ModelRejected("bad", status=400)), "never said")


def test_outside_a_run_it_only_returns_the_text() -> None:
    """Without a recorder there is nobody to tell."""
    broken = BrokenAnswer("one", ModelUnavailable("gone"))
    text = virtual.run(write(FakeModel(broken, "other"), ASK, section="Risks"))
    assert text == "other"
