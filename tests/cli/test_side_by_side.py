"""A race's picture: what stands where, in any width."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

from hasten.cli.side_by_side import NAME_CELLS, draw_race, draw_waterfalls, race_of
from hasten.trace.log import MemorySink
from hasten.wire_runs import run_virtually
from tests.toy import toy_app

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome

TEA = {"topic": "tea"}


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Give the toy's two outcomes."""
    return [run_virtually(toy_app(), TEA, mode, sink=MemorySink()) for mode in toy_app().graphs]


def drawn(outcomes: list[Outcome], width: int) -> list[str]:
    """Return the race's lines as they appear in a terminal of ``width`` cells."""
    to = Console(file=io.StringIO(), width=width, highlight=False)
    draw_race(outcomes, to)
    return to.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits_and_fills_the_width(outcomes: list[Outcome], width: int) -> None:
    """No line is longer than the terminal is wide, and the longest bar uses it."""
    lines = drawn(outcomes, width)
    assert max(map(len, lines)) <= width
    assert max(map(len, lines)) >= width - 6


def test_both_runs_share_one_axis(outcomes: list[Outcome]) -> None:
    """Bars are as long as the runs took, and begin in the same column."""
    whole = [line for line in drawn(outcomes, 120) if line.startswith("toy") and "━" in line]
    bars = [line.count("━") for line in whole]
    slow_s, fast_s = (outcome.record.duration_s for outcome in outcomes)
    assert bars[0] / bars[1] == pytest.approx(slow_s / fast_s, rel=0.1)
    assert len({line.index("━") for line in whole}) == 1


def test_what_a_bar_is_made_of(outcomes: list[Outcome]) -> None:
    """A bar that others wait for is heavy, one with time to spare is thin."""
    rows = {line.split()[0]: line for line in drawn(outcomes[1:], 120) if line.startswith("  ")}
    assert "━" in rows["prices"]
    assert "─" in rows["facts"]
    assert rows["prices"].endswith("3.0 s")


def test_a_call_that_is_all_its_step_does_has_no_row(outcomes: list[Outcome]) -> None:
    """The step's bar says it already."""
    calls = [span.name for span in outcomes[1].spans if span.kind == "model"]
    assert calls == ["Draft"]
    assert not any(line.lstrip().startswith("Draft") for line in drawn(outcomes, 120))


def test_long_names_are_cut(outcomes: list[Outcome]) -> None:
    """A name never pushes the bars away."""
    run, spans = outcomes[1].record, outcomes[1].spans
    long = [msgspec.structs.replace(span, name=span.name * 20) for span in spans]
    to = Console(file=io.StringIO(), width=100, highlight=False)
    draw_waterfalls([(run, long)], to)
    row = to.file.getvalue().splitlines()[1]
    assert row[NAME_CELLS - 1 : NAME_CELLS + 1] == "… "


def test_names_are_no_markup(outcomes: list[Outcome]) -> None:
    """A name in brackets is shown as it is."""
    run, spans = outcomes[1].record, outcomes[1].spans
    run = msgspec.structs.replace(run, degraded_by=["[red]x[/red]: late"])
    to = Console(file=io.StringIO(), width=100, highlight=False)
    draw_waterfalls([(run, [msgspec.structs.replace(spans[0], name="[bold]")])], to)
    assert "[bold] " in to.file.getvalue()
    assert "degraded: [red]x[/red]: late" in to.file.getvalue()


def test_speedup_needs_two_runs_that_came_through(outcomes: list[Outcome]) -> None:
    """A run alone, or one that failed, wins nothing."""
    assert race_of(outcomes)["speedup"] > 1
    assert race_of(outcomes[1:])["speedup"] is None
    failed = run_virtually(toy_app(), {**TEA, "trouble": "answer"}, "hasten", sink=MemorySink())
    assert race_of([outcomes[0], failed])["speedup"] is None
    assert "as fast" not in "\n".join(drawn([outcomes[0], failed], 100))
