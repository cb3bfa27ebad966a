"""The Python client against a real server, through a network that cuts its connections."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import hasten
from hasten.caller import Caller
from hasten.errors import (
    HastenError,
    InvalidInput,
    NotFound,
    RunCancelled,
    ServerUnavailable,
    Unauthenticated,
)
from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.cutting import cutting
from tests.toy import toy_app
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from hasten.wire import Runtime

TEA = {"topic": "tea", "note": "with milk"}
HANG = {"topic": "tea", "trouble": "hang"}


def on_server(tmp_path: Path, test: Callable[[str, Runtime], Awaitable[Any]]) -> Any:
    """Run a test against a server with the toy."""

    async def main() -> Any:
        guard = create_app(Settings(home=tmp_path, speed=200.0), {"toy": toy_app()})
        async with serving(guard) as url:
            return await asyncio.wait_for(test(url, guard.app.state.runtime), 60)

    return asyncio.run(main())


async def first_running(client: hasten.Client) -> str:
    """Wait for a run under way; return its id."""
    running: list[str] = []

    async def is_there() -> bool:
        running.extend(run["run_id"] for run in await client.runs() if run["status"] == "running")
        return bool(running)

    await until(is_there)
    return running[0]


def test_a_run_is_answered(tmp_path: Path) -> None:
    """One call gives the answer; the same again is a rerun, unless it is not to be."""

    async def test(url: str, _: Runtime) -> None:
        async with hasten.Client(url) as client:
            first = await client.run("toy", TEA)
            assert "facts about tea" in first.outputs["answer"]
            assert first.status == "complete"
            again = await client.run("toy", TEA)
            assert again.reuse["cached"] is True
            anew = await client.run("toy", TEA, mode="hasten", reuse=False)
            assert not anew.reuse.get("cached")
            assert len(await client.runs("toy")) == 3
            shown = await client.show(first.run_id)
            assert shown["outputs"] == first.outputs

    on_server(tmp_path, test)


def test_a_stream_goes_on_through_cuts(tmp_path: Path) -> None:
    """Whatever the network cuts, each message comes once, in order, and the run is one."""

    async def test(url: str, runtime: Runtime) -> None:
        async with (
            cutting(url, seed=7, bytes_=3_000) as (cut_url, cuts),
            hasten.Client(cut_url) as client,
        ):
            told = [message async for message in client.stream("toy", TEA, speed=50)]
        assert cuts.made >= 2
        run_id = told[0].data["run_id"]
        async with hasten.Client(url) as client:
            whole = [message async for message in client.follow(run_id)]
            assert told == whole
            rest = [message async for message in client.follow(run_id, whole[5].id)]
            assert rest == whole[6:]
            assert [one async for one in client.follow(run_id, whole[-1].id)] == []
        assert runtime.live_runs == 0

    on_server(tmp_path, test)


def test_leaving_is_not_cancelling(tmp_path: Path) -> None:
    """A loop that is left leaves the run alone; ``cancel`` ends it, and ``run`` says so."""

    async def test(url: str, _: Runtime) -> None:
        async with hasten.Client(url) as client:
            async for message in client.stream("toy", HANG):
                run_id = message.data["run_id"]
                break
            assert (await client.show(run_id))["status"] == "running"
            assert (await client.cancel(run_id))["status"] == "cancelled"
            waiting = asyncio.create_task(client.run("toy", HANG))
            run_id = await first_running(client)
            await client.cancel(run_id)
            with pytest.raises(RunCancelled):
                await waiting

    on_server(tmp_path, test)


def test_a_job_is_submitted_and_answered(tmp_path: Path) -> None:
    """Its line at once, its answer as a run's; its key attaches; it waits until it is due."""

    async def test(url: str, _: Runtime) -> None:
        async with hasten.Client(url) as client:
            job = await client.submit("toy", TEA, key="a key", attempts=2)
            assert (job["app"], job["attempts"], job["key"]) == ("toy", 2, "a key")
            answer = await client.answer(job["run_id"])
            assert "facts about tea" in answer.outputs["answer"]
            again = await client.submit("toy", TEA, key="a key")
            assert (again["job_id"], again["status"]) == (job["job_id"], "done")
            with pytest.raises(InvalidInput) as wrong:
                await client.submit("toy", {"topic": "coffee"}, key="a key")
            assert wrong.value.field == "key"
            at = datetime.now(UTC) + timedelta(hours=1)
            later = await client.submit("toy", TEA, start_at=at, priority=-3)
            assert (later["status"], later["priority"]) == ("queued", -3)
            assert later["due_s"] == pytest.approx(at.timestamp(), abs=1.0)
            shown = await client.show_job(later["job_id"])
            assert shown["inputs"]["topic"] == "tea"
            assert (await client.cancel_job(later["job_id"]))["status"] == "cancelled"
            with pytest.raises(RunCancelled):
                await client.answer(later["run_id"])
            assert [one["status"] for one in await client.jobs("toy")] == ["cancelled", "done"]
            assert len(await client.jobs(status="cancelled", limit=1)) == 1

    on_server(tmp_path, test)


