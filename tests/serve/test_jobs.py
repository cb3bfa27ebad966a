"""Jobs over HTTP: submitted, followed, listed, cancelled, retried; nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.wire.waiting import until

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

    on_server(test)
