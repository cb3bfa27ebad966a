"""The disk tier: what a crash, a full disk, a spoilt file and a slow one do to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hasten.clock import current_clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store import disk
from hasten.store.base import Item
from hasten.store.disk import DiskStore
from hasten.testing.store_contract import digest, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WRITER = """
import asyncio, sys
from hasten.store.disk import DiskStore
from hasten.testing.store_contract import item

async def main():
    store = DiskStore(sys.argv[1], deadline_s=10)
    for number in range(100_000):
        await asyncio.gather(*(store.set_many([item((number, n), b"x" * 500)]) for n in range(20)))
        print(number, flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[DiskStore]:
    """Open a store for a block."""
    store = DiskStore(path, **{"deadline_s": 10.0, **options})
    try:
        yield store
    finally:
        await store.close()


async def chores_done(store: DiskStore) -> None:
    """Wait until the thread has nothing left to clean up."""
    while await store._thread.write(store._do_chores):
        pass


def test_what_was_acknowledged_outlives_the_process(tmp_path: Path) -> None:
    """A writer killed in the middle leaves everything it was told is kept, and a sound file."""
    path = tmp_path / "cache.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)

    async def main() -> None:
        async with opened(path) as store:
            keys = [digest((number, n)) for number in range(last + 1) for n in range(20)]
            assert await store.get_many(keys) == [b"x" * 500] * len(keys)

    asyncio.run(main())
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "page"])
def test_a_spoilt_file_is_set_aside_and_begun_anew(tmp_path: Path, damage: str) -> None:
    """Calls that meet the damage fail with an error of ours; the next ones work."""
    path = tmp_path / "cache.db"

    async def fill() -> None:
        async with opened(path) as store:
            await store.set_many([item(number, os.urandom(3000)) for number in range(200)])
            await store._thread.read(lambda on: on.execute("PRAGMA wal_checkpoint(TRUNCATE)"))

    async def use() -> int:
        failed = 0
        async with opened(path) as store:
            for number in range(200):
                try:
                    await store.get_many([digest(number)])
                    await store.set_many([item(("new", number), b"new")])
                except StoreError:
                    failed += 1
            assert await store.get_many([digest(("new", 199))]) == [b"new"]
        return failed

    asyncio.run(fill())
    size_bytes = path.stat().st_size
    if damage == "garbage":
        path.write_bytes(os.urandom(size_bytes))
    elif damage == "truncated":
        os.truncate(path, size_bytes // 2)
    else:
        with path.open("r+b") as file:
            for page in range(1, size_bytes // 4096):
                file.seek(page * 4096)
                file.write(os.urandom(100))
    assert 1 <= asyncio.run(use()) < 10
    assert (tmp_path / "cache.db.corrupt").exists()


def test_a_full_disk_refuses_writes_and_goes_on_reading(tmp_path: Path) -> None:
    """It says so as a refusal, so that nobody stops asking it; and it recovers."""

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            await store.set_many([item("a", b"old")])

            def limit(on: sqlite3.Connection, pages: int) -> None:
                on.execute(f"PRAGMA max_page_count = {pages}")

            await store._thread.read(lambda on: limit(on, 30))
            with pytest.raises(StoreError, match="full") as caught:
                await store.set_many([item("b", os.urandom(500_000))])
            assert not isinstance(caught.value, StoreUnavailable)
            assert await store.get_many([digest("a"), digest("b")]) == [b"old", None]
            await store._thread.read(lambda on: limit(on, 10_000))
            await store.set_many([item("b", os.urandom(500_000))])

    asyncio.run(main())


def test_a_frozen_disk_costs_the_deadline(tmp_path: Path) -> None:
    """Everybody who waits is told in time, and answers that come too late reach nobody."""

    async def main() -> None:
        async with opened(tmp_path / "cache.db", deadline_s=0.1) as store:
            await store.set_many([item("a", b"1"), item("b", b"2")])
            release = threading.Event()
            frozen = asyncio.ensure_future(store._thread.read(lambda _: release.wait(30)))
            began_s = current_clock().monotonic()
            calls = [store.get_many([digest("a")]) for _ in range(5)]
            failed = await asyncio.gather(*calls, frozen, return_exceptions=True)
            assert {type(one) for one in failed} == {StoreUnavailable}
            assert current_clock().monotonic() - began_s < 5.0
            release.set()
            store._thread.deadline_s = 10.0
            assert await store.get_many([digest("b")]) == [b"2"]

    asyncio.run(main())


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    """Not an exception of the operating system in the middle of a request."""
    (tmp_path / "file").write_text("in the way")

    async def main() -> None:
        async with opened(tmp_path / "file" / "cache.db") as store:
            with pytest.raises(StoreUnavailable):
                await store.get_many([digest("a")])

    asyncio.run(main())


def test_room_is_made_for_what_is_new(tmp_path: Path) -> None:
    """What was not used for longest goes; what is kept, and what was read lately, stays."""

    async def main() -> None:
        async with opened(tmp_path / "cache.db", max_bytes=100_000) as store:
            now_s = current_clock().now()
            kept = Item(key=digest("k"), data=bytes(50_000), created_s=now_s, is_kept=True)
            await store.set_many([kept, item("used", bytes(1000))])
            aged = "UPDATE entries SET used = used - 10000"
            await store._thread.write(lambda on: on.execute(aged))
            await store.get_many([digest("used")])
            for number in range(300):
                await store.set_many([item(number, bytes(1000))])
            await chores_done(store)
            assert await store.get_many([digest("k")]) == [bytes(50_000)]
            assert await store.get_many([digest(0), digest(299)]) == [None, bytes(1000)]
            size = await store.size()
            assert 90_000 <= size.bytes - 50_000 <= 100_000

    asyncio.run(main())


def test_what_was_read_lately_counts_as_used(tmp_path: Path) -> None:
    """A read writes its time down at most once an hour, with the next commit."""

    async def main() -> None:
        async with opened(tmp_path / "cache.db", max_bytes=10_000) as store:
            await store.set_many([item(number, bytes(1000)) for number in range(10)])
            aged = "UPDATE entries SET used = used - 10000"
            await store._thread.write(lambda on: on.execute(aged))
            await store.get_many([digest(0)])
            await chores_done(store)
            await store.set_many([item("new", bytes(5000))])
            await chores_done(store)
            assert await store.get_many([digest(0), digest("new")]) == [bytes(1000), bytes(5000)]

    asyncio.run(main())


def test_what_expired_goes_in_small_steps(tmp_path: Path) -> None:
    """Thousands of rows are deleted a few at a time, and reads get in between."""

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            now_s = current_clock().now()
            dead = [
                disk._row(Item(key=digest(n), data=b"x", created_s=0, expires_s=now_s - 1), 0)
                for n in range(3000)
            ]
            await store._thread.write(lambda on: store._insert(on, dead))
            await store.set_many([item("alive", b"x")])
            steps = 0
            while await store._thread.write(store._do_chores):
                steps += 1
                assert await store.get_many([digest("alive")]) == [b"x"]
            assert (await store.size()).entries == 1
            assert steps <= 3000 / disk.STEP_ROWS

    asyncio.run(main())


def test_steps_are_as_large_as_time_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk is, the next takes fewer rows; a quick one is followed by a larger."""

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            rows = [disk._row(Item(key=digest(n), data=b"x", created_s=0), 0) for n in range(100)]
            await store._thread.write(lambda on: store._insert(on, rows))
            step = partial(store._delete_some, which="created < ?1", value=1.0)
            monkeypatch.setattr(disk, "STEP_S", 60.0)
            counts = [await store._thread.write(step) for _ in range(3)]
            assert counts == [8, 16, 32]
            monkeypatch.setattr(disk, "STEP_S", 0.0)
            counts = [await store._thread.write(step) for _ in range(3)]
            assert counts == [44, 0, 0]
            assert store._step_rows == disk.LEAST_ROWS

    asyncio.run(main())


def test_writes_get_from_the_log_into_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the store's own thread, long before the log is full."""
    monkeypatch.setattr("hasten.store.wal.TAKE_IN_ROWS", 50)
    path = tmp_path / "cache.db"

    async def main() -> None:
        async with opened(path) as store:
            await store.ping()
            async with asyncio.timeout(30):
                while path.stat().st_size < 100_000:
                    items = [Item(key=digest(n), data=bytes(4000), created_s=0) for n in range(50)]
                    await store.set_many(items)

    asyncio.run(main())


def test_the_thread_cleans_up_when_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired rows go without a write that would take them along."""
    monkeypatch.setattr("hasten.store.disk_thread.CHORES_EVERY_S", 0.01)

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            dead = Item(key=digest("a"), data=b"x", created_s=0, expires_s=1.0)
            await store._thread.read(lambda on: store._insert(on, [disk._row(dead, 0)]))
            is_cleaned = threading.Event()

            def clean(on: sqlite3.Connection) -> bool:
                has_more = store._do_chores(on)
                is_cleaned.set()
                return has_more

            store._thread._do_chores = clean
            await asyncio.to_thread(is_cleaned.wait, 30)
            assert (await store.size()).entries == 0

    asyncio.run(main())


def test_the_thread_cleans_up_however_much_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads that follow each other without a pause do not keep expired rows alive."""
    monkeypatch.setattr("hasten.store.disk_thread.CHORES_EVERY_S", 0.05)

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            dead = Item(key=digest("a"), data=b"x", created_s=0, expires_s=1.0)
            await store._thread.read(lambda on: store._insert(on, [disk._row(dead, 0)]))
            async with asyncio.timeout(30):
                while await store.get_many([digest("a")]) != [None]:
                    pass

    asyncio.run(main())


def test_what_was_deleted_cannot_be_read_from_the_file(tmp_path: Path) -> None:
    """An erased person's words are in neither the file nor its log."""
    path, owner = tmp_path / "cache.db", b"o" * 16
    secret = b"I was dismissed from my last position"

    def files() -> bytes:
        return b"".join(one.read_bytes() for one in tmp_path.iterdir())

    async def main() -> None:
        async with opened(path) as store:
            await store.set_many([item("a", secret * 50, owner=owner), item("b", b"other")])
            assert secret in files()
            assert await store.delete_owned(owner) == 1
            assert secret not in files()
            assert await store.get_many([digest("b")]) == [b"other"]

    asyncio.run(main())


def test_marks_beyond_the_most_raise_the_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is forgotten can bring nothing back."""
    monkeypatch.setattr(disk, "MARKS_KEPT", 10)

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            epochs = [await store.bump([b"%016d" % number]) for number in range(30)]
            changes = await store.changes(0)
            assert len(changes.bumps) == 10
            assert changes.floor == epochs[19]

    asyncio.run(main())


def test_only_the_newest_notes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trail does not grow for ever."""
    monkeypatch.setattr(disk, "NOTES_KEPT", 5)

    async def main() -> None:
        async with opened(tmp_path / "cache.db") as store:
            for number in range(20):
                await store.note(b"%d" % number)
            assert await store.notes(100) == [b"19", b"18", b"17", b"16", b"15"]

    asyncio.run(main())
