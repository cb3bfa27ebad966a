"""What importing adds to bare Python: processor time and memory, in a process of its own.

``import hasten`` loads its parts when they are used, so the fair comparison is
with what a graph needs.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bench.harness import OURS, Case

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE = "Imports: what they add to bare Python"

NAMES = {OURS: "import hasten"}
GRAPHS = {
    OURS: "from hasten import Graph, step",
    "langgraph": "from langgraph.graph import StateGraph",
}

PROBE = """
import re, time
before_s = time.process_time()
{line}
took_ms = (time.process_time() - before_s) * 1e3
peak_kb = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())
print(took_ms, int(peak_kb[1]) / 1024)
"""


def cases() -> list[Case]:
    """Return what is measured. Memory is read from ``/proc``, so on Linux only."""
    return [
        Case("the name", "ms", _runners(NAMES, _added_ms), goal=120),
        Case("the name", "MB", _runners(NAMES, _added_mb), goal=20),
        Case("what a graph needs", "ms", _runners(GRAPHS, _added_ms)),
        Case("what a graph needs", "MB", _runners(GRAPHS, _added_mb)),
    ]


def _runners(
    lines: dict[str, str], figure: Callable[[str], float]
) -> dict[str, Callable[[], float] | str]:
    return {
        name: partial(figure, line) if find_spec(name) else "not installed"
        for name, line in lines.items()
    }


def _added_ms(line: str) -> float:
    return _probe(line)[0]


def _added_mb(line: str) -> float:
    return _probe(line)[1] - _probe("pass")[1]


def _probe(line: str) -> tuple[float, float]:
    """Return the milliseconds ``line`` takes in a new process, and the process's peak in MB."""
    command = [sys.executable, "-c", PROBE.format(line=line)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    took_ms, peak_mb = done.stdout.split()
    return float(took_ms), float(peak_mb)