def test_a_dead_job_is_looked_at_and_retried(tmp_path: Path) -> None:
    """It says what went wrong; another attempt is another run; one that is done is left alone."""

    async def test(url: str, _: Runtime) -> None:
        async with hasten.Client(url) as client:
            job = await client.submit("toy", {"topic": "tea", "trouble": "answer"}, attempts=1)
            with pytest.raises(HastenError, match="the answer broke"):
                await client.answer(job["run_id"])
            (dead,) = await client.jobs(status="dead")
            assert (dead["job_id"], dead["failures"]) == (job["job_id"], 1)
            assert "the answer broke" in dead["error"]["message"]
            again = await client.retry_job(job["job_id"])
            assert again["run_id"] != job["run_id"]
            with pytest.raises(HastenError, match="the answer broke"):
                await client.answer(again["run_id"])
            done = await client.submit("toy", TEA)
            await client.answer(done["run_id"])
            with pytest.raises(InvalidInput) as wrong:
                await client.retry_job(done["job_id"])
            assert wrong.value.field == "status"
            for call in (client.show_job, client.cancel_job, client.retry_job):
                with pytest.raises(NotFound):
                    await call("job_none")
            with pytest.raises(InvalidInput):
                await client.submit("toy", TEA, colour="red")
            with pytest.raises(InvalidInput):
                await client.submit("toy", TEA, attempts=0)

    on_server(tmp_path, test)


def test_a_no_is_the_error_it_is(tmp_path: Path) -> None:
    """What the server refuses is raised as the library would raise it."""

    async def test(url: str, runtime: Runtime) -> None:
        async with hasten.Client(url) as client:
            with pytest.raises(InvalidInput) as wrong:
                await client.run("toy", {"topic": "beer"})
            assert wrong.value.field == "topic"
            with pytest.raises(NotFound):
                await client.run("nothing", {})
            with pytest.raises(NotFound):
                await anext(client.follow("run_none"))
        _, secret = await runtime.keys.create(Caller(tenant="acme", user="ann"))
        async with hasten.Client(url) as client:
            with pytest.raises(Unauthenticated):
                await client.runs()
        async with hasten.Client(url, key=secret) as client:
            assert await client.runs() == []

    on_server(tmp_path, test)


def test_a_server_that_is_gone_is_named() -> None:
    """A refused connection is ``ServerUnavailable``, and a start is not tried twice."""

    async def main() -> None:
        async with hasten.Client("http://127.0.0.1:1") as client:
            with pytest.raises(ServerUnavailable, match="cannot be reached"):
                await client.run("toy", TEA)

    asyncio.run(main())


def test_it_waits_for_code_that_is_not_async(tmp_path: Path) -> None:
    """``with`` gives the same methods, which wait; no thread is left."""

    def work(url: str) -> None:
        with hasten.Client(url) as client:
            answer = client.run("toy", TEA)
            assert answer.status == "complete"
            events = [message.event for message in client.follow(answer.run_id)]
            assert (events[0], events[-1]) == ("run", "end")
            started = next(iter(client.stream("toy", HANG)))
            run_id = started.data["run_id"]
            assert client.cancel(run_id)["status"] == "cancelled"
            assert client.show(run_id)["status"] == "cancelled"
            assert len(client.runs()) == 2
            job = client.submit("toy", TEA, key="k")
            assert client.answer(job["run_id"]).outputs == answer.outputs
            assert client.show_job(job["job_id"])["key"] == "k"
            assert client.cancel_job(job["job_id"])["status"] == "done"
            assert [one["job_id"] for one in client.jobs()] == [job["job_id"]]
            with pytest.raises(InvalidInput):
                client.retry_job(job["job_id"])
            with pytest.raises(NotFound):
                client.show("run_none")
        assert not any(one.name == "hasten client" for one in threading.enumerate())

    async def test(url: str, _: Runtime) -> None:
        await asyncio.to_thread(work, url)

    on_server(tmp_path, test)
