"""A store of bytes in a SQL database: the home of reruns, and PostgreSQL as the shared tier.

Owns the ``cache_`` tables: what is asked of them, their size and what is dropped
from it. Leaves the database to a ``SqlStore``, which its opener also closes. What
is kept is never dropped for room; of the rest what is next to expire goes first.

Through PostgreSQL every bump is told to all who listen (``NOTIFY``), of a SQLite file to
the other processes of the machine (``peers``). One transaction after the other bumps, as
each takes the row that counts; times that several machines compare are the database's own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

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
from hasten.store.sql.words import RowForm, listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from hasten.store.peers import Peers
    from hasten.store.sql.base import SqlStore
    from hasten.store.sql.words import Row, SqlWords

T = TypeVar("T")

NEWS = "hasten_cache"
"""The channel on which bumps are told."""

STEP_ROWS = 100
"""Scans, trimming and wholesale deletions take so many rows at a time."""

TRIM_AFTER_ITEMS = 256
TRIM_AFTER_SHARE = 0.05
"""After so many writes, or that share of the room, the table is trimmed."""

FORGET_EVERY = 1_000
"""Marks beyond the most are forgotten once in so many bumps."""

ENTRIES = RowForm(
    "cache_entries",
    ("key", "size", "created_s", "expires_s", "is_kept", "owner", "data"),
    ("key",),
    flags=frozenset({"is_kept"}),
)
MARKS = RowForm("cache_marks", ("mark", "epoch"), ("mark",))


class TableStore(ByteStore):
    """A store in the open database ``sql``, at most ``max_bytes`` besides what is kept.

    A call that takes longer than ``deadline_s`` raises ``StoreUnavailable``; deleting
    wholesale takes as long as the database's own upkeep may. ``peers`` carry the news of
    bumps to the other processes of this machine, of a database that brings none itself.
    """

    def __init__(
        self,
        sql: SqlStore,
        max_bytes: int = 1 << 30,
        *,
        deadline_s: float = 1.0,
        peers: Peers | None = None,
    ) -> None:
        self.name = sql.kind
        self.reach = sql.reach
        self.max_bytes = max_bytes
        self.deadline_s = deadline_s
        self._sql = sql
        self._peers = peers
        self._own_epoch = 0
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
        await self._write(lambda on: on.upsert(ENTRIES, rows))
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
        count = await self._delete_all("owner = :value", owner)
        if count:
            await self._sql.scrub()
        return count

    async def delete_created(self, before_s: float) -> int:
        """Forget everything created before then, and free its space."""
        count = await self._delete_all("created_s < :value", before_s)
        if count:
            await self._sql.reclaim()
        return count

    async def _delete_all(self, which: str, value: bytes | float) -> int:
        total = 0
        while count := await self._write(partial(_delete_some, which=which, value=value)):
            total += count
        return total

    async def scan(self) -> AsyncIterator[bytes]:
        """Yield the bytes of every item, in the order of their keys."""
        after = b""
        while page := await self._read(partial(_page, after=after)):
            for line in page:
                yield line["data"]
            after = page[-1]["key"]

    async def size(self) -> StoreSize:
        """Return how much is held."""
        return await self._read(_size)

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch, note it for the marks, and tell every listener."""
        start = first_epoch()
        self.epoch = await self._write(lambda on: self._bump(on, marks, start))
        if self._peers is not None:
            self._own_epoch = self.epoch
            self._peers.ring(NEWS, str(self.epoch))
        return self.epoch

    def _bump(self, on: SqlWords, marks: Sequence[bytes], start: int) -> int:
        epoch = _raise(on, {"epoch": "cache_generation.epoch + 1"}, start)
        on.upsert(MARKS, [{"mark": one, "epoch": epoch} for one in dict.fromkeys(marks)])
        if epoch % FORGET_EVERY == 0:
            _forget_marks(on)
        on.notify(NEWS, str(epoch))
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
        return await self._write(
            lambda on: _take(on, key=key, holder=holder, ttl_s=ttl_s, now_s=now_s)
        )

    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Give up the lease, if it is still ``holder``'s."""
        drop = "DELETE FROM cache_leases WHERE key = :key AND holder = :holder"
        await self._write(lambda on: on.change(drop, key=key, holder=holder))

    async def note(self, line: bytes) -> None:
        """Add a line to the notes."""
        await self._write(partial(_note, line=line))

    async def notes(self, limit: int) -> list[bytes]:
        """Return the newest notes, newest first."""
        query = "SELECT line FROM cache_notes ORDER BY note_id DESC LIMIT :limit"
        return [one["line"] for one in await self._read(lambda on: on.rows(query, limit=limit))]

    async def listen(self, heard: Callable[[int], None]) -> None:
        """Call ``heard`` with each new epoch that others bring about, until cancelled."""

        def hear(text: str) -> None:
            if int(text) != self._own_epoch:
                heard(int(text))

        if self._peers is not None:
            self._peers.subscribe(NEWS, hear)
        await self._sql.listen(NEWS, hear)

    async def _read(self, work: Callable[[SqlWords], T]) -> T:
        return await self._within(self._sql.read_words(work))

    async def _write(self, work: Callable[[SqlWords], T]) -> T:
        return await self._within(self._sql.write_words(work))

    async def _within(self, doing: Awaitable[T]) -> T:
        return await self._sql.within(self.deadline_s, doing)


def _row(item: Item) -> Row:
    return {
        "key": item.key,
        "size": len(item.data),
        "created_s": item.created_s,
        "expires_s": item.expires_s,
        "is_kept": item.is_kept,
        "owner": item.owner,
        "data": item.data,
    }


