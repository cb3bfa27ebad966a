"""What a call through the gateway costs: hits, passing through, streams, memory, start.

Each target has a core of its own; the load generator and a provider that answers at once
have the other. Times a call are the inverse of calls a second: 100 µs are 10,000 a second.
Authentication, metrics and traces are on. ``bare`` is Granian with an application that
reads the request and answers with as many bytes; for what an upstream is asked, the
provider asked directly.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.gateways import targets
from bench.gateways.load import Load
from bench.gateways.targets import driven
from bench.harness import OURS, Case

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE = "The gateway: what a call costs"

CHAT = "/v1/chat/completions"
SMALL = '{"model":"gpt-4o","messages":[{"role":"user","content":"Is the tea ready? %d"}]}'
ALONE = "gateway only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How long is measured; ``quick`` only sees whether everything works."""

    seconds: float = 2.0
    streams: int = 64


FULL, QUICK = Sizes(), Sizes(seconds=0.2, streams=8)


class Bench:
    """The targets, started at first use and stopped at the end."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self._stack = ExitStack()
        self._ports: dict[str, int] = {}
        self._now: str = ""
        self._running: targets.Started | None = None

    def target(self, name: str) -> targets.Started:
        """Return the target called so; only one runs at a time, the provider beside it."""
        if self._now != name or self._running is None:
            self._stack.close()
            self._stack = ExitStack()
            upstream = self._stack.enter_context(targets.provider())
            made = {
                OURS: lambda: targets.hasten("asgi", upstream.port),
                ALONE: lambda: targets.hasten("rsgi", upstream.port),
                "bare ASGI": lambda: targets.bare("asgi"),
                "bare RSGI": lambda: targets.bare("rsgi"),
            }
            self._running = (
                upstream if name == "direct" else self._stack.enter_context(made[name]())
            )
            self._now = name
        return self._running


def quick_cases() -> list[Case]:
    """Return the same cases with little of everything."""
    return cases(QUICK)


def cases(sizes: Sizes = FULL) -> list[Case]:
    """Return what is measured."""
    bench = Bench(sizes)
    big = SMALL.replace("Is the tea", "Is the tea " * 1_800)
    hit = SMALL.replace("%d", "")
    return [
        *_both("hit, 16 connections", partial(_cost, bench, hit, 16), (111, 83)),
        _case("hit p50, 1 connection", "ms", partial(_p50, bench, hit, 1), 0.40),
        _case("hit p90, 16 connections", "ms", partial(_p90, bench, hit, 16), 2.0),
        *_both(
            "hit, 20 kB prompt, 16 connections",
            partial(_cost, bench, big.replace("%d", ""), 16),
            (167, 125),
        ),
        _through("pass-through, 16 connections", "µs/call", partial(_pass, bench, 16), 200),
        _through("miss that is stored, 16 connections", "µs/call", partial(_miss, bench), None),
        _through("pass-through p50, 1 connection", "ms", partial(_pass_p50, bench), None),
        _through("first token, 1 stream", "ms", partial(_first, bench, 1), None),
        _through(
            f"first token, {sizes.streams} streams",
            "ms",
            partial(_first, bench, sizes.streams),
            None,
        ),
        _case("cached stream, whole", "ms", partial(_replay, bench), 3.0, with_bare=False),
        *_started(bench),
    ]


def _both(name: str, work: Callable[[str], float], goals: tuple[float, float]) -> list[Case]:
    """Return a case for the whole server and one for the gateway alone."""
    whole = {OURS: partial(work, OURS), "bare": partial(work, "bare ASGI")}
    alone = {OURS: partial(work, ALONE), "bare": partial(work, "bare RSGI")}
    return [
        Case(f"{name}, whole server", "µs/call", whole, goal=goals[0], bare="bare"),
        Case(f"{name}, {ALONE}", "µs/call", alone, goal=goals[1], bare="bare"),
    ]


def _case(
    name: str,
    unit: str,
    work: Callable[[str], float],
    goal: float | None,
    with_bare: bool = True,  # noqa: FBT001, FBT002 - whether there is anything to compare with
) -> Case:
    runners: dict[str, Callable[[], float] | str] = {OURS: partial(work, ALONE)}
    if with_bare:
        runners["bare"] = partial(work, "bare RSGI")
    return Case(f"{name}, {ALONE}", unit, runners, goal=goal, bare="bare" if with_bare else "")


def _through(name: str, unit: str, work: Callable[[str], float], goal: float | None) -> Case:
    runners = {OURS: partial(work, ALONE), "bare": partial(work, "direct")}
    return Case(f"{name}, {ALONE}", unit, runners, goal=goal, bare="bare")


def _load(bench: Bench, name: str, body: str, connections: int, **more: object) -> Load:
    port = bench.target(name).port
    seconds = bench.sizes.seconds
    return Load(port, CHAT, body, connections, seconds, **more)  # type: ignore[arg-type]


def _cost(bench: Bench, body: str, connections: int, name: str) -> float:
    return driven(_load(bench, name, body, connections)).call_us


def _p50(bench: Bench, body: str, connections: int, name: str) -> float:
    return driven(_load(bench, name, body, connections)).p50_us / 1e3


def _p90(bench: Bench, body: str, connections: int, name: str) -> float:
    return driven(_load(bench, name, body, connections)).p90_us / 1e3


def _pass(bench: Bench, connections: int, name: str) -> float:
    off = {"hasten-cache-mode": "off"}
    return driven(_load(bench, name, SMALL, connections, headers=off)).call_us


def _pass_p50(bench: Bench, name: str) -> float:
    off = {"hasten-cache-mode": "off"}
    return driven(_load(bench, name, SMALL, 1, headers=off)).p50_us / 1e3


def _miss(bench: Bench, name: str) -> float:
    return driven(_load(bench, name, SMALL, 16)).call_us


def _first(bench: Bench, streams: int, name: str) -> float:
    body = SMALL.replace("{", '{"stream":true,', 1)
    return driven(_load(bench, name, body, streams)).first_us / 1e3


def _replay(bench: Bench, name: str) -> float:
    body = SMALL.replace("{", '{"stream":true,', 1).replace("%d", "")
    return driven(_load(bench, name, body, 1)).p50_us / 1e3


def _started(bench: Bench) -> list[Case]:
    """Return what a target takes to start, and holds after some load."""

    def start_s(name: str) -> float:
        bench.target("direct")
        return bench.target(name).start_s

    def held_mb(name: str) -> float:
        driven(_load(bench, name, SMALL, 16))
        return bench.target(name).held_mb()

    return [
        Case(f"start, {ALONE}", "s", {OURS: partial(start_s, ALONE)}, goal=0.8),
        Case("start, whole server", "s", {OURS: partial(start_s, OURS)}, goal=3.0),
        Case(f"memory under load, {ALONE}", "MB", {OURS: partial(held_mb, ALONE)}, goal=90),
        Case("memory under load, whole server", "MB", {OURS: partial(held_mb, OURS)}, goal=180),
    ]
