"""Personas over HTTP: listed, copied, changed, found alike, told."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hasten.apps.persona import app
from hasten.apps.persona.alike import _model
from hasten.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

BASE = "/apps/persona/personas"


@pytest.fixture
def at_the_board(serving_app: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a server with the personas."""
    return partial(serving_app, app)


def test_a_copy_is_changed_and_told_anew(at_the_board: Callable[..., Any]) -> None:
    """A sample is nobody's to change."""

    async def main(client: Client) -> None:
        assert len((await client.call("GET", BASE)).json) == 20
        assert (await client.call("PATCH", f"{BASE}/p01", {"age": 50})).status == 403
        own = (await client.call("POST", f"{BASE}/p01/copy", {})).json
        at = f"{BASE}/{own['persona_id']}"
        changed = (await client.call("PATCH", at, {"age": 50})).json
        assert (changed["age"], changed["version"]) == (50, 2)
        told = (await client.call("POST", f"{at}/details", {})).json
        assert (await client.call("GET", told["events"])).status == 200
        run = (await client.call("GET", f"/api/runs/{told['run_id']}")).json
        assert run["status"] == "complete"
        assert run["outputs"]["persona"]["age"] == 50

    at_the_board(main)


def test_those_alike_are_of_the_same_segment(at_the_board: Callable[..., Any]) -> None:
    """The nearest first, never the persona itself."""

    async def main(client: Client) -> None:
        found = (await client.call("GET", f"{BASE}/p01/similar?limit=4")).json
        assert [one["persona"]["occupation"] for one in found] == ["owner of a cleaning firm"] * 4
        assert "p01" not in [one["persona"]["persona_id"] for one in found]

    at_the_board(main)


def test_those_alike_need_an_extra(
    at_the_board: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without it says which line installs it."""
    monkeypatch.setitem(sys.modules, "wordllama", None)
    monkeypatch.setattr("hasten.apps.persona.alike._model", _model.__wrapped__)

    async def main(client: Client) -> None:
        lacking = await client.call("GET", f"{BASE}/p01/similar")
        assert lacking.status == 503
        assert "pip install 'hasten[semantic]'" in lacking.json["detail"]

    at_the_board(main)


def test_what_is_wrong_is_refused_by_name(at_the_board: Callable[..., Any]) -> None:
    """A 4xx each; another tenant's persona is not there."""

    async def main(client: Client) -> None:
        own = (await client.call("POST", f"{BASE}/p02/copy", {})).json["persona_id"]
        for change in (
            {"age": 7},
            {"age": "old"},
            {"mood": "good"},
            {"full_name": ""},
            {"location": "a\0"},
        ):
            assert (await client.call("PATCH", f"{BASE}/{own}", change)).status == 422
        for path in ("nobody", "nobody/similar"):
            assert (await client.call("GET", f"{BASE}/{path}")).status == 404
        assert (await client.call("GET", f"{BASE}/NOT-AN-ID")).status == 422
        secret = (await client.runtime.keys.create(Caller("other", "bob")))[1]
        headers = {"Authorization": f"Bearer {secret}"}
        assert (await client.call("GET", f"{BASE}/{own}", headers=headers)).status == 404
        assert len((await client.call("GET", BASE, headers=headers)).json) == 20

    at_the_board(main)


def test_every_persona_is_made_when_its_data_changes(at_the_board: Callable[..., Any]) -> None:
    """As at night: a job each, of low priority, samples and copies; they are shown at once then."""

    async def main(client: Client) -> None:
        (cron,) = (await client.call("GET", "/api/cron")).json["cron"]
        assert (cron["name"], cron["at"]) == ("persona.nightly-details", "0 3 * * *")
        own = (await client.call("POST", f"{BASE}/p01/copy", {})).json
        said = {"source": "crm", "tags": ["persona-details"]}
        jobs = (await client.call("POST", "/api/events/data-changed", said)).json["jobs"]
        assert len(jobs) == 21
        for job_id in jobs:
            job = (await client.call("GET", f"/api/jobs/{job_id}")).json
            assert (await client.call("GET", f"/api/runs/{job['run_id']}/events")).status == 200
        told = (await client.call("POST", f"{BASE}/{own['persona_id']}/details", {})).json
        assert (await client.call("GET", told["events"])).status == 200
        run = (await client.call("GET", f"/api/runs/{told['run_id']}")).json
        assert (run["status"], run["llm_calls"]) == ("complete", 0)

    at_the_board(main)


def test_the_plans_alerts_are_watched(at_the_board: Callable[..., Any]) -> None:
    """Twenty personas that nobody asked for before are no hits, which is a warning."""

    async def main(client: Client) -> None:
        for number in range(1, 21):
            asked = {"app": "persona", "inputs": {"persona_id": f"p{number:02d}"}}
            assert (await client.call("POST", "/api/run", asked)).status == 200
        (alert,) = (await client.call("GET", "/health")).json["alerts"]
        assert (alert["app"], alert["figure"], alert["level"]) == ("persona", "hit_rate", "warning")

    at_the_board(main)


def test_a_run_of_what_is_not_there_is_not_found(at_the_board: Callable[..., Any]) -> None:
    """It is the caller's fault, and says no word of steps; a comparison names who is missing.

    One who is missing does not fail the others; nobody to compare is not found, as one is.
    """

    async def main(client: Client) -> None:
        asked = {"app": "persona", "inputs": {"persona_id": "zoe"}}
        found = await client.call("POST", "/api/run", asked)
        assert (found.status, found.json["detail"]) == (404, "there is no persona 'zoe'")
        assert found.json["outcome"] == "failed"
        asked = {"app": "persona.compare", "inputs": {"persona_ids": ["p01", "zoe"]}}
        both = (await client.call("POST", "/api/run", asked)).json["outputs"]["comparison"]
        assert both["failed"] == {"zoe": "there is no persona 'zoe'"}
        assert both["personas"]["p01"]["kpi"]
        for mode in ("hasten", "baseline"):
            asked = {"app": "persona.compare", "mode": mode}
            asked["inputs"] = {"persona_ids": ["zoe", "zac"]}
            nobody = await client.call("POST", "/api/run", asked)
            assert nobody.status == 404
            assert nobody.json["detail"] == "there are no personas 'zoe', 'zac'"

    at_the_board(main)
