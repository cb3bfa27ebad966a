"""What every ``ByteStore`` promises, as checks that run on any of them.

Owns the promises of ``hasten.store.base`` in executable form. Each clause takes
two views of one empty store, as two processes would have them, or the same one
twice, and raises ``AssertionError`` when it breaks its word::

    @pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
    def test_my_store(clause):
        store = MyStore()
        asyncio.run(clause(store, store))
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

from hasten.clock import current_clock
from hasten.store.base import Changes, Item

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hasten.store.base import ByteStore

    Clause = Callable[[ByteStore, ByteStore], Coroutine[None, None, None]]

ANN, BEN = b"a" * 16, b"b" * 16
MARKS = [bytes([number]) * 16 for number in range(8)]
LARGE_BYTES = 3_000_000
TTL_S = 3_600.0


def digest(name: object) -> bytes:
    """Return a key, a digest of 32 bytes."""
    return hashlib.sha256(repr(name).encode()).digest()


def item(name: object, data: bytes, *, owner: bytes = b"", age_s: float = 0.0) -> Item:
    """Return an item made ``age_s`` ago that is of use for an hour yet."""
    now_s = current_clock().now()
    return Item(
        key=digest(name),
        data=data,
        created_s=now_s - age_s,
        expires_s=now_s + TTL_S,
        owner=owner,
    )


async def keeps_bytes_as_they_are(store: ByteStore, other: ByteStore) -> None:
    """Empty, binary and large values come back whole, in the order asked, to everybody."""
    values = [b"", b"\x00\xff" * 50, os.urandom(LARGE_BYTES), b"x"]
    await store.set_many([item(number, value) for number, value in enumerate(values)])
    keys = [digest(3), digest("missing"), digest(0), digest(2), digest(1), digest(3)]
    expected = [values[3], None, values[0], values[2], values[1], values[3]]
    assert await other.get_many(keys) == expected
    assert await store.get_many(keys) == expected
    assert await store.get_many([]) == []


async def the_last_write_counts(store: ByteStore, other: ByteStore) -> None:
    """A value replaces the one under its key, within one call and between calls."""
    await store.set_many([item("a", b"1"), item("a", b"2")])
    assert await other.get_many([digest("a")]) == [b"2"]
    await other.set_many([item("a", b"3")])
    assert await store.get_many([digest("a")]) == [b"3"]
    size = await store.size()
    assert (size.entries, size.bytes) == (1, 1)


async def forgets_what_it_is_told_to(store: ByteStore, other: ByteStore) -> None:
    """Deleting says how much was there, and what is gone is gone for everybody."""
    await store.set_many([item(number, b"xx") for number in range(5)])
    gone = [digest(0), digest(1)]
    assert await other.delete_many([*gone, digest("missing")]) == len(gone)
    assert await store.get_many([digest(0), digest(1), digest(2)]) == [None, None, b"xx"]
    size = await store.size()
    assert (size.entries, size.bytes) == (3, 6)


async def forgets_a_person(store: ByteStore, other: ByteStore) -> None:
    """Everything of one owner goes, kept or not, and nothing else."""
    mine = [item(("ann", number), b"a", owner=ANN) for number in range(250)]
    await store.set_many([*mine, item("ben", b"b", owner=BEN), item("nobody", b"n")])
    now_s = current_clock().now()
    kept = Item(key=digest("kept"), data=b"k", created_s=now_s, owner=ANN, is_kept=True)
    await store.set_many([kept])
    assert await other.delete_owned(ANN) == len(mine) + 1
    assert await store.get_many([one.key for one in [*mine, kept]]) == [None] * (len(mine) + 1)
    assert await store.get_many([digest("ben"), digest("nobody")]) == [b"b", b"n"]
    assert await other.delete_owned(ANN) == 0


async def forgets_the_old(store: ByteStore, other: ByteStore) -> None:
    """What was created before a time goes, kept or not; what is younger stays."""
    now_s = current_clock().now()
    old = Item(key=digest("kept"), data=b"k", created_s=now_s - 500, is_kept=True)
    await store.set_many([old, item("old", b"o", age_s=400), item("new", b"n", age_s=10)])
    gone = [digest("kept"), digest("old")]
    assert await other.delete_created(now_s - 300) == len(gone)
    assert await store.get_many([*gone, digest("new")]) == [None, None, b"n"]


async def scans_everything_once(store: ByteStore, other: ByteStore) -> None:
    """A scan yields each item's bytes, more than a page of them, kept ones too."""
    now_s = current_clock().now()
    await store.set_many([item(number, b"%d" % number) for number in range(450)])
    await store.set_many([Item(key=digest("k"), data=b"k", created_s=now_s, is_kept=True)])
    found = [data async for data in other.scan()]
    assert sorted(found) == sorted([b"k", *(b"%d" % number for number in range(450))])