def _get(on: SqlWords, keys: Sequence[bytes]) -> tuple[int, dict[bytes, bytes]]:
    """Return the epoch and what is under the keys, as they are at one instant."""
    names, values = listed(keys)
    query = (
        f"SELECT epoch, key, data FROM cache_generation LEFT JOIN cache_entries ON key IN ({names})"
    )
    lines = on.rows(query, **values)
    epoch = lines[0]["epoch"] if lines else 0
    return epoch, {one["key"]: one["data"] for one in lines if one["key"] is not None}


def _delete(on: SqlWords, keys: Sequence[bytes]) -> int:
    names, values = listed(keys)
    return on.change(f"DELETE FROM cache_entries WHERE key IN ({names})", **values)


def _delete_some(on: SqlWords, which: str, value: bytes | float) -> int:
    """Delete some entries; those another process is deleting are passed over."""
    query = f"SELECT key FROM cache_entries WHERE {which} LIMIT {STEP_ROWS}{on.skip_locked}"
    keys = [one["key"] for one in on.rows(query, value=value)]
    return _delete(on, keys) if keys else 0


def _trim(on: SqlWords, now_s: float, max_bytes: int) -> bool:
    """Drop some of what expired or is too much; whether there is more."""
    on.change(f"DELETE FROM cache_leases WHERE until_s < {on.now_s}", now_s=now_s)
    expired = _delete_some(on, "expires_s < :value", now_s)
    held = "SELECT coalesce(sum(size), 0) AS held FROM cache_entries WHERE NOT is_kept"
    surplus = int(on.value(held)) - max_bytes
    dropped: list[bytes] = []
    if surplus > 0:
        next_to_expire = (
            "SELECT key, size FROM cache_entries WHERE NOT is_kept"
            f" ORDER BY expires_s NULLS LAST LIMIT {STEP_ROWS}{on.skip_locked}"
        )
        for line in on.rows(next_to_expire):
            if surplus <= 0:
                break
            surplus -= line["size"]
            dropped.append(line["key"])
        _delete(on, dropped)
    return STEP_ROWS in (expired, len(dropped))


def _page(on: SqlWords, after: bytes) -> list[Row]:
    query = f"SELECT key, data FROM cache_entries WHERE key > :after ORDER BY key LIMIT {STEP_ROWS}"
    return on.rows(query, after=after)


def _size(on: SqlWords) -> StoreSize:
    query = "SELECT count(*) AS entries, coalesce(sum(size), 0) AS held FROM cache_entries"
    (line,) = on.rows(query)
    return StoreSize(line["entries"], int(line["held"]))


def _raise(on: SqlWords, new: dict[str, str], start: int) -> int:
    """Set epoch, or floor too, to what ``new`` says, and return it; a lost row begins anew."""
    changes = ", ".join(f"{name} = {value}" for name, value in new.items())
    statement = (
        "INSERT INTO cache_generation (one, epoch, floor) VALUES (1, :start, :start)"
        f" ON CONFLICT (one) DO UPDATE SET {changes} RETURNING epoch"
    )
    return int(on.value(statement, start=start))


def _restart(on: SqlWords, start: int) -> None:
    following = "cache_generation.epoch + 1"
    above = f"CASE WHEN {following} > :start THEN {following} ELSE :start END"
    _raise(on, {"epoch": above, "floor": above}, start)


def _forget_marks(on: SqlWords) -> None:
    """Forget the oldest marks beyond the most, and raise the floor to the last of them."""
    surplus = "SELECT epoch FROM cache_marks ORDER BY epoch DESC LIMIT 1 OFFSET :kept"
    oldest = on.value(surplus, kept=MARKS_KEPT)
    if oldest is not None:
        on.change("DELETE FROM cache_marks WHERE epoch <= :oldest", oldest=oldest)
        on.change("UPDATE cache_generation SET floor = :o WHERE floor < :o", o=oldest)


def _changes(on: SqlWords, since: int, marks: Sequence[bytes]) -> Changes:
    """Read the epoch first and the floor last: what is bumped between is told too early, not lost.

    A database that has lost its row of generations begins at 0, and is restarted.
    """
    epoch = on.value("SELECT epoch FROM cache_generation") or 0
    query = "SELECT mark, epoch FROM cache_marks WHERE"
    lines = on.rows(f"{query} epoch > :since", since=since)
    if marks:
        names, values = listed(marks)
        lines += on.rows(f"{query} mark IN ({names})", **values)
    floor = on.value("SELECT floor FROM cache_generation") or 0
    return Changes(epoch, floor, {one["mark"]: one["epoch"] for one in lines})


def _take(on: SqlWords, **lease: Any) -> bool:
    """Take a lease by the time that is the database's, where several machines share it."""
    until_s = f"{on.now_s} + CAST(:ttl_s AS DOUBLE PRECISION)"
    statement = (
        f"INSERT INTO cache_leases (key, holder, until_s) VALUES (:key, :holder, {until_s})"
        " ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until_s = excluded.until_s"
        f" WHERE cache_leases.holder = excluded.holder OR cache_leases.until_s <= {on.now_s}"
    )
    return on.change(statement, **lease) == 1


def _note(on: SqlWords, line: bytes) -> None:
    last = on.value("INSERT INTO cache_notes (line) VALUES (:line) RETURNING note_id", line=line)
    on.change("DELETE FROM cache_notes WHERE note_id <= :old", old=last - NOTES_KEPT)
