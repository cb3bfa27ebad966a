"""A runtime: runs begun, followed, cancelled, looked at, and what closing does."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hasten.caller import LOCAL, Caller
from hasten.errors import (
    InvalidInput,
    NotFound,
    RunCancelled,
    SettingsError,
    StoreUnavailable,
)
from hasten.model.base import Request
from hasten.settings import Settings
from hasten.testing.model import FakeModel
from hasten.trace.log import RunFilter
from hasten.wire import Runtime
from tests.toy import toy_app
from tests.waiting import settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hasten.graph.run import Run

TEA = {"topic": "tea"}
HANG = {"topic": "tea", "trouble": "hang"}
ADA = Caller("acme", "ada")


def plain(record: Any) -> Any:
    """Return a span or an event as it comes back from a database: its tuples are lists."""
    return msgspec.json.decode(msgspec.json.encode(record), type=type(record))


async def has_hung(run: Run) -> None:
    """Wait until a run that hangs does nothing else any more."""
    async for event in run.follow():
        if event.type == "span.started" and event.data["name"] == "answer":
            return


def test_a_run_and_what_is_kept_of_it(on_runtime: Callable[..., Any]) -> None:
    """Its line, its spans and its events are the same afterwards as they were live."""

    async def test(runtime: Runtime) -> None:
        run = await runtime.start("toy", TEA)
        assert runtime.live_runs == 1
        live = [event async for event in runtime.follow(run.run_id, LOCAL)]
        outcome = await run.outcome()
        assert outcome.status == "complete"
        await settled(runtime)
        assert runtime.live_runs == 0
        assert await runtime.record(run.run_id, LOCAL) == outcome.record
        record, spans = await runtime.trace(run.run_id, LOCAL)
        assert (record, spans) == (outcome.record, [plain(span) for span in outcome.spans])
        stored = [event async for event in runtime.follow(run.run_id, LOCAL)]
        assert stored == [plain(event) for event in live]
        rest = [event async for event in runtime.follow(run.run_id, LOCAL, after=5)]
        assert rest == stored[5:]
        assert await runtime.runs(RunFilter(app="toy")) == [outcome.record]

    on_runtime(test)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("nope", TEA), NotFound, "there are: toy"),
        (("toy", {"topic": "milk"}), InvalidInput, "'topic' must be one of"),
    ],
)
def test_what_cannot_be_started(
    words: tuple[Any, ...], error: type[Exception], said: str, on_runtime: Callable[..., Any]
) -> None:
    """It is refused before there is a run."""

    async def test(runtime: Runtime) -> None:
        with pytest.raises(error, match=said):
            await runtime.start(*words)
        with pytest.raises(InvalidInput, match="no mode 'fast'"):
            await runtime.start("toy", TEA, mode="fast")
        assert runtime.live_runs == 0
        assert await runtime.runs(RunFilter()) == []

    on_runtime(test)


@pytest.mark.parametrize("speed", [0.0, -1.0, 1_001.0, float("nan"), float("inf")])
def test_a_speed_that_cannot_be(speed: float, on_runtime: Callable[..., Any]) -> None:
    """It is refused, not replaced by another."""

    async def test(runtime: Runtime) -> None:
        with pytest.raises(InvalidInput, match="speed is above 0") as raised:
            await runtime.start("toy", TEA, speed=speed)
        assert raised.value.field == "speed"

    on_runtime(test)


def test_only_simulated_runs_have_a_speed(on_runtime: Callable[..., Any]) -> None:
    """A real model's time is nobody's to set; its runs are marked as real."""

    async def test(runtime: Runtime) -> None:
        with pytest.raises(InvalidInput, match="needs the simulated model"):
            await runtime.start("toy", TEA, speed=2.0)
        run = await runtime.start("toy", HANG)
        run.cancel()
        record = (await run.outcome()).record
        assert (record.clock, record.speed, record.simulated) == ("real", 1.0, False)

    on_runtime(test, model="m", openai_base_url="http://127.0.0.1:1/v1", speed=1.0)


def test_a_models_chain_is_made_once(on_runtime: Callable[..., Any]) -> None:
    """Connections and limits are shared by the runs that use them."""

    async def test(runtime: Runtime) -> None:
        app = runtime.apps["toy"]
        other = toy_app(name="other")
        assert runtime.model(app) is runtime.model(app)
        assert runtime.model(app) is not runtime.model(app, "baseline")
        assert runtime.model(app) is not runtime.model(other)

    on_runtime(test)
    on_runtime(test, model="m", speed=1.0)


def test_applications_share_one_limit_of_a_real_endpoint(
    on_runtime: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every mode: with room for one call, five of three models never overlap."""
    wire = FakeModel("ok", first_s=0.001)
    monkeypatch.setattr("hasten.wire_models.real_wire", lambda _: wire)

    async def test(runtime: Runtime) -> None:
        app, other = runtime.apps["toy"], toy_app(name="other")
        models = [runtime.model(app), runtime.model(app, "baseline"), runtime.model(other)] * 2
        await asyncio.gather(*(model.complete(Request.ask("x")) for model in models))
        assert wire.most_open == 1

    on_runtime(test, model="m", speed=1.0, model_concurrency=1)


