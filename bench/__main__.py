"""``python -m bench NAME``: measure and show.

``[--json|--markdown] [--repeats N] [--only WORD] [--quick]``.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
from pathlib import Path

from bench.harness import Case, as_json, as_markdown, measure, show

NOT_BENCHMARKS = {
    "__main__",
    "caches",
    "gateways",
    "harness",
    "peers",
    "queues",
    "readers",
    "shapes",
    "traces",
}


def main() -> None:
    """Run the benchmark named on the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with it
    here = str(Path(__file__).parent)
    names = sorted({found.name for found in pkgutil.iter_modules([here])} - NOT_BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=names)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--repeats", type=int, default=5, help="repeats to take the median of")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="little of everything, once")
    chosen = parser.parse_args()
    benchmark = importlib.import_module(f"bench.{chosen.name}")
    if chosen.quick and not hasattr(benchmark, "quick_cases"):
        parser.error(f"{chosen.name} has no quick cases")
    every: list[Case] = benchmark.quick_cases() if chosen.quick else benchmark.cases()
    cases = [case for case in every if chosen.only in case.name]
    if not cases:
        parser.error(f"no case of {chosen.name} contains {chosen.only!r}")
    results = measure(cases, 1 if chosen.quick else chosen.repeats)
    if chosen.json:
        sys.stdout.write(as_json(chosen.name, results))
    elif chosen.markdown:
        sys.stdout.write(as_markdown(results))
    else:
        show(benchmark.TITLE, results)


if __name__ == "__main__":
    main()
