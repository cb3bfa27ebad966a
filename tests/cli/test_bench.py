"""``hasten bench``: the checkout's benchmarks, their arguments, their exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Said


def test_outside_a_checkout(hasten: Callable[..., Said]) -> None:
    """There is nothing to run, and that is said."""
    said = hasten("bench", "graph")
    assert said.code == 2
    assert "there is no bench/ in this folder" in said.err


def test_arguments_and_exit_code_are_passed_on(
    hasten: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that look like ours."""
    (tmp_path / "bench").mkdir()
    script = "import sys, pathlib; pathlib.Path('got').write_text(' '.join(sys.argv[1:])); exit(7)"
    (tmp_path / "bench" / "__main__.py").write_text(script)
    assert hasten("bench", "graph", "--json", "--help").code == 7
    assert (tmp_path / "got").read_text() == "graph --json --help"
