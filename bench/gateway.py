"""What a call through the gateway costs: hits, passing through, streams, memory, start.

Each target has a core of its own; the load generator and a provider that answers at once
have the other. Times a call are the inverse of calls a second: 100 µs are 10,000 a second.
Authentication, metrics and traces are on. ``bare`` is Granian with an application that
reads the request and answers with as many bytes; where an upstream is asked, the
provider asked directly. Who else is measured is in ``gateways.peers``.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.gateways import targets
from bench.gateways.peers import PEERS, lacks
from bench.gateways.targets import driven
from bench.gateways.upstream import BETWEEN_S, WORDS
from bench.harness import OURS, Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bench.gateways.load import Load

TITLE = "The gateway: what a call costs"

SMALL = '{"model":"gpt-4o","messages":[{"role":"user","content":"Is the tea ready? %d"}]}'
STREAM = '"stream":true,'

AT_LEAST = 32
"""How many calls are a figure; who is slow gets the time for them."""

ALONE, DIRECT, FROZEN = "gateway only", "direct", "gateway only, its Redis frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How long is measured; ``quick`` only sees whether everything works."""

    seconds: float = 0.5
    streams_s: float = 1.0
    streams: int = 64


FULL, QUICK = Sizes(), Sizes(seconds=0.2, streams_s=0.4, streams=8)


class Bench:
    """The targets, each started at first use; they idle while another is measured."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self._running: dict[str, tuple[ExitStack, targets.Started]] = {}
        atexit.register(self._stop_all)

    def target(self, name: str) -> targets.Started:
        """Return the target called so, running."""
        if name not in self._running:
            stack = ExitStack()
            self._running[name] = stack, stack.enter_context(self._made(name))
        return self._running[name][1]

    def stop(self, name: str) -> None:
        """Stop a target, if it runs."""
        if name in self._running:
            self._running.pop(name)[0].close()

    def _made(self, name: str) -> AbstractContextManager[targets.Started]:
        if name == DIRECT:
            return targets.provider()
        if name.startswith("bare"):
            return targets.bare(name.removeprefix("bare ").lower())
        provider = self.target(DIRECT).port
        if name in PEERS:
            return PEERS[name].start(provider)
        if name == FROZEN:
            return targets.hasten_with_frozen_redis(provider)
        return targets.hasten("rsgi" if name == ALONE else "asgi", provider)

    def _stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)


def quick_cases() -> list[Case]:
    """Return the same cases with little of everything."""
    return cases(QUICK)


def cases(sizes: Sizes = FULL) -> list[Case]:
    """Return what is measured."""
    bench = Bench(sizes)
    hit = SMALL.replace("%d", "")
    big = hit.replace("Is the tea", "Is the tea " * 1_800)
    streams = sizes.streams
    return [
        *_both("hit, 16 connections", partial(_cost, bench, hit), (111, 83)),
        _case("hit p50, 1 connection", "ms", partial(_p50, bench, hit), 0.40),
        _case("hit p90, 16 connections", "ms", partial(_p90, bench, hit), 2.0),
        *_both("hit, 20 kB prompt, 16 connections", partial(_cost, bench, big), (167, 125)),
        _case("cached stream, whole", "ms", partial(_replay, bench), 3.0, bare=""),
        _case("pass-through, 16 connections", "µs/call", partial(_pass, bench), 200, bare=DIRECT),
        _case("miss that is stored, 16 connections", "µs/call", partial(_miss, bench), bare=DIRECT),
        _added("pass-through p50, 1 connection", partial(_pass_p50, bench), 0.45),
        _added("first token, 1 stream", partial(_first, bench, 1), 0.5),
        _added(f"first token, {streams} streams", partial(_first, bench, streams), 0.5),
        _frozen(bench),
        *_started(bench),
    ]


def _frozen(bench: Bench) -> Case:
    """Return what a stored miss takes longer on the average while Redis says nothing at all."""

    def more() -> float:
        bench.stop(FROZEN)  # so that each repeat has calls that find it out
        return _mean(bench, FROZEN) - _mean(bench, ALONE)

    return Case(f"added by a frozen Redis, {ALONE}", "ms", {OURS: more}, goal=5.0)


def _both(name: str, work: Callable[[str], float], goals: tuple[float, float]) -> list[Case]:
    """Return a case for the whole server and one for the gateway alone."""
    whole = {OURS: partial(work, OURS), "bare": partial(work, "bare ASGI")}
    return [
        Case(f"{name}, whole server", "µs/call", whole, goal=goals[0], bare="bare"),
        _case(name, "µs/call", work, goals[1]),
    ]


def _case(
    name: str,
    unit: str,
    work: Callable[[str], float],
    goal: float | None = None,
    bare: str = "bare RSGI",
) -> Case:
    """Return a case for the gateway alone, beside its peers and what there is at the least."""
    runners: dict[str, Callable[[], float] | str] = {OURS: partial(work, ALONE)}
    if bare:
        runners["bare"] = partial(work, bare)
    runners |= _of_peers(name, work)
    return Case(f"{name}, {ALONE}", unit, runners, goal=goal, bare="bare" if bare else "")


def _added(name: str, work: Callable[[str], float], goal: float) -> Case:
    """Return a case for what comes on top of asking the provider directly, in turn with it."""

    def more(target: str) -> float:
        return work(target) - work(DIRECT)

    runners = {OURS: partial(more, ALONE), **_of_peers(name, more)}
    return Case(f"added to {name}, {ALONE}", "ms", runners, goal=goal)


def _of_peers(name: str, work: Callable[[str], float]) -> dict[str, Callable[[], float] | str]:
    """Return each peer's part in a case, or why it has none."""
    asks_cache = name.startswith(("hit", "cached", "miss"))
    return {peer: lacks(peer, cache=asks_cache) or partial(work, peer) for peer in PEERS}


