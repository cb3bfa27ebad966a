"""Servers on one PostgreSQL and no Redis: what one computes or drops the other knows."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from hasten.cache import ledger
from hasten.cache.policy import CachePolicy
from hasten.caller import LOCAL
from hasten.clock import current_clock
from hasten.errors import NotFound
from hasten.settings import Settings
from hasten.trace.elsewhere import LOOK_S
from hasten.wire import Runtime
from tests.toy import toy_app
from tests.waiting import settled, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hasten.graph.outcome import Outcome

TEA = {"topic": "tea"}
TOOL = CachePolicy(use="tool", fields=("city",), tags=("city:{city}",))


@asynccontextmanager
async def two_servers(tmp_path: Path, url: str) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """Open two runtimes with a home of their own each and one database."""
    given: dict[str, Any] = {"database_url": url, "speed": 500.0}
    opened = [
        await Runtime.open(Settings(home=tmp_path / name, **given), {"toy": toy_app()})
        for name in ("one", "other")
    ]
    try:
        yield opened[0], opened[1]
    finally:
        for runtime in opened:
            await runtime.close()


async def outcome_of(runtime: Runtime) -> Outcome:
    """Run the toy to its end."""
    run = await runtime.start("toy", TEA)
    outcome = await run.outcome()
    await settled(runtime)
    return outcome


async def value_in(runtime: Runtime, value: str) -> str:
    """Return what a call gets there; ``value`` if it has to compute."""

    async def compute() -> str:
        return value

    return await runtime.cache.get_or_compute(runtime.cache.key(TOOL, city="Oslo"), compute, TOOL)


def test_a_rerun_is_found_by_the_other_server(tmp_path: Path, postgres_url: str) -> None:
    """Whole answers live in the database; the home folder of who computed it is not asked."""

    async def main() -> None:
        async with two_servers(tmp_path, postgres_url) as (one, other):
            assert [tier.name for tier in one.cache.all_tiers()] == ["postgres", "disk"]
            first = await outcome_of(one)
            again = await outcome_of(other)
            assert again.record.reuse["cached"]
            assert again.record.reuse["source_run_id"] == first.run_id
            erased = await other.erase(LOCAL.tenant, LOCAL.user)
            assert (erased["runs"], erased["entries"]) == (2, 2)
            assert "cached" not in (await outcome_of(one)).record.reuse

    asyncio.run(main())


@pytest.mark.parametrize("news", ["told", "lost"])
def test_an_invalidation_reaches_the_other_server(
    news: str, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By PostgreSQL's message alone; when that is lost, by the look that is due each second."""
    assert ledger.SYNC_EVERY_S <= 1.0
    if news == "lost":
        monkeypatch.setattr("hasten.store.sql.words.PostgresWords.notify", lambda *_: None)
        monkeypatch.setattr(ledger, "SYNC_EVERY_S", 0.1)
    else:
        monkeypatch.setattr(ledger, "SYNC_EVERY_S", 1e6)

    async def main() -> None:
        async with two_servers(tmp_path, postgres_url) as (one, other):
            assert await value_in(one, "old") == "old"
            await until(partial(gives, other, "old"))
            await until(partial(both_listen, one))
            await one.cache.invalidate("tag=city:Oslo")
            await until(partial(gives, other, "new"))

    asyncio.run(main())


@pytest.mark.parametrize("news", ["told", "lost"])
def test_an_invalidation_reaches_the_other_process_of_a_machine(
    news: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a named pipe alone, and at once; when that is lost, by the look that is due."""
    if news == "lost":
        monkeypatch.setattr("hasten.store.peers._write", lambda *_: None)
        monkeypatch.setattr(ledger, "SYNC_EVERY_S", 0.1)
    else:
        monkeypatch.setattr(ledger, "SYNC_EVERY_S", 1e6)

    async def main() -> None:
        settings = Settings(home=tmp_path)
        one, other = [await Runtime.open(settings, {"toy": toy_app()}) for _ in range(2)]
        assert await value_in(one, "old") == "old"
        await until(partial(gives, other, "old"))
        await one.cache.invalidate("tag=city:Oslo")
        await until(partial(gives, other, "new"))
        assert await value_in(one, "newer") == "new"
        await one.close()
        await other.close()

    asyncio.run(main())


async def both_listen(runtime: Runtime) -> bool:
    """Tell whether both servers wait for news."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    listening: int = await runtime.sql.read(lambda on: on.scalar(query) or 0)
    return listening >= 2


async def gives(runtime: Runtime, wanted: str) -> bool:
    """Tell whether a call there gives what is wanted."""
    return await value_in(runtime, "new") == wanted


def test_a_run_that_has_just_begun_is_followed_at_the_other_server(
    tmp_path: Path, postgres_url: str
) -> None:
    """Its id is known before its line is stored: it is waited for, one that never was is not."""

    async def main() -> None:
        async with two_servers(tmp_path, postgres_url) as (one, other):
            for _ in range(10):
                run = await one.start("toy", TEA)
                told = [event async for event in other.follow(run.run_id, LOCAL)]
                assert told[-1].type == "run.finished"
            old = f"run_{int(current_clock().now() * 1e3) - 60_000:012x}0123456789"
            for unknown in (old, "run_", "nonsense"):
                asked_s = asyncio.get_running_loop().time()
                with pytest.raises(NotFound, match=unknown):
                    await other.record(unknown, LOCAL)
                assert asyncio.get_running_loop().time() - asked_s < LOOK_S

    asyncio.run(main())


def test_reruns_live_in_the_database_of_one_server_too(tmp_path: Path) -> None:
    """They outlive the folder's cache file, and the generations they go by do, too."""

    async def main() -> None:
        home = tmp_path / "home"
        for number in range(2):
            settings = Settings(home=home, speed=500.0)
            runtime = await Runtime.open(settings, {"toy": toy_app()})
            outcome = await outcome_of(runtime)
            assert outcome.record.reuse.get("cached", False) is (number == 1)
            assert [tier.name for tier in runtime.cache.all_tiers()] == ["disk", "sqlite"]
            await runtime.close()
            for one in home.glob("cache.db*"):
                one.unlink()

    asyncio.run(main())
