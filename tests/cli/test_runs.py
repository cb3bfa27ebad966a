"""``hasten runs``: the list, one run, and what is not there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from hasten.cli import terminal
from hasten.settings import load_settings
from hasten.trace.log import RunFilter
from hasten.wire import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.cli.conftest import Said


def test_before_the_first_run(hasten: Callable[..., Said]) -> None:
    """The list says how to get one; its JSON is empty."""
    said = hasten("runs")
    assert (said.code, said.out) == (0, "")
    assert "hasten run makes one" in said.err
    assert hasten("runs", "--json").json == []


def test_the_list(raced: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first, ids whole even in 80 columns."""
    monkeypatch.setattr(terminal.out, "_width", 80)
    lines = raced("runs").out.splitlines()
    found = raced("runs", "--json").json
    assert [line.split()[0] for line in lines[1:]] == [run["run_id"] for run in found]
    assert [run["mode"] for run in found] == ["hasten", "baseline"]
    assert lines[1].split()[1:4] == ["toy", "hasten", "complete"]
    assert lines[1].split()[-2:] == ["virtual", "now"]
    assert max(map(len, lines)) <= 80


def test_the_list_narrowed(raced: Callable[..., Said]) -> None:
    """By mode, application and number."""
    assert len(raced("runs", "--json", "--limit", "1").json) == 1
    (only,) = raced("runs", "--json", "--mode", "baseline").json
    assert only["mode"] == "baseline"
    assert raced("runs", "--json", "--app", "other").json == []


def test_one_run(raced: Callable[..., Said]) -> None:
    """It is drawn, with its figures."""
    run_id = raced("runs", "--json").json[0]["run_id"]
    said = raced("runs", run_id)
    assert said.code == 0
    assert "toy hasten  complete" in said.out
    assert "prices" in said.out
    assert "model calls" in said.out


def test_a_run_under_way_has_no_time_yet(raced: Callable[..., Said]) -> None:
    """One that another process runs now, or that died with it, is listed and drawn."""

    async def leave_open() -> str:
        runtime = await Runtime.open(load_settings())
        (run, *_) = await runtime.sink.runs(RunFilter())
        await runtime.sink.save(
            msgspec.structs.replace(run, run_id="run_open", ended_s=None, status="running")
        )
        await runtime.close()
        return "run_open"

    run_id = asyncio.run(leave_open())
    row = next(line for line in raced("runs").out.splitlines() if line.startswith(run_id))
    assert row.split()[3:5] == ["running", "–"]
    assert "toy hasten  running\n" in raced("runs", run_id).out


def test_an_unknown_run(hasten: Callable[..., Said]) -> None:
    """It is named."""
    assert hasten("runs", "run_1") == (2, "", "hasten: no run 'run_1'\n")


def test_an_unreachable_database(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named without its password, and 3 says that it may be there later."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/gone")
    said = hasten("runs")
    assert said.code == 3
    assert "127.0.0.1:1/gone is not available" in said.err
    assert "secret" not in said.err
    assert said.err.count("\n") == 1


def test_a_state_folder_that_cannot_be(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder should."""
    monkeypatch.setenv("HASTEN_HOME", "/dev/null/state")
    said = hasten("runs")
    assert said.code == 2
    assert "/dev/null/state cannot be made: Not a directory" in said.err
