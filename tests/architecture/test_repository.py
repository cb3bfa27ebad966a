"""The repository speaks of the project alone: no loose ends, no machine's own paths or hosts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.sources import parse, place, python_files, tracked_files

FORBIDDEN = {
    "a loose end": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
    "a machine's path": re.compile(r"/(?:root|home|Users|work|tmp)/[A-Za-z.]"),
    "a registry's address": re.compile(r"https?://(?:files\.pythonhosted|pypi|registry\.npmjs)\."),
    "an index option": re.compile(r"--(?:extra-)?index-url|--find-links"),
}


def loose_ends(path: Path) -> list[str]:
    """Return the lines of a text file that the repository should not have."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []  # an image
    return [
        f"{path.name}:{number}: {what}"
        for number, line in enumerate(lines, start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def test_no_loose_ends_and_no_machine_in_the_text() -> None:
    """No TO-DO marks, no paths of one machine, no package registry's address."""
    ours = (path for path in tracked_files() if "vendor" not in path.parts)
    found = [end for path in ours if path != Path(__file__) for end in loose_ends(path)]
    assert found == []


def test_a_loose_end_is_found(tmp_path: Path) -> None:
    """The check sees each kind of thing it forbids, and lets plain text be."""
    path = tmp_path / "page.md"
    path.write_text("fine\nTODO: later\nsee /home/ann/x\npip --index-url https://pypi.example\n")
    kinds = ["a loose end", "a machine's path", "a registry's address", "an index option"]
    assert [end.partition(": ")[2] for end in loose_ends(path)] == kinds


def test_tests_never_sleep_for_real() -> None:
    """Tests wait in virtual time or for an event; where only real time shows it, the line says why.

    ``tests.waiting.until`` is for what tells nobody.
    """
    sleeps = [
        place(path, node)
        for path in python_files("tests")
        if "virtual" not in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"time.sleep", "asyncio.sleep"}
        and ast.unparse(node.args[0]) != "0"
        and "  # " not in text.splitlines()[node.lineno - 1]
    ]
    assert sleeps == []
