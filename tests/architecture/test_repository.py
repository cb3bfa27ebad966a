"""The repository speaks of the project alone: no loose ends, no machine's own paths or hosts."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import ROOT, parse, place, python_files, tracked_files

TEXT = {".py", ".md", ".toml", ".lock", ".sh", ".js", ".css", ".html", ".json", ".yml", ".yaml", ""}
VENDORED = "vendor"

FORBIDDEN = {
    "a loose end": re.compile(r"\b(?:TODO|FIX" + r"ME|XXX|HACK)\b"),
    "a machine's path": re.compile(r"/(?:root|home|Users|work|tmp)/[A-Za-z.]"),
    "a registry's address": re.compile(r"https?://(?:files\.pythonhosted|pypi|registry\.npmjs)\."),
    "an index option": re.compile(r"--(?:extra-)?index-url|--find-links"),
}


def test_no_loose_ends_and_no_machine_in_the_text() -> None:
    """No TO-DO marks, no paths of one machine, no package registry's address."""
    found = []
    for path in tracked_files():
        if path.suffix not in TEXT or VENDORED in path.parts or path.name == "test_repository.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:80]}"
                for what, pattern in FORBIDDEN.items()
                if pattern.search(line)
            ]
    assert found == []


def test_tests_never_sleep_for_real() -> None:
    """Tests wait in virtual time or for an event, never by ``time.sleep``."""
    sleeps = [
        place(path, node)
        for path in python_files("tests")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert sleeps == []
