"""Many callers of one slow computation: how often it is computed, and who is served.

``python -m bench.caches.misses NAME WHERE CALLERS SECONDS`` is one of several
processes: it prints how often it computed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.caches import find, run
from bench.caches.servers import redis

if TYPE_CHECKING:
    from bench.caches import Contestant

FOLLOWERS = 9


@dataclass
class Slow:
    """A computation of so many seconds that counts itself."""

    took_s: float
    begun: int = 0
    is_running: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _name: str) -> str:
        """Compute."""
        self.begun += 1
        self.is_running.set()
        await asyncio.sleep(self.took_s)
        return "the answer"


def in_one_process(callers: int, took_s: float, one: Contestant) -> float:
    """Return how often ``callers`` of the same compute it, in memory or, without one, on disk."""
    with tempfile.TemporaryDirectory() as folder:
        where = folder if one.__name__.endswith("diskcache") else ""
        return run(_computations(one, where, callers, took_s))


async def _computations(one: Contestant, where: str, callers: int, took_s: float) -> int:
    fetch = Slow(took_s)
    async with one.open_cache(where, fetch, is_protected=True) as bind:
        call = bind("name")
        await asyncio.gather(*(call() for _ in range(callers)))
    return fetch.begun


def in_processes(processes: int, callers: int, took_s: float, name: str) -> float:
    """Return how often callers in several processes compute it, through Redis or one file."""
    with tempfile.TemporaryDirectory() as folder:
        redis().flush()
        where = folder if name == "diskcache" else redis().url
        each = str(callers // processes)
        command = [sys.executable, "-m", "bench.caches.misses", name, where, each, str(took_s)]
        return sum(asyncio.run(_outputs(command, processes)))


async def _outputs(command: list[str], processes: int) -> list[int]:
    pipe = asyncio.subprocess.PIPE
    started = [
        await asyncio.create_subprocess_exec(*command, stdout=pipe) for _ in range(processes)
    ]
    said = await asyncio.gather(*(process.communicate() for process in started))
    return [int(output) for output, _ in said]


def unserved(took_s: float, one: Contestant) -> float:
    """Return how many of the nine who wait are not served when the first caller is cancelled."""
    return run(_cancel_first(one, took_s))[0]


def recomputed(took_s: float, one: Contestant) -> float:
    """Return how often it is computed when the first caller is cancelled."""
    return run(_cancel_first(one, took_s))[1]


async def _cancel_first(one: Contestant, took_s: float) -> tuple[int, int]:
    fetch = Slow(took_s)
    with tempfile.TemporaryDirectory() as folder:
        where = folder if one.__name__.endswith("diskcache") else ""
        async with one.open_cache(where, fetch, is_protected=True) as bind:
            call = bind("name")
            callers = [asyncio.ensure_future(call()) for _ in range(1 + FOLLOWERS)]
            await fetch.is_running.wait()
            await asyncio.sleep(took_s / 2)
            callers[0].cancel()
            answers = await asyncio.gather(*callers, return_exceptions=True)
    return sum(isinstance(one, BaseException) for one in answers[1:]), fetch.begun


def main() -> None:
    """Be one of several processes."""
    name, where, callers, took_s = sys.argv[1:]
    one = find(name)
    if one is None:
        sys.exit(f"{name} is not installed")
    sys.stdout.write(str(run(_computations(one, where, int(callers), float(took_s)))))


if __name__ == "__main__":
    main()
