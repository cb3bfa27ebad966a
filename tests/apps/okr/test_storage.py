"""What is kept: the same on SQLite and PostgreSQL, whoever writes at once, and whose it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten.apps.okr import app
from hasten.apps.okr.storage import (
    board_of,
    change_item,
    find_session,
    list_sessions,
    messages_of,
    remove_item,
)
from hasten.caller import Caller, set_caller
from hasten.settings import load_settings
from hasten.wire import Runtime

if TYPE_CHECKING:
    from pathlib import Path

ANN, BOB = Caller("one", "ann"), Caller("two", "bob")
AT_ONCE = 6


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_session_is_kept(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Begun by its first message; many at once keep all of theirs; erased with the person."""
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else ""

    async def say(runtime: Runtime, caller: Caller, message: str) -> None:
        inputs = {"session_id": "s1", "message": message, "team_size": 12}
        outcome = await (await runtime.start("okr", inputs, caller=caller)).outcome()
        outcome.value()
        assert not outcome.degraded_by

    async def main() -> None:
        settings = load_settings(
            home=tmp_path, database_url=url, redis_url="", model="", speed=20.0
        )
        runtime = await Runtime.open(settings, {"okr": app})
        try:
            await say(runtime, ANN, "Objective: Users trust us this quarter")
            await asyncio.gather(
                *(say(runtime, ANN, f"KR: Raise users from {n} to 9") for n in range(AT_ONCE))
            )
            await say(runtime, BOB, "Where do we start?")
            tables = runtime.tables["okr"]
            assert tables is not None
            set_caller(ANN)
            session = await find_session(tables, "s1")
            assert session is not None
            assert session.team.team_size == 12
            assert len(await board_of(tables, "s1")) == 1 + AT_ONCE
            assert len(await messages_of(tables, "s1")) == 10
            assert [one["title"] for one in await list_sessions(tables, 5)] == [
                "Objective: Users trust us this quarter"
            ]
            assert await change_item(tables, "s1", "o1-k2", "KR anew")
            assert "KR anew" in [one.text for one in await board_of(tables, "s1")]
            set_caller(BOB)
            assert await board_of(tables, "s1") == ()
            assert not await remove_item(tables, "s1", "o1")
            assert len(await messages_of(tables, "s1")) == 2
            erased = await runtime.erase(ANN.tenant, ANN.user)
            assert erased["rows"] == 1 + 2 * (1 + AT_ONCE) + 1 + AT_ONCE
            assert await find_session(tables, "s1") is not None
        finally:
            await runtime.close()

    asyncio.run(main())


def test_a_model_that_breaks_off_is_answered_for(tmp_path: Path) -> None:
    """With 5 % of the calls failing every message of a session is answered and kept once."""
    import dataclasses

    shaky = dataclasses.replace(app, profile=dataclasses.replace(app.profile, error_rate=0.3))

    async def main() -> None:
        settings = load_settings(home=tmp_path, database_url="", redis_url="", model="", speed=20.0)
        runtime = await Runtime.open(settings, {"okr": shaky})
        try:
            for number in range(8):
                inputs = {"session_id": "s1", "message": f"What about number {number}?"}
                outcome = await (await runtime.start("okr", inputs)).outcome()
                outcome.value()
            tables = runtime.tables["okr"]
            assert tables is not None
            said = [one.said_by for one in await messages_of(tables, "s1")]
            assert said == ["team", "coach"] * 5
        finally:
            await runtime.close()

    asyncio.run(main())
