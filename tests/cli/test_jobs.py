"""``hasten jobs`` and ``hasten worker``: submitted here, done there, dead ones retried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.processes import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said


def test_a_worker_does_what_is_submitted(tmp_path: Path, hasten: Callable[..., Said]) -> None:
    """A job waits until a worker is there, is done by it, and the worker stops when told."""
    job = hasten("jobs", "submit", "--speed", "200", "--key", "k", "--json").json
    assert job["status"] == "queued"
    assert hasten("jobs", "submit", "--speed", "200", "--key", "k", "--json").json == job
    with running(tmp_path, "worker", lines=1) as worker:
        while (found := hasten("jobs", "show", job["job_id"], "--json").json)["ended_s"] is None:
            assert worker.popen.poll() is None
        code, _, said = worker.stop()
    assert (code, found["status"]) == (0, "done")
    assert f"{job['job_id']}  discovery" in said
    (run,) = hasten("runs", "--json").json
    assert (run["run_id"], run["ended_s"] is None) == (job["run_id"], False)
    assert job["job_id"][:12] in hasten("jobs", "list").out


def test_what_is_done_at_set_times_is_listed(hasten: Callable[..., Said]) -> None:
    """Each with its expression and when it is due next."""
    lines = {line["name"]: line for line in hasten("jobs", "cron", "--json").json}
    nightly = lines["persona.nightly-details"]
    assert (nightly["app"], nightly["at"]) == ("persona", "0 3 * * *")
    assert "03:00" in hasten("jobs", "cron").out


def test_cancelled_and_retried(hasten: Callable[..., Said]) -> None:
    """A job that waits is cancelled, and queued again when asked; nothing else is."""
    job = hasten("jobs", "submit", "--json").json
    assert hasten("jobs", "retry", job["job_id"]).code == 2
    assert hasten("jobs", "cancel", job["job_id"], "--json").json["status"] == "cancelled"
    again = hasten("jobs", "retry", job["job_id"], "--json").json
    assert (again["status"], again["run_id"] == job["run_id"]) == ("queued", False)
    assert hasten("jobs", "dead").err.startswith("no such jobs")
    assert hasten("jobs", "show", "nonsense").code == 2
    assert hasten("jobs", "submit", "nonsense").code == 2
