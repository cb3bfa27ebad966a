"""``python -m bench NAME [--json|--markdown] [--repeats N] [--only WORD]``: measure and show."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

from bench.harness import Case, as_json, as_markdown, measure, show

NOT_BENCHMARKS = {"__main__", "harness", "peers", "shapes"}


def main() -> None:
    """Run the benchmark named on the command line."""
    here = str(Path(__file__).parent)
    names = sorted({found.name for found in pkgutil.iter_modules([here])} - NOT_BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=names)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--repeats", type=int, default=5, help="repeats to take the median of")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    chosen = parser.parse_args()
    benchmark = importlib.import_module(f"bench.{chosen.name}")
    cases: list[Case] = [case for case in benchmark.cases() if chosen.only in case.name]
    if not cases:
        parser.error(f"no case of {chosen.name} contains {chosen.only!r}")
    results = measure(cases, chosen.repeats)
    if chosen.json:
        sys.stdout.write(as_json(chosen.name, results))
    elif chosen.markdown:
        sys.stdout.write(as_markdown(results))
    else:
        show(benchmark.TITLE, results)


if __name__ == "__main__":
    main()
