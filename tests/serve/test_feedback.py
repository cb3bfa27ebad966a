"""Ratings of answers and blocks, and answers made anew, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.caller import Caller
from tests.serve.test_metrics import of, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

NO_TEXT = {"rating": 5, "comment": "a\0b"}
TEA = {"app": "toy", "inputs": {"topic": "tea"}}


async def run(client: Client) -> str:
    """Run the toy; return the run's id."""
    run_id: str = (await client.call("POST", "/api/run", TEA)).json["run_id"]
    return run_id


def test_what_was_said_is_kept_and_added_up(on_server: Callable[..., Any]) -> None:
    """Of the whole and of a block, cached and fresh apart, in totals and in metrics."""

    async def test(client: Client) -> None:
        first, again = await run(client), await run(client)
        for run_id, rating in ((first, 9), (first, 5), (again, 2)):
            body = {"rating": rating, "block": "answer", "comment": "so so"}
            done = await client.call("POST", f"/api/runs/{run_id}/feedback", body)
            assert (done.status, done.json["is_cached"]) == (201, run_id == again)
        said = (await client.call("GET", f"/api/runs/{first}/feedback")).json
        assert [one["rating"] for one in said] == [9, 5]
        fresh, cached = (await client.call("GET", "/api/feedback?app=toy")).json
        assert (fresh["is_cached"], fresh["ratings"], fresh["mean_rating"]) == (False, 2, 7.0)
        assert (cached["is_cached"], cached["ratings"], cached["mean_rating"]) == (True, 1, 2.0)
        _, figures = await read(client)
        labels = {"app": "toy", "reuse": "fresh"}
        assert of(figures, "hasten_feedback_total", kind="rating", **labels) == 2
        assert of(figures, "hasten_rating_points_total", **labels) == 14

    on_server(test)


def test_an_answer_is_made_anew(on_server: Callable[..., Any]) -> None:
    """It is no rerun, takes its place as the stored answer, and the wish is counted."""

    async def test(client: Client) -> None:
        first = await run(client)
        asked = await client.call("POST", f"/api/runs/{first}/regenerate", {})
        assert asked.status == 202
        anew = asked.json["run_id"]
        assert anew == asked.headers["Hasten-Run-Id"] != first
        async with client.session.get(f"/api/runs/{anew}/events") as events:
            await events.read()
        shown = (await client.call("GET", f"/api/runs/{anew}")).json
        assert (shown["status"], shown["reuse"].get("cached")) == ("complete", None)
        assert shown["llm_calls"] > 0
        rerun = (await client.call("POST", "/api/run", TEA)).json
        assert rerun["source_run_id"] == anew
        (totals,) = (await client.call("GET", "/api/feedback")).json
        assert (totals["regenerations"], totals["mean_rating"]) == (1, None)

    on_server(test)


def test_wrong_ratings_and_blocks_are_refused(on_server: Callable[..., Any]) -> None:
    """Naming the field and the blocks there are."""

    async def test(client: Client) -> None:
        path = f"/api/runs/{await run(client)}"
        for body in ({"rating": 0}, {"rating": 11}, {}, {"rating": 5, "colour": "red"}, NO_TEXT):
            assert (await client.call("POST", f"{path}/feedback", body)).status == 422
        for verb, body in (("feedback", {"rating": 5}), ("regenerate", {})):
            long = await client.call("POST", f"{path}/{verb}", {**body, "block": "x" * 10**6})
            assert (long.status, len(long.body) < 1_000) == (422, True)
            wrong = await client.call("POST", f"{path}/{verb}", {**body, "block": "x"})
            assert wrong.status == 422
            assert set(wrong.json["errors"][0]["allowed"]) == {"answer", "draft", "facts", "prices"}

    on_server(test)


def test_nobody_speaks_of_what_they_may_not_see(on_server: Callable[..., Any]) -> None:
    """Another's run is not there; another tenant's totals are empty; a person's words go too."""

    async def test(client: Client) -> None:
        first = await run(client)
        body = {"rating": 5}
        await client.call("POST", f"/api/runs/{first}/feedback", body)
        _, secret = await client.runtime.keys.create(Caller("acme", "ann"))
        headers = {"Authorization": f"Bearer {secret}"}
        for verb, said in (("feedback", body), ("regenerate", {})):
            path = f"/api/runs/{first}/{verb}"
            assert (await client.call("POST", path, said, headers=headers)).status == 404
        assert (await client.call("GET", "/api/feedback", headers=headers)).json == []
        await client.runtime.erase("local", "local")
        assert await client.runtime.feedback.totals("local") == []

    on_server(test)
