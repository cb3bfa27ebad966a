"""``hasten serve``: what it refuses, and how it stops."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest

from hasten.apps.discovery.inputs import SAMPLES
from hasten.cli.serve import free_port, holder, only_server, url_of
from hasten.cli.workers import KILL_AFTER_S
from hasten.errors import SettingsError
from tests.cli.processes import HASTEN, Process, ended, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Said

DISCOVERY = {"app": "discovery", "inputs": next(iter(SAMPLES.values()))}


def url(server: Process) -> str:
    """Return where it says it is."""
    found = re.search(r"http://\S+", server.ready)
    assert found is not None, server.ready
    return found[0]


@contextmanager
def answer(
    server: Process, method: str, path: str, body: Any = None, **headers: str
) -> Iterator[http.client.HTTPResponse]:
    """Send one request and give the answer, to be read in this block."""
    connection = http.client.HTTPConnection(urlsplit(url(server)).netloc, timeout=20)
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
    with connection.getresponse() as response:
        yield response
    connection.close()


def status(server: Process, path: str, **headers: str) -> int:
    """Return the status of a GET."""
    with answer(server, "GET", path, **headers) as response:
        return response.status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    """Give a server of its own state folder on a free port."""
    with running(tmp_path, "serve", "--port", "0") as process:
        yield process


@contextmanager
def begun_run(server: Process) -> Iterator[http.client.HTTPResponse]:
    """Start a run of twenty seconds and give its stream, which has begun."""
    with answer(server, "POST", "/api/run/stream", DISCOVERY) as stream:
        assert stream.status == 200
        while b'"tool"' not in stream.readline():
            pass
        yield stream


def assert_cancelled(stream: http.client.HTTPResponse, said: tuple[int, str, str]) -> None:
    """The stream was ended properly, and the server without a word of complaint."""
    assert b'"status":"cancelled"' in stream.read().splitlines()[-2]
    code, out, err = said
    assert (code, err) == (0, "")
    assert "Traceback" not in out
    assert "[PERF_SUMMARY]" in out


def test_terminated(server: Process, hasten: Callable[..., Said]) -> None:
    """It answers as soon as it says so; a second one is refused; SIGTERM cancels what runs."""
    with answer(server, "GET", "/health") as response:
        assert json.loads(response.read())["status"] == "ok"
    second = hasten("serve", "--port", "0")
    assert second.code == 2
    assert f"another server (process {server.popen.pid}) uses the state folder" in second.err
    port = url(server).rpartition(":")[2]
    taken = hasten("serve", "--port", port, "--home", "other")
    assert taken.code == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in taken.err
    with begun_run(server) as stream:
        assert_cancelled(stream, server.stop())
    (run,) = hasten("runs", "--json").json
    assert run["status"] == "cancelled"
    assert run["ended_s"] - run["started_s"] < 10


def test_interrupted(server: Process, hasten: Callable[..., Said]) -> None:
    """A key made beside a running server counts at once; Ctrl-C stops as SIGTERM does."""
    assert status(server, "/api/runs") == 200
    with begun_run(server) as stream:
        secret = hasten("keys", "create", "--tenant", "acme", "--user", "ada").out.strip()
        assert status(server, "/api/runs") == 401
        assert status(server, "/api/runs", Authorization=f"Bearer {secret}") == 200
        assert_cancelled(stream, server.interrupt())


def test_killed(server: Process, tmp_path: Path) -> None:
    """Nothing can be done at SIGKILL, but its worker does not stay behind with the folder."""
    assert holder(tmp_path / ".hasten") == str(server.popen.pid)
    worker = server.worker
    assert server.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    worker.wait(10)
    assert not psutil.pid_exists(worker.pid)
    assert holder(tmp_path / ".hasten") == ""


def test_told_to_stop_while_it_starts(tmp_path: Path) -> None:
    """A worker that is still loading ends at once: nobody waits until it is killed."""
    with subprocess.Popen([HASTEN, "serve", "--port", "0"], cwd=tmp_path) as starting:
        parent = psutil.Process(starting.pid)
        while not (workers := parent.children()):
            assert starting.poll() is None
        parent.terminate()
        _, left = psutil.wait_procs(workers, timeout=KILL_AFTER_S / 2)
        assert not left
        assert starting.wait(KILL_AFTER_S / 2) == 0


@pytest.mark.parametrize("words", [[], ["--workers", "2"], ["--gateway-only"]], ids=" ".join)
def test_an_open_address_needs_keys(words: list[str], tmp_path: Path) -> None:
    """Anyone could call: it refuses before it listens, in one line, and no process is left."""
    code, out, err = ended(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0", *words)  # noqa: S104 - refused
    assert (code, out) == (2, "")
    assert "without keys: anyone could call" in err
    assert err.count("\n") == 1
    assert holder(tmp_path / ".hasten") == ""


def test_an_unreachable_database(tmp_path: Path) -> None:
    """It is told before anything is served."""
    gone = "postgresql://127.0.0.1:1/gone"
    code, out, err = ended(tmp_path, "serve", "--port", "0", DATABASE_URL=gone)
    assert (code, out) == (3, "")
    assert err.startswith(f"hasten: {gone} is not available")
    assert err.count("\n") == 1


def test_a_database_of_another_kind(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is loaded."""
    monkeypatch.setenv("DATABASE_URL", "mysql://db/x")
    said = hasten("serve", "--port", "0")
    assert said.code == 2
    assert "no database of the kind 'mysql'" in said.err


def test_a_state_folder_that_cannot_be(hasten: Callable[..., Said]) -> None:
    """It is named, with the way out."""
    said = hasten("serve", "--home", "/dev/null/state")
    assert said.code == 2
    assert "/dev/null/state cannot be used: Not a directory; see --home" in said.err


def test_only_one_holds_a_folder(tmp_path: Path) -> None:
    """The second is refused as long as the first is there, and not a moment longer."""
    home = tmp_path / "state"
    assert holder(home) == ""
    with only_server(home):
        assert holder(home).isdecimal()
        with pytest.raises(SettingsError, match="another server"), only_server(home):
            pytest.fail("two servers held one folder")
    assert holder(home) == ""
    with only_server(home):
        assert holder(home).isdecimal()
    assert home.stat().st_mode & 0o077 == 0


def test_a_port_is_picked_or_refused() -> None:
    """0 is any free one; one in use is told apart from one that is free."""
    port = free_port("127.0.0.1", 0)
    assert free_port("127.0.0.1", port) == port
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(SettingsError, match=f"127.0.0.1:{port}: Address already in use"),
    ):
        free_port("127.0.0.1", port)
    with pytest.raises(SettingsError, match=r"cannot listen on 300\.0\.0\.1:0"):
        free_port("300.0.0.1", 0)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://localhost:80"),
        ("::1", "http://localhost:80"),
        ("fe80::1", "http://[fe80::1]:80"),
        ("hasten.example", "http://hasten.example:80"),
    ],
)
def test_addresses_to_open(host: str, shown: str) -> None:
    """They can be clicked."""
    assert url_of(host, 80) == shown
