"""The peers' part in the cases of ``bench.jobs``: each measures in its own environment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench.gateways.targets import family
from bench.queues import PEERS, POSTGRES, REDIS, SQLITE
from bench.queues.job import STARTS
from bench.queues.measure import SETTLED_S, await_ready
from hasten.testing.postgres import run_postgres
from hasten.testing.redis import run_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Runners = dict[str, "Callable[[], float] | str"]

ROOT = Path(__file__).parents[2]
WITHIN_S = 120.0
IDLE_S = 5.0


class Measurements:
    """What several cases read: each of them reads every measurement once, in turn."""

    def __init__(self, measure: Callable[[], list[float]]) -> None:
        self._measure = measure
        self._made: list[list[float]] = []
        self._read: Counter[float] = Counter()

    def at(self, share: float) -> float:
        """Return the figure below which a share of the next measurement lies."""
        place = self._read[share]
        self._read[share] += 1
        if place == len(self._made):
            self._made.append(self._measure())
        return quantile(self._made[place], share)


def quantile(took_ms: list[float], at: float) -> float:
    """Return the figure below which the share ``at`` lies."""
    return statistics.quantiles(took_ms, n=1000, method="inclusive")[round(at * 1000) - 1]


def pick_ups(what: str, stores: tuple[str, ...]) -> dict[str, Measurements | str]:
    """Return the pick-ups of who keeps jobs in these stores, ``here`` or ``there``."""
    found: dict[str, Measurements | str] = {}
    for name, store in _taking_part(stores):
        peer = PEERS[name]
        why = "cannot" if what == "here" and peer.is_program else _lacks(name)
        measure = partial(_measured, name, store, what, peer.pick_ups)
        found[name] = why or Measurements(measure)
    return found


def at(share: float, found: dict[str, Measurements | str]) -> Runners:
    """Return the runners of one quantile."""
    return {
        name: one if isinstance(one, str) else partial(one.at, share) for name, one in found.items()
    }


def each_us(stores: tuple[str, ...]) -> Runners:
    """Return what a job takes when many are submitted at once."""

    def runner(name: str, store: str) -> float:
        return _measured(name, store, "many", PEERS[name].jobs)[0]

    return {
        name: _lacks(name) or partial(runner, name, store) for name, store in _taking_part(stores)
    }


def synced_us() -> Runners:
    """Return the same of who can be told to survive power loss on SQLite."""

    def runner() -> float:
        return _measured("huey", SQLITE, "many", PEERS["huey"].jobs, "?synced")[0]

    return {"huey": _lacks("huey") or runner}


def idle_percent() -> Runners:
    """Return what of a core each one's worker takes when there is nothing to do."""
    every = (SQLITE, REDIS, POSTGRES)
    return {
        name: _lacks(name) or partial(_idle_percent, name, store)
        for name, store in _taking_part(every)
    }


def bare_queue() -> Measurements:
    """Return the pick-ups of a bare ``asyncio.Queue``, which keeps nothing."""

    async def main() -> list[float]:
        queue: asyncio.Queue[float] = asyncio.Queue()
        took_ms: list[float] = []

        async def work() -> None:
            while True:
                took_ms.append(-(await queue.get() - perf_counter()) * 1e3)

        working = asyncio.create_task(work())
        for _ in range(300):
            await asyncio.sleep(0.002)
            queue.put_nowait(perf_counter())
        await asyncio.sleep(0.01)
        working.cancel()
        return took_ms

    return Measurements(lambda: asyncio.run(main()))


def _taking_part(stores: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Give who keeps jobs in one of these stores, and in which first."""
    for name, peer in PEERS.items():
        for store in peer.stores:
            if store in stores:
                yield name, store
                break


def _python(name: str) -> Path:
    return ROOT / f".venv-{PEERS[name].environment}/bin/python"


def _lacks(name: str) -> str:
    """Return why a peer cannot take part: make did not have all of its environment; or ''."""
    return "" if (_python(name).parents[1] / ".stamp").exists() else "not installed"


@contextmanager
def _stored(store: str) -> Iterator[str]:
    """Give the URL of a store with nothing in it."""
    if store == REDIS:
        with run_redis() as redis:
            yield redis.url
    elif store == POSTGRES:
        with run_postgres() as postgres:
            yield postgres.new_database()
    else:
        with tempfile.TemporaryDirectory(prefix="hasten-bench-") as folder:
            yield f"sqlite:///{folder}/jobs.db"


def _command(name: str, *rest: str) -> list[str]:
    return [str(_python(name)), "-m", "bench.queues.measure", name, *rest]


def _measured(name: str, store: str, what: str, count: int, options: str = "") -> list[float]:
    """Return what a peer's own process measures. Raises ``RuntimeError`` if it fails."""
    with _stored(store) as url:
        command = _command(name, what, url + options, str(count), str(PEERS[name].polls_s))
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=WITHIN_S)
        finally:
            _end(process)
        if process.returncode:
            message = f"{name} failed: {errors[-500:]}"
            raise RuntimeError(message)
        found: list[float] = json.loads(output.splitlines()[-1])
        return found


def _idle_percent(name: str, store: str) -> float:
    with _stored(store) as url, tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603 - our own program
            _command(name, "work", url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, STARTS: f"{folder}/starts"},
            start_new_session=True,
        )
        try:
            await_ready(process)
            time.sleep(SETTLED_S)
            began_s = _worked_s(process.pid)
            time.sleep(IDLE_S)
            return (_worked_s(process.pid) - began_s) / IDLE_S * 100
        finally:
            _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process and those it started, if it has not ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _worked_s(pid: int) -> float:
    """Return the processor time of a process and those it started, to the nanosecond."""
    paths = [path for one in family(pid) for path in Path(f"/proc/{one}/task").glob("*/schedstat")]
    return sum(int(path.read_text(encoding="ascii").split()[0]) for path in paths) / 1e9
