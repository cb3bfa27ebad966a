"""What an answer over HTTP says of its blocks: its fresh share, what was reused, how old it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from hasten.apps.discovery import app
from hasten.apps.discovery.inputs import SAMPLES
from hasten.errors import FreshnessRefused
from hasten.serve import create_app
from hasten.serve.problems import status_of
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.toy import toy_app

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = 8


def test_an_answer_says_how_fresh_it_is(tmp_path: Path) -> None:
    """All of the first; of one for somebody alike its share, its blocks with ages, and words."""

    async def main() -> None:
        settings = Settings(home=tmp_path, speed=6.0)
        guard = create_app(settings, {"discovery": app})
        async with serving(guard) as url, aiohttp.ClientSession(url) as session:

            async def ask(summary: str) -> tuple[Any, str]:
                inputs = {**SAMPLES["chatbots"], "experience_summary": summary}
                asked = {"app": "discovery", "inputs": inputs}
                async with session.post("/api/run", json=asked) as response:
                    assert response.status == 200
                    return await response.json(), response.headers["Hasten-Fresh-Share"]

            first, first_share = await ask("I ran a bakery.")
            other, other_share = await ask("I drive a night bus.")
            again, again_share = await ask("I drive a night bus.")
        assert (first_share, first["cached_components"]) == ("1.000", {})
        assert first["why"] == "Personalised for you."
        assert 0.3 <= float(other_share) < 0.7
        assert float(other_share) == round(other["fresh_share"], 3)
        assert len(other["cached_components"]) == BLOCKS
        assert all(age_s >= 0 for age_s in other["cached_components"].values())
        assert "core_motivation" in other["fresh_components"]
        assert other["why"] == "Personalised for you, based on similar profiles."
        assert again["cached"] is True
        assert again_share == other_share
        assert again["cached_components"] == other["cached_components"]

    asyncio.run(main())


def test_a_refusal_may_be_tried_again() -> None:
    """It is the server's state, not the request, that keeps it from being fresh enough."""
    assert status_of(FreshnessRefused("too little")) == 503


def test_the_same_request_twice_at_once_is_computed_once(tmp_path: Path) -> None:
    """The second waits for the first, and both times are those of the wall, at any speed."""

    async def main() -> None:
        settings = Settings(home=tmp_path, speed=20.0)
        guard = create_app(settings, {"toy": toy_app()})
        async with serving(guard) as url, aiohttp.ClientSession(url) as session:

            async def ask() -> tuple[Any, str]:
                asked = {"app": "toy", "inputs": {"topic": "tea"}}
                async with session.post("/api/run", json=asked) as response:
                    assert response.status == 200
                    return await response.json(), response.headers["Cache-Status"]

            pair = await asyncio.gather(ask(), ask())
            (first, stored), (second, collapsed) = sorted(pair, key=lambda one: one[0]["cached"])
            again, hit = await ask()
        assert first["cached"] is False
        assert stored == "hasten; fwd=miss; stored"
        assert collapsed == "hasten; fwd=miss; collapsed; detail=rerun"
        assert hit == "hasten; hit; detail=rerun"
        assert second["source_run_id"] == again["source_run_id"] == first["run_id"]
        assert len({first["run_id"], second["run_id"], again["run_id"]}) == 3
        assert second["outputs"] == again["outputs"] == first["outputs"]
        assert second["why"] == "The same inputs as a run of yours under way: its answer."
        age_s = (datetime.now(UTC) - datetime.fromisoformat(again["cached_at"])).total_seconds()
        assert 0 <= age_s < first["timing"]["total_duration_ms"] / 1e3 / 2

    asyncio.run(main())
