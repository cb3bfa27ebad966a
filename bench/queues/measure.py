"""``python -m bench.queues.measure PEER WHAT URL COUNT POLLS_S``: measure one queue.

Runs in the peer's environment and prints what was measured as JSON: ``here`` and ``there``
the milliseconds of each pick-up in this process or in a worker's, ``many`` the microseconds
of a job when all are submitted at once; ``work`` works for ever.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench.queues import job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTLED_S = 1.0
"""What a worker has had after it said to be ready: some say so before they listen."""

PAUSE_S = 0.002


async def here(peer: Any, url: str, count: int, polls_s: float) -> list[float]:
    """Return the pick-ups of a worker in this process."""
    loop, starts = asyncio.get_running_loop(), asyncio.Queue[float]()

    def hear(_number: int, at_s: float) -> None:
        loop.call_soon_threadsafe(starts.put_nowait, at_s)

    job.heard.append(hear)
    async with peer.working(url), peer.submitting(url) as submit:
        await asyncio.sleep(SETTLED_S)
        return await _pick_ups(submit, starts.get, count, polls_s)


async def there(peer: Any, url: str, count: int, polls_s: float) -> list[float]:
    """Return the pick-ups of a worker in a process of its own."""
    async with _worker(url) as starts, peer.submitting(url) as submit:

        async def next_start() -> float:
            line = await asyncio.to_thread(os.read, starts, 4_096)
            return float(line.split()[1])

        return await _pick_ups(submit, next_start, count, polls_s)


async def many(peer: Any, url: str, count: int, _polls_s: float) -> list[float]:
    """Return what a job takes of a worker in a process of its own, all submitted at once."""

    def await_starts(starts: int) -> None:
        left = count
        while left > 0:
            left -= os.read(starts, 65_536).count(b"\n")

    async with _worker(url) as starts, peer.submitting(url) as submit:
        began_s = perf_counter()
        over = asyncio.create_task(asyncio.to_thread(await_starts, starts))
        await asyncio.gather(*(submit(number) for number in range(count)))
        await over
        return [(perf_counter() - began_s) / count * 1e6]


async def _pick_ups(submit: Any, next_start: Any, count: int, polls_s: float) -> list[float]:
    draw, took_ms = random.Random(1), []
    for number in range(count):
        await asyncio.sleep(PAUSE_S + draw.random() * polls_s)
        began_s = perf_counter()
        await submit(number)
        took_ms.append((await next_start() - began_s) * 1e3)
    return took_ms


@asynccontextmanager
async def _worker(url: str) -> AsyncIterator[int]:
    """Run a worker's process; give the pipe it tells the starts of jobs to."""
    with tempfile.TemporaryDirectory(prefix="hasten-bench-") as folder:
        pipe = Path(folder) / "starts"
        os.mkfifo(pipe)
        starts = os.open(pipe, os.O_RDWR)  # so that neither opening nor reading sees an end
        command = [sys.executable, "-m", "bench.queues.measure", sys.argv[1], "work", url]
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own program, before anything runs
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, job.STARTS: str(pipe)},
            start_new_session=True,
        )
        try:
            await asyncio.to_thread(await_ready, process)
            await asyncio.sleep(SETTLED_S)
            yield starts
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(starts)


def await_ready(process: subprocess.Popen[str]) -> None:
    """Wait until a worker says that it is ready. Raises ``RuntimeError`` if it ended before."""
    assert process.stdout is not None  # noqa: S101 - it was started with one
    if "ready\n" not in iter(process.stdout.readline, ""):
        message = "the worker ended before it was ready"
        raise RuntimeError(message)


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """End, with all that was started, when whoever holds the other end of the input has ended."""
    os.read(0, 1)  # not sys.stdin, whose lock a forked worker would find taken
    os.killpg(0, signal.SIGKILL)


async def _work_here(peer: Any, url: str) -> None:
    async with peer.working(url):
        _say_ready()
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Do what the command line says."""
    name, what, url, *figures = sys.argv[1:]
    peer = importlib.import_module(f"bench.queues.{name}")
    if what != "work":
        measured = {"here": here, "there": there, "many": many}[what]
        found = asyncio.run(measured(peer, url, int(figures[0]), float(figures[1])))
        sys.stdout.write(f"\n{json.dumps(found)}\n")
        sys.stdout.flush()
        os._exit(0)  # some leave threads behind
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(peer, "work_for_ever"):
        peer.work_for_ever(url, _say_ready)
    else:
        asyncio.run(_work_here(peer, url))


if __name__ == "__main__":
    main()
