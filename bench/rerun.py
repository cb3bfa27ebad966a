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
from typing import TYPE_CHECKING, TypeAlias

from bench.gateways.targets import LOAD_CORE, TARGET_CORE, free_port, running
from bench.harness import OURS, Case
from hasten.apps.discovery.inputs import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gateways.targets import Started

TITLE = "A report given again, over HTTP"

CALLS = 300
QUICK_CALLS = 30

SPEED = 5
"""The report's minute takes twelve seconds; a rerun has no simulated part."""

Figure: TypeAlias = "Callable[[Callable[[], None], int], float]"

BODY = json.dumps({"app": "discovery", "inputs": SAMPLES["chatbots"], "speed": SPEED})


def cases(calls: int = CALLS) -> list[Case]:
    """Return what is measured."""
    return [
        _case("ms, p50", partial(_percentile_ms, 50), calls, goal=5.0),
        _case("ms, p95", partial(_percentile_ms, 95), calls),
        _case("ms of the server's processor", _worked_ms, calls),
    ]


def quick_cases() -> list[Case]:
    """Return the same cases with few calls."""
    return cases(QUICK_CALLS)


def _case(unit: str, figure: Figure, calls: int, goal: float | None = None) -> Case:
    runners: dict[str, Callable[[], float] | str] = {
        OURS: lambda: figure(_server().check_again, calls),
        "/health": lambda: figure(_server().look, calls),
    }
    return Case("discovery rerun", unit, runners, goal=goal, bare="/health")


def _percentile_ms(percentile: int, ask: Callable[[], None], calls: int) -> float:
    took_ms = []
    for _ in range(calls):
        began_s = perf_counter()
        ask()
        took_ms.append((perf_counter() - began_s) * 1e3)
    return quantiles(took_ms, n=100)[percentile - 1]


def _worked_ms(ask: Callable[[], None], calls: int) -> float:
    """Return what a call costs whatever else the machine does."""
    began_s = _server().process.worked_s()
    for _ in range(calls):
        ask()
    return (_server().process.worked_s() - began_s) / calls * 1e3


class Server:
    """A server that has made the report, and a connection to it."""

    def __init__(self, process: Started) -> None:
        self.process = process
        self.connection = HTTPConnection("127.0.0.1", process.port, timeout=120)
        made = json.loads(self._ask("POST", "/api/run", BODY))
        if made["cached"] or made["status"] != "complete":
            message = f"the report is {made['status']}, cached: {made['cached']}"
            raise AssertionError(message)

    def check_again(self) -> None:
        """Have the report given again."""
        if b'"cached":true' not in self._ask("POST", "/api/run", BODY):
            message = "it was computed anew"
            raise AssertionError(message)

    def look(self) -> None:
        """Ask how the server is."""
        self._ask("GET", "/health")

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status != HTTPStatus.OK:
            message = f"{method} {path}: {answer.status}: {data[:200]!r}"
            raise AssertionError(message)
        return data


@cache
def _server() -> Server:
    """Return the server, on a core of its own; it stops when the program ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    os.sched_setaffinity(0, {LOAD_CORE} & os.sched_getaffinity(0) or {TARGET_CORE})
    home = stack.enter_context(tempfile.TemporaryDirectory(prefix="hasten-bench-"))
    port = free_port()
    name = str(Path(sys.executable).parent / "hasten")
    command = [name, "serve", "--port", str(port), "--home", home]
    env = {"HASTEN_LOG_LEVEL": "warning"}
    started = Server(stack.enter_context(running(command, port, TARGET_CORE, env)))
    stack.callback(started.connection.close)
    return started
