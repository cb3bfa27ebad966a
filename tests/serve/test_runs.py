"""Runs over HTTP: whole answers, streams, looking back, cancelling."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from hasten.caller import Caller
from tests.serve.sse import Sent, read_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

TEA = {"app": "toy", "inputs": {"topic": "tea", "note": "with milk"}}


def number(event: Sent) -> tuple[int, ...]:
    """Return an event's id as it is ordered: 11, 11.1, 11.2, 12."""
    return tuple(map(int, event.id.split(".")))


async def stream(client: Client, path: str, method: str = "GET", **options: Any) -> list[Sent]:
    """Read a whole stream."""
    async with client.session.request(method, path, **options) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in response.headers
        return [event async for event in read_events(response)]


def test_a_request_is_answered_where_it_comes_in(on_server: Callable[..., Any]) -> None:
    """No function of ours is taken to a thread of the web framework, which costs more than it."""

    async def test(client: Client) -> None:
        run_id = (await client.call("POST", "/api/run", TEA)).json["run_id"]
        for path in (f"/api/runs/{run_id}", f"/api/runs/{run_id}/events", "/api/jobs", "/health"):
            assert (await client.call("GET", path)).status == 200
        assert "AnyIO worker thread" not in [thread.name for thread in threading.enumerate()]

    on_server(test)


def test_run_answers_whole(on_server: Callable[..., Any]) -> None:
    """One call gives outputs, timing and where it came from."""

    async def test(client: Client) -> None:
        answer = await client.call("POST", "/api/run", TEA)
        found = answer.json
        assert answer.status == 200
        assert found["success"] is True
        assert found["status"] == "complete"
        assert found["simulated"] is True
        assert found["inputs"]["topic"] == "tea"
        assert "facts about tea" in found["outputs"]["answer"]
        assert answer.headers["Hasten-Run-Id"] == found["run_id"]
        assert found["timing"]["tool_calls_total"] == 2
        assert found["timing"]["llm_calls_total"] == 1
        parts = found["timing"]["breakdown"]
        assert sum(parts.values()) == found["timing"]["total_duration_ms"]

    on_server(test)


def test_both_modes_answer_alike(on_server: Callable[..., Any]) -> None:
    """The baseline gives the same parts by the same tools."""

    async def test(client: Client) -> None:
        fast = (await client.call("POST", "/api/run", TEA)).json
        slow = (await client.call("POST", "/api/run", {**TEA, "mode": "baseline"})).json
        assert slow["outputs"].keys() == fast["outputs"].keys()
        for run in (slow, fast):
            assert run["timing"]["tool_calls_total"] == 2

    on_server(test)


def test_stream_has_the_plans_messages(on_server: Callable[..., Any]) -> None:
    """Plain messages tell phases, progress and completion; named ones the rest."""

    async def test(client: Client) -> None:
        events = await stream(client, "/api/run/stream", "POST", json=TEA)
        plain = [event.data for event in events if event.name == "message"]
        named = {event.name for event in events}
        assert {"run", "span", "text"} <= named
        assert plain[-1]["complete"] is True
        assert plain[-1]["status"] == "complete"
        completed = [one for one in plain if one.get("status") == "completed"]
        assert completed[0]["phase"] == "answer"
        assert "facts about tea" in completed[0]["data"]["answer"]
        begun = {one["phase"] for one in plain if one.get("status") == "in_progress"}
        assert begun == {"research", "draft", "answer"}
        for one in plain:
            assert 0 <= one["progress"] <= 1
            assert "estimated_remaining_ms" in one
            assert one["run_id"] == plain[-1]["run_id"]
        numbers = [number(event) for event in events]
        assert numbers == sorted(set(numbers))

    on_server(test)


def test_streamed_text_is_the_answers_text(on_server: Callable[..., Any]) -> None:
    """The pieces of a section, put together, stand in the answer."""

    async def test(client: Client) -> None:
        events = await stream(client, "/api/run/stream", "POST", json=TEA)
        texts = [event.data for event in events if event.name == "text"]
        text = "".join(one["text"] for one in texts)
        started_s = next(event.data["started_s"] for event in events if event.name == "run")
        assert all(one["at_s"] > started_s for one in texts)
        whole = next(e.data for e in events if e.data.get("status") == "completed")
        assert text
        assert text in whole["data"]["answer"]

    on_server(test)


def test_stream_by_query(on_server: Callable[..., Any]) -> None:
    """Short inputs fit a query string."""

    async def test(client: Client) -> None:
        events = await stream(client, "/api/run/stream?app=toy&topic=coffee&speed=1000")
        assert events[-1].data["status"] == "complete"

    on_server(test)


