"""Runs that one process executes and another one shows, through Redis and through PostgreSQL.

Two workers of one server share this machine's SQLite and hear of each other by Redis; two
servers with a folder each, as on two machines, share one PostgreSQL, with Redis and without.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import psutil
import pytest

import hasten
from tests.cli.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hasten.client import RunMessage
    from tests.cli.processes import Process

READERS = 6
WITHIN_S = 60


class Servers(NamedTuple):
    """Where a run is started and where it is read; of two workers either may do either."""

    first: str
    other: str
    process: Process
    folder: Path
    words: tuple[str, ...]


SHARED = ("sqlite+redis", "postgres", pytest.param("postgres+redis", marks=pytest.mark.slow))


@pytest.fixture(scope="module", params=SHARED)
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """Two processes that share their runs."""
    shared: list[str] = []
    if "redis" in request.param:
        redis = request.getfixturevalue("redis_server")
        redis.flush()
        shared.append(f"REDIS_URL={redis.url}\n")
    with ExitStack() as stack:
        if "postgres" not in request.param:
            folder = settled(tmp_path_factory.mktemp("both"), shared)
            words = ("serve", "--port", "0", "--workers", "2")
            process = stack.enter_context(running(folder, *words, lines=3))
            assert "share runs through Redis" in process.ready
            yield Servers(url_of(process), url_of(process), process, folder, words)
            return
        database = request.getfixturevalue("postgres_server").new_database()
        shared.append(f"DATABASE_URL={database}\n")
        words = ("serve", "--port", "0")
        other = stack.enter_context(running(settled(tmp_path_factory.mktemp("o"), shared), *words))
        folder = settled(tmp_path_factory.mktemp("first"), shared)
        process = stack.enter_context(running(folder, *words))
        yield Servers(url_of(process), url_of(other), process, folder, words)


def settled(folder: Path, shared: list[str]) -> Path:
    """Write settings into a server's folder."""
    (folder / ".env").write_text("".join(shared), encoding="utf-8")
    return folder


def url_of(process: Process) -> str:
    """Return where a server that runs is."""
    found = re.search(r"http://\S+", process.ready)
    assert found is not None, process.ready
    return found[0]


def within(test: Any) -> None:
    """Run a test to its end, which it comes to soon."""
    asyncio.run(asyncio.wait_for(test, WITHIN_S))


async def begun(session: aiohttp.ClientSession, speed: float) -> aiohttp.ClientResponse:
    """Start discovery anew; give its stream."""
    async with session.get("/api/apps") as response:
        apps = {app["name"]: app for app in await response.json()}
    inputs = next(iter(apps["discovery"]["samples"].values()))
    body = {"app": "discovery", "inputs": inputs, "speed": speed}
    return await session.post("/api/run/stream", json=body, headers={"Cache-Control": "no-cache"})


async def begin_of(response: aiohttp.ClientResponse) -> str:
    """Read a part of a stream, so that others have some of it to catch up with."""
    return "".join([(await response.content.readline()).decode() for _ in range(120)])


