"""A store of bytes in a SQL database: the home of reruns, and PostgreSQL as the shared tier.

Owns the ``cache_`` tables: what is asked of them, their size and what is dropped
from it. Leaves the database to a ``SqlStore``, which its opener also closes. What
is kept is never dropped for room; of the rest what is next to expire goes first.

Through PostgreSQL every bump is told to all who listen (``NOTIFY``). One
transaction after the other bumps, as each takes the row that counts; times that
several machines compare are the database's own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Double, case, cast, delete, extract, func, insert, literal, select

from hasten.clock import current_clock
from hasten.store.base import (
    MARKS_KEPT,
    NOTES_KEPT,
    ByteStore,
    Changes,
    Item,
    StoreSize,
    first_epoch,
)
from hasten.store.merge import merged_reads, merged_writes
from hasten.store.sql.base import notify
from hasten.store.sql.batch import insert_into, upsert
from hasten.store.sql.schema import (
    cache_entries,
    cache_generation,
    cache_leases,
    cache_marks,
    cache_notes,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from hasten.store.sql.base import SqlStore

T = TypeVar("T")

NEWS = "hasten_cache"
"""The channel on which PostgreSQL tells of bumps."""

STEP_ROWS = 100
"""Scans, trimming and wholesale deletions take so many rows at a time."""

TRIM_AFTER_ITEMS = 256
TRIM_AFTER_SHARE = 0.05
"""After so many writes, or that share of the room, the table is trimmed."""

FORGET_EVERY = 1_000
"""Marks beyond the most are forgotten once in so many bumps."""


class TableStore(ByteStore):
    """A store in the open database ``sql``, at most ``max_bytes`` besides what is kept.

    A call that takes longer than ``deadline_s`` raises ``StoreUnavailable``; deleting
    wholesale takes as long as the database's own upkeep may.
    """

    def __init__(self, sql: SqlStore, max_bytes: int = 1 << 30, *, deadline_s: float = 1.0) -> None:
        self.name = sql.kind
        self.reach = sql.reach
        self.max_bytes = max_bytes
        self.deadline_s = deadline_s
        self._sql = sql
        self._reads = merged_reads(self._fetch)
        self._writes = merged_writes(self._keep)
        self._untrimmed = self._untrimmed_bytes = 0

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, in order."""
        return await self._reads.call(keys)

    async def _fetch(self, keys: list[bytes]) -> list[bytes | None]:
        epoch, found = await self._read(partial(_get, keys=keys))
        self.epoch = max(self.epoch, epoch)
        return [found.get(key) for key in keys]

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items; returns once they are committed."""
        await self._writes.call(items)

    async def _keep(self, items: list[Item]) -> None:
        rows = sorted((_row(item) for item in items), key=lambda row: row["key"])
        await self._write(partial(upsert, table=cache_entries, rows=rows))
        self._untrimmed += len(rows)
        self._untrimmed_bytes += sum(row["size"] for row in rows)
        is_much = self._untrimmed_bytes > self.max_bytes * TRIM_AFTER_SHARE
        if is_much or self._untrimmed >= TRIM_AFTER_ITEMS:
            await self.trim()

    async def trim(self) -> None:
        """Drop what expired and what there is no room for, some rows at a time."""
        self._untrimmed = self._untrimmed_bytes = 0
        now_s = current_clock().now()
        while await self._write(partial(_trim, now_s=now_s, max_bytes=self.max_bytes)):
            pass

    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Forget the keys; return how many were there."""
        pages = [keys[at : at + STEP_ROWS] for at in range(0, len(keys), STEP_ROWS)]
        return sum([await self._write(partial(_delete, keys=page)) for page in pages])

    async def delete_owned(self, owner: bytes) -> int:
        """Forget everything that belongs to one person, so that it cannot be read any more."""
        if not owner:
            return 0
        count = await self._delete_all(cache_entries.c.owner == owner)
        if count:
            await self._sql.scrub()
        return count

    async def delete_created(self, before_s: float) -> int:
        """Forget everything created before then, and free its space."""
        count = await self._delete_all(cache_entries.c.created_s < before_s)
        if count:
            await self._sql.reclaim()
        return count

    async def _delete_all(self, which: ColumnElement[bool]) -> int:
        total = 0
        query = select(cache_entries.c.key).where(which).limit(STEP_ROWS)
        while count := await self._write(partial(_delete_some, query=query)):
            total += count
        return total

    async def scan(self) -> AsyncIterator[bytes]:
        """Yield the bytes of every item, in the order of their keys."""
        after = b""
        while page := await self._read(partial(_page, after=after)):
            for _, data in page:
                yield data
            after = page[-1][0]

    async def size(self) -> StoreSize:
        """Return how much is held."""
        return await self._read(_size)

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch, note it for the marks, and tell every listener."""
        start = first_epoch()
        self.epoch = await self._write(lambda on: self._bump(on, marks, start))
        return self.epoch

    def _bump(self, on: Connection, marks: Sequence[bytes], start: int) -> int:
        epoch = _raise(on, cache_generation.c.epoch + 1, start)
        upsert(on, cache_marks, [{"mark": one, "epoch": epoch} for one in dict.fromkeys(marks)])
        if epoch % FORGET_EVERY == 0:
            _forget_marks(on)
        notify(on, NEWS, str(epoch))
        return epoch

    async def changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes:
        """Return the marks bumped after ``since``, and how ``marks`` stand."""
        found = await self._read(partial(_changes, since=since, marks=marks))
        self.epoch = found.epoch
        return found

    async def restart(self, above: int) -> None:
        """Raise epoch and floor above ``above``."""
        await self._write(partial(_restart, start=max(first_epoch(), above + 1)))

    async def take_lease(self, key: bytes, holder: bytes, ttl_s: float) -> bool:
        """Let ``holder`` have the lease on ``key``, unless another has it."""
        now_s = current_clock().now()
        return await self._write(lambda on: _take(on, key, holder, ttl_s, _now_s(on, now_s)))

    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Give up the lease, if it is still ``holder``'s."""
        leases = cache_leases.c
        query = delete(cache_leases).where(leases.key == key, leases.holder == holder)
        await self._write(lambda on: on.execute(query))

    async def note(self, line: bytes) -> None:
        """Add a line to the notes."""
        await self._write(partial(_note, line=line))

    async def notes(self, limit: int) -> list[bytes]:
        """Return the newest notes, newest first."""
        query = select(cache_notes.c.line).order_by(cache_notes.c.note_id.desc()).limit(limit)
        return await self._read(lambda on: list(on.scalars(query)))

    async def listen(self, heard: Callable[[int], None]) -> None:
        """Call ``heard`` with each new epoch, until cancelled; on SQLite there are no news."""
        await self._sql.listen(NEWS, lambda text: heard(int(text)))

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._within(self._sql.read(work))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._within(self._sql.write(work))

    async def _within(self, doing: Awaitable[T]) -> T:
        return await self._sql.within(self.deadline_s, doing)


