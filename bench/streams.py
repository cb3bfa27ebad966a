"""What following a run adds: from the moment something happens to when a reader has it.

In the process, once stored, in another runtime by named pipes and through Redis; and what
the slowest of 1,000 readers of one run over HTTP waits. A case's figure is a percentile of
one run's events; beside it a bare ``asyncio.Queue`` or the bare server of ``readers``.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench.harness import OURS, Case
from bench.queues.contestants import bare_queue, quantile
from bench.readers import READERS, late_ms
from bench.trace import new_recorder
from hasten.serve.stream.feed import Reading, RunFeed
from hasten.serve.stream.hasten import HastenEncoder
from hasten.store.news import RunNews
from hasten.store.peers import Peers
from hasten.store.sql import SqlSink, open_sql
from hasten.testing.redis import run_redis
from hasten.trace.elsewhere import RunsElsewhere
from hasten.trace.log import MemorySink, RunLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hasten.trace.event import RunEvent, RunRecord
    from hasten.trace.log import Sink

TITLE = "Streams: how late a reader has what happened"

EVENTS = 200
EVERY_S = 0.005


def cases() -> list[Case]:
    """Return what is measured."""
    queue = {"asyncio.Queue": partial(bare_queue().at, 0.5)}
    return [
        Case("live, in the process", "ms, p50", {OURS: _live_ms, **queue}, goal=0.2),
        Case("stored", "ms, p50", {OURS: _stored_ms, **queue}, goal=2.0),
        Case("another runtime, by pipes", "ms, p50", {OURS: partial(_elsewhere_ms, "")}, goal=5.0),
        Case("another runtime, through Redis", "ms, p50", {OURS: _redis_ms}, goal=5.0),
        Case(
            f"{READERS:,} readers over HTTP",
            "ms, p99",
            {
                OURS: partial(late_ms, "hasten"),
                "sse-starlette": partial(late_ms, "sse-starlette")
                if find_spec("sse_starlette")
                else "not installed",
                "bare Granian": partial(late_ms, "bare"),
            },
            goal=50.0,
            bare="bare Granian",
        ),
    ]


def _live_ms() -> float:
    return asyncio.run(_followed_ms(MemorySink()))


def _stored_ms() -> float:
    async def main() -> float:
        with tempfile.TemporaryDirectory() as folder:
            sql = await open_sql(f"sqlite:///{folder}/runs.db")
            try:
                return await _followed_ms(SqlSink(sql))
            finally:
                await sql.close()

    return asyncio.run(main())


def _redis_ms() -> float:
    with run_redis() as server:
        return _elsewhere_ms(server.url)


def _elsewhere_ms(redis_url: str) -> float:
    """Return the delay of events in one runtime's log to a follower in another's."""

    async def main() -> float:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with AsyncExitStack() as stack:
                teller, told_sink = await _runtime(stack, folder, redis_url)
                hearer, sink = await _runtime(stack, folder, redis_url)
                elsewhere = RunsElsewhere(sink)
                hearer.subscribe("told", elsewhere.hear)
                del teller
                await asyncio.sleep(0.2)  # the lines open

                def follow(run_id: str, _: RunLog) -> AsyncIterator[RunEvent]:
                    return elsewhere.follow(run_id, 0, lambda: None)

                return await _followed_ms(told_sink, follow)

    return asyncio.run(main())


async def _runtime(stack: AsyncExitStack, folder: Path, redis_url: str) -> tuple[RunNews, SqlSink]:
    """Open what one process has of the database and its news."""
    sql, peers = await open_sql(f"sqlite:///{folder}/runs.db"), Peers(folder / "peers")
    stack.push_async_callback(sql.close)
    peers.open()
    stack.callback(peers.close)
    news = RunNews(peers, sql, redis_url)
    news.open()
    stack.push_async_callback(news.close)
    return news, SqlSink(sql, partial(news.say, "told"))


async def _followed_ms(
    sink: Sink, follow: Callable[[str, RunLog], AsyncIterator[RunEvent]] | None = None
) -> float:
    """Return the median delay from an event to its frame in a reader's hands."""
    recorder = new_recorder()
    log = RunLog(recorder, sink)
    run_id = recorder.run.run_id
    await sink.save(recorder.run)
    events = log.follow() if follow is None else follow(run_id, log)

    async def record_of() -> RunRecord:
        return recorder.run

    feed = RunFeed(events, HastenEncoder(), record_of)
    delays_ms: list[float] = []

    async def read() -> None:
        async for batch in feed.read(Reading()):
            now_s = perf_counter()
            delays_ms.extend((now_s - sent_s(frame.data)) * 1e3 for frame in batch.frames)

    reading = asyncio.create_task(read())
    for _ in range(EVENTS):
        recorder.emit("degraded", 1, {"step": "s", "reason": str(perf_counter())})
        await asyncio.sleep(EVERY_S)
    recorder.run.status = "complete"
    await log.close()
    await reading
    return quantile(delays_ms, 0.5)


def sent_s(data: bytes) -> float:
    """Return when an event of the benchmark happened."""
    return float(json.loads(data)["reason"])
