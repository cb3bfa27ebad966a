"""``hasten analyze``: figures over runs, two groups side by side, reports."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from hasten.cli.analyze import duration_s
from hasten.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said


def test_where_the_time_goes(raced: Callable[..., Said]) -> None:
    """Phases with their percentiles, then what the run waits for, the longest first."""
    said = raced("analyze", "--app", "toy")
    assert (said.code, said.err) == (0, "")
    assert "1 run in mode hasten (virtual clock, speed 1, simulated model)" in said.out
    assert re.search(r"whole run +\d\.\d s +\d\.\d s +\d\.\d s\n", said.out)
    first = said.out.partition("on critical path")[2].splitlines()[1]
    assert first.split()[:5] == ["tool", "prices", "research", "3.0", "s"]
    assert "What changed" not in said.out


def test_against_another_mode(raced: Callable[..., Said]) -> None:
    """What got faster is said, and by how much on the whole."""
    said = raced("analyze", "--app", "toy", "--compare", "baseline")
    assert re.search(r"against 1 of baseline: \d\.\d× as\sfast", said.out.replace(" \n", "\n"))
    assert "P50 baseline" in said.out
    assert re.search(r"run +\d\.\d s +\d\.\d s +faster", said.out)


def test_figures_that_look_the_same_did_not_change(raced: Callable[..., Said]) -> None:
    """A difference too small to be shown is not listed."""
    said = raced("analyze", "--app", "toy", "--compare", "baseline")
    changes = said.out.partition("What changed")[2].splitlines()[2:]
    for line in filter(None, changes):
        before, after = re.findall(r"\$?\d[\d.]*(?: m?s|%)?|–", line)[:2]
        assert before != after


def test_calls_made_again_are_told(raced: Callable[..., Said]) -> None:
    """A tool with the same parameters in two runs has been computed twice."""
    raced("run", "toy")
    said = raced("analyze", "--app", "toy")
    assert "2 runs in mode hasten" in said.out
    assert re.search(r"prices\(tea\) +2 +2 +3\.0 s", said.out)


def test_json_has_it_all(raced: Callable[..., Said]) -> None:
    """Every figure is there, in milliseconds and shares."""
    found = raced("analyze", "--app", "toy", "--compare", "baseline", "--json").json
    assert (found["app"], found["mode"], found["against_name"]) == ("toy", "hasten", "baseline")
    assert found["now"]["total"]["count"] == 1
    assert found["against"]["total"]["p50_ms"] > found["now"]["total"]["p50_ms"]
    assert found["bottlenecks"][0]["name"] == "prices"
    assert {change["subject"] for change in found["changes"]} >= {"run"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--app", "nope"], "no app 'nope'"),
        (["--app", "toy", "--mode", "fast"], "no runs of toy in mode fast: hasten run toy"),
        (["--app", "toy", "--since", "yesterday"], "such as 24h, not 'yesterday'"),
        (["--app", "toy", "--compare", "earlier"], "needs --since"),
        (["--app", "toy", "--since", "1h", "--compare", "earlier"], "hasten in that time"),
        (["--app", "toy", "-o", "/nonexistent/x.md"], "/nonexistent/x.md cannot be written"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], said: str, raced: Callable[..., Said]) -> None:
    """It says what is missing, and exits 2."""
    found = raced("analyze", *words)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1


def test_only_runs_of_one_kind_are_compared(raced: Callable[..., Said]) -> None:
    """The kind both groups have is taken, though one has more of another; without any, 2."""
    for _ in range(2):
        raced("run", "toy", "--speed", "500")
    assert "real clock, speed 500" in raced("analyze", "--app", "toy").out
    compared = raced("analyze", "--app", "toy", "--compare", "baseline").out
    assert "1 run in mode hasten (virtual clock" in compared


def test_kinds_that_do_not_meet(with_toy: None, hasten: Callable[..., Said]) -> None:
    """They are named."""
    hasten("run", "toy", "--speed", "500")
    hasten("run", "toy", "--mode", "baseline")
    said = hasten("analyze", "--app", "toy", "--compare", "baseline")
    assert said.code == 2
    assert "nothing to compare: runs of one kind (real clock, speed 500" in said.err


class Cells(HTMLParser):
    """Collects a page's table cells and its meters' values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.meters: list[str] = []
        self._is_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a cell, or note a meter."""
        self._is_cell = self._is_cell or tag in {"td", "th"}
        if tag in {"td", "th"}:
            self.cells.append("")
        if tag == "meter":
            self.meters.append(dict(attrs)["value"] or "")

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        self._is_cell = self._is_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        """Add to the cell."""
        if self._is_cell:
            self.cells[-1] += data


def test_a_report_to_read(raced: Callable[..., Said], tmp_path: Path) -> None:
    """Markdown says what the terminal does."""
    said = raced("analyze", "--app", "toy", "--compare", "baseline", "--report", "md")
    assert (said.code, said.out, said.err) == (0, "", "wrote toy-report.md\n")
    text = (tmp_path / "toy-report.md").read_text("utf-8")
    assert text.startswith("# toy: where the time goes\n\n1 run in mode hasten")
    assert "| phase | P50 | P95 | P99 | P50 baseline |\n| --- | ---: |" in text
    assert "| tool prices | research | 3.0 s |" in text


def test_a_report_to_look_at(raced: Callable[..., Said], tmp_path: Path) -> None:
    """The page says the same, with bars for shares; its form follows from the file's name."""
    assert raced("analyze", "--app", "toy", "-o", "page.html").code == 0
    page = Cells((tmp_path / "page.html").read_text("utf-8"))
    place = page.cells.index("tool prices")
    assert page.cells[place + 1 : place + 3] == ["research", "3.0 s"]
    assert page.cells[place + 3].strip() == f"{page.meters[0]}%"


@pytest.mark.parametrize(
    ("text", "length_s"), [("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_durations(text: str, length_s: float) -> None:
    """A number and a unit."""
    assert duration_s(text) == length_s


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "1y", "٣h ago"])
def test_no_durations(text: str) -> None:
    """Everything else is refused."""
    with pytest.raises(InvalidInput):
        duration_s(text)
