"""The shared tier: Redis or Valkey through redis-py, concurrent reads as one MGET.

Owns the keys it writes there and their number of bytes; leaves reaching the
server to ``redis_client`` and what the server runs in one step to ``redis_lua``.
Each call runs under a deadline of real time: a connection on which a call was
cut off is closed by redis-py, so a late answer reaches nobody.

Under the policy's prefix: ``e:`` entries and ``l:`` leases; and, in one hash
slot, ``epoch``, ``floor`` and ``marks`` (generations), ``index``, ``meta`` and
``bytes`` (what there is, whose, and how much), ``notes``, and ``news`` (a
channel). The server's own expiry only frees memory; what is fresh is decided
elsewhere. Needs Redis 6.2 or later.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from hasten.clock import Clock, current_clock
from hasten.store import redis_lua
from hasten.store.base import (
    MARKS_KEPT,
    NOTES_KEPT,
    ByteStore,
    Changes,
    Item,
    StoreSize,
    first_epoch,
)
from hasten.store.deadline import StandingDeadline
from hasten.store.merge import MergedCalls, merged_reads, merged_writes
from hasten.store.redis_client import RedisLimit, RedisPolicy, connect, disconnect, our_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

TRIM_AFTER_ITEMS = 256
"""The index is cleared of what expired after so many writes."""

TRIM_ITEMS = 200
"""One step of trimming removes at most so many."""

SCAN_KEYS = 200
"""A scan reads so many entries at a time."""

_NEVER_S = 1e18
"""The index's score of what does not expire; what is kept has ``+inf`` and is never dropped."""

_META = struct.Struct(">Id16s")


class _Meta(NamedTuple):
    """What the index knows of an item."""

    size_bytes: int
    created_s: float
    owner: bytes