def test_prompts_are_recorded_only_where_that_is_switched_on(
    on_runtime: Callable[..., Any],
) -> None:
    """Free text is private: by default no span has any."""

    async def test(runtime: Runtime) -> None:
        topic = "coffee" if runtime.settings.record_prompts else "tea"
        run = await runtime.start("toy", {"topic": topic})
        spans = (await run.outcome()).spans
        prompts = [one.attributes.get("prompt") for one in spans if one.kind == "model"]
        assert prompts
        for prompt in prompts:
            assert (prompt is not None) is runtime.settings.record_prompts
            assert not prompt or {"role", "text"} == set(prompt[0])

    on_runtime(test)
    on_runtime(test, record_prompts=True)


def test_a_run_outlives_who_follows(on_runtime: Callable[..., Any]) -> None:
    """Going away cancels nothing."""

    async def test(runtime: Runtime) -> None:
        run = await runtime.start("toy", TEA)

        async def follow() -> None:
            async for _ in runtime.follow(run.run_id, LOCAL):
                pass

        follower = asyncio.create_task(follow())
        await asyncio.sleep(0)
        follower.cancel()
        await asyncio.wait([follower])
        assert follower.cancelled()
        assert (await run.outcome()).status == "complete"

    on_runtime(test)


def test_cancelling(on_runtime: Callable[..., Any]) -> None:
    """A run that goes on ends as cancelled; one that has ended stays as it is."""

    async def test(runtime: Runtime) -> None:
        run = await runtime.start("toy", HANG)
        await has_hung(run)
        assert (await runtime.cancel(run.run_id, LOCAL)).status == "cancelled"
        done = await runtime.start("toy", TEA)
        await done.outcome()
        assert (await runtime.cancel(done.run_id, LOCAL)).status == "complete"
        with pytest.raises(NotFound, match="no run 'run_x'"):
            await runtime.cancel("run_x", LOCAL)

    on_runtime(test)


@pytest.mark.parametrize(
    ("caller", "seen_by"),
    [
        (ADA, "them"),
        (Caller("acme", "boss", "admin"), "them"),
        (Caller("acme", "bob"), "others"),
        (Caller("rival", "ada", "admin"), "others"),
    ],
)
def test_who_sees_a_run(caller: Caller, seen_by: str, on_runtime: Callable[..., Any]) -> None:
    """Its user and the tenant's admins; for others there is no such run, live or stored."""

    async def seen(runtime: Runtime, run_id: str) -> bool:
        looks = [runtime.record(run_id, caller), runtime.trace(run_id, caller)]
        looks += [anext(runtime.follow(run_id, caller)), runtime.cancel(run_id, caller)]
        found = await asyncio.gather(*looks, return_exceptions=True)
        missing = [isinstance(one, NotFound) for one in found]
        assert all(missing) or not any(missing)
        return not any(missing)

    async def test(runtime: Runtime) -> None:
        run = await runtime.start("toy", HANG, caller=ADA)
        await has_hung(run)
        assert await seen(runtime, run.run_id) is (seen_by == "them")
        run.cancel()
        await run.outcome()
        assert await seen(runtime, run.run_id) is (seen_by == "them")

    on_runtime(test)


def test_closing_cancels_and_stores(tmp_path: Path) -> None:
    """What runs when a runtime closes is found as cancelled by the next; no task is left."""

    async def main() -> None:
        settings = Settings(home=tmp_path, speed=500.0)
        runtime = await Runtime.open(settings, {"toy": toy_app()})
        runtime.keep_house()
        run = await runtime.start("toy", HANG)
        await has_hung(run)
        await runtime.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        again = await Runtime.open(settings, {"toy": toy_app()})
        record, spans = await again.trace(run.run_id, LOCAL)
        assert record.status == "cancelled"
        assert spans == [plain(span) for span in run.recorder.spans]
        await again.close()

    asyncio.run(main())
    gc.collect()


def test_nothing_starts_once_runs_are_cancelled(on_runtime: Callable[..., Any]) -> None:
    """A server that stops first ends its runs, and no request may begin another."""

    async def test(runtime: Runtime) -> None:
        run = await runtime.start("toy", HANG)
        runtime.cancel_runs()
        with pytest.raises(RunCancelled, match="the server is stopping"):
            await runtime.start("toy", TEA)
        assert (await run.outcome()).status == "cancelled"

    on_runtime(test)


def test_a_state_folder_that_cannot_be() -> None:
    """It is named, with the reason."""
    opening = Runtime.open(Settings(home="/dev/null/state"), {})
    with pytest.raises(SettingsError, match="/dev/null/state cannot be made: Not a directory"):
        asyncio.run(opening)


def test_an_unreachable_database(tmp_path: Path) -> None:
    """It is told at once, and nothing is left open."""
    settings = Settings(home=tmp_path, database_url="postgresql://me:pw@127.0.0.1:1/gone")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/gone") as raised:
        asyncio.run(Runtime.open(settings, {}))
    assert "pw" not in str(raised.value)


def test_the_database_is_named_without_its_password(
    on_runtime: Callable[..., Any], postgres_url: str
) -> None:
    """So that it can be shown."""

    async def test(runtime: Runtime) -> None:
        assert "postgres:secret@" not in runtime.database
        assert runtime.database.endswith(postgres_url.rpartition("@")[2])

    on_runtime(test, database_url=postgres_url.replace("postgres@", "postgres:secret@"))
