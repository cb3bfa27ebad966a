"""The shared tier on real servers: merged, bounded, in time, and nobody's answer to another."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hasten.clock import current_clock
from hasten.errors import SettingsError, StoreError, StoreUnavailable
from hasten.store import redis, redis_lua
from hasten.store.base import Item
from hasten.store.redis import RedisStore
from hasten.store.redis_client import RedisPolicy, _host, connect
from hasten.testing.store_contract import CLAUSES, digest, item
from tests.store.redis_groups import run_cluster, run_sentinel, tell
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from hasten.testing.redis import RedisServer
    from hasten.testing.store_contract import Clause

PATIENT = {"call_s": 5.0, "connect_s": 5.0}


@asynccontextmanager
async def opened(url: str, **policy: Any) -> AsyncIterator[RedisStore]:
    """Open a store for a block."""
    store = RedisStore(url, RedisPolicy(**{**PATIENT, **policy}))
    try:
        yield store
    finally:
        await store.close()


def port_of(url: str) -> int:
    """Return the port in a URL."""
    return int(re.findall(r":(\d+)", url)[0])


def test_reads_at_once_are_one_command(redis_url: str) -> None:
    """Sixty-four readers cost a few MGETs, not sixty-four GETs."""

    async def main() -> None:
        async with opened(redis_url) as store:
            await store.set_many([item(number, b"%d" % number) for number in range(64)])
            tell(port_of(redis_url), "CONFIG", "RESETSTAT")
            calls = [store.get_many([digest(number)]) for number in range(64)]
            assert await asyncio.gather(*calls) == [[b"%d" % number] for number in range(64)]

    asyncio.run(main())
    said = tell(port_of(redis_url), "INFO", "commandstats")
    assert int(re.findall(r"cmdstat_mget:calls=(\d+)", said)[0]) <= 2
    assert "cmdstat_get:" not in said


def test_scripts_at_once_are_one_message(redis_url: str) -> None:
    """Sixty-four leases travel together; what Redis refuses one caller is that caller's alone."""

    async def main() -> None:
        async with opened(redis_url) as store:
            await store.ping()
            tell(port_of(redis_url), "CONFIG", "RESETSTAT")
            good = [store.take_lease(digest(number), b"me", 10.0) for number in range(64)]
            bad = store._eval("return redis.call('GET')", [b"key"])
            *taken, refused = await asyncio.gather(*good, bad, return_exceptions=True)
            assert taken == [True] * 64
            assert type(refused) is StoreError
            assert "redis refused" in str(refused)

    asyncio.run(main())
    said = tell(port_of(redis_url), "INFO", "stats")
    assert int(re.findall(r"total_connections_received:(\d+)", said)[0]) <= 3


def test_a_reader_cut_off_in_the_middle_leaves_its_answer_to_nobody(
    redis_server: RedisServer, redis_url: str
) -> None:
    """Whatever the moment: cancelled, or out of time while the server stands still."""

    async def main() -> None:
        async with opened(redis_url, call_s=0.05) as store:
            await store.set_many([item(number, b"%d" % number) for number in range(100)])
            wrong = late = 0
            for number in range(100):
                call = asyncio.ensure_future(store.get_many([digest(number)]))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                if number % 10 == 0:
                    with redis_server.frozen():
                        failed = await asyncio.gather(call, return_exceptions=True)
                        late += isinstance(failed[0], StoreUnavailable)
                call.cancel()
                wanted = (number + 1) % 100
                try:
                    wrong += await store.get_many([digest(wanted)]) != [b"%d" % wanted]
                except StoreUnavailable:
                    late += 1
            assert wrong == 0
            assert late >= 1

    asyncio.run(main())


