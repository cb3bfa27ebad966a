"""``hasten loadtest``: many users at once on a server of its own, measured and kept.

Owns the profiles, the server under test and its memory. Leaves playing the
users to ``users`` (Locust, in a process of its own). Each user is another person of
one tenant, so that nobody is given what only somebody else had. The server asks the simulated
model at real speed, in a state folder that is deleted afterwards; only the
result is kept in the folder in force, where ``hasten race`` finds it.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer
from rich.table import Table
from rich.text import Text

from hasten.app import DEFAULT_APP, find_apps, pick_app
from hasten.cli.serve import free_port
from hasten.cli.terminal import AsJson, err, out, seconds, with_runtime, write_json
from hasten.clock import current_clock
from hasten.errors import HastenError, InvalidInput, MissingExtra, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hasten.settings import Settings
    from hasten.wire import Runtime

LOOPBACK = "127.0.0.1"
TENANT = "loadtest"
START_WITHIN_S = 30.0
LOOK_EVERY_S = 0.05
WEIGH_EVERY_S = 1.0
STOP_WITHIN_S = 15.0
GREETING_LINES = 2
SAID_CHARS = 4_000
"""How much is kept of the end of what the server said after its greeting: warnings and errors."""

TIMEOUT_S = 120.0
"""A request that takes longer has failed."""

MB = 1 << 20
UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0}

Profile = Literal["normal", "burst", "sustained"]


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """How many users, how many more of them a second, for how long (SPEC 10)."""

    users: int
    spawn_rate: float
    run_time_s: float


PROFILES: dict[str, LoadProfile] = {
    "normal": LoadProfile(100, 10.0, 300.0),
    "burst": LoadProfile(500, 50.0, 120.0),
    "sustained": LoadProfile(50, 50.0, 1_800.0),
}


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("loadtest", help=what)(loadtest)


def loadtest(
    app: Annotated[str, typer.Option(help="The application.")] = DEFAULT_APP,
    profile: Annotated[Profile, typer.Option(help="normal, burst or sustained.")] = "normal",
    users: Annotated[int | None, typer.Option(min=1, help="How many users.")] = None,
    spawn_rate: Annotated[
        float | None, typer.Option(min=0.1, help="How many more of them a second.")
    ] = None,
    run_time: Annotated[str | None, typer.Option(help="How long: 90s, 5m, 1h.")] = None,
    host: Annotated[
        str | None, typer.Option(help="A server that runs already; else one is started.")
    ] = None,
    key: Annotated[str, typer.Option(help="The key to show to that server.")] = "",
    headless: Annotated[
        bool, typer.Option("--headless", help="Draw no progress, as in a script.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load an application with many users; exit 1 if a request failed."""
    from hasten.settings import load_settings

    if find_spec("locust") is None:
        part = "the load test"
        raise MissingExtra(part, "loadtest")
    known = PROFILES[profile]
    wanted = LoadProfile(
        users or known.users,
        spawn_rate or known.spawn_rate,
        known.run_time_s if run_time is None else duration_s(run_time),
    )
    settings = load_settings()
    pick_app(find_apps(), app)
    found = _measure(app, profile, wanted, settings, host=host, key=key, is_quiet=headless)
    found["is_whole"] = wanted == known
    is_held = found["failures"] == 0 and found["requests"] > 0
    with_runtime(functools.partial(_keep, app, profile, found, is_held=is_held), settings)
    if as_json:
        write_json(found)
    else:
        _draw(found)
    raise typer.Exit(0 if is_held else 1)


