"""What a whole answer costs that is given again: the discovery report over HTTP, end to end.

A server as ``hasten serve`` starts it, on one core, and a client that asks one thing
after the other on one connection, on the other. The report is computed once; from then
on every request is a run of its own, stored and listed like any other, whose answer was
there. Beside it is ``/health`` of the same server: what a request costs that runs nothing.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from functools import cache, partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING

from bench.gateways.targets import LOAD_CORE, TARGET_CORE, free_port, running
from bench.harness import OURS, Case
from hasten.apps.discovery.inputs import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE = "A report given again, over HTTP"

CALLS = 300
QUICK_CALLS = 30

SPEED = 5
"""The report's minute takes twelve seconds; a rerun has no simulated part."""

BODY = json.dumps({"app": "discovery", "inputs": SAMPLES["chatbots"], "speed": SPEED})


def cases(calls: int = CALLS) -> list[Case]:
    """Return what is measured."""
    return [
        _case("p50", 50, calls, goal=5.0),
        _case("p95", 95, calls),
    ]


def quick_cases() -> list[Case]:
    """Return the same cases with few calls."""
    return cases(QUICK_CALLS)


def _case(name: str, percentile: int, calls: int, goal: float | None = None) -> Case:
    runners: dict[str, Callable[[], float] | str] = {
        OURS: partial(_rerun_ms, calls, percentile),
        "/health": partial(_health_ms, calls, percentile),
    }
    return Case("discovery rerun", f"ms, {name}", runners, goal=goal, bare="/health")


def _rerun_ms(calls: int, percentile: int) -> float:
    connection = _server()
    return _percentile_ms(lambda: _check_again(connection), calls, percentile)


def _check_again(connection: HTTPConnection) -> None:
    if b'"cached":true' not in _ask(connection, "POST", "/api/run", BODY):
        message = "it was computed anew"
        raise AssertionError(message)


def _health_ms(calls: int, percentile: int) -> float:
    connection = _server()
    return _percentile_ms(lambda: _ask(connection, "GET", "/health"), calls, percentile)


def _percentile_ms(ask: Callable[[], object], calls: int, percentile: int) -> float:
    took_ms = []
    for _ in range(calls):
        began_s = perf_counter()
        ask()
        took_ms.append((perf_counter() - began_s) * 1e3)
    return quantiles(took_ms, n=100)[percentile - 1]


def _ask(connection: HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != HTTPStatus.OK:
        message = f"{method} {path}: {answer.status}: {data[:200]!r}"
        raise AssertionError(message)
    return data


@cache
def _server() -> HTTPConnection:
    """Return a connection to a server that has made the report; it stops when the program ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    os.sched_setaffinity(0, {LOAD_CORE} & os.sched_getaffinity(0) or {TARGET_CORE})
    home = stack.enter_context(tempfile.TemporaryDirectory(prefix="hasten-bench-"))
    port = free_port()
    name = str(Path(sys.executable).parent / "hasten")
    command = [name, "serve", "--port", str(port), "--home", home]
    stack.enter_context(running(command, port, TARGET_CORE, {"HASTEN_LOG_LEVEL": "warning"}))
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    stack.callback(connection.close)
    made = json.loads(_ask(connection, "POST", "/api/run", BODY))
    if made["cached"] or made["status"] != "complete":
        message = f"the report is {made['status']}, cached: {made['cached']}"
        raise AssertionError(message)
    return connection
