"""Files and functions stay small; what may be larger says why on the spot."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.architecture.sources import Function, parse, place, python_files

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILE_LINES = 500
FUNCTION_LINES = 60

WAIVER = re.compile(r"^\s*# waiver: (?P<reason>\S.{9,})$")
FOLDERS = ("src", "tests", "bench", "scripts")


def waiver_above(lines: list[str], line: int) -> str | None:
    """Return the reason of the waiver on the line above ``line`` (counted from 1), if any."""
    found = WAIVER.match(lines[line - 2]) if line > 1 else None
    return found["reason"] if found else None


def oversize(path: Path) -> list[tuple[str, str | None]]:
    """Return what in ``path`` is too long, each with its waiver's reason or None."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found: list[tuple[str, str | None]] = []
    if len(lines) > FILE_LINES:
        waived = WAIVER.match(lines[0])
        reason = waived["reason"] if waived else None
        found.append((f"{place(path)}: {len(lines)} lines, {FILE_LINES} allowed", reason))
    for node in ast.walk(parse(path)):
        if not isinstance(node, Function):
            continue
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        count = (node.end_lineno or first) - first + 1
        if count > FUNCTION_LINES:
            said = f"{place(path, node)}: {node.name} has {count} lines, {FUNCTION_LINES} allowed"
            found.append((said, waiver_above(lines, first)))
    return found


def test_files_and_functions_are_small(capsys: pytest.CaptureFixture[str]) -> None:
    """No file over 500 lines, no function over 60, but for waivers, which are all printed."""
    found = [one for path in python_files(*FOLDERS) for one in oversize(path)]
    with capsys.disabled():
        for said, reason in found:
            if reason:
                print(f"\nwaived: {said}: {reason}", end="")  # noqa: T201 - the house rule
    assert [said for said, reason in found if not reason] == []


def test_an_oversize_function_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure sees a long file and a long function, and a waiver only with its reason."""
    monkeypatch.setattr("tests.architecture.sources.ROOT", tmp_path)
    body = "    x = 1\n" * FUNCTION_LINES
    path = tmp_path / "long.py"
    path.write_text(
        f"def one():\n{body}\n"
        f"# waiver: a table reads best in one piece\ndef two():\n{body}\n"
        f"# waiver: x\ndef three():\n{body}\n" + "y = 2\n" * FILE_LINES
    )
    reasons = [reason for _, reason in oversize(path)]
    assert reasons == [None, None, "a table reads best in one piece", None]
