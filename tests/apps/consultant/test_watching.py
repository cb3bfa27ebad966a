"""Monitors on a running server: the cron looks, what moved is an alert, it is put away."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from hasten import current_clock
from hasten.apps.consultant import app
from hasten.caller import Caller
from hasten.jobs import cron

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.serve.conftest import Client

HOME = "/apps/consultant"
LOOK_S, LOOKS_A_DAY, DAY_S = 0.02, 100, 86_400.0


class Wall:
    """The time of day, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return time_as_it_is() + self.ahead_s


time_as_it_is = time.time


def test_the_cron_looks_at_a_company_and_raises_an_alert(
    serving_app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each minute, in the name of whose monitor it is; nobody else sees it."""
    wall = Wall()
    monkeypatch.setattr("hasten.clock.time.time", wall)
    monkeypatch.setattr(cron, "LONGEST_SLEEP_S", LOOK_S)  # so that it sees the clock move

    async def main(client: Client) -> None:
        keys = client.runtime.keys
        (ann, bob) = [(await keys.create(Caller("local", who)))[1] for who in ("ann", "bob")]
        hers, his = ({"headers": {"Authorization": f"Bearer {key}"}} for key in (ann, bob))
        one = {"company": "tidecloth", "every_s": 60, "moves_percent": 0.1}
        asked = {"monitors": [one]}
        (kept,) = (await client.call("POST", f"{HOME}/monitors", asked, **hers)).json
        checked = (await client.call("POST", f"{HOME}/monitors/check", {}, **hers)).json
        assert (checked["monitors"], checked["alerts"]) == (1, [])
        alerts: list[Any] = []
        for look in itertools.count():
            if alerts:
                break
            if look % LOOKS_A_DAY == 0:  # on some days the price is what it was the day before
                wall.ahead_s += DAY_S
            await current_clock().sleep(LOOK_S)
            alerts = (await client.call("GET", f"{HOME}/alerts", **hers)).json
        assert [alert["company"] for alert in alerts] == ["tidecloth"]
        assert alerts[0]["text"].startswith("share price moved by ")
        jobs = (await client.call("GET", "/api/jobs", **hers)).json["jobs"]
        assert {job["app"] for job in jobs} == {"consultant.check"}
        assert (await client.call("GET", f"{HOME}/alerts", **his)).json == []
        at = f"{HOME}/alerts/{alerts[0]['alert_id']}/dismiss"
        assert (await client.call("POST", at, {}, **his)).status == 404
        assert (await client.call("POST", at, {}, **hers)).status == 204
        assert (await client.call("GET", f"{HOME}/alerts", **hers)).json == []
        assert (await client.call("DELETE", f"{HOME}/monitors/{kept['monitor_id']}", **hers)).status

    serving_app(app, main)
