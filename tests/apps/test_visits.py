"""What the users of a load test ask is answered well, by every application and profile."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from hasten.app import find_apps
from hasten.apps.fortune.inputs import DEITY_IDS
from hasten.cli.users import User, answer_of, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

DEITY = re.compile("|".join(DEITY_IDS))
RUN = "POST /api/run"
READ = "GET /api/runs/{id}/events"

ASKED = {
    "consultant": {
        "POST /apps/consultant/analyze",
        "POST /apps/consultant/conversational/chat",
        "POST /apps/consultant/forecasting/generate",
        "GET /apps/consultant/analyses",
    },
    "discovery": {RUN, "POST /api/run/stream", "GET /api/runs"},
    "fortune": {
        "GET /apps/fortune/deities",
        "GET /apps/fortune/deities/{of}/poems/{id}",
        "POST /apps/fortune/api/v1/async-chat/ask-question",
        READ,
        "GET /apps/fortune/api/v1/async-chat/tasks/{id}",
        "GET /apps/fortune/history",
    },
    "okr": {
        "POST /apps/okr/sessions",
        "POST /apps/okr/sessions/{id}/messages",
        READ,
        "GET /apps/okr/knowledge",
        "GET /apps/okr/sessions/{id}",
        "GET /apps/okr/sessions",
    },
    "persona": {
        "GET /apps/persona/personas",
        "POST /apps/persona/personas/{id}/details",
        READ,
        RUN,
        "GET /apps/persona/personas/{id}/similar",
        "POST /apps/persona/personas/{id}/copy",
        "PATCH /apps/persona/personas/{id}",
    },
}


USERS = 4
BURST, MIXED, WHOLE_TALK = 3, 8, 12
"""So many requests has each: a talk with the coach is looked at only at its end."""


@pytest.mark.parametrize("profile", ["normal", "burst"])
@pytest.mark.parametrize("name", ASKED)
def test_what_users_ask_is_answered(
    name: str, profile: str, serving_app: Callable[..., Any]
) -> None:
    """Nothing is refused and nothing fails; a normal day has all of it."""
    app, asked = find_apps()[name], set()
    requests = BURST if profile == "burst" else WHOLE_TALK if name == "okr" else MIXED

    async def use(client: Client, user: User) -> None:
        for _ in range(requests):
            method, path, body = user.ask()
            asked.add(f"{method} {DEITY.sub('{of}', name_of(path))}")
            answer = await client.call(method, path, body)
            kind = answer.headers.get("content-type", "")
            user.hear(answer_of(answer.status, kind, answer.body))

    async def main(client: Client) -> None:
        users = [User(app, profile, random.Random(seed)) for seed in range(USERS)]
        await asyncio.gather(*(use(client, user) for user in users))

    serving_app(app, main)
    assert asked == ASKED[name] if profile == "normal" else asked <= ASKED[name]