def _row(item: Item) -> dict[str, Any]:
    return {
        "key": item.key,
        "size": len(item.data),
        "created_s": item.created_s,
        "expires_s": item.expires_s,
        "is_kept": item.is_kept,
        "owner": item.owner,
        "data": item.data,
    }


def _get(on: Connection, keys: Sequence[bytes]) -> tuple[int, dict[bytes, bytes]]:
    """Return the epoch and what is under the keys, as they are at one instant."""
    entries = cache_entries.c
    joined = cache_generation.outerjoin(cache_entries, entries.key.in_(keys))
    rows = on.execute(
        select(cache_generation.c.epoch, entries.key, entries.data).select_from(joined)
    ).all()
    epoch = rows[0][0] if rows else 0
    return epoch, {key: data for _, key, data in rows if key is not None}


def _delete(on: Connection, keys: Sequence[bytes]) -> int:
    return on.execute(delete(cache_entries).where(cache_entries.c.key.in_(keys))).rowcount


def _delete_some(on: Connection, query: Select[Any]) -> int:
    """Delete the rows a query names; those another process is deleting are passed over."""
    keys: Sequence[bytes] = on.scalars(query.with_for_update(skip_locked=True)).all()
    return _delete(on, keys) if keys else 0


def _trim(on: Connection, now_s: float, max_bytes: int) -> bool:
    """Drop some of what expired or is too much; whether there is more."""
    entries = cache_entries.c
    on.execute(delete(cache_leases).where(cache_leases.c.until_s < _now_s(on, now_s)))
    old = select(entries.key).where(entries.expires_s < now_s).limit(STEP_ROWS)
    expired = _delete_some(on, old)
    held = select(func.coalesce(func.sum(entries.size), 0)).where(~entries.is_kept)
    surplus = on.scalars(held).one() - max_bytes
    dropped: list[bytes] = []
    if surplus > 0:
        next_to_expire = (
            select(entries.key, entries.size)
            .where(~entries.is_kept)
            .order_by(entries.expires_s.nulls_last())
            .limit(STEP_ROWS)
            .with_for_update(skip_locked=True)
        )
        for key, size in on.execute(next_to_expire):
            if surplus <= 0:
                break
            surplus -= size
            dropped.append(key)
        _delete(on, dropped)
    return STEP_ROWS in (expired, len(dropped))