def test_a_frozen_server_costs_the_deadline_once(redis_server: RedisServer, redis_url: str) -> None:
    """Everybody who waits is told within it."""

    async def main() -> None:
        async with opened(redis_url, call_s=0.1) as store:
            await store.ping()
            with redis_server.frozen():
                began_s = current_clock().monotonic()
                calls = [store.get_many([digest(number)]) for number in range(64)]
                failed = await asyncio.gather(*calls, return_exceptions=True)
                took_s = current_clock().monotonic() - began_s
            assert {type(one) for one in failed} == {StoreUnavailable}
            assert 0.09 <= took_s < 2.0
            await store.ping()

    asyncio.run(main())


def test_a_server_that_is_gone_and_comes_back(redis_server: RedisServer, redis_url: str) -> None:
    """Calls fail with an error of ours, and work again without being told."""

    async def main() -> None:
        async with opened(redis_url) as store:
            await store.set_many([item("a", b"1")])
            redis_server.stop()
            try:
                for _ in range(3):
                    with pytest.raises(StoreUnavailable):
                        await store.get_many([digest("a")])
            finally:
                redis_server.start()
            await store.set_many([item("a", b"2")])
            assert await store.get_many([digest("a")]) == [b"2"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "nonsense",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 50, b"*1\r\n:5\r\n", b"+OK\r\n", b""],
)
def test_a_server_that_talks_nonsense_is_as_good_as_gone(nonsense: bytes) -> None:
    """Whatever listens there, what comes out is an error of ours or nothing found."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(nonsense)
            await writer.drain()
            if not nonsense:
                break
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with opened(f"redis://127.0.0.1:{port}", call_s=0.3) as store:
            for _ in range(3):
                with pytest.raises(StoreError):
                    await store.get_many([digest("a"), digest("b")])
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_a_full_server_refuses_writes_and_goes_on_reading(redis_url: str) -> None:
    """Out of memory is a refusal: reading it still pays."""
    port = port_of(redis_url)

    async def main() -> None:
        async with opened(redis_url) as store:
            await store.set_many([item("a", b"1")])
            tell(port, "CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreError, match="refused") as caught:
                await store.set_many([item("b", b"2")])
            assert not isinstance(caught.value, StoreUnavailable)
            assert await store.get_many([digest("a")]) == [b"1"]

    try:
        asyncio.run(main())
    finally:
        tell(port, "CONFIG", "SET", "maxmemory", "0")


def test_room_is_made_for_what_is_new(redis_url: str) -> None:
    """The soonest to expire goes first, what is kept never; the count stays true."""

    async def main() -> None:
        async with opened(redis_url, max_bytes=50_000) as store:
            now_s = current_clock().now()
            kept = Item(key=digest("k"), data=bytes(10_000), created_s=now_s, is_kept=True)
            endless = Item(key=digest("e"), data=bytes(1000), created_s=now_s)
            await store.set_many([kept, endless])
            for number in range(100):
                one = Item(
                    key=digest(number),
                    data=bytes(1000),
                    created_s=now_s,
                    expires_s=now_s + 100 + number,
                )
                await store.set_many([one])
            size = await store.size()
            assert 45_000 <= size.bytes <= 50_000
            assert None not in await store.get_many([digest("k"), digest("e"), digest(99)])
            assert await store.get_many([digest(0)]) == [None]
            held = [data async for data in store.scan()]
            assert sum(map(len, held)) == size.bytes

    asyncio.run(main())


def test_what_expired_leaves_the_index(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server frees the entries, the store what it knows of them, in steps."""
    monkeypatch.setattr(redis, "TRIM_ITEMS", 20)

    async def main() -> None:
        async with opened(redis_url) as store:
            now_s = current_clock().now()
            short = [
                Item(key=digest(number), data=b"x", created_s=now_s, expires_s=now_s + 0.05)
                for number in range(110)
            ]
            await store.set_many([*short, item("long", b"xx")])

            async def is_alone() -> bool:
                size = await store.size()
                held = await store.get_many([digest(0), digest("long")])
                return (size.entries, size.bytes, held) == (1, 2, [None, b"xx"])

            await until(is_alone)  # the server frees by its own clock

    asyncio.run(main())


