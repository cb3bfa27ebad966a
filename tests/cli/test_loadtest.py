"""``hasten loadtest``: what users ask, what is measured and kept, what targets make of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hasten import Target
from hasten.cli.loadtest import duration_s, growth_percent
from hasten.cli.users import User, answer_of, name_of
from hasten.errors import InvalidInput, SettingsError
from hasten.quality.results import Result
from hasten.trial import measure_targets
from tests.cli.processes import running
from tests.notebook import notebook_app
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.cli.conftest import Said


def test_users_ask_for_samples_of_every_operation() -> None:
    """As often; in a burst mostly for the main one."""

    def asked(profile: str) -> Counter[str]:
        user = User(notebook_app(), profile, random.Random(1))
        bodies = [user.ask()[2] or {} for _ in range(400)]
        return Counter(body["app"] for body in bodies)

    assert 150 < asked("normal")["notebook.count"] < 250
    assert 20 < asked("burst")["notebook.count"] < 70
    assert User(toy_app(), "normal", random.Random(1)).ask()[2] == {
        "app": "toy",
        "inputs": {"topic": "tea", "note": "with milk"},
    }


def test_an_application_says_what_a_user_asks_and_is_sent_the_answers() -> None:
    """One visit after another; a failure begins a new one."""

    def load(profile: str, _: random.Random) -> Generator[Any, Any, None]:
        made = yield "POST", f"/apps/toy/{profile}", None
        yield "GET", f"/apps/toy/{made['id']}", None

    user = User(replace(toy_app(), load=load), "burst", random.Random(1))
    begun, asked = ("POST", "/apps/toy/burst", None), ("GET", "/apps/toy/7", None)
    for _ in range(2):
        assert user.ask() == begun
        user.hear({"id": 7})
        assert user.ask() == asked
        user.hear({})
    assert user.ask() == begun
    user.start_over()
    assert user.ask() == begun


def test_a_request_is_counted_by_its_route() -> None:
    """Ids are left out, words and versions are not."""
    name = "/api/runs/run_019aa1b2c3d4e5f6a7b8c9/events"
    assert name_of(f"{name}?after=3") == "/api/runs/{id}/events"
    assert name_of("/apps/okr/sessions/s0123456789abcdef") == "/apps/okr/sessions/{id}"
    assert name_of("/apps/persona/personas/p01") == "/apps/persona/personas/{id}"
    asking = "/apps/fortune/api/v1/async-chat/ask-question"
    assert name_of(asking) == asking


def test_an_answer_is_good_or_a_failure() -> None:
    """A stream's status is good before its run is: its last message decides."""
    stream = "text/event-stream; charset=utf-8"
    assert answer_of(202, "application/json", b'{"id":7}') == {"id": 7}
    assert answer_of(204, "", b"") is None
    assert answer_of(
        200, stream, b'data: {"status":"completed"}\n\ndata: {"status":"degraded"}\n\n'
    )
    for status, kind, content in (
        (502, "application/problem+json", b"{}"),
        (404, "", b""),
        (0, "", b"refused"),
        (200, "application/json", b"{"),
        (200, stream, b""),
        (200, stream, b'data: {"status":"in_progress"}\n\n'),
        (200, stream, b'data: {"status":"failed"}\n\n: ping\n\n'),
    ):
        with pytest.raises(ValueError, match=r"."):
            answer_of(status, kind, content)


@pytest.mark.parametrize(
    ("text", "wanted_s"), [("90", 90.0), ("90s", 90.0), ("5m", 300.0), ("1h", 3_600.0)]
)
def test_a_run_time_is_a_number_and_a_unit(text: str, wanted_s: float) -> None:
    """Seconds by default."""
    assert duration_s(text) == wanted_s


@pytest.mark.parametrize("text", ["", "0", "5 m", "-5m", "5d", "1.5h"])
def test_another_run_time_is_refused(text: str) -> None:
    """Naming the flag."""
    with pytest.raises(InvalidInput, match="--run-time"):
        duration_s(text)


