"""Measuring contestants side by side and showing the figures.

A case has one figure to measure, always one where less is better, and several
contestants. The repeats of a case are interleaved, one of each contestant in
turn, so that a busy moment of the machine hits all alike; the median counts.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from importlib import metadata
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OURS = "hasten"

LABELS = 2
"""How many of a table's columns are words: the case and its unit."""


@dataclass(frozen=True, slots=True)
class Case:
    """One figure and who competes in it.

    ``runners`` measure it once, or are a text that says why they cannot.
    ``goal`` is what ours shall not exceed, ``goal_ratio`` its ratio; ``bare`` names
    the contestant the others are compared with.
    """

    name: str
    unit: str
    runners: Mapping[str, Callable[[], float] | str]
    goal: float | None = None
    bare: str = ""
    goal_ratio: float | None = None

    @property
    def aim(self) -> str:
        """The goal in words; empty without one."""
        if self.goal_ratio is not None:
            return f"≤ ×{self.goal_ratio:.3g}"
        return "" if self.goal is None else f"≤ {self.goal:g}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A case and what was measured: a list of figures by contestant, none for one that cannot."""

    case: Case
    figures: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float | None:
        """Return the median of one contestant's figures, if it has any."""
        return median(self.figures[name]) if name in self.figures else None

    def ratio(self, name: str) -> float | None:
        """Return a contestant's median by that of ``bare``, if both have one."""
        own, bare = self.median(name), self.median(self.case.bare)
        return own / bare if own is not None and bare else None

    @property
    def is_met(self) -> bool | None:
        """Whether our median or its ratio is within the goal; ``None`` without a goal."""
        ours, goal = self.median(OURS), self.case.goal
        if self.case.goal_ratio is not None:
            ours, goal = self.ratio(OURS), self.case.goal_ratio
        return None if goal is None or ours is None else ours <= goal


def measure(cases: Sequence[Case], repeats: int) -> list[Measured]:
    """Measure every case ``repeats`` times, contestants in turn; say on stderr where it is."""
    results = []
    with Console(stderr=True).status("") as status:
        for case in cases:
            result = Measured(case)
            for number in range(repeats):
                for name, runner in case.runners.items():
                    if isinstance(runner, str):
                        continue
                    status.update(f"{case.name}: {name} {number + 1}/{repeats}")
                    gc.collect()
                    gc.freeze()
                    result.figures.setdefault(name, []).append(runner())
            results.append(result)
    return results


def show(title: str, results: Sequence[Measured]) -> None:
    """Print a table: a line a case, a column a contestant, with the ratio to the bare one."""
    head, *rows = _rows(results)
    table = Table(title=title)
    for number, name in enumerate(head):
        table.add_column(name, justify="left" if number < LABELS else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    console.print(_footnote(results))


def as_markdown(results: Sequence[Measured]) -> str:
    """Return the same table as Markdown, for the documentation."""
    head, *rows = _rows(results)
    rule = ["---"] * LABELS + ["---:"] * (len(head) - LABELS)
    lines = ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]
    return "\n".join((*lines, "", _footnote(results))) + "\n"


def as_json(name: str, results: Sequence[Measured]) -> str:
    """Return the figures as JSON, with every repeat."""
    cases = [
        {
            "name": result.case.name,
            "unit": result.case.unit,
            "goal": result.case.goal,
            "goal_ratio": result.case.goal_ratio,
            "is_met": result.is_met,
            "contestants": {
                one: {"missing": runner}
                if isinstance(runner, str)
                else {
                    "median": result.median(one),
                    "ratio": result.ratio(one),
                    "figures": result.figures[one],
                }
                for one, runner in result.case.runners.items()
            },
        }
        for result in results
    ]
    found: dict[str, Any] = {"schema": 1, "bench": name, "machine": _machine(), "cases": cases}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _rows(results: Sequence[Measured]) -> list[list[str]]:
    """Return the table's head and lines."""
    names = list(dict.fromkeys(name for result in results for name in result.case.runners))
    rows = [["", "unit", *(f"{name} {_version(name)}".strip() for name in names), "goal"]]
    for result in results:
        mark = {True: " ✓", False: " ✗", None: ""}[result.is_met]
        cells = [_cell(result, name) for name in names]
        rows.append([result.case.name, result.case.unit, *cells, result.case.aim + mark])
    return rows


def _footnote(results: Sequence[Measured]) -> str:
    bare = ", ".join(sorted({result.case.bare for result in results} - {""}))
    against = f"; × is against {bare}" if bare else ""
    repeats = max(len(figures) for result in results for figures in result.figures.values())
    return f"{_machine()}; median of {repeats}{against}"


def _cell(result: Measured, name: str) -> str:
    runner = result.case.runners.get(name, "")
    if isinstance(runner, str):
        return runner
    figure, ratio = result.median(name), result.ratio(name)
    text = "" if figure is None else _number(figure)
    return text if ratio is None else f"{text} (×{_number(ratio)})"


def _number(figure: float) -> str:
    """Return three digits that count, and never powers of ten."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"  # noqa: PLR2004 - three digits


def _version(name: str) -> str:
    """Return a contestant's version, installed here or in an environment of the peers' own."""
    root = Path(__file__).parents[1]
    own = (root.glob(f"{one}/lib/*/site-packages") for one in (f".venv-{name}", ".venv-queues"))
    path = [*sys.path, *map(str, chain.from_iterable(own))]
    found = metadata.distributions(name={"hamilton": "sf-hamilton"}.get(name, name), path=path)
    return next((one.version for one in found), "")


def _machine() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores"
