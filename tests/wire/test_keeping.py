"""What a runtime remembers: usual times, runs a database did not take, none for ever."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from hasten import wire
from hasten.caller import LOCAL
from hasten.clock import current_clock
from hasten.errors import NotFound, StoreError
from hasten.trace.event import RunRecord
from hasten.trace.log import RunFilter
from tests.waiting import settled, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.testing.postgres import PostgresServer
    from hasten.wire import Runtime

DAY_S = 86_400


NOTES = count(1)


def tea() -> dict[str, str]:
    """Return inputs that nobody asked for before, so that nothing is reused."""
    return {"topic": "tea", "note": f"cup {next(NOTES)}"}


async def etas(runtime: Runtime, **how: Any) -> list[float | None]:
    """Run the toy and return each estimate that was told on the way."""
    run = await runtime.start("toy", tea(), **how)
    told = [event.data["eta_ms"] async for event in run.follow() if event.type == "progress"]
    await settled(runtime)
    return told[:-1]  # the last one says that it is over


def test_estimates_come_from_runs_of_the_same_kind(on_runtime: Callable[..., Any]) -> None:
    """The first run of a mode at a speed has none, rather than a guess; the next has."""

    async def test(runtime: Runtime) -> None:
        assert set(await etas(runtime)) == {None}
        assert set(await etas(runtime, mode="baseline")) == {None}
        assert set(await etas(runtime, speed=400.0)) == {None}
        second = await etas(runtime)
        assert None not in second
        assert second[0] > 0
        assert None not in await etas(runtime, speed=400.0)

    on_runtime(test)


def test_failed_runs_teach_nothing(on_runtime: Callable[..., Any]) -> None:
    """How long a step took in a run that failed is no estimate."""

    async def test(runtime: Runtime) -> None:
        run = await runtime.start("toy", {**tea(), "trouble": "answer"})
        assert (await run.outcome()).status == "failed"
        assert set(await etas(runtime)) == {None}

    on_runtime(test)


async def is_back(runtime: Runtime) -> bool:
    """Tell whether the database answers; it is not asked again within a second."""
    try:
        await runtime.runs(RunFilter())
    except StoreError:
        return False
    return True


def test_a_lost_database_loses_no_run(
    on_runtime: Callable[..., Any],
    postgres_server: PostgresServer,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs go on, and what could not be stored stays readable, the newest of it."""
    monkeypatch.setattr(wire, "UNSTORED_RUNS", 2)

    async def test(runtime: Runtime) -> None:
        before = await runtime.start("toy", tea())
        await before.outcome()
        await asyncio.to_thread(postgres_server.stop)
        try:
            lost = [await runtime.start("toy", tea()) for _ in range(3)]
            for run in lost:
                assert (await run.outcome()).status == "complete"
            await settled(runtime)
            with pytest.raises(StoreError):
                await runtime.runs(RunFilter())
            for run in lost[1:]:
                record, spans = await runtime.trace(run.run_id, LOCAL)
                assert (record.status, spans) == ("complete", run.recorder.spans)
                events = [event async for event in runtime.follow(run.run_id, LOCAL)]
                assert events[-1].type == "run.finished"
                assert [event.seq for event in events] == [*range(1, len(events) + 1)]
            with pytest.raises(StoreError):
                await runtime.record(lost[0].run_id, LOCAL)
        finally:
            await asyncio.to_thread(postgres_server.start)
        await until(partial(is_back, runtime))
        assert (await runtime.record(before.run_id, LOCAL)).status == "complete"
        with pytest.raises(NotFound):
            await runtime.record(lost[0].run_id, LOCAL)

    on_runtime(test, database_url=postgres_url)


def record(run_id: str, age_s: float) -> RunRecord:
    """Return the line of a run that took a second, so long ago."""
    began_s = current_clock().now() - age_s
    return RunRecord(
        run_id=run_id,
        app="toy",
        graph="toy",
        mode="hasten",
        tenant="local",
        user="local",
        clock="real",
        speed=1.0,
        simulated=True,
        started_s=began_s,
        ended_s=began_s + 1,
        status="complete",
    )


async def has_lost(runtime: Runtime, count: int) -> bool:
    """Tell whether there are fewer runs than ``count``."""
    return len(await runtime.runs(RunFilter())) < count


def test_old_runs_are_dropped(on_runtime: Callable[..., Any]) -> None:
    """Those older than the retention, as soon as the house is kept."""

    async def test(runtime: Runtime) -> None:
        await runtime.sink.save(record("run_old", 8 * DAY_S))
        await runtime.sink.save(record("run_new", 6 * DAY_S))
        assert len(await runtime.runs(RunFilter())) == 2
        runtime.keep_house()
        await until(partial(has_lost, runtime, 2))
        assert [run.run_id for run in await runtime.runs(RunFilter())] == ["run_new"]

    on_runtime(test, retention_days=7)


def test_a_database_that_is_too_large_loses_its_oldest(on_runtime: Callable[..., Any]) -> None:
    """The newest run stays."""
    heavy = {"text": "x" * 100_000}

    async def test(runtime: Runtime) -> None:
        for age in range(40, 0, -1):
            run = record(f"run_{age}", age)
            run.outputs = {**heavy, "age": age}
            await runtime.sink.save(run)
        runtime.keep_house()
        await until(partial(has_lost, runtime, 40))
        assert (await runtime.runs(RunFilter()))[0].run_id == "run_1"

    on_runtime(test, max_disk_bytes=1 << 20)


def test_keeping_house_survives_a_lost_database(
    on_runtime: Callable[..., Any],
    postgres_server: PostgresServer,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says so and tries again later."""

    async def told() -> bool:
        return "old runs were not dropped" in caplog.text

    async def test(runtime: Runtime) -> None:
        await asyncio.to_thread(postgres_server.stop)
        try:
            runtime.keep_house()
            await until(told)
        finally:
            await asyncio.to_thread(postgres_server.start)

    on_runtime(test, database_url=postgres_url)