def test_resume_gives_the_rest(on_server: Callable[..., Any]) -> None:
    """``Last-Event-ID`` and ``after`` continue where a reader was, live or stored."""

    async def test(client: Client) -> None:
        events = await stream(client, "/api/run/stream", "POST", json=TEA)
        run_id = events[-1].data["run_id"]
        path = f"/api/runs/{run_id}/events"
        assert await stream(client, path) == events
        place = len(events) // 2
        middle = events[place].id
        assert await stream(client, f"{path}?after={middle}") == events[place + 1 :]
        by_header = await stream(client, path, headers={"Last-Event-ID": middle})
        assert by_header == events[place + 1 :]

    on_server(test)


def test_leaving_is_not_cancelling(on_server: Callable[..., Any]) -> None:
    """A reader that goes away leaves the run alone."""

    async def test(client: Client) -> None:
        slow = {**TEA, "speed": 100}
        async with client.session.post("/api/run/stream", json=slow) as response:
            run_id = response.headers["Hasten-Run-Id"]
            await anext(read_events(response))
        events = await stream(client, f"/api/runs/{run_id}/events")
        assert events[-1].data["status"] == "complete"

    on_server(test)


def test_cancel_ends_it(on_server: Callable[..., Any]) -> None:
    """Cancelling ends a run at once; its readers hear it and nothing is left."""

    async def test(client: Client) -> None:
        hanging = {"app": "toy", "inputs": {"topic": "tea", "trouble": "hang"}, "speed": 10}
        async with client.session.post("/api/run/stream", json=hanging) as response:
            run_id = response.headers["Hasten-Run-Id"]
            cancelled = await client.call("POST", f"/api/runs/{run_id}/cancel")
            assert cancelled.json["status"] == "cancelled"
            events = [event async for event in read_events(response)]
        assert events[-1].data["status"] == "cancelled"
        again = await client.call("POST", f"/api/runs/{run_id}/cancel")
        assert again.json["status"] == "cancelled"
        assert (await client.call("GET", "/health")).json["live_runs"] == 0

    on_server(test)


def test_waiting_for_a_cancelled_run_is_a_conflict(on_server: Callable[..., Any]) -> None:
    """Whoever waits for the whole answer hears that it was cancelled."""

    async def test(client: Client) -> None:
        hanging = {"app": "toy", "inputs": {"topic": "tea", "trouble": "hang"}, "speed": 10}
        waiting = asyncio.create_task(client.call("POST", "/api/run", hanging))
        runs: list[Any] = []
        while not runs:
            runs = (await client.call("GET", "/api/runs")).json["runs"]
        await client.call("POST", f"/api/runs/{runs[0]['run_id']}/cancel")
        answer = await waiting
        assert answer.status == 409
        assert answer.json["run_id"] == runs[0]["run_id"]

    on_server(test)


def test_a_broken_tool_degrades(on_server: Callable[..., Any]) -> None:
    """Its fallback answers, and the answer says so."""

    async def test(client: Client) -> None:
        trouble = {"app": "toy", "inputs": {"topic": "tea", "trouble": "tool"}}
        found = (await client.call("POST", "/api/run", trouble)).json
        assert found["status"] == "degraded"
        assert any("facts" in reason for reason in found["degraded_by"])
        assert "no facts about tea" in found["outputs"]["answer"]

    on_server(test)


def test_a_failed_run_is_a_problem(on_server: Callable[..., Any]) -> None:
    """A run without its answer is a 502 that names the step, and can be looked at."""

    async def test(client: Client) -> None:
        trouble = {"app": "toy", "inputs": {"topic": "tea", "trouble": "answer"}}
        answer = await client.call("POST", "/api/run", trouble)
        assert answer.status == 502
        assert "answer" in answer.json["detail"]
        run = (await client.call("GET", f"/api/runs/{answer.json['run_id']}")).json
        assert run["status"] == "failed"

    on_server(test)


def test_runs_are_listed_and_shown(on_server: Callable[..., Any]) -> None:
    """A run can be found again with its inputs, outputs, timing and spans."""

    async def test(client: Client) -> None:
        run_id = (await client.call("POST", "/api/run", TEA)).json["run_id"]
        listed = (await client.call("GET", "/api/runs?app=toy&limit=5")).json["runs"]
        assert [run["run_id"] for run in listed] == [run_id]
        assert "inputs" not in listed[0]
        shown = (await client.call("GET", f"/api/runs/{run_id}")).json
        assert shown["inputs"]["note"] == "with milk"
        assert {span["name"] for span in shown["spans"]} >= {"facts", "prices", "draft", "answer"}
        assert shown["timing"]["breakdown"]
        on_path = [
            span["name"] for span in shown["spans"] if span["span_id"] in shown["critical_path"]
        ]
        assert "prices" in on_path
        assert "facts" not in on_path

    on_server(test)


