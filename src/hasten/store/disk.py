"""The disk tier: one SQLite file, reads merged and writes in batches.

Owns the file's tables, its size and what is dropped from it. Leaves the thread
that works on it to ``disk_thread``. Rows are found by an integer, the first eight
bytes of their key; whoever reads checks the envelope's full digest.

A commit outlives the process; the loss of power costs the last commits at most
and never the file. Several processes may share the file. What expired is
deleted, and what was not used for longest is dropped for room, in steps of a
few milliseconds between other work. Deleted bytes are overwritten.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hasten.clock import Clock, current_clock
from hasten.store.base import (
    MARKS_KEPT,
    NOTES_KEPT,
    ByteStore,
    Changes,
    Item,
    StoreSize,
    first_epoch,
)
from hasten.store.disk_thread import DiskStoreThread
from hasten.store.merge import merged_reads, merged_writes
from hasten.store.wal import empty_log

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Sequence

STEP_ROWS = 500
"""Chores and wholesale deletions take at most so many rows at a time."""

LEAST_ROWS = 8

STEP_S = 0.003
"""A step that took longer is followed by one of half as many rows."""

RECOUNT_EVERY_S = 60.0
"""While there is too much, it is counted anew this often; that takes long in a large file."""

SCAN_ROWS = 100
"""A scan reads so many rows at a time."""

TOUCH_AFTER_S = 3_600.0
"""A row's time of use is written down again at most this often."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, size INTEGER NOT NULL, created REAL NOT NULL, expires REAL,
    used REAL NOT NULL, kept INTEGER NOT NULL, owner BLOB NOT NULL, data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used, size) WHERE kept = 0;
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
CREATE INDEX IF NOT EXISTS entries_by_owner ON entries (owner) WHERE owner != x'';
CREATE TABLE IF NOT EXISTS marks (mark BLOB PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS marks_by_epoch ON marks (epoch);
CREATE TABLE IF NOT EXISTS generation (one INTEGER PRIMARY KEY, epoch INTEGER, floor INTEGER);
CREATE TABLE IF NOT EXISTS leases (key BLOB PRIMARY KEY, holder BLOB, until REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB NOT NULL);
"""

Row = tuple[int, int, float, float | None, float, bool, bytes, bytes]


class DiskStore(ByteStore):
    """A store in the file ``path``, at most ``max_bytes`` of entries besides those that are kept.

    A call that takes longer than ``deadline_s`` raises ``StoreUnavailable``.
    """

    name = "disk"
    reach = "machine"

    def __init__(
        self, path: Path | str, max_bytes: int = 10 << 30, *, deadline_s: float = 1.0
    ) -> None:
        self.max_bytes = max_bytes
        self._thread = DiskStoreThread(Path(path), deadline_s, self._set_up, self._do_chores)
        self._reads = merged_reads(self._fetch)
        self._writes = merged_writes(self._keep)
        self._clock = Clock()
        self._held_bytes = 0
        self._recount_s = 0.0
        self._step_rows = LEAST_ROWS
        self._touched: set[int] = set()

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, in order."""
        return await self._reads.call(keys)

    async def _fetch(self, keys: list[bytes]) -> list[bytes | None]:
        ids = [_id(key) for key in keys]
        stale_s = current_clock().now() - TOUCH_AFTER_S
        self.epoch, found = await self._thread.read(lambda on: self._read(on, ids, stale_s))
        return found

    def _read(
        self, on: sqlite3.Connection, ids: Sequence[int], stale_s: float
    ) -> tuple[int, list[bytes | None]]:
        found: list[bytes | None] = []
        for number in ids:
            row = on.execute("SELECT used, data FROM entries WHERE id = ?", (number,)).fetchone()
            found.append(None if row is None else row[1])
            if row is not None and row[0] < stale_s:
                self._touched.add(number)
        return on.execute("SELECT epoch FROM generation").fetchone()[0], found

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items; returns once they are committed."""
        await self._writes.call(items)

    async def _keep(self, items: list[Item]) -> None:
        now_s = current_clock().now()
        rows = [_row(item, now_s) for item in items]
        await self._thread.write(lambda on: self._insert(on, rows))

    def _insert(self, on: sqlite3.Connection, rows: Sequence[Row]) -> None:
        on.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._held_bytes += sum(row[1] for row in rows if not row[5])

    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Forget the keys; return how many were there."""
        ids = [(_id(key),) for key in keys]
        query = "DELETE FROM entries WHERE id = ?"
        return await self._thread.write(lambda on: on.executemany(query, ids).rowcount)

    async def delete_owned(self, owner: bytes) -> int:
        """Forget everything that belongs to one person; return how many items."""
        return await self._delete_all("owner = ?1 AND owner != x''", owner)

    async def delete_created(self, before_s: float) -> int:
        """Forget everything created before then; return how many items."""
        return await self._delete_all("created < ?1", before_s)

    async def _delete_all(self, which: str, value: object) -> int:
        """Delete in steps, so that others get their turn, then empty the log of what was there."""
        total = 0
        while count := await self._thread.write(lambda on: self._delete_some(on, which, value)):
            total += count
        await self._thread.read(empty_log)
        return total

    def _delete_some(self, on: sqlite3.Connection, which: str, value: object) -> int:
        """Delete some of the rows for which the condition holds; return how many."""
        return self._drop(on, f"SELECT id FROM entries WHERE {which} LIMIT ?2", (value,))  # noqa: S608 - our own words

    def _drop(self, on: sqlite3.Connection, select: str, values: tuple[object, ...]) -> int:
        """Delete the rows whose ids ``select`` gives; return how many.

        ``?2`` in it is how many rows a step takes; as the last one took long, the next
        takes fewer. Each statement gives up the thread once, not once a row.
        """
        began_s = self._clock.monotonic()
        given = (*values, self._step_rows)
        kept = "count(*), coalesce(sum(size) FILTER (WHERE kept = 0), 0)"
        count, size = on.execute(
            f"SELECT {kept} FROM entries WHERE id IN ({select})",  # noqa: S608 - our own words
            given,
        ).fetchone()
        on.execute(f"DELETE FROM entries WHERE id IN ({select})", given)  # noqa: S608 - our own words
        self._held_bytes -= size
        if self._clock.monotonic() - began_s > STEP_S:
            self._step_rows = max(self._step_rows // 2, LEAST_ROWS)
        elif count == self._step_rows:
            self._step_rows = min(self._step_rows * 2, STEP_ROWS)
        return int(count)

    async def scan(self) -> AsyncIterator[bytes]:
        """Yield the bytes of every item, in the order of their ids."""
        rows = await self._thread.read(partial(_page, first=-(2**63)))
        while rows:
            for _, data in rows:
                yield data
            rows = await self._thread.read(partial(_page, first=rows[-1][0] + 1))

    async def size(self) -> StoreSize:
        """Return how much is held."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM entries"
        return StoreSize(*await self._thread.read(lambda on: on.execute(query).fetchone()))

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch and note it for the marks."""
        self.epoch = await self._thread.write(lambda on: _bump(on, marks))
        return self.epoch

    async def changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes:
        """Return the marks bumped after ``since``, and how ``marks`` stand."""
        found = await self._thread.read(lambda on: _changes(on, since, marks))
        self.epoch = found.epoch
        return found

    async def restart(self, above: int) -> None:
        """Raise epoch and floor above ``above``."""
        start = max(first_epoch(), above + 1)
        query = "UPDATE generation SET epoch = max(epoch + 1, ?1), floor = max(epoch + 1, ?1)"
        await self._thread.write(lambda on: on.execute(query, (start,)))

    async def take_lease(self, key: bytes, holder: bytes, ttl_s: float) -> bool:
        """Let ``holder`` have the lease on ``key``, unless another has it."""
        now_s = current_clock().now()
        query = (
            "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
            " SET holder = excluded.holder, until = excluded.until"
            " WHERE holder = excluded.holder OR until <= ?"
        )
        values = (key, holder, now_s + ttl_s, now_s)
        return await self._thread.write(lambda on: on.execute(query, values).rowcount == 1)

    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Give up the lease, if it is still ``holder``'s."""
        query = "DELETE FROM leases WHERE key = ? AND holder = ?"
        await self._thread.write(lambda on: on.execute(query, (key, holder)))

    async def note(self, line: bytes) -> None:
        """Add a line to the notes."""
        await self._thread.write(lambda on: _note(on, line))

    async def notes(self, limit: int) -> list[bytes]:
        """Return the newest notes, newest first."""
        query = "SELECT line FROM notes ORDER BY id DESC LIMIT ?"
        rows = await self._thread.read(lambda on: on.execute(query, (limit,)).fetchall())
        return [row[0] for row in rows]

    async def close(self) -> None:
        """Do the work that is waiting, then let go of the file."""
        await self._thread.close(self._thread.deadline_s)

    def _set_up(self, on: sqlite3.Connection) -> None:
        on.executescript(_SCHEMA)
        start = first_epoch()
        on.execute("INSERT OR IGNORE INTO generation VALUES (1, ?, ?)", (start, start))
        self._held_bytes = _held_bytes(on)

    def _do_chores(self, on: sqlite3.Connection) -> bool:
        """Write down what was used, drop what expired or is too much; whether more is left."""
        now_s = current_clock().now()
        touched = [(now_s, number) for number in self._touched]
        self._touched.clear()
        on.executemany("UPDATE entries SET used = ? WHERE id = ?", touched)
        expired = self._delete_some(on, "expires < ?1", now_s)
        evicted = self._evict(on) if self._held_bytes > self.max_bytes else 0
        return bool(expired or evicted)

    def _evict(self, on: sqlite3.Connection) -> int:
        """Drop some of what was not used for longest.

        Rows that were replaced or deleted by their key still count, and other processes'
        not at all: recount at times.
        """
        now_s = self._clock.monotonic()
        if now_s >= self._recount_s:
            self._recount_s = now_s + RECOUNT_EVERY_S
            self._held_bytes = _held_bytes(on)
        oldest = "SELECT id, size, used FROM entries WHERE kept = 0 ORDER BY used LIMIT ?2"
        before = "sum(size) OVER (ORDER BY used ROWS UNBOUNDED PRECEDING) - size AS before"
        surplus = self._held_bytes - self.max_bytes
        query = f"SELECT id FROM (SELECT id, {before} FROM ({oldest})) WHERE before < ?1"  # noqa: S608 - our own words
        return self._drop(on, query, (surplus,))


def _id(key: bytes) -> int:
    return int.from_bytes(key[:8], signed=True)


def _row(item: Item, now_s: float) -> Row:
    return (
        _id(item.key),
        len(item.data),
        item.created_s,
        item.expires_s,
        now_s,
        item.is_kept,
        item.owner,
        item.data,
    )


def _held_bytes(on: sqlite3.Connection) -> int:
    query = "SELECT coalesce(sum(size), 0) FROM entries WHERE kept = 0"
    return int(on.execute(query).fetchone()[0])


def _page(on: sqlite3.Connection, first: int) -> list[tuple[int, bytes]]:
    query = "SELECT id, data FROM entries WHERE id >= ? ORDER BY id LIMIT ?"
    return on.execute(query, (first, SCAN_ROWS)).fetchall()


def _bump(on: sqlite3.Connection, marks: Sequence[bytes]) -> int:
    on.execute("UPDATE generation SET epoch = epoch + 1")
    epoch = int(on.execute("SELECT epoch FROM generation").fetchone()[0])
    on.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?)", [(one, epoch) for one in marks])
    old = on.execute("SELECT epoch FROM marks ORDER BY epoch DESC LIMIT 1 OFFSET ?", (MARKS_KEPT,))
    for (oldest,) in old.fetchall():
        on.execute("DELETE FROM marks WHERE epoch <= ?", (oldest,))
        on.execute("UPDATE generation SET floor = max(floor, ?)", (oldest,))
    return epoch


def _changes(on: sqlite3.Connection, since: int, marks: Sequence[bytes]) -> Changes:
    epoch, floor = on.execute("SELECT epoch, floor FROM generation").fetchone()
    bumps = dict(on.execute("SELECT mark, epoch FROM marks WHERE epoch > ?", (since,)))
    for mark in marks:
        bumps.update(on.execute("SELECT mark, epoch FROM marks WHERE mark = ?", (mark,)))
    return Changes(epoch, floor, bumps)


def _note(on: sqlite3.Connection, line: bytes) -> None:
    last = on.execute("INSERT INTO notes (line) VALUES (?)", (line,)).lastrowid or 0
    on.execute("DELETE FROM notes WHERE id <= ?", (last - NOTES_KEPT,))
