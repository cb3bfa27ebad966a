"""Virtual time: it jumps, it is fixed by its seed, it touches nothing real."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.clock import current_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SEEDS = 200


async def sleep(seconds: float) -> None:
    """Sleep on the clock in force."""
    await current_clock().sleep(seconds)


def test_time_jumps_to_the_next_timer() -> None:
    """A year of waiting is over at once, and both clocks show a year."""
    year_s = 365 * 86_400.0

    async def main() -> tuple[float, float, float]:
        await sleep(year_s)
        return asyncio.get_running_loop().time(), current_clock().monotonic(), current_clock().now()

    assert virtual.run(main()) == (year_s, year_s, virtual.EPOCH_S + year_s)


def test_time_stands_still_while_a_task_can_run() -> None:
    """Yielding a thousand times takes no virtual time, though a timer is due."""

    async def main() -> float:
        timer = asyncio.create_task(sleep(1e-9))
        for _ in range(1_000):
            await sleep(0)
        now_s = current_clock().monotonic()
        await timer
        return now_s

    assert virtual.run(main()) == 0.0


@given(st.lists(st.floats(0, 1e6), max_size=30), st.integers(0, 10_000))
def test_sleepers_wake_in_the_order_of_their_times(delays_s: list[float], seed: int) -> None:
    """Whatever the seed, nobody wakes early, late, or before one who was due earlier."""
    woken: list[float] = []

    async def main() -> None:
        async def one(delay_s: float) -> None:
            await sleep(delay_s)
            assert current_clock().monotonic() == delay_s
            woken.append(delay_s)

        await asyncio.gather(*(one(delay_s) for delay_s in delays_s))

    virtual.run(main(), seed=seed)
    assert woken == sorted(delays_s)


def trace_of(seed: int) -> list[str]:
    """Run something with every source of order in it, and write down what happened when."""
    trace: list[str] = []

    def note(what: str) -> None:
        trace.append(f"{current_clock().monotonic():.6f} {what}")

    async def main() -> None:
        lock, queue = asyncio.Lock(), asyncio.Queue[int]()

        async def worker(number: int) -> None:
            try:
                await sleep(virtual.latency(0, 1) if number % 2 else 0.5)
                async with lock:
                    note(f"{number} holds")
                    await sleep(virtual.latency(0, 0.1))
                queue.put_nowait(number)
                await sleep(60)
            except asyncio.CancelledError:
                note(f"{number} cancelled")
                raise

        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for number in range(12):
                    group.create_task(worker(number))
                for _ in range(6):
                    note(f"got {await queue.get()}")
                raise ValueError
        left = {asyncio.create_task(worker(number)) for number in range(5)}
        done, left = await asyncio.wait(left, timeout=0.7)
        note(f"{len(done)} done, {sorted(task.get_name() for task in left)} left")

    virtual.run(main(), seed=seed)
    return trace


def test_the_same_seed_gives_the_same_trace() -> None:
    """200 seeds, each run twice, with task groups, sets of tasks, locks, queues and leftovers."""
    for seed in range(SEEDS):
        junk = [object() for _ in range(seed)]  # other addresses the second time
        first = trace_of(seed)
        del junk
        assert trace_of(seed) == first, seed


def test_different_seeds_differ() -> None:
    """Nearly every seed is another interleaving; a loop that ignored its seed would give one."""
    assert len({tuple(trace_of(seed)) for seed in range(SEEDS)}) > SEEDS * 0.95


def first_of_two(seed: int, *, shuffle: bool) -> str:
    """Return which of two tasks, ready in the same instant, runs first."""
    order: list[str] = []

    async def main() -> None:
        async def one(name: str) -> None:
            await sleep(1)
            order.append(name)

        await asyncio.gather(one("a"), one("b"))

    virtual.run(main(), seed=seed, shuffle=shuffle)
    return order[0]


def test_without_shuffling_the_order_is_first_come_first_run() -> None:
    """``shuffle=False`` keeps asyncio's own order for every seed; with it both orders come."""
    assert {first_of_two(seed, shuffle=False) for seed in range(20)} == {"a"}
    assert {first_of_two(seed, shuffle=True) for seed in range(20)} == {"a", "b"}


