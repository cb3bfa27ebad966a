"""Between the processes of one database: this run has told something new, that one is to end.

Owns ``RunNews``, a word said here and heard in every process, this one included. It goes
through Redis where there is one, else by PostgreSQL's ``NOTIFY``, else, since the database
is then a file of this machine, by the named pipes of ``peers``. News may be lost when the
line is; they only say where to look. Leaves what is done about them to ``wire``.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from hasten.clock import Clock
from hasten.errors import StoreError
from hasten.store.redis_client import RedisLimit, RedisPolicy, connect, disconnect

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hasten.store.peers import Peers
    from hasten.store.sql.base import SqlStore
    from hasten.store.sql.words import SqlWords

_log = logging.getLogger(__name__)

RunWord = Literal["told", "cancel"]

CHANNEL = "hasten_runs"
REST_S = 1.0
"""A line that broke is taken up again after so long."""

TOGETHER = 500
"""So many words at most go out in one message to the server."""


class RunNews:
    """The news of runs. ``open()`` it, ``close()`` it."""

    def __init__(self, peers: Peers, sql: SqlStore, redis_url: str = "") -> None:
        self._peers = peers
        self._sql = sql
        self._redis = connect(redis_url, RedisPolicy()) if redis_url else None
        self._heard: dict[str, Callable[[str], None]] = {}
        self._waiting: dict[str, None] = {}
        self._has_work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, word: RunWord, heard: Callable[[str], None]) -> None:
        """Call ``heard`` with the id of each run the word is said of; "" means: maybe of all."""
        self._heard[word] = heard

    def open(self) -> None:
        """Hear, and be heard, from now on."""
        for word in ("told", "cancel"):
            self._peers.subscribe(f"run {word}", self._hearing(word))
        if self._redis is not None:
            self._start(self._send_through_redis, self._listen_to_redis)
        elif self._sql.kind == "postgres":
            self._start(self._send_through_postgres, self._listen_to_postgres)

    async def close(self) -> None:
        """Be silent and deaf."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._redis is not None:
            await disconnect(self._redis)

    def say(self, word: RunWord, run_id: str) -> None:
        """Say ``word`` of a run in every process; waits for nobody and never fails."""
        if not self._tasks:
            self._peers.ring(f"run {word}", run_id)
            return
        self._tell(word, run_id)
        self._waiting[f"{word} {run_id}"] = None
        self._has_work.set()

    def _hearing(self, word: str) -> Callable[[str], None]:
        return lambda run_id: self._tell(word, run_id)

    def _tell(self, word: str, run_id: str) -> None:
        heard = self._heard.get(word)
        if heard is not None:
            heard(run_id)

    def _take(self, line: str) -> None:
        word, _, run_id = line.partition(" ")
        self._tell(word, run_id)

    def _start(
        self,
        send: Callable[[list[str]], Coroutine[None, None, None]],
        listen: Callable[[], Coroutine[None, None, None]],
    ) -> None:
        self._tasks = [
            asyncio.create_task(self._send_on(send), name="run news out"),
            asyncio.create_task(self._listen_on(listen), name="run news in"),
        ]

    async def _send_on(self, send: Callable[[list[str]], Coroutine[None, None, None]]) -> None:
        """Send what waits, all that has come together; what cannot be sent is lost."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            lines = list(self._waiting)
            self._waiting.clear()
            for first in range(0, len(lines), TOGETHER):
                with suppress(StoreError):
                    await send(lines[first : first + TOGETHER])

    async def _listen_on(self, listen: Callable[[], Coroutine[None, None, None]]) -> None:
        while True:
            try:
                await listen()
            except StoreError as error:
                _log.info("no news of runs for the moment: %s", error)
            await Clock().sleep(REST_S)
            self._tell("told", "")

    async def _send_through_redis(self, lines: list[str]) -> None:
        if self._redis is None:
            return
        for line in lines:
            async with self._limit():
                await self._redis.publish(CHANNEL, line)

    async def _listen_to_redis(self) -> None:
        if self._redis is None:
            return
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            async with self._limit():
                await channel.subscribe(CHANNEL)
            async with RedisLimit(asyncio.timeout(None)):
                async for message in channel.listen():
                    self._take(message["data"].decode())

    def _limit(self) -> RedisLimit:
        return RedisLimit(asyncio.timeout(RedisPolicy().call_s))

    async def _send_through_postgres(self, lines: list[str]) -> None:
        def say(on: SqlWords) -> None:
            for line in lines:
                on.notify(CHANNEL, line)

        await self._sql.write_words(say)

    async def _listen_to_postgres(self) -> None:
        await self._sql.listen(CHANNEL, self._take)