class RedisStore(ByteStore):
    """A store in the Redis at ``url``; it connects when it is first asked."""

    name = "redis"
    reach = "network"

    def __init__(self, url: str, policy: RedisPolicy | None = None) -> None:
        self.policy = policy or RedisPolicy()
        self._client = connect(url, self.policy)
        self._is_cluster = hasattr(self._client, "mget_nonatomic")
        self._reading: Any = None
        self._finding = asyncio.Lock()
        self._is_found = False
        self._read_deadline = StandingDeadline(self.policy.call_s)
        self._reads = merged_reads(self._fetch)
        self._writes = merged_writes(self._keep)
        self._scripts = MergedCalls(self._run_scripts)
        self._clock = Clock()
        self._prefix = self.policy.prefix.encode()
        self._untrimmed = 0
        index = ("index", "meta", "bytes")
        self._index = [self._own(name) for name in index]
        self._generations = [self._own(name) for name in ("epoch", "floor", "marks", "news")]

    def _key(self, kind: bytes, key: bytes) -> bytes:
        return b"%b:%b:%b" % (self._prefix, kind, key)

    def _own(self, name: str) -> bytes:
        """Return a key in the one hash slot of what is not an entry."""
        return b"{%b}:%b" % (self._prefix, name.encode())

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, in order."""
        return await self._reads.call(keys)

    async def _fetch(self, keys: list[bytes]) -> list[bytes | None]:
        names = [self._generations[0], *(self._key(b"e", key) for key in keys)]
        found: list[bytes | None]
        async with RedisLimit(self._read_deadline, self._prepare()):
            if self._is_cluster:
                epoch, *found = await self._client.mget_nonatomic(names)
            else:
                epoch, *found = await self._mget(names)
            self.epoch = int(epoch or 0)
        return found

    async def _mget(self, names: list[bytes]) -> Any:
        """Read on a connection of their own: one batch is away at a time.

        Going through the client would cost a third more, and having it put the
        command together another tenth. A connection that turns out to have been
        closed meanwhile is opened again once.
        """
        from redis.exceptions import ConnectionError as Closed

        if self._reading is None:
            self._reading = await self._client.connection_pool.get_connection()
        was_open = self._reading.is_connected
        words = [b"$%d\r\n%b\r\n" % (len(name), name) for name in names]
        command = b"*%d\r\n$4\r\nMGET\r\n%b" % (1 + len(words), b"".join(words))
        try:
            return await self._ask(self._reading, command)
        except Closed:
            if not was_open:
                raise
            return await self._ask(self._reading, command)

    async def _ask(self, connection: Any, command: bytes) -> Any:
        try:
            await connection.send_packed_command(command)
            return await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)  # what comes late must reach nobody
            raise

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items, then see to the room they take."""
        await self._writes.call(items)

    async def _keep(self, items: list[Item]) -> None:
        now_s = current_clock().now()
        facts: list[Any] = []
        async with self._limit(), self._client.pipeline(transaction=False) as pipe:
            for item in items:
                left_ms = None
                if item.expires_s is not None:
                    left_ms = max(int((item.expires_s - now_s) * 1e3), 1)
                pipe.set(self._key(b"e", item.key), item.data, px=left_ms)
                facts += [
                    item.key,
                    _score(item),
                    _META.pack(len(item.data), item.created_s, item.owner),
                ]
            await pipe.execute()
        held_bytes = int(await self._eval(redis_lua.INDEX, self._index, *facts))
        self._untrimmed += len(items)
        if self._untrimmed >= TRIM_AFTER_ITEMS or held_bytes > self.policy.max_bytes:
            await self._trim(now_s)

    async def _trim(self, now_s: float) -> None:
        """Take what expired off the index, and drop what is next to expire for room."""
        self._untrimmed = 0
        while True:
            limits = (now_s, self.policy.max_bytes, TRIM_ITEMS)
            expired, dropped = await self._eval(redis_lua.TRIM, self._index, *limits)
            await self._unlink(dropped)
            if TRIM_ITEMS not in (expired, len(dropped)):
                return

    async def _unlink(self, keys: Sequence[bytes]) -> int:
        """Delete entries; each by itself, as a Cluster keeps them in different places."""
        async with self._limit(), self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.execute_command("UNLINK", self._key(b"e", key))
            return sum(await pipe.execute())

    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Forget the keys; return how many were there."""
        count = await self._unlink(keys)
        await self._eval(redis_lua.REMOVE, self._index, *keys)
        return count

    async def delete_owned(self, owner: bytes) -> int:
        """Forget everything that belongs to one person; return how many items."""
        return await self._delete_all(lambda meta: meta.owner == owner)

    async def delete_created(self, before_s: float) -> int:
        """Forget everything created before then; return how many items."""
        return await self._delete_all(lambda meta: meta.created_s < before_s)

    async def _delete_all(self, is_meant: Callable[[_Meta], bool]) -> int:
        total = cursor = 0
        while True:
            async with self._limit():
                cursor, page = await self._client.hscan(self._index[1], cursor, count=SCAN_KEYS)
            meant = [key for key, meta in page.items() if is_meant(_Meta(*_META.unpack(meta)))]
            if meant:
                total += await self.delete_many(meant)
            if cursor == 0:
                return total

    async def scan(self) -> AsyncIterator[bytes]:
        """Yield the bytes of every item that is still there."""
        cursor = 0
        while True:
            async with self._limit():
                cursor, page = await self._client.hscan(self._index[1], cursor, count=SCAN_KEYS)
            for data in await self.get_many(list(page)):
                if data is not None:
                    yield data
            if cursor == 0:
                return

    async def size(self) -> StoreSize:
        """Return how much is held; what expired is counted until the next trimming at most."""
        await self._trim(current_clock().now())
        async with self._limit():
            entries = await self._client.hlen(self._index[1])
            held_bytes = await self._client.get(self._index[2])
        return StoreSize(int(entries), int(held_bytes or 0))

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch, note it for the marks, and publish it."""
        limits = (first_epoch(), MARKS_KEPT)
        self.epoch = int(await self._eval(redis_lua.BUMP, self._generations, *limits, *marks))
        return self.epoch

    async def changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes:
        """Return the marks bumped after ``since``, and how ``marks`` stand."""
        limits = (first_epoch(), since)
        found = await self._eval(redis_lua.CHANGES, self._generations, *limits, *marks)
        epoch, floor, asked, bumped = found
        bumps = {mark: int(at) for mark, at in zip(marks, asked, strict=True) if at}
        bumps.update(zip(bumped[::2], map(int, bumped[1::2]), strict=True))
        self.epoch = int(epoch)
        return Changes(self.epoch, int(floor), bumps)

    async def restart(self, above: int) -> None:
        """Raise epoch and floor above ``above``."""
        start = max(first_epoch(), above + 1)
        await self._eval(redis_lua.RESTART, self._generations[:2], start)

    async def take_lease(self, key: bytes, holder: bytes, ttl_s: float) -> bool:
        """Let ``holder`` have the lease on ``key``, unless another has it."""
        lease = self._key(b"l", key)
        return bool(await self._eval(redis_lua.TAKE, [lease], holder, max(int(ttl_s * 1e3), 1)))

    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Give up the lease, if it is still ``holder``'s."""
        await self._eval(redis_lua.DROP, [self._key(b"l", key)], holder)

    async def note(self, line: bytes) -> None:
        """Add a line to the notes."""
        async with self._limit(), self._client.pipeline(transaction=False) as pipe:
            pipe.lpush(self._own("notes"), line)
            pipe.ltrim(self._own("notes"), 0, NOTES_KEPT - 1)
            await pipe.execute()

    async def notes(self, limit: int) -> list[bytes]:
        """Return the newest notes, newest first."""
        async with self._limit():
            return list(await self._client.lrange(self._own("notes"), 0, limit - 1))

    async def listen(self, heard: Callable[[int], None]) -> None:
        """Call ``heard`` with each new epoch; raises ``StoreUnavailable`` when the news stop."""
        async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
            async with self._limit():
                await channel.subscribe(self._generations[3])
            async with RedisLimit(self._clock.timeout(None)):
                async for message in channel.listen():
                    heard(int(message["data"]))

    async def close(self) -> None:
        """Close the connections."""
        await disconnect(self._client)

    async def _eval(self, script: str, keys: Sequence[bytes], *arguments: Any) -> Any:
        if self._is_cluster:  # its pipelines run no scripts
            async with self._limit():
                return await self._client.eval(script, len(keys), *keys, *arguments)
        found = await self._scripts.call([(script, len(keys), *keys, *arguments)])
        if isinstance(found, Exception):
            raise our_error(found) from found
        return found

    async def _run_scripts(self, calls: Sequence[Sequence[tuple[Any, ...]]]) -> list[Any]:
        """Run what many callers want at once on one connection, a script each."""
        async with self._limit(), self._client.pipeline(transaction=False) as pipe:
            for ((script, *rest),) in calls:
                pipe.eval(script, *rest)
            return list(await pipe.execute(raise_on_error=False))

    def _limit(self) -> RedisLimit:
        """Bound a block by the deadline, and turn what goes wrong into our errors."""
        return RedisLimit(self._clock.timeout(self.policy.call_s), self._prepare())

    def _prepare(self) -> Callable[[], Awaitable[None]] | None:
        return None if self._is_found else self._find_servers

    async def _find_servers(self) -> None:
        """Learn a Cluster's layout once; calls that do so side by side cut each other off."""
        async with self._finding:
            if not self._is_found:
                if self._is_cluster:
                    await self._client.initialize()
                self._is_found = True


def _score(item: Item) -> float | str:
    if item.is_kept:
        return "+inf"
    return _NEVER_S if item.expires_s is None else item.expires_s
