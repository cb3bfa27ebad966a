"""The temple over HTTP: asked, followed, asked again; deities, poems, what was asked before."""

from __future__ import annotations

import asyncio
import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from hasten.apps.fortune import app
from hasten.apps.fortune.inputs import DEITY_IDS, SAMPLES
from hasten.apps.fortune.temple import LATENCY_S, Temple
from hasten.caller import Caller
from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.serve.conftest import Client
from tests.toy import toy_app
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEARCHED = Temple({**LATENCY_S, "passages": 0.0})
"""Finds passages before it finds the poem, so that no machine is too busy to wait for them."""

TEMPLE = dataclasses.replace(app, resources=lambda model, **_: {"model": model, "temple": SEARCHED})

BASE = "/apps/fortune"
ASK = f"{BASE}/api/v1/async-chat/ask-question"


@pytest.fixture
def at_the_temple(serving_app: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a server with the temple."""
    return partial(serving_app, TEMPLE)


async def answered(client: Client, taken: dict[str, str], **options: Any) -> dict[str, Any]:
    """Follow a task to its end and return it."""
    response = await client.call("GET", taken["events"], **options)
    assert response.status == 200
    shown: dict[str, Any] = (await client.call("GET", taken["task"], **options)).json
    return shown


def test_a_question_is_taken_at_once_and_answered(at_the_temple: Callable[..., Any]) -> None:
    """The second time from the cache; both are in the history."""

    async def main(client: Client) -> None:
        for is_again in (False, True):
            taken = await client.call("POST", ASK, SAMPLES["love"])
            assert taken.status == 202
            shown = await answered(client, taken.json)
            assert (shown["status"], shown["cached"]) == ("complete", is_again)
            assert shown["answer"].startswith("# Yue Lao")
        history = (await client.call("GET", f"{BASE}/history")).json
        assert [one["question"] for one in history] == [SAMPLES["love"]["question"]] * 2

    at_the_temple(main)


def test_a_question_is_received_immediately(
    at_the_temple: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that sleeps has it before the question is answered, and says so as the plan does."""
    caplog.set_level("INFO")

    async def main(client: Client) -> None:
        await until(lambda: client.runtime.queue._idle._is_asleep)
        taken = (await client.call("POST", ASK, SAMPLES["love"])).json
        (line,) = [one for one in caplog.messages if one.startswith("[EVENT]")]
        assert line == f"[EVENT] Task {taken['task_id']} received immediately (0s delay)"
        await answered(client, taken)

    at_the_temple(main)


def test_nobody_sees_what_another_asked(at_the_temple: Callable[..., Any]) -> None:
    """Neither the task nor its place in the history, nor is one's answer the other's."""

    async def main(client: Client) -> None:
        secrets = [
            (await client.runtime.keys.create(Caller("local", name)))[1] for name in ("ann", "bob")
        ]
        ann, bob = ({"Authorization": f"Bearer {secret}"} for secret in secrets)
        taken = await client.call("POST", ASK, SAMPLES["love"], headers=ann)
        await answered(client, taken.json, headers=ann)
        for path in (taken.json["task"], taken.json["events"]):
            assert (await client.call("GET", path, headers=bob)).status == 404
        assert (await client.call("GET", f"{BASE}/history", headers=bob)).json == []
        again = await client.call("POST", ASK, SAMPLES["love"], headers=bob)
        assert not (await answered(client, again.json, headers=bob))["cached"]

    at_the_temple(main)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"deity_id": "zeus"}, "deity_id"),
        ({"fortune_number": 21}, "fortune_number"),
        ({"question": "   "}, "question"),
        ({"question": "?" * 501}, "question"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_a_wrong_question_names_its_field(
    at_the_temple: Callable[..., Any], change: dict[str, Any], field: str
) -> None:
    """And starts nothing."""

    async def main(client: Client) -> None:
        refused = await client.call("POST", ASK, {**SAMPLES["love"], **change})
        assert refused.status == 422
        assert refused.json["errors"][0]["field"].endswith(field)
        assert (await client.call("GET", f"{BASE}/history")).json == []

    at_the_temple(main)


def test_a_run_of_another_application_is_no_task(tmp_path: Path) -> None:
    """Its inputs have no question."""

    async def main() -> None:
        apps = {"fortune": TEMPLE, "toy": toy_app()}
        guard = create_app(Settings(home=tmp_path, speed=500.0), apps)
        async with serving(guard) as url, aiohttp.ClientSession(url) as session:
            client = Client(session, lambda: guard.app.state.runtime)
            asked = {"app": "toy", "inputs": {"topic": "tea"}}
            run_id = (await client.call("POST", "/api/run", asked)).json["run_id"]
            path = f"{BASE}/api/v1/async-chat/tasks/{run_id}"
            assert (await client.call("GET", path)).status == 404

    asyncio.run(main())


def test_deities_and_poems(at_the_temple: Callable[..., Any]) -> None:
    """Five with twenty each; what there is not is a 4xx."""

    async def main(client: Client) -> None:
        listed = (await client.call("GET", f"{BASE}/deities")).json
        assert sorted(one["id"] for one in listed) == sorted(DEITY_IDS)
        shown = (await client.call("GET", f"{BASE}/deities/mazu")).json
        assert [poem["number"] for poem in shown["poems"]] == list(range(1, 21))
        poem = (await client.call("GET", f"{BASE}/deities/mazu/poems/20")).json
        assert poem == shown["poems"][-1]
        for path in ("deities/zeus", "deities/mazu/poems/21", "deities/mazu/poems/x"):
            assert (await client.call("GET", f"{BASE}/{path}")).status == 422

    at_the_temple(main)
