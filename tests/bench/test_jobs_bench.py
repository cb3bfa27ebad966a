"""The jobs benchmark's peers: who takes part where, and a measurement read by several cases."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench import jobs
from bench.harness import OURS
from bench.queues import PEERS, POSTGRES, SQLITE, contestants
from bench.queues.job import STARTS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_measurement_is_read_once_by_each_quantile() -> None:
    """Two cases share a measurement of a repeat, and none reads one twice."""
    figures = iter([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    shared = contestants.Measurements(lambda: next(figures))
    assert [shared.at(0.5), shared.at(0.5)] == [2, 20]
    assert [round(shared.at(0.99)), round(shared.at(0.99))] == [3, 30]


def test_a_peer_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is left out in silence; a worker that is a program is in no other's process."""
    monkeypatch.setattr(contestants, "ROOT", tmp_path)
    for case in jobs.cases():
        named = {name: case.runners[name] for name in PEERS if name in case.runners}
        assert set(named.values()) <= {"not installed", "cannot"}, case.name
        assert not isinstance(case.runners[OURS], str)
        is_here = case.name.startswith("pick-up, same process")
        assert (named.get("celery") == "cannot") == is_here


def test_who_keeps_jobs_in_two_places_is_measured_in_each() -> None:
    """DBOS is embedded on SQLite and in the row of PostgreSQL."""
    found = {store: contestants.pick_ups("here", (store,)) for store in (SQLITE, POSTGRES)}
    assert all("dbos" in names for names in found.values())
    assert "procrastinate" not in found[SQLITE]


def test_a_bare_queue_is_measured() -> None:
    """What a pick-up costs at the least, in milliseconds."""
    queue = contestants.bare_queue()
    assert 0 < queue.at(0.5) <= queue.at(0.99)


def test_the_start_of_a_job_is_told_through_the_pipe(tmp_path: Path) -> None:
    """A process that nobody listens in tells the pipe its number and the time."""
    pipe = tmp_path / "starts"
    os.mkfifo(pipe)
    starts = os.open(pipe, os.O_RDWR)
    try:
        command = [sys.executable, "-c", "from bench.queues.job import begun; begun(7)"]
        subprocess.run(command, check=True, env={**os.environ, STARTS: str(pipe)})
        number, at_s = os.read(starts, 100).split()
    finally:
        os.close(starts)
    assert (int(number), float(at_s) > 0) == (7, True)