def test_a_race_is_found_by_some_seed() -> None:
    """A read, a yield and a write lose an update under some interleaving."""

    async def lost_update() -> int:
        total = 0

        async def add() -> None:
            nonlocal total
            seen = total
            await sleep(virtual.latency(0, 1))
            total = seen + 1

        async def add_later() -> None:
            await sleep(0.5)
            await add()

        await asyncio.gather(add(), add_later())
        return total

    assert {virtual.run(lost_update(), seed=seed) for seed in range(50)} == {1, 2}


def test_a_deadlock_is_named() -> None:
    """When nothing can ever happen again, the error names who waits."""

    async def main() -> None:
        one, two = asyncio.Lock(), asyncio.Lock()

        async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
            async with first:
                await sleep(1)
                async with second:
                    pass

        async with asyncio.TaskGroup() as group:
            group.create_task(take(one, two), name="left hand")
            group.create_task(take(two, one), name="right hand")

    with pytest.raises(virtual.VirtualDeadlock, match="left hand, right hand, task 1"):
        virtual.run(main())


def test_threads_and_sockets_are_refused() -> None:
    """Blocking work, names to resolve and connections all need a thread or a socket."""

    async def in_thread() -> None:
        await asyncio.to_thread(print)

    async def by_name() -> None:
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    async def connected() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    async def listening() -> None:
        await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)

    for refused, what in (
        (in_thread, "thread"),
        (by_name, "thread"),
        (connected, "socket"),
        (listening, "socket"),
    ):
        with pytest.raises(RuntimeError, match=f"touches no {what}"):
            virtual.run(refused())


def test_no_nesting() -> None:
    """A virtual loop inside a running loop would never give control back; it says so."""

    async def inner() -> None:
        """Do nothing."""

    async def outer() -> None:
        virtual.run(inner())

    with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
        virtual.run(outer())


def test_leftover_tasks_are_cancelled_in_virtual_time() -> None:
    """What ``main`` leaves is cancelled, may clean up slowly, and still sees the virtual clock."""
    ended: list[tuple[str, float]] = []

    async def main() -> None:
        async def left() -> None:
            try:
                await sleep(100)
            finally:
                await sleep(5)
                ended.append((current_clock().kind, current_clock().monotonic()))

        task = asyncio.create_task(left())
        await sleep(1)
        assert not task.done()

    virtual.run(main())
    assert ended == [("virtual", 6.0)]


def test_open_generators_are_closed_in_virtual_time() -> None:
    """An async generator nobody finished runs its ``finally`` before the loop ends."""
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await sleep(1)
            closed.append(current_clock().kind)

    async def main() -> None:
        opened.append(numbers())
        await anext(opened[0])

    opened: list[AsyncIterator[int]] = []
    virtual.run(main())
    assert closed == ["virtual"]


def test_what_main_raises_comes_out() -> None:
    """The error is the same object, and the loop is closed behind it."""
    error = KeyError("mine")

    async def main() -> None:
        await sleep(1)
        raise error

    with pytest.raises(KeyError) as caught:
        virtual.run(main())
    assert caught.value is error


def test_cancelled_timers_move_no_time() -> None:
    """A timeout that did not fire leaves no trace on the clock."""

    async def main() -> float:
        for _ in range(100):
            async with current_clock().timeout(1_000):
                await sleep(0.01)
        return current_clock().monotonic()

    assert virtual.run(main()) == pytest.approx(1.0)


def test_latency_needs_a_virtual_loop() -> None:
    """On the real loop there is no seed to draw from."""

    async def main() -> None:
        virtual.latency(0, 1)

    with pytest.raises(TypeError, match=r"inside virtual\.run"):
        asyncio.run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        virtual.latency(0, 1)


def test_latency_stays_in_its_bounds() -> None:
    """Draws lie between the bounds and are the seed's own."""

    async def main() -> list[float]:
        return [virtual.latency(2, 3) for _ in range(100)]

    drawn = virtual.run(main(), seed=7)
    assert all(2 <= seconds <= 3 for seconds in drawn)
    assert drawn == virtual.run(main(), seed=7) != virtual.run(main(), seed=8)
