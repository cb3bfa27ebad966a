"""The thread behind a SQLite file: its inbox, its answers, its end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from hasten.store.thread import BATCH_WORKS, StoreOutcome, StoreThread, StoreWork, deliver

if TYPE_CHECKING:
    from collections.abc import Callable


class CountingThread(StoreThread):
    """Calls each function with the size of the batch it is in; idles when it is told to."""

    def __init__(self, wait_s: float | None = None) -> None:
        super().__init__("counting")
        self.wait_s = wait_s
        self.idled = threading.Event()
        self.ends = 0

    def do(self, works: list[StoreWork]) -> float | None:
        """Do the batch, or note that there was none."""
        if not works:
            self.idled.set()
            return None
        deliver([self.attempt(work, len(works)) for work in works])
        return self.wait_s

    def attempt(self, work: StoreWork, size: int) -> StoreOutcome:
        """Return what came of one piece of work."""
        try:
            return StoreOutcome(work, work.function(size))
        except ZeroDivisionError as error:
            return StoreOutcome(work, error=error)

    def end(self) -> None:
        """Note the end."""
        self.ends += 1


def held(thread: CountingThread) -> Callable[[], None]:
    """Hold the thread at its work until what is returned is called."""
    release, is_held = threading.Event(), threading.Event()

    def hold(_size: int) -> bool:
        is_held.set()
        return release.wait(30.0)

    thread.submit(hold, is_write=True)
    assert is_held.wait(30.0)
    return release.set


def test_what_piled_up_is_done_together() -> None:
    """At most a batch at once; each piece gets its own answer, in order."""

    async def main() -> None:
        thread = CountingThread()
        release = held(thread)
        answers = [thread.submit(lambda n: n, is_write=True) for _ in range(BATCH_WORKS + 7)]
        release()
        sizes = await asyncio.gather(*answers)
        assert sizes == [BATCH_WORKS] * BATCH_WORKS + [7] * 7
        await thread.close(5.0)

    asyncio.run(main())


def test_an_error_reaches_whoever_brought_the_work() -> None:
    """And nobody else."""

    async def main() -> None:
        thread = CountingThread()
        release = held(thread)
        bad, good = (thread.submit(lambda n, by=by: n // by, is_write=False) for by in (0, 1))
        release()
        with pytest.raises(ZeroDivisionError):
            await bad
        assert await good == 2
        await thread.close(5.0)

    asyncio.run(main())


def test_work_nobody_awaits_is_left_out() -> None:
    """A caller that gave up before its turn costs nothing."""
    done: list[str] = []

    async def main() -> None:
        thread = CountingThread()
        release = held(thread)
        given_up = thread.submit(lambda _n: done.append("given up"), is_write=True)
        awaited = thread.submit(lambda _n: done.append("awaited"), is_write=True)
        given_up.cancel()
        release()
        await awaited
        await thread.close(5.0)

    asyncio.run(main())
    assert done == ["awaited"]


def test_closing_does_what_is_waiting() -> None:
    """Then the thread ends; work that comes later starts another."""

    async def main() -> None:
        thread = CountingThread()
        release = held(thread)
        waiting = thread.submit(lambda n: n, is_write=True)
        release()
        await thread.close(5.0)
        assert (await waiting, thread.ends) == (1, 1)
        assert await thread.submit(lambda n: n, is_write=True) == 1
        await thread.close(5.0)
        await thread.close(5.0)
        assert thread.ends == 2

    asyncio.run(main())


def test_an_idle_thread_is_called_when_it_asked_for_it() -> None:
    """``do`` said how long it would wait for more, and none came."""

    async def main() -> None:
        thread = CountingThread(wait_s=0.0)
        await thread.submit(lambda n: n, is_write=False)
        assert await asyncio.to_thread(thread.idled.wait, 30.0)
        await thread.close(5.0)

    asyncio.run(main())


def test_a_loop_that_is_gone_stops_nothing() -> None:
    """Whoever waited there waits no more, and the thread serves the next loop."""
    thread = CountingThread()

    async def leave() -> Callable[[], None]:
        release = held(thread)
        thread.submit(lambda n: n, is_write=True)
        return release

    async def come() -> int:
        answer = await thread.submit(lambda n: n, is_write=True)
        await thread.close(5.0)
        return answer

    release = asyncio.run(leave())
    release()
    assert asyncio.run(come()) >= 1
