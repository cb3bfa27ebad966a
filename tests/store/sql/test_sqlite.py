"""SQLite: one thread, many writes to a commit, and what happens when the file misbehaves."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from hasten.errors import StoreError, StoreUnavailable
from hasten.store.sql import SqlPolicy, SqlSink, SqlStore, open_sql
from hasten.store.sql.words import SqliteWords, SqlWords
from hasten.testing.sink_contract import run_events, run_record
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from sqlalchemy import Connection

HASTY = SqlPolicy(call_s=0.5, rest_s=0.0)


@asynccontextmanager
async def opened(path: Path, policy: SqlPolicy | None = None) -> AsyncIterator[SqlStore]:
    """Open the database file for a block."""
    store = await open_sql(f"sqlite:///{path}", policy)
    try:
        yield store
    finally:
        await store.close()


def with_sink(
    path: Path,
    main: Callable[[SqlStore, SqlSink], Coroutine[Any, Any, None]],
    policy: SqlPolicy | None = None,
) -> None:
    """Run ``main`` on a fresh loop with the database file open."""

    async def run() -> None:
        async with opened(path, policy) as store:
            await main(store, SqlSink(store))

    asyncio.run(run())


def numbers(path: Path, run_id: str) -> list[int]:
    """Return a run's event numbers as another reader of the file sees them."""
    with closing(sqlite3.connect(path)) as reader:
        found = reader.execute("SELECT seq FROM events WHERE run_id = ? ORDER BY seq", [run_id])
        return [row[0] for row in found]


def raw(on: SqlWords) -> sqlite3.Connection:
    """Return the driver's connection."""
    assert isinstance(on, SqliteWords)
    return on.raw


def test_the_event_loop_never_touches_the_database(tmp_path: Path) -> None:
    """Reads and writes run on the store's own thread, and SQLite refuses every other one."""

    async def main(store: SqlStore, _sink: SqlSink) -> None:
        raws = [await store.read_words(raw), await store.write_words(raw)]
        threads = {await store.read(current_thread), await store.write(current_thread)}
        assert len(threads) == 1
        assert threads.isdisjoint({threading.current_thread()})
        for one in raws:
            with pytest.raises(sqlite3.ProgrammingError, match="same thread"):
                one.execute("SELECT 1")

    with_sink(tmp_path / "runs.db", main)


def current_thread(_connection: Connection) -> threading.Thread:
    """Return the thread this work runs on."""
    return threading.current_thread()


def test_the_loop_goes_on_while_the_database_is_busy(tmp_path: Path) -> None:
    """Work that hangs in the database does not stop the loop, whose other tasks release it."""

    async def main(store: SqlStore, _sink: SqlSink) -> None:
        released = threading.Event()
        hanging = asyncio.create_task(store.write(lambda _connection: released.wait(30.0)))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not hanging.done()
        released.set()
        assert await hanging

    with_sink(tmp_path / "runs.db", main)


def test_ten_thousand_events_take_few_commits(tmp_path: Path) -> None:
    """A hundred runs that write at once share their commits; every event is there."""
    said: list[str] = []

    async def write(sink: SqlSink, run_id: str) -> None:
        for first in range(1, 101, 10):
            await sink.append(run_events(run_id, range(first, first + 10), text="x" * 100))

    async def main(store: SqlStore, sink: SqlSink) -> None:
        await store.read_words(lambda on: raw(on).set_trace_callback(said.append))
        await asyncio.gather(*(write(sink, f"r{number}") for number in range(100)))

    path = tmp_path / "runs.db"
    with_sink(path, main)
    for number in range(100):
        assert numbers(path, f"r{number}") == list(range(1, 101))
    assert said.count("COMMIT") < 100, "a thousand appends shared fewer than a hundred commits"


def test_a_failing_write_takes_no_other_with_it(tmp_path: Path) -> None:
    """Writes that share a commit fail alone, and wholly."""

    def half(connection: Connection) -> None:
        connection.execute(text("UPDATE runs SET app = 'half'"))
        message = "in the middle"
        raise RuntimeError(message)

    async def main(store: SqlStore, sink: SqlSink) -> None:
        await sink.save(run_record("r1"))
        one, two, three = await asyncio.gather(
            sink.append(run_events("r1", [1])),
            store.write(half),
            sink.append(run_events("r1", [2])),
            return_exceptions=True,
        )
        assert (one, three) == (None, None)
        assert isinstance(two, RuntimeError)
        assert (await sink.run("r1")).app == "discovery"

    with_sink(tmp_path / "runs.db", main)
    assert numbers(tmp_path / "runs.db", "r1") == [1, 2]


def test_a_locked_file_is_unavailable_in_time(tmp_path: Path) -> None:
    """A lock held elsewhere costs the deadline, never a hang, and what it refused goes later."""
    path = tmp_path / "runs.db"

    async def main(_store: SqlStore, sink: SqlSink) -> None:
        await sink.append(run_events("r1", [1]))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as caught:
                await asyncio.wait_for(sink.append(run_events("r1", [2])), 5.0)
            assert caught.value.retryable
            assert [event.seq for event in await sink.events("r1")] == [1], "reading goes on"
        await sink.append(run_events("r1", [2]))

    with_sink(path, main, HASTY)
    assert numbers(path, "r1") == [1, 2]