def test_eta_is_learnt(on_server: Callable[..., Any]) -> None:
    """The first run has no estimate; the next has one."""

    async def test(client: Client) -> None:
        slow = {**TEA, "speed": 20}  # so that a busy machine does not outlast the estimate
        first = await stream(client, "/api/run/stream", "POST", json=slow)
        anew = {"Cache-Control": "no-cache"}
        second = await stream(client, "/api/run/stream", "POST", json=slow, headers=anew)
        etas = [
            [e.data["estimated_remaining_ms"] for e in events if e.data.get("current_step")]
            for events in (first, second)
        ]
        assert all(eta is None for eta in etas[0])
        assert any(eta is not None and eta > 0 for eta in etas[1])

    on_server(test)


def test_the_same_again_is_a_rerun(on_server: Callable[..., Any]) -> None:
    """The same inputs of the same user are answered from before, and the answer says so."""

    async def test(client: Client) -> None:
        first = await client.call("POST", "/api/run", TEA)
        again = await client.call("POST", "/api/run", TEA)
        assert first.json["cached"] is False
        assert first.headers["Cache-Status"] == "hasten; fwd=miss; stored"
        assert again.json["cached"] is True
        assert again.json["outputs"] == first.json["outputs"]
        assert again.json["source_run_id"] == first.json["run_id"] != again.json["run_id"]
        assert again.json["timing"]["llm_calls_total"] == 0
        assert again.headers["Cache-Status"] == "hasten; hit; detail=rerun"
        for directive, cached in {"no-cache": False, "only-if-cached": True}.items():
            headers = {"Cache-Control": directive}
            found = await client.call("POST", "/api/run", TEA, headers=headers)
            assert found.json["cached"] is cached
        other = {"app": "toy", "inputs": {"topic": "coffee"}}
        headers = {"Cache-Control": "only-if-cached"}
        assert (await client.call("POST", "/api/run", other, headers=headers)).status == 504
        slow = await client.call("POST", "/api/run", {**TEA, "mode": "baseline"})
        assert slow.json["cached"] is False

    on_server(test)


def test_a_rerun_is_its_users(on_server: Callable[..., Any]) -> None:
    """Nobody is given another's answer."""

    async def test(client: Client) -> None:
        for user in ("ann", "bob"):
            _, secret = await client.runtime.keys.create(Caller("acme", user), user)
            headers = {"Authorization": f"Bearer {secret}"}
            found = await client.call("POST", "/api/run", TEA, headers=headers)
            assert found.json["cached"] is False

    on_server(test)


def test_degraded_answers_are_not_kept(on_server: Callable[..., Any]) -> None:
    """What a fallback helped to make is made anew the next time."""

    async def test(client: Client) -> None:
        trouble = {"app": "toy", "inputs": {"topic": "tea", "trouble": "tool"}}
        for _ in range(2):
            found = await client.call("POST", "/api/run", trouble)
            assert found.json["status"] == "degraded"
            assert found.json["cached"] is False
            assert found.headers["Cache-Status"] == "hasten; fwd=miss"

    on_server(test)


def test_a_run_is_its_users(on_server: Callable[..., Any]) -> None:
    """Another user sees nothing; an admin of the tenant does; another tenant's never."""

    async def test(client: Client) -> None:
        keys = client.runtime.keys
        who = {
            "ann": Caller("acme", "ann"),
            "bob": Caller("acme", "bob"),
            "boss": Caller("acme", "boss", "admin"),
            "spy": Caller("rival", "spy", "admin"),
        }
        header = {}
        for name, caller in who.items():
            _, secret = await keys.create(caller, name)
            header[name] = {"Authorization": f"Bearer {secret}"}
        made = await client.call("POST", "/api/run", TEA, headers=header["ann"])
        run_id = made.json["run_id"]
        for name, status in {"ann": 200, "boss": 200, "bob": 404, "spy": 404}.items():
            for path in (f"/api/runs/{run_id}", f"/api/runs/{run_id}/events"):
                assert (await client.call("GET", path, headers=header[name])).status == status
            listed = (await client.call("GET", "/api/runs", headers=header[name])).json["runs"]
            assert len(listed) == (status == 200)
        for name in ("bob", "spy"):
            path = f"/api/runs/{run_id}/cancel"
            assert (await client.call("POST", path, headers=header[name])).status == 404
        assert (await client.call("GET", "/api/runs")).status == 401
        wrong = {"Authorization": "Bearer hst_wrong"}
        refused = await client.call("GET", "/api/runs", headers=wrong)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"

    on_server(test)