def _page(on: Connection, after: bytes) -> Sequence[Any]:
    entries = cache_entries.c
    query = select(entries.key, entries.data).where(entries.key > after)
    return on.execute(query.order_by(entries.key).limit(STEP_ROWS)).all()


def _size(on: Connection) -> StoreSize:
    query = select(func.count(), func.coalesce(func.sum(cache_entries.c.size), 0))
    count, held_bytes = on.execute(query.select_from(cache_entries)).one()
    return StoreSize(count, int(held_bytes))


def _raise(on: Connection, epoch: ColumnElement[int], start: int, *, is_floor: bool = False) -> int:
    """Set the epoch, and the floor if so told, and return it; a lost row begins anew."""
    new = {"epoch": epoch, "floor": epoch} if is_floor else {"epoch": epoch}
    query = (
        insert_into(on, cache_generation)
        .values(one=1, epoch=start, floor=start)
        .on_conflict_do_update(index_elements=["one"], set_=new)
        .returning(cache_generation.c.epoch)
    )
    return int(on.execute(query).scalar_one())


def _restart(on: Connection, start: int) -> None:
    following = cache_generation.c.epoch + 1
    above = case((following > start, following), else_=start)
    _raise(on, above, start, is_floor=True)


def _forget_marks(on: Connection) -> None:
    """Forget the oldest marks beyond the most, and raise the floor to the last of them."""
    marks, generation = cache_marks.c, cache_generation.c
    surplus = select(marks.epoch).order_by(marks.epoch.desc()).offset(MARKS_KEPT).limit(1)
    oldest = on.scalar(surplus)
    if oldest is not None:
        on.execute(delete(cache_marks).where(marks.epoch <= oldest))
        on.execute(cache_generation.update().where(generation.floor < oldest).values(floor=oldest))


def _changes(on: Connection, since: int, marks: Sequence[bytes]) -> Changes:
    """Read the epoch first and the floor last: what is bumped between is told too early, not lost.

    A database that has lost its row of generations begins at 0, and is restarted.
    """
    generation = cache_generation.c
    epoch = on.scalar(select(generation.epoch)) or 0
    query = select(cache_marks.c.mark, cache_marks.c.epoch)
    bumps: dict[bytes, int] = dict(on.execute(query.where(cache_marks.c.epoch > since)).all())
    if marks:
        bumps.update(on.execute(query.where(cache_marks.c.mark.in_(marks))).all())
    return Changes(epoch, on.scalar(select(generation.floor)) or 0, bumps)


def _now_s(on: Connection, here_s: float) -> ColumnElement[float]:
    """Return the time that leases go by: the database's, where several machines share it."""
    if on.dialect.name == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return literal(here_s)


def _take(
    on: Connection, key: bytes, holder: bytes, ttl_s: float, now_s: ColumnElement[float]
) -> bool:
    lease = {"holder": holder, "until_s": now_s + ttl_s}
    query = (
        insert_into(on, cache_leases)
        .values(key=key, **lease)
        .on_conflict_do_update(
            index_elements=["key"],
            set_=lease,
            where=(cache_leases.c.holder == holder) | (cache_leases.c.until_s <= now_s),
        )
    )
    return on.execute(query).rowcount == 1


def _note(on: Connection, line: bytes) -> None:
    (last,) = on.execute(insert(cache_notes).values(line=line)).inserted_primary_key or (0,)
    on.execute(delete(cache_notes).where(cache_notes.c.note_id <= last - NOTES_KEPT))
