"""Jobs over HTTP: submitted, followed, listed, cancelled, retried; nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

TEA = {"app": "toy", "inputs": {"topic": "tea"}}


async def over(client: Client, job_id: str) -> dict[str, Any]:
    """Wait until a job is over and return it."""

    async def is_over() -> bool:
        return (await client.call("GET", f"/api/jobs/{job_id}")).json["status"] not in {
            "queued",
            "running",
        }

    await until(is_over)
    found: dict[str, Any] = (await client.call("GET", f"/api/jobs/{job_id}")).json
    return found


def test_a_job_is_done_and_its_run_is_any_run(on_server: Callable[..., Any]) -> None:
    """Its id comes at once, its run can be followed before it starts, its answer is there once."""

    async def test(client: Client) -> None:
        answer = await client.call("POST", "/api/jobs", TEA)
        assert answer.status == 202
        job = answer.json
        assert answer.headers["Location"] == f"/api/jobs/{job['job_id']}"
        events = await client.call("GET", f"/api/runs/{job['run_id']}/events")
        assert b'"complete":true' in events.body.replace(b" ", b"")
        done = await over(client, job["job_id"])
        assert (done["status"], done["attempt"], done["failures"]) == ("done", 1, 0)
        run = (await client.call("GET", f"/api/runs/{job['run_id']}")).json
        assert run["status"] == "complete"
        assert run["outputs"]["answer"].startswith("# facts about tea")
        assert "worker" not in {*job, *done, *run}, "the machine's name is nobody's business"

    on_server(test)


def test_one_key_is_one_job(on_server: Callable[..., Any]) -> None:
    """The same key gives the same job; other inputs with it are refused, naming the field."""

    async def test(client: Client) -> None:
        key = {"Idempotency-Key": "tea-1"}
        first = await client.call("POST", "/api/jobs", TEA, headers=key)
        again = await client.call("POST", "/api/jobs", TEA, headers=key)
        assert again.json["job_id"] == first.json["job_id"]
        other = {"app": "toy", "inputs": {"topic": "coffee"}}
        refused = await client.call("POST", "/api/jobs", other, headers=key)
        assert (refused.status, refused.json["errors"][0]["field"]) == (422, "key")

    on_server(test)


def test_a_job_that_fails_is_dead_and_can_be_retried(on_server: Callable[..., Any]) -> None:
    """Its steps before the failure are not done again; what went wrong is said."""

    async def test(client: Client) -> None:
        inputs = {"topic": "tea", "trouble": "answer"}
        answer = await client.call("POST", "/api/jobs", {**TEA, "inputs": inputs, "attempts": 2})
        dead = await over(client, answer.json["job_id"])
        assert (dead["status"], dead["failures"], dead["error"]["code"]) == (
            "dead",
            2,
            "step_failed",
        )
        run = (await client.call("GET", f"/api/runs/{dead['run_id']}")).json
        names = [span["name"] for span in run["spans"] if span["parent_id"] == 1]
        assert run["status"] == "failed"
        assert [names.count(name) for name in ("facts", "prices", "draft", "answer")] == [
            1,
            1,
            1,
            2,
        ]
        listed = (await client.call("GET", "/api/jobs?status=dead")).json["jobs"]
        assert [job["job_id"] for job in listed] == [dead["job_id"]]
        retried = (await client.call("POST", f"/api/jobs/{dead['job_id']}/retry")).json
        assert retried["run_id"] != dead["run_id"]
        assert (await over(client, dead["job_id"]))["status"] == "dead"
        assert (await client.call("POST", f"/api/jobs/{'x'}/retry")).status == 404

    on_server(test)


def test_a_job_that_waits_or_runs_is_cancelled(on_server: Callable[..., Any]) -> None:
    """By its own id, or by its run's; and it stays so."""

    async def test(client: Client) -> None:
        later = (await client.call("POST", "/api/jobs", {**TEA, "delay_s": 60})).json
        hang = {**TEA, "inputs": {"topic": "tea", "trouble": "hang"}, "speed": 1}
        now = (await client.call("POST", "/api/jobs", hang)).json

        async def is_running() -> bool:
            found = await client.call("GET", f"/api/jobs/{now['job_id']}")
            return found.json["status"] == "running"

        await until(is_running)
        assert (await client.call("POST", f"/api/jobs/{later['job_id']}/cancel")).status == 200
        run = (await client.call("POST", f"/api/runs/{now['run_id']}/cancel")).json
        assert run["status"] == "cancelled"
        for job in (later, now):
            assert (await over(client, job["job_id"]))["status"] == "cancelled"
            shown = (await client.call("GET", f"/api/runs/{job['run_id']}")).json
            assert shown["status"] == "cancelled"

    on_server(test)


def test_bad_input_names_the_field(on_server: Callable[..., Any]) -> None:
    """Wrong numbers, names and inputs are the caller's fault and nothing is kept of them."""

    async def test(client: Client) -> None:
        for change in (
            {"attempts": 0},
            {"priority": 10**9},
            {"delay_s": -1},
            {"start_at": "2999-01-01T00:00:00Z"},
            {"start_at": "soon"},
            {"inputs": {"topic": "gin"}},
            {"mode": "fast"},
            {"nonsense": 1},
        ):
            refused = await client.call("POST", "/api/jobs", {**TEA, **change})
            assert refused.status == 422, change
        assert (await client.call("POST", "/api/jobs", {**TEA, "app": "x"})).status == 404
        assert (await client.call("GET", "/api/jobs")).json == {"jobs": []}

    on_server(test)
