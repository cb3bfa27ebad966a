"""The consultant over HTTP: analysed, read by section, taken along, talked about, watched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hasten.apps.consultant import app
from hasten.caller import Caller
from hasten.store.sql.indexes import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

HOME = "/apps/consultant"
ASKED = {"company": "Ledgerleaf", "frameworks": ["porter", "swot"]}


@pytest.fixture
def at_the_desk(serving_app: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a server with the consultant."""
    return partial(serving_app, app)


def test_an_analysis_is_made_kept_read_and_taken_along(at_the_desk: Callable[..., Any]) -> None:
    """From one request to its files; nobody of another tenant sees any of it."""

    async def main(client: Client) -> None:
        made = (await client.call("POST", f"{HOME}/analyze", ASKED)).json
        assert (made["cached"], made["degraded_by"]) == (False, [])
        again = (await client.call("POST", f"{HOME}/analyze", ASKED)).json
        assert again["cached"]
        assert again["analysis_id"] == made["analysis_id"]
        at = f"{HOME}/analyses/{made['analysis_id']}"
        shown = (await client.call("GET", at)).json
        assert {one["chapter"] for one in shown["outline"]} >= {"synthesis", "porter", "swot"}
        one = (await client.call("GET", f"{at}/sections?chapter=swot")).json
        assert one[0]["text"] == made["views"]["swot"]["sections"]["Strengths"]
        for form in ("md", "json", "pdf", "xlsx"):
            assert (await client.call("GET", f"{at}/export?format={form}")).status == 200
        ids = [made["analysis_id"], "nobody"]
        batch = (await client.call("POST", f"{HOME}/analyses/batch", {"ids": ids})).json
        odd = await client.call("POST", f"{HOME}/analyses/batch", {"ids": ["a\0b"]})
        assert (odd.status, odd.json["errors"][0]["field"]) == (422, "ids.0")
        assert batch["nobody"] is None
        assert batch[ids[0]]["company_name"] == "Ledgerleaf"
        reply = await client.call(
            "POST", f"{HOME}/conversational/chat", {"message": "Who are its rivals?"}
        )
        assert reply.json["cites"]
        said = (await client.call("GET", f"{HOME}/conversational/main")).json
        assert [one["said_by"] for one in said] == ["You", "Consultant"]
        secret = (await client.runtime.keys.create(Caller("other", "bob")))[1]
        headers = {"Authorization": f"Bearer {secret}"}
        for path in (at, f"{at}/sections", f"{at}/export"):
            assert (await client.call("GET", path, headers=headers)).status == 404
        theirs = await client.call("POST", f"{HOME}/analyses/batch", {"ids": ids}, headers=headers)
        assert set(theirs.json.values()) == {None}
        assert (await client.call("GET", f"{HOME}/analyses", headers=headers)).json == []
        about = {"message": "Rivals?", "analysis_id": made["analysis_id"]}
        chat = await client.call("POST", f"{HOME}/conversational/chat", about, headers=headers)
        assert chat.status == 404

    at_the_desk(main)


def test_what_is_long_is_compressed(at_the_desk: Callable[..., Any]) -> None:
    """By 55 % and more for who accepts it (consultant plan); not an event stream."""

    async def main(client: Client) -> None:
        sizes = {}
        for accepted in ("identity", "gzip"):
            at, headers = f"{HOME}/analyze", {"Accept-Encoding": accepted}
            async with client.session.post(at, json=ASKED, headers=headers) as answer:
                whole = await answer.json()
                sizes[accepted] = int(answer.headers["Content-Length"])
        assert sizes["gzip"] < 0.45 * sizes["identity"]
        events = f"/api/runs/{whole['run_id']}/events"
        async with client.session.get(events, headers={"Accept-Encoding": "gzip"}) as stream:
            assert "Content-Encoding" not in stream.headers

    at_the_desk(main)


def test_forecasts_monitors_and_alerts(at_the_desk: Callable[..., Any]) -> None:
    """Each over HTTP, on real tables."""

    async def main(client: Client) -> None:
        made = await client.call("POST", f"{HOME}/forecasting/generate", {"company": "tidecloth"})
        assert len(made.json["projection"]["ahead"]) == 3
        asked = {"monitors": [{"company": "tidecloth"}, {"company": "Fellwear", "every_s": 60}]}
        kept = (await client.call("POST", f"{HOME}/monitors", asked)).json
        assert [one["company"] for one in kept] == ["tidecloth", "fellwear"]
        checked = (await client.call("POST", f"{HOME}/monitors/check", {})).json
        assert (checked["monitors"], checked["failed"]) == (2, {})
        one = f"{HOME}/monitors/{kept[0]['monitor_id']}"
        assert (await client.call("DELETE", one)).status == 204
        assert (await client.call("GET", f"{HOME}/alerts")).json == []
        assert (await client.call("POST", f"{HOME}/alerts/none/dismiss", {})).status == 404
        job = (await client.call("POST", f"{HOME}/analyze/jobs", ASKED)).json
        assert (await client.call("GET", job["events"])).status == 200

    at_the_desk(main)


def test_what_is_wrong_is_refused_by_name(at_the_desk: Callable[..., Any]) -> None:
    """A 4xx each that names the field."""

    async def main(client: Client) -> None:
        wrong = [
            ("analyze", {"company": "nobody"}, "company"),
            ("analyze", {"company": "ledgerleaf", "frameworks": ["tarot"]}, "frameworks"),
            ("forecasting/generate", {"company": "ledgerleaf", "years": 0}, "years"),
            ("forecasting/generate", {"company": "ledgerleaf", "confidence": "x"}, "confidence"),
            ("conversational/chat", {"message": "  "}, "message"),
            ("conversational/chat", {"message": "x" * 5_000}, "message"),
            ("monitors", {"monitors": [{"company": "ledgerleaf", "every_s": 1}]}, "every_s"),
            ("analyses/batch", {"ids": ["x"] * 501}, "ids"),
        ]
        for path, body, field in wrong:
            answer = await client.call("POST", f"{HOME}/{path}", body)
            assert answer.status == 422, (path, answer.json)
            assert field in str(answer.json)
        assert (
            await client.call("POST", f"{HOME}/conversational/chat", {"message": "Hm?"})
        ).status == 404
        assert (await client.call("GET", f"{HOME}/analyses/none/export?format=doc")).status == 422
        live = await client.call("POST", f"{HOME}/analyze", {"company": "sec:AAPL"})
        assert live.status == 502
        assert "SEC_CONTACT" in live.json["detail"]

    at_the_desk(main)


def test_every_index_serves_its_query(at_the_desk: Callable[..., Any]) -> None:
    """On the tables that the migrations made."""

    async def main(client: Client) -> None:
        tables = client.runtime.tables["consultant"]
        found = await tables.read(lambda there: verify(there, app.tables, app.queries))
        assert len(found) == 6
        assert [one.name for one in found if not one.is_served] == []

    at_the_desk(main)