def test_a_full_disk_is_said_and_passes(tmp_path: Path) -> None:
    """What does not fit is refused whole, what is there stays, and room makes it work again."""
    path = tmp_path / "runs.db"
    limit = "PRAGMA max_page_count = {}"

    async def main(store: SqlStore, sink: SqlSink) -> None:
        await sink.append(run_events("r1", [1]))
        await store.read_words(lambda on: on.value(limit.format(40)))
        with pytest.raises(StoreUnavailable, match="full"):
            await sink.append(run_events("r1", range(2, 50), text="x" * 100_000))
        await sink.append(run_events("r1", [2]))
        await store.read_words(lambda on: on.value(limit.format(10**6)))
        await sink.append(run_events("r1", [3], text="x" * 1_000_000))

    with_sink(path, main, SqlPolicy(rest_s=0.0))
    assert numbers(path, "r1") == [1, 2, 3]


def test_a_file_that_is_gone_is_not_written_into(tmp_path: Path) -> None:
    """SQLite would write on, into a file nobody finds: the write is refused instead."""
    path = tmp_path / "runs.db"

    async def main(_store: SqlStore, sink: SqlSink) -> None:
        await sink.append(run_events("r1", [1]))
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreUnavailable, match="moved or deleted"):
            await sink.append(run_events("r1", [2]))

    with_sink(path, main)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """What was waiting is done, what comes later is refused, and closing twice is fine."""
    path = tmp_path / "runs.db"

    async def main(store: SqlStore, sink: SqlSink) -> None:
        waiting = [asyncio.create_task(sink.append(run_events("r1", [n]))) for n in range(1, 9)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*waiting)
        with pytest.raises(StoreError, match="not open"):
            await sink.append(run_events("r1", [9]))

    with_sink(path, main)
    assert numbers(path, "r1") == list(range(1, 9))


def test_a_cancelled_caller_harms_nobody(tmp_path: Path) -> None:
    """Whoever stops waiting does not stop the others."""
    path = tmp_path / "runs.db"

    async def main(_store: SqlStore, sink: SqlSink) -> None:
        tasks = [asyncio.create_task(sink.append(run_events("r1", [n]))) for n in range(1, 9)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [3]

    with_sink(path, main)
    assert set(numbers(path, "r1")) >= {1, 2, 3, 5, 6, 7, 8}


def test_erasing_leaves_no_byte(tmp_path: Path) -> None:
    """After an erasure the person's words are in no file of the database."""
    path, secret = tmp_path / "runs.db", "a very private ambition"

    def held() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.iterdir())

    async def main(_store: SqlStore, sink: SqlSink) -> None:
        for number in range(30):
            run_id, user = f"r{number}", "ann" if number % 2 else "bob"
            text_ = secret if user == "ann" else "nothing"
            await sink.save(run_record(run_id, user=user, inputs={"summary": text_ * 50}))
            await sink.append(run_events(run_id, range(1, 40), text=text_ * 5))
        assert secret.encode() in held()
        assert await sink.erase("acme", "ann") == 15
        assert secret.encode() not in held()
        assert len(await sink.runs(RunFilter())) == 15

    with_sink(path, main)


def test_pruning_to_a_size_shrinks_the_file(tmp_path: Path) -> None:
    """The oldest runs go until the rest fits, and the disk gets its space back."""
    path, bound_bytes = tmp_path / "runs.db", 500_000

    async def main(store: SqlStore, sink: SqlSink) -> None:
        for number in range(200):
            run = run_record(f"r{number:03}", started_s=float(number))
            await sink.save(run)
            await sink.append(run_events(run.run_id, [1], text="x" * 12_000))
        assert await store.held_bytes() > 4 * bound_bytes
        dropped = await sink.prune_to_bytes(bound_bytes)
        kept = [run.run_id for run in await sink.runs(RunFilter())]
        assert len(kept) == 200 - dropped > 10
        assert kept == [f"r{number:03}" for number in range(199, dropped - 1, -1)]
        assert await store.held_bytes() <= bound_bytes
        assert path.stat().st_size <= bound_bytes + 4_096
        assert await sink.prune_to_bytes(bound_bytes) == 0
        assert await sink.prune_to_bytes(0) == len(kept), "a bound nothing fits ends all the same"

    with_sink(path, main)


WRITER = """
import asyncio, sys
from hasten.store.sql import SqlPolicy, SqlSink, open_sql
from hasten.testing.sink_contract import run_events

async def main(url, run_id, count):
    store = await open_sql(url, SqlPolicy(call_s=60.0))
    sink = SqlSink(store)
    for first in range(1, count, 5):
        await sink.append(run_events(run_id, range(first, first + 5), text="x" * 1000))
        print(first + 4, flush=True)
    await store.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writer(path: Path, run_id: str, count: int) -> subprocess.Popen[str]:
    """Start a process that writes events and prints the last number after each acknowledgement."""
    command = [sys.executable, "-c", WRITER, f"sqlite:///{path}", run_id, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_share_a_file(tmp_path: Path) -> None:
    """Both make the tables, both write, and neither loses anything."""
    path = tmp_path / "runs.db"
    with writer(path, "one", 150) as one, writer(path, "two", 150) as two:
        assert (one.wait(), two.wait()) == (0, 0)
    assert numbers(path, "one") == numbers(path, "two") == list(range(1, 151))


def test_a_killed_process_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Killed in the middle of its writes, all it was told is kept is there, batches whole."""
    path = tmp_path / "runs.db"
    with writer(path, "r1", 10**9) as process:
        assert process.stdout is not None
        for _ in range(40):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        acknowledged = [200, *(int(line) for line in process.stdout.read().split()[:-1])]
    assert process.returncode == -signal.SIGKILL
    found = numbers(path, "r1")
    assert found == list(range(1, len(found) + 1))
    assert len(found) % 5 == 0
    assert len(found) >= max(acknowledged)
    with_sink(path, lambda _store, sink: sink.append(run_events("r1", [len(found) + 1])))
    assert numbers(path, "r1")[-1] == len(found) + 1