def _load(bench: Bench, name: str, body: str, connections: int, way: str = "kept") -> Load:
    target = bench.target(name)
    seconds = bench.sizes.streams_s if STREAM in body else bench.sizes.seconds
    asked: targets.Way = getattr(target, way)
    load = asked.load(target.port, body, connections, seconds)
    load.at_least = 1 if STREAM in body else AT_LEAST
    return load


def _cost(bench: Bench, body: str, name: str) -> float:
    return driven(_load(bench, name, body, 16)).call_us


def _mean(bench: Bench, name: str) -> float:
    load = _load(bench, name, SMALL, 1)
    load.warm_s = 0.0  # the first call is what finds a frozen Redis out
    return driven(load).call_us / 1e3


def _p50(bench: Bench, body: str, name: str) -> float:
    return driven(_load(bench, name, body, 1)).p50_us / 1e3


def _p90(bench: Bench, body: str, name: str) -> float:
    return driven(_load(bench, name, body, 16)).p90_us / 1e3


def _pass(bench: Bench, name: str) -> float:
    return driven(_load(bench, name, SMALL, 16, "passed")).call_us


def _pass_p50(bench: Bench, name: str) -> float:
    return driven(_load(bench, name, SMALL, 1, "passed")).p50_us / 1e3


def _miss(bench: Bench, name: str) -> float:
    return driven(_load(bench, name, SMALL, 16)).call_us


def _first(bench: Bench, streams: int, name: str) -> float:
    load = _load(bench, name, _streamed(SMALL), streams, "streamed")
    load.spread_s = load.warm_s = WORDS * BETWEEN_S  # as long as one takes: they come evenly
    load.acks_at_once = True
    return driven(load).first_us / 1e3


def _replay(bench: Bench, name: str) -> float:
    return driven(_load(bench, name, _streamed(SMALL.replace("%d", "")), 1)).p50_us / 1e3


def _streamed(body: str) -> str:
    return body.replace("{", "{" + STREAM, 1)


def _started(bench: Bench) -> list[Case]:
    """Return what a target takes to start, and holds after some load."""

    def start_s(name: str) -> float:
        if name != "litellm":  # it takes long: one start counts
            bench.stop(name)
        return bench.target(name).start_s

    def held_mb(name: str) -> float:
        driven(_load(bench, name, SMALL, 16))
        return bench.target(name).held_mb()

    whole = "whole server"
    return [
        _case("start", "s", start_s, 0.8, bare=""),
        Case(f"start, {whole}", "s", {OURS: partial(start_s, OURS)}, goal=3.0),
        _case("memory under load", "MB", held_mb, 90, bare=""),
        Case(f"memory under load, {whole}", "MB", {OURS: partial(held_mb, OURS)}, goal=180),
    ]