def test_growth_leaves_the_start_out() -> None:
    """A server that warms up and stays so has not grown."""
    assert growth_percent([10.0, 20.0, 20.0, 20.0]) == 0.0
    assert growth_percent([10.0, 20.0, 30.0, 40.0]) == 100.0
    assert growth_percent([1.0, 2.0]) == 0.0


def load(profile: str, at_s: float, *, is_whole: bool = True) -> Result:
    """Return a load test of the toy."""
    data = {"p95_s": at_s / 1_000, "is_whole": is_whole}
    return Result(
        result_id=f"r{at_s}",
        kind="loadtest",
        app="toy",
        name=profile,
        at_s=at_s,
        is_held=True,
        data=data,
    )


def test_a_target_reads_the_newest_whole_load_test() -> None:
    """It says when that was; without one it is not held, and says what to do."""
    normal = Target(
        name="p95", about="P95 at 100 users", clock="load", load="normal.p95_s", at_most=3.1
    )
    burst, odd = replace(normal, load="burst.p95_s"), replace(normal, load="normal.p42_s")
    app = replace(toy_app(), targets=(normal, burst, odd))
    loads = [load("normal", 4_000.0, is_whole=False), load("normal", 3_000.0), load("normal", 9e3)]
    found, lacking, unknown = measure_targets(app, loads=loads)
    assert (found.value, found.is_held, found.at_s) == (3.0, True, 3_000.0)
    assert (lacking.is_held, "hasten loadtest --app toy --profile burst" in lacking.why) == (
        False,
        True,
    )
    assert (lacking.is_missed, unknown.is_missed) == (False, True), (
        "what was never tried, and wrong"
    )
    assert "no 'p42_s'; it has p95_s" in unknown.why
    with pytest.raises(SettingsError, match="clock='load'"):
        replace(normal, clock="real")


@pytest.mark.slow
def test_users_load_a_server_and_what_was_measured_is_kept(
    hasten: Callable[..., Said], tmp_path: Path
) -> None:
    """A few users for a few seconds on a fast server: figures, a report, no failure."""
    words = ("serve", "--port", "0", "--speed", "1000", "--home", str(tmp_path / "server"))
    with running(tmp_path, *words) as server:
        url = server.ready.partition(" on ")[2].split()[0]
        flags = ("--users", "3", "--spawn-rate", "10", "--run-time", "12s", "--host", url)
        said = hasten("loadtest", "--headless", "--json", *flags)
    assert said.code == 0, said.err
    found = said.json
    assert found["requests"] >= 3
    assert 0 < found["p50_s"] <= found["p95_s"] <= found["p99_s"]
    assert set(found["by_request"]) <= {"POST /api/run", "POST /api/run/stream", "GET /api/runs"}
    assert (found["failures"], found["is_whole"], found["memory_mb"]) == (0, False, [])
    assert found["server_said"] == ""
    assert "<html" in (tmp_path / found["report"]).read_text()[:500]


@pytest.mark.slow
def test_the_memory_of_a_loaded_server_is_flat(hasten: Callable[..., Said]) -> None:
    """The consultant for a minute, once its caches have filled."""
    flags = ("--app", "consultant", "--profile", "sustained", "--users", "25", "--run-time", "80s")
    found = hasten("loadtest", "--headless", "--json", *flags).json
    assert found["failures"] == 0
    assert len(found["memory_mb"]) > 60
    assert found["memory_growth_percent"] < 15


@pytest.mark.slow
def test_a_server_that_is_not_there_fails_every_request(hasten: Callable[..., Said]) -> None:
    """Exit 1, and why."""
    flags = ("--users", "1", "--run-time", "10s", "--host", "http://127.0.0.1:9")
    said = hasten("loadtest", "--headless", *flags)
    assert said.code == 1
    assert "refused" in said.out.lower()