def duration_s(text: str) -> float:
    """Return the seconds in ``90s``, ``5m``, ``1h`` or ``90``. Raises ``InvalidInput``."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None or not int(match[1]):
        message = f"--run-time takes a number and s, m or h, such as 5m, not {text!r}"
        raise InvalidInput(message, field="--run-time", value=text)
    return int(match[1]) * UNIT_S[match[2]]


def _measure(
    app: str,
    profile: str,
    wanted: LoadProfile,
    settings: Settings,
    *,
    host: str | None,
    key: str,
    is_quiet: bool,
) -> dict[str, Any]:
    report = settings.home / "loadtests" / f"{app}-{profile}-{current_clock().now():.0f}.html"
    report.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hasten-load-") as name:
        folder = Path(name)
        keys = [key] if host is not None else _make_keys(folder / "state", wanted.users)
        with _server(folder, host) as (url, server):
            plan = {
                "app": app,
                "profile": profile,
                "host": url,
                "keys": keys,
                "users": wanted.users,
                "spawn_rate": wanted.spawn_rate,
                "run_time_s": wanted.run_time_s,
                "timeout_s": TIMEOUT_S,
                "seed": 0,
                "results": str(folder / "results.json"),
                "report": str(report),
            }
            weights = _play(plan, folder, server, is_quiet=is_quiet)
        found: dict[str, Any] = orjson.loads((folder / "results.json").read_bytes())
        said = _said(folder / "server.log") if host is None else ""
    return {
        "app": app,
        "profile": profile,
        "users": wanted.users,
        "spawn_rate": wanted.spawn_rate,
        "run_time_s": wanted.run_time_s,
        **found,
        "memory_growth_percent": growth_percent(weights),
        "memory_mb": [round(weight / MB, 1) for weight in weights],
        "server_said": said,
        "report": str(report),
    }


def _make_keys(home: Path, users: int) -> list[str]:
    """Make a key for each user in the state folder of the server to come."""
    from hasten.caller import Caller
    from hasten.settings import load_settings

    async def made(runtime: Runtime) -> list[str]:
        people = [Caller(TENANT, f"user-{number}") for number in range(users)]
        return [(await runtime.keys.create(one))[1] for one in people]

    settings = load_settings(home=home, database_url="", redis_url="", model="", speed=1.0)
    return with_runtime(made, settings)


@contextmanager
def _server(folder: Path, host: str | None) -> Iterator[tuple[str, int | None]]:
    """Give the address of the server under test, and its process if it is ours."""
    if host is not None:
        yield host.rstrip("/"), None
        return
    port = free_port(LOOPBACK, 0)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HASTEN_")}
    state = {"HASTEN_HOME": str(folder / "state"), "HASTEN_LOG_LEVEL": "warning"}
    none = {"DATABASE_URL": "", "REDIS_URL": "", "HASTEN_MODEL": ""}
    start = "from hasten.cli import main; main()"
    flags = ("--host", LOOPBACK, "--port", str(port))
    command = [sys.executable, "-c", start, "serve", *flags]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - this very program
            command, stdout=log, stderr=log, cwd=folder, env={**ours, **state, **none}
        )
    try:
        _await_start(server, port, folder / "server.log")
        yield f"http://{LOOPBACK}:{port}", server.pid
    finally:
        server.terminate()
        try:
            server.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _said(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(lines[GREETING_LINES:])[-SAID_CHARS:]


def _await_start(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import socket

    clock = current_clock()
    until_s = clock.monotonic() + START_WITHIN_S
    while clock.monotonic() < until_s and server.poll() is None:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1.0).close()
        except OSError:
            time.sleep(LOOK_EVERY_S)  # noqa: TID251 - no loop runs here, and the clock is the wall's
        else:
            return
    message = f"the server did not start: {log.read_text(errors='replace')[-1_000:]}"
    raise StoreUnavailable(message, store="the server under test")


def _play(plan: dict[str, Any], folder: Path, server: int | None, *, is_quiet: bool) -> list[float]:
    """Play the users to their end; return what the server's memory was, second by second."""
    clock, weights = current_clock(), []
    until_s = clock.monotonic() + plan["run_time_s"]
    command = [sys.executable, "-m", "hasten.cli.users"]
    with (folder / "users.log").open("wb") as log:
        users = subprocess.Popen(  # noqa: S603 - this very program
            command, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    try:
        assert users.stdin is not None  # noqa: S101 - it was asked for as a pipe
        users.stdin.write(orjson.dumps(plan))
        users.stdin.close()
        with err.status("", spinner="dots") as status:
            while users.poll() is None:
                left_s = max(0.0, until_s - clock.monotonic())
                if not is_quiet:
                    status.update(f"{plan['users']} users on {plan['app']}, {left_s:.0f} s left")
                if server is not None:
                    weights.append(_weight(server))
                time.sleep(WEIGH_EVERY_S)  # noqa: TID251 - as above
    finally:
        if users.poll() is None:
            users.kill()
        users.wait()
    if users.returncode:
        said = (folder / "users.log").read_text(errors="replace")[-1_000:]
        message = f"the users did not come to their end: {said}"
        raise HastenError(message)
    return weights


def growth_percent(weights: Sequence[float]) -> float:
    """Return by how many percent the last quarter is above the second; 0 for too few."""
    quarter = len(weights) // 4
    if not quarter:
        return 0.0
    return 100 * (fmean(weights[-quarter:]) / fmean(weights[quarter : 2 * quarter]) - 1)


def _weight(server: int) -> float:
    """Return the resident bytes of the server, its workers and what those started."""
    import psutil  # type: ignore[import-untyped]  # it ships none

    weight = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(server)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                weight += one.memory_info().rss
    return float(weight)


async def _keep(
    app: str, profile: str, found: dict[str, Any], runtime: Runtime, *, is_held: bool
) -> None:
    await runtime.results.add("loadtest", app, profile, found, is_held=is_held)


def _draw(found: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("request", "requests", "failed", "a second", "P50", "P95", "P99", "most"):
        table.add_column(
            heading, justify="left" if heading == "request" else "right", overflow="fold"
        )
    rows = [*found["by_request"].items(), ("all", found)]
    for name, one in rows:
        times = [seconds(one[which]) for which in ("p50_s", "p95_s", "p99_s", "most_s")]
        count, failed = f"{one['requests']:,}", str(one["failures"])
        table.add_row(name, count, failed, f"{one['requests_per_s']:.1f}", *times)
    out.print(table)
    if weights := found["memory_mb"]:
        middle = weights[len(weights) // 2]
        said = (
            f"memory {weights[0]:.0f} MB at first, {middle:.0f} half-way, {weights[-1]:.0f} at last"
        )
        out.print(f"{said}, at most {max(weights):.0f}")
    for error in found["errors"]:
        out.print(Text(error, "red"))
    if found["server_said"]:
        out.print(Text(found["server_said"].rstrip(), "yellow"))
    out.print(f"report: {found['report']}", soft_wrap=True)
