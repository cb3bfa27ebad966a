"""Cron on runtimes: one job a due time however many keep it; changed data; what it may cost."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from hasten.app import Operation
from hasten.caller import LOCAL, Caller
from hasten.clock import Clock
from hasten.errors import BudgetSpent, SettingsError
from hasten.jobs.cron import Cron
from hasten.jobs.job import LOW, JobFilter
from hasten.settings import Settings
from hasten.wire import Runtime
from hasten.wire_jobs import RuntimeJobs
from tests.toy import toy_app
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANN = Caller("acme", "ann")
PACE = 300.0
"""Five minutes a second: crons of every minute are due five times."""


class FastWall(Clock):
    """A clock on a wall where five minutes pass in a second."""

    def __init__(self) -> None:
        super().__init__(PACE)
        self._began_s = super().now()

    def now(self) -> float:
        """Return the time on that wall."""
        return self._began_s + self.monotonic()


async def two_teas(_tables: Any) -> list[tuple[Caller, Mapping[str, Any]]]:
    """Return inputs for two tenants; those of the third are wrong."""
    inputs = {"topic": "tea"}
    return [(LOCAL, inputs), (ANN, inputs), (ANN, {"topic": 7})]


def every_minute(**changes: Any) -> Any:
    """Return the toy with a cron."""
    made = {"name": "teas", "at": "* * * * *", "inputs": two_teas, "tags": ("tea",), **changes}
    return dataclasses.replace(toy_app(), cron=(Cron(**made),))


async def opened(home: Path, **changes: Any) -> tuple[Runtime, RuntimeJobs]:
    """Return a runtime whose crons are due five times a second."""
    settings = Settings(home=home, speed=500.0)
    runtime = await Runtime.open(settings, {"toy": every_minute(**changes)})
    runtime.queue.clock = FastWall()
    return runtime, RuntimeJobs(runtime)


def test_two_servers_are_one_job_a_time(tmp_path: Path) -> None:
    """Both keep time; each time has one job for each of its inputs that are right."""

    async def main() -> None:
        servers = [await opened(tmp_path) for _ in range(2)]
        for _, jobs in servers:
            jobs.work()
        queue = servers[0][0].queue

        async def are_done() -> bool:
            return (await queue.count()).get("done", 0) >= 6

        await until(are_done)
        for runtime, jobs in servers:
            await jobs.drain()
            found = await runtime.queue.list(JobFilter())
            await runtime.close()
        keys = [(job.tenant, str(job.key).split()[2]) for job in found]
        assert len(set(keys)) == len(keys)
        assert {job.tenant for job in found} == {"local", "acme"}
        assert {(job.origin, job.priority, job.app) for job in found} == {("cron", LOW, "toy")}

    asyncio.run(main())


def test_changed_data_is_made_anew_for_its_tenant(tmp_path: Path) -> None:
    """For a tag that a cron names; one change is one job, another one is another."""

    async def main() -> None:
        runtime, jobs = await opened(tmp_path)
        assert await jobs.cron.data_changed(["coffee"], "acme", 1) == []
        (first,) = await jobs.cron.data_changed(["tea", "coffee"], "acme", 1)
        (again,) = await jobs.cron.data_changed(["tea"], "acme", 1)
        (other,) = await jobs.cron.data_changed(["tea"], "acme", 2)
        await runtime.close()
        assert first.job_id == again.job_id != other.job_id
        assert (first.caller, first.origin, first.priority) == (ANN, "data-changed", LOW)

    asyncio.run(main())


def test_what_nobody_waits_for_may_cost_so_much_a_day(tmp_path: Path) -> None:
    """A real model is not asked for cron's jobs once the day's money is spent."""

    async def main() -> None:
        settings = Settings(home=tmp_path, model="real", warm_usd_a_day=0)
        runtime = await Runtime.open(settings, {"toy": every_minute()})
        jobs = RuntimeJobs(runtime)
        (submitted,) = await jobs.cron.data_changed(["tea"], "acme", 1)
        jobs.work()

        async def is_dead() -> bool:
            return (await runtime.queue.any(submitted.job_id)).status == "dead"

        await until(is_dead)
        error = (await runtime.queue.any(submitted.job_id)).error
        await jobs.drain()
        await runtime.close()
        assert error is not None
        assert (error["code"], "warm_usd_a_day" in error["message"]) == (BudgetSpent.code, True)

    asyncio.run(main())


def test_what_is_upcoming_is_said(tmp_path: Path) -> None:
    """By name, with the operation and when it is due."""
    shown = toy_app()
    again = Operation(
        title="Again",
        about="",
        inputs=shown.inputs,
        graphs=shown.graphs,
        phases=shown.phases,
        samples=shown.samples,
    )

    async def main() -> list[dict[str, Any]]:
        cron = Cron(name="yearly", at="0 0 1 1 *", inputs={}, operation="again")
        app = dataclasses.replace(shown, operations={"again": again}, cron=(cron,))
        assert app.operation("again").cron == ()
        runtime = await Runtime.open(Settings(home=tmp_path), {"toy": app})
        lines = RuntimeJobs(runtime).cron.upcoming()
        await runtime.close()
        return lines

    (line,) = asyncio.run(main())
    assert (line["name"], line["app"], line["at"]) == ("toy.yearly", "toy.again", "0 0 1 1 *")


def test_a_manifest_with_wrong_crons_is_refused() -> None:
    """Two of one name, and one of an operation that is not there."""
    one = Cron(name="x", at="* * * * *", inputs={})
    with pytest.raises(SettingsError, match="two crons of one name"):
        dataclasses.replace(toy_app(), cron=(one, one))
    with pytest.raises(SettingsError, match="no operation 'y' for cron 'x'"):
        dataclasses.replace(toy_app(), cron=(dataclasses.replace(one, operation="y"),))