async def whole(url: str, path: str, after: str = "") -> list[tuple[str, str]]:
    """Read a stream to its end over a connection of its own: ids and data."""
    headers = {"Last-Event-ID": after} if after else {}
    async with (
        aiohttp.ClientSession(url) as session,
        session.get(f"{path}/events", headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        return parsed(await response.text())


def parsed(stream: str) -> list[tuple[str, str]]:
    """Return the ids and the data of a stream's messages."""
    return re.findall(r"^id: (.*)\ndata: (.*)$", stream, re.MULTILINE)


async def spoken(url: str, path: str, after: str = "") -> list[tuple[str, str]]:
    """Read it by a WebSocket."""
    query = f"?after={after}" if after else ""
    async with (
        aiohttp.ClientSession(url) as session,
        session.ws_connect(f"{path}/ws{query}") as socket,
    ):
        said = [json.loads(message.data) async for message in socket]
    return [(one["id"], one["data"]) for one in said if one["event"] != "ping"]


def decoded(told: list[tuple[str, str]]) -> list[tuple[str, Any]]:
    """Return messages as a WebSocket tells them."""
    return [(id_, json.loads(data)) for id_, data in told]


def test_a_run_is_followed_from_the_other_process(servers: Servers) -> None:
    """What was told before and what comes live, by both transports, without a gap or a double."""

    async def test() -> None:
        async with aiohttp.ClientSession(servers.first) as session:
            response = await begun(session, 10)
            path = f"/api/runs/{response.headers['Hasten-Run-Id']}"
            early = [asyncio.create_task(whole(servers.other, path)) for _ in range(READERS)]
            early_spoken = asyncio.create_task(spoken(servers.other, path))
            head = await begin_of(response)
            late = [asyncio.create_task(whole(servers.other, path)) for _ in range(READERS)]
            told = parsed(head + (await response.read()).decode())
        assert '"complete":true' in told[-1][1]
        assert all(heard == told for heard in await asyncio.gather(*early, *late))
        assert await early_spoken == decoded(told)
        half = len(told) // 2
        assert await whole(servers.other, path, told[half][0]) == told[half + 1 :]
        assert await spoken(servers.other, path, told[half][0]) == decoded(told[half + 1 :])

    within(test())


@pytest.mark.parametrize("transport", ["http", "ws"])
def test_a_run_is_cancelled_from_the_other_process(servers: Servers, transport: str) -> None:
    """It ends where it runs, and all who read it hear that it was cancelled."""

    async def test() -> None:
        async with (
            aiohttp.ClientSession(servers.first) as session,
            aiohttp.ClientSession(servers.other) as elsewhere,
        ):
            response = await begun(session, 1)
            path = f"/api/runs/{response.headers['Hasten-Run-Id']}"
            reader = asyncio.create_task(whole(servers.other, path))
            if transport == "http":
                async with elsewhere.post(f"{path}/cancel") as answer:
                    assert (await answer.json())["status"] == "cancelled"
            else:
                async with elsewhere.ws_connect(f"{path}/ws") as socket:
                    await socket.receive()
                    await socket.send_str('{"type": "cancel"}')
                    said = [json.loads(one.data) async for one in socket]
                assert said[-1]["data"]["status"] == "cancelled"
            told = parsed(await response.text())
        assert '"status":"cancelled"' in told[-1][1]
        assert await reader == told

    within(test())


def test_a_ticket_is_used_at_the_other_process(servers: Servers) -> None:
    """Once, wherever it was made and whoever is asked a second time."""

    async def test() -> None:
        async with aiohttp.ClientSession(servers.first) as session:
            response = await begun(session, 40)
            path = f"/api/runs/{response.headers['Hasten-Run-Id']}"
            await response.read()
            async with session.post("/api/tickets") as answer:
                ticket = (await answer.json())["ticket"]
        uses = [(servers.other, 200), (servers.first, 401), (servers.other, 401)]
        for url, status in uses:
            async with (
                aiohttp.ClientSession(url) as session,
                session.get(f"{path}/events?ticket={ticket}") as answer,
            ):
                assert answer.status == status

    within(test())


def test_a_process_is_killed_in_mid_stream(servers: Servers) -> None:
    """Readers of the other one hear the same to an end; who read of the killed one reads on."""

    async def test() -> None:
        async with aiohttp.ClientSession(servers.first) as session:
            response = await begun(session, 1)
            run_id = response.headers["Hasten-Run-Id"]
            readers = [asyncio.create_task(followed(servers.other, run_id)) for _ in range(READERS)]
            spoken_of = asyncio.create_task(spoken_on(servers.other, run_id))
            await begin_of(response)
            with killed(servers) as first:
                with pytest.raises(aiohttp.ClientError):
                    await response.read()
                told = await followed(first, run_id)
                heard = await asyncio.gather(*readers)
        assert all(one == told for one in heard)
        assert told[-1].event == "end"
        assert told[-1].data["status"] == "failed"
        assert [one["id"] for one in await spoken_of] == [one.id for one in told]

    within(test())


@contextmanager
def killed(servers: Servers) -> Iterator[str]:
    """Kill what executes runs at the first server, without a word; gives where it is again.

    One of two workers is replaced by itself, a whole server is started anew.
    """
    doomed = psutil.Process(servers.process.popen.pid).children()
    if servers.first == servers.other:
        for one in doomed:
            one.send_signal(signal.SIGKILL)
        yield servers.first
        return
    servers.process.popen.kill()
    for one in doomed:
        one.send_signal(signal.SIGKILL)
    servers.process.popen.wait()
    with running(servers.folder, *servers.words) as again:
        yield url_of(again)


async def followed(url: str, run_id: str) -> list[RunMessage]:
    """Follow a run through whatever happens."""
    async with hasten.Client(url) as client:
        return [message async for message in client.follow(run_id)]


async def spoken_on(url: str, run_id: str) -> list[dict[str, Any]]:
    """Follow a run by WebSockets, taking up where the last one ended."""
    said: list[dict[str, Any]] = []
    async with aiohttp.ClientSession(url) as session:
        while not (said and said[-1]["data"].get("complete")):
            after = said[-1]["id"] if said else ""
            try:
                await spoken_once(session, f"/api/runs/{run_id}/ws?after={after}", said)
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)  # both workers were killed
    return said


async def spoken_once(
    session: aiohttp.ClientSession, path: str, said: list[dict[str, Any]]
) -> None:
    """Read a WebSocket to its end."""
    async with session.ws_connect(path) as socket:
        async for message in socket:
            one = json.loads(message.data)
            if one["event"] != "ping":
                said.append(one)
