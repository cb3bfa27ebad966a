"""News of runs between processes: by named pipes, by Redis, by PostgreSQL, and after a break."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from hasten.store.news import RunNews
from hasten.store.peers import Peers
from hasten.store.sql import open_sql
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from hasten.testing.redis import RedisServer


class Process:
    """What stands for one process: its news, and what it heard."""

    def __init__(self, news: RunNews) -> None:
        self.news = news
        self.heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        news.subscribe("told", lambda run_id: self.heard.put_nowait(("told", run_id)))
        news.subscribe("cancel", lambda run_id: self.heard.put_nowait(("cancel", run_id)))

    async def hears(self, word: str, run_id: str) -> None:
        """Wait until it has heard this."""
        async with asyncio.timeout(10):
            while await self.heard.get() != (word, run_id):
                pass


@asynccontextmanager
async def processes(
    folder: Path, database: str = "", redis: str = ""
) -> AsyncIterator[list[Process]]:
    """Give two of them that share a database."""
    url = database or f"sqlite:///{folder}/runs.db"
    found, opened = [], []
    for _ in range(2):
        sql, peers = await open_sql(url), Peers(folder / "peers")
        peers.open()
        one = Process(RunNews(peers, sql, redis))
        one.news.open()
        opened.append((one, peers, sql))
        found.append(one)
    try:
        yield found
    finally:
        for one, peers, sql in opened:
            await one.news.close()
            peers.close()
            await sql.close()


def has_heard(speaker: Process, listener: Process) -> bool:
    """Say a word, and tell whether one was heard."""
    speaker.news.say("told", "run_0")
    return not listener.heard.empty()


async def exchange(one: Process, other: Process) -> None:
    """Say a word until it is heard, since a line may still be opening; then hear each other."""
    for speaker, listener in ((one, other), (other, one)):
        await until(partial(has_heard, speaker, listener))
        speaker.news.say("told", "run_1")
        await listener.hears("told", "run_1")
        await speaker.hears("told", "run_1")
        speaker.news.say("cancel", "run_2")
        await listener.hears("cancel", "run_2")


def test_by_pipes(tmp_path: Path) -> None:
    """On one machine's SQLite, and within one process at once."""

    async def main() -> None:
        async with processes(tmp_path) as (one, other):
            await exchange(one, other)
            one.news.say("told", "run_3")
            assert [one.heard.get_nowait() for _ in range(one.heard.qsize())][-1] == (
                "told",
                "run_3",
            )

    asyncio.run(main())


def test_by_postgres(tmp_path: Path, postgres_url: str) -> None:
    """By ``NOTIFY``."""

    async def main() -> None:
        async with processes(tmp_path, database=postgres_url) as (one, other):
            await exchange(one, other)

    asyncio.run(main())


def test_by_redis(tmp_path: Path, redis_url: str) -> None:
    """By publishing."""

    async def main() -> None:
        async with processes(tmp_path, redis=redis_url) as (one, other):
            await exchange(one, other)

    asyncio.run(main())


def test_a_lost_line_is_taken_up_again(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is gone nothing fails; when it is back, listeners look at everything."""
    monkeypatch.setattr("hasten.store.news.REST_S", 0.05)

    async def main() -> None:
        async with processes(tmp_path, redis=redis_server.url) as (one, other):
            await exchange(one, other)
            await asyncio.to_thread(redis_server.stop)
            one.news.say("told", "run_lost")
            await other.hears("told", "")
            await asyncio.to_thread(redis_server.start)
            await exchange(one, other)

    asyncio.run(main())


def test_a_burst_is_heard_whole(tmp_path: Path, redis_url: str) -> None:
    """Two thousand words at once reach the other, whichever way they go."""

    async def main(**ways: Any) -> None:
        async with processes(tmp_path, **ways) as (one, other):
            await exchange(one, other)
            said = [f"run_{number}" for number in range(10, 2_010)]
            for number, run_id in enumerate(said):
                one.news.say("told", run_id)
                if number % 100 == 0:
                    await asyncio.sleep(0)
            heard = set()
            async with asyncio.timeout(10):
                while "run_2009" not in heard:
                    heard.add((await other.heard.get())[1])
            assert heard.issuperset(said)

    asyncio.run(main())
    asyncio.run(main(redis=redis_url))