def test_news_are_heard_and_their_end_is_told(redis_server: RedisServer, redis_url: str) -> None:
    """Every bump reaches every listener; a lost server ends the listening."""

    async def main() -> None:
        async with opened(redis_url) as store, opened(redis_url) as other:
            heard: list[int] = []
            has_two = asyncio.Event()

            def hear(epoch: int) -> None:
                heard.append(epoch)
                if len(heard) == 2:
                    has_two.set()

            listening = asyncio.ensure_future(store.listen(hear))
            asked = ("PUBSUB", "NUMSUB", "{hasten}:news")
            await until(lambda: tell(port_of(redis_url), *asked).split()[-1] == "1")
            epochs = [await other.bump([b"m" * 16]) for _ in range(2)]
            await asyncio.wait_for(has_two.wait(), 5)
            assert heard == epochs
            redis_server.stop()
            try:
                with pytest.raises(StoreUnavailable):
                    await asyncio.wait_for(listening, 5)
            finally:
                redis_server.start()

    asyncio.run(main())


def test_marks_beyond_the_most_raise_the_floor(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is forgotten can bring nothing back."""
    monkeypatch.setattr(redis, "MARKS_KEPT", 10)

    async def main() -> None:
        async with opened(redis_url) as store:
            epochs = [await store.bump([b"%016d" % number]) for number in range(30)]
            changes = await store.changes(0)
            assert len(changes.bumps) == 10
            assert changes.floor == epochs[19]

    asyncio.run(main())


def test_a_server_that_lost_everything_starts_above_what_was(redis_url: str) -> None:
    """Its first epoch is above all it may have had before."""

    async def main() -> None:
        async with opened(redis_url) as store:
            last = [await store.bump([b"m" * 16]) for _ in range(5)][-1]
            tell(port_of(redis_url), "FLUSHALL")
            changes = await store.changes(last)
            assert changes.floor > last
            assert changes.bumps == {}

    asyncio.run(main())


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """Give the URL of a Cluster of two."""
    with run_cluster() as url:
        yield url


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_a_cluster_keeps_the_contract(clause: Clause, cluster_url: str) -> None:
    """Keys lie on two servers; each clause has a prefix of its own."""

    async def main() -> None:
        async with (
            opened(cluster_url, prefix=clause.__name__) as store,
            opened(cluster_url, prefix=clause.__name__) as other,
        ):
            await clause(store, other)

    asyncio.run(main())


def test_a_sentinel_says_where_the_server_is(redis_url: str) -> None:
    """The URL names the service, not the server."""

    async def main(url: str) -> None:
        async with opened(url) as store:
            await store.set_many([item("a", os.urandom(10))])
            async with opened(redis_url) as direct:
                assert await direct.get_many([digest("a")]) == await store.get_many([digest("a")])

    with run_sentinel(port_of(redis_url)) as url:
        asyncio.run(main(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://localhost",
        "redis://localhost:port",
        "redis+sentinel://localhost:26379",
        "memcached://x",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """With what would do."""
    with pytest.raises(SettingsError):
        connect(url, RedisPolicy())


def test_hosts_of_a_sentinel_group() -> None:
    """A port may be left out; an IPv6 address stands in brackets."""
    assert _host("name") == ("name", 26_379)
    assert _host("name:1") == ("name", 1)
    assert _host("[::1]:5") == ("::1", 5)
    with pytest.raises(SettingsError, match="not a host and port"):
        _host("name:x")


def test_scripts_name_what_they_take() -> None:
    """Every script is one text; none is put together from data."""
    scripts = [value for name, value in vars(redis_lua).items() if name.isupper()]
    assert len(scripts) >= 8
    assert all(isinstance(script, str) and "redis.call" in script for script in scripts)
