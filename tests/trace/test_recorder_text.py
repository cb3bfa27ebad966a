"""Text on its way: merged, never lost, never late."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.clock import Clock
from hasten.trace.recorder import (
    TEXT_EVERY_S,
    current_recorder,
    emit_text,
    span,
)
from tests.trace.making import new_recorder, sleep

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


def texts(heard: list[RunEvent]) -> list[tuple[float, str, str]]:
    """Write the text events as second, section and text."""
    start_s = heard[0].at_s
    return [
        (round(one.at_s - start_s, 3), one.data["section"], one.data["text"])
        for one in heard
        if one.type == "text"
    ]


def test_the_first_piece_goes_at_once_and_the_rest_is_merged() -> None:
    """Pieces every 30 ms become an event every 100 ms; after a pause the next goes at once."""

    async def main() -> None:
        recorder, heard = new_recorder()
        with span("step", "write"):
            for piece in "abcdefgh":
                emit_text("intro", piece)
                await sleep(0.03)
            await sleep(1)
            emit_text("intro", "Z")
        assert texts(heard) == [
            (0.0, "intro", "a"),
            (0.1, "intro", "bcd"),
            (0.2, "intro", "efg"),
            (0.3, "intro", "h"),
            (1.24, "intro", "Z"),
        ]
        assert recorder.run.first_text_s == 0.0

    virtual.run(main())


def test_a_piece_that_waits_is_sent_though_nothing_follows() -> None:
    """A model that stalls does not hold back what it already said."""

    async def main() -> None:
        _, heard = new_recorder()
        with span("model", "m"):
            emit_text("s", "one ")
            emit_text("s", "two")
            await sleep(8)
        assert texts(heard) == [(0.0, "s", "one "), (0.1, "s", "two")]

    virtual.run(main())


def test_text_comes_before_the_end_of_its_span() -> None:
    """Whoever sees a span end has seen all of its text, and no other section is hurried."""

    async def main() -> None:
        _, heard = new_recorder()

        async def write(section: str, seconds: float) -> None:
            with span("model", section):
                emit_text(section, "1")
                emit_text(section, "2")
                await sleep(seconds)

        await asyncio.gather(write("short", 0.02), write("long", 5))
        assert texts(heard)[2:] == [(0.02, "short", "2"), (0.1, "long", "2")]
        told = [(one.type, one.span_id) for one in heard]
        ends = {one.span_id: place for place, one in enumerate(heard) if "finished" in one.type}
        assert all(told.index(("text", number)) < ends[number] for number in ends)
        last_text = {one.span_id: place for place, one in enumerate(heard) if one.type == "text"}
        assert all(last_text[number] < ends[number] for number in ends)

    virtual.run(main())


def test_an_empty_piece_is_no_text() -> None:
    """Providers open streams with an empty piece; it is not the first text."""

    async def main() -> None:
        recorder, heard = new_recorder()
        emit_text("s", "")
        await sleep(2)
        emit_text("s", "word")
        assert texts([heard[0], *heard]) == [(0.0, "s", "word")] * 2
        assert recorder.run.first_text_s == 2.0

    virtual.run(main())


pieces = st.lists(
    st.tuples(
        st.sampled_from(["intro", "plan", "risks"]),
        st.text("abc", max_size=3),
        st.floats(0, 0.3),
    ),
    max_size=40,
)


@given(pieces, st.integers(0, 1_000))
def test_no_text_is_lost_and_no_section_is_told_too_often(
    said: list[tuple[str, str, float]], seed: int
) -> None:
    """Any pieces at any pace: the sections read the same, at most ten events a second each."""
    heard: list[RunEvent] = []

    async def main() -> None:
        nonlocal heard
        recorder, heard = new_recorder()
        for section, piece, pause_s in said:
            emit_text(section, piece)
            await sleep(pause_s)
        await sleep(TEXT_EVERY_S)
        recorder.flush_text()

    virtual.run(main(), seed=seed)
    for section in ("intro", "plan", "risks"):
        told: list[Any] = [one for one in heard if one.data["section"] == section]
        assert "".join(one.data["text"] for one in told) == "".join(
            piece for name, piece, _ in said if name == section
        )
        gaps_s = [later.at_s - one.at_s for one, later in itertools.pairwise(told)]
        assert all(gap_s > TEXT_EVERY_S - 1e-6 for gap_s in gaps_s)


def test_flushing_sends_what_waits_and_stops_the_timers() -> None:
    """At the end of a run nothing is left to be told later."""

    async def main() -> None:
        recorder, heard = new_recorder()
        emit_text("s", "a")
        emit_text("s", "b")
        recorder.flush_text()
        assert [one.data["text"] for one in heard] == ["a", "b"]
        await sleep(1)
        assert len(heard) == 2

    virtual.run(main())


def test_text_is_paced_by_the_run_s_own_clock() -> None:
    """At speed 4, a tenth of a second of the run is a fortieth on the wall."""

    async def main() -> None:
        fast = Clock(4.0)
        loop = asyncio.get_running_loop()
        _, heard = new_recorder(fast)
        told_s = []
        recorder = current_recorder()
        assert recorder is not None
        recorder.listeners.append(lambda _event: told_s.append(loop.time()))
        emit_text("s", "a")
        emit_text("s", "b")
        await fast.sleep(1)
        assert told_s == [0.0, TEXT_EVERY_S / 4]
        assert len(heard) == 2

    virtual.run(main())
