"""``hasten export``: a trace as other tools read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said


def test_to_standard_output(raced: Callable[..., Said]) -> None:
    """The Chrome trace has the run's spans, and nothing else is printed."""
    run_id = raced("runs", "--json").json[0]["run_id"]
    said = raced("export", run_id)
    assert (said.code, said.err) == (0, "")
    names = {event["name"] for event in said.json["traceEvents"]}
    assert names >= {"facts", "prices", "draft", "answer"}


def test_to_a_file(raced: Callable[..., Said], tmp_path: Path) -> None:
    """The file is written, and what opens it is told."""
    run_id = raced("runs", "--json").json[0]["run_id"]
    said = raced("export", run_id, "--format", "speedscope", "-o", "run.json")
    assert (said.code, said.out) == (0, "")
    assert said.err == "wrote run.json\nopen it in speedscope.app\n"
    written = orjson.loads((tmp_path / "run.json").read_bytes())
    assert {frame["name"] for frame in written["shared"]["frames"]} >= {
        "facts (tool)",
        "prices (tool)",
    }


def test_an_unknown_run(hasten: Callable[..., Said]) -> None:
    """It is named."""
    assert hasten("export", "run_1") == (2, "", "hasten: no run 'run_1'\n")


def test_a_file_that_cannot_be(raced: Callable[..., Said]) -> None:
    """It is named, with the reason."""
    run_id = raced("runs", "--json").json[0]["run_id"]
    said = raced("export", run_id, "-o", "/nonexistent/run.json")
    assert said.code == 2
    assert "/nonexistent/run.json cannot be written: No such file or directory" in said.err