async def counts_generations(store: ByteStore, other: ByteStore) -> None:
    """Every bump raises the epoch, for every view; changes are told since any epoch."""
    start = await store.changes(0)
    assert start.floor <= start.epoch
    assert start.bumps == {}
    first = await store.bump(MARKS[:2])
    second = await other.bump([MARKS[1]])
    assert start.epoch < first < second
    assert await other.changes(0) == Changes(
        second, start.floor, {MARKS[0]: first, MARKS[1]: second}
    )
    assert (await store.changes(first)).bumps == {MARKS[1]: second}
    assert (await store.changes(second)).bumps == {}
    assert (await store.changes(second, MARKS[:3])).bumps == {MARKS[0]: first, MARKS[1]: second}
    assert await store.bump([]) > second


async def reads_tell_the_epoch(store: ByteStore, other: ByteStore) -> None:
    """Whoever reads learns by the way that something was bumped elsewhere."""
    await store.set_many([item("a", b"1")])
    epoch = await other.bump(MARKS[:1])
    await store.get_many([digest("a")])
    assert store.epoch == epoch


async def two_bumps_at_once_are_two(store: ByteStore, other: ByteStore) -> None:
    """However many bump in the same instant, each gets an epoch of its own."""
    bumps = [view.bump(MARKS[:1]) for _ in range(20) for view in (store, other)]
    epochs = await asyncio.gather(*bumps)
    assert len(set(epochs)) == len(epochs)
    assert (await store.changes(0, MARKS[:1])).bumps[MARKS[0]] == max(epochs)


async def starts_again_above(store: ByteStore, other: ByteStore) -> None:
    """After a restart every generation so far is below the floor."""
    epoch = await store.bump(MARKS[:1])
    await other.restart(epoch + 1_000)
    changes = await store.changes(epoch)
    assert changes.floor > epoch + 1_000
    assert changes.epoch >= changes.floor
    assert await store.bump([]) > changes.epoch


async def leases_have_one_holder(store: ByteStore, other: ByteStore) -> None:
    """Of many who want a lease one gets it, may have it longer, and only they give it up."""
    key = digest("lease")
    takers = [view.take_lease(key, b"%d" % n, 60.0) for n in range(10) for view in (store, other)]
    taken = await asyncio.gather(*takers)
    assert sum(taken) in {1, 2}  # the same holder through both views, or one view first
    holder = b"%d" % (taken.index(True) // 2)
    assert await store.take_lease(key, holder, 60.0)
    assert not await other.take_lease(key, b"another", 60.0)
    await other.drop_lease(key, b"another")
    assert not await other.take_lease(key, b"another", 60.0)
    await other.drop_lease(key, holder)
    assert await other.take_lease(key, b"another", 60.0)
    assert await store.take_lease(digest("second"), holder, 60.0)


async def leases_end(store: ByteStore, other: ByteStore) -> None:
    """A lease whose holder died is free once its time is over."""
    key = digest("lease")
    assert await store.take_lease(key, b"dead", 0.02)
    await current_clock().sleep(0.1)
    assert await other.take_lease(key, b"alive", 60.0)


async def keeps_notes(store: ByteStore, other: ByteStore) -> None:
    """Notes come newest first, and deleting what they are about leaves them."""
    await store.set_many([item("a", b"1")])
    lines = [b"note %d" % number for number in range(5)]
    for line in lines:
        await store.note(line)
    await store.delete_many([digest("a")])
    assert await other.notes(3) == lines[:1:-1]
    assert len(await other.notes(100)) == len(lines)


async def a_cancelled_reader_leaves_no_answer(store: ByteStore, other: ByteStore) -> None:
    """Whoever asks after a reader was cancelled gets their own answer."""
    await other.set_many([item(number, b"%d" % number) for number in range(50)])
    for number in range(50):
        cut = asyncio.ensure_future(store.get_many([digest(number)]))
        for _ in range(number % 5):
            await current_clock().sleep(0)
        cut.cancel()
        wanted = (number + 1) % 50
        assert await store.get_many([digest(wanted)]) == [b"%d" % wanted]
        await asyncio.gather(cut, return_exceptions=True)


async def answers_pings(store: ByteStore, other: ByteStore) -> None:
    """A store that is there says so."""
    await store.ping()
    await other.ping()


CLAUSES: tuple[Clause, ...] = (
    keeps_bytes_as_they_are,
    the_last_write_counts,
    forgets_what_it_is_told_to,
    forgets_a_person,
    forgets_the_old,
    scans_everything_once,
    counts_generations,
    reads_tell_the_epoch,
    two_bumps_at_once_are_two,
    starts_again_above,
    leases_have_one_holder,
    leases_end,
    keeps_notes,
    a_cancelled_reader_leaves_no_answer,
    answers_pings,
)
"""All of them."""
