"""Alerts in a running server: in ``/health``, in ``/metrics``, posted as they begin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from hasten import AlertRule
from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.serve.conftest import Client
from tests.serve.test_metrics import of, read
from tests.test_webhook import Receiver
from tests.toy import toy_app

if TYPE_CHECKING:
    from pathlib import Path


def test_a_slow_application_raises_an_alert(tmp_path: Path) -> None:
    """Runs of the other mode do not; each server beginning is told of once."""
    rule = AlertRule(figure="p95_s", level="critical", above=2.0, least_runs=2)
    receiver = Receiver(204, 204)

    async def main() -> None:
        async with serving(receiver) as hook:
            settings = Settings(home=tmp_path, speed=500.0, alert_webhook_url=hook)
            guard = create_app(settings, {"toy": toy_app(alerts=(rule,), rerun=None)})
            async with serving(guard) as url, aiohttp.ClientSession(url) as session:
                client = Client(session, lambda: guard.app.state.runtime)
                body: dict[str, Any] = {"app": "toy", "inputs": {"topic": "tea"}}
                for mode in ("baseline", "baseline", "hasten"):
                    await client.call("POST", "/api/run", {**body, "mode": mode})
                assert (await client.call("GET", "/health")).json["alerts"] == []
                for _ in range(2):
                    await client.call("POST", "/api/run", body)
                (alert,) = (await client.call("GET", "/health")).json["alerts"]
                assert (alert["figure"], alert["level"]) == ("p95_s", "critical")
                _, figures = await read(client)
                labels = {"app": "toy", "figure": "p95_s", "level": "critical"}
                assert of(figures, "hasten_alert_firing", **labels) == 1
                await receiver.has_heard.wait()
        ((_, told),) = receiver.heard
        assert orjson.loads(told)["type"] == "alert.firing"
        assert orjson.loads(told)["data"]["runs"] == 2

    asyncio.run(asyncio.wait_for(main(), 30))
