"""What the users of a load test ask is answered well, by every application and profile."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from hasten.app import find_apps
from hasten.cli.users import User, answer_of, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

ASKED = {
    "consultant": {
        "POST /apps/consultant/analyze",
        "POST /apps/consultant/conversational/chat",
        "POST /apps/consultant/forecasting/generate",
        "GET /apps/consultant/analyses",
    },
}


@pytest.mark.parametrize("profile", ["normal", "burst"])
@pytest.mark.parametrize("name", ASKED)
def test_what_users_ask_is_answered(
    name: str, profile: str, serving_app: Callable[..., Any]
) -> None:
    """Nothing is refused and nothing fails; a normal day has all of it."""
    app, asked = find_apps()[name], set()

    async def main(client: Client) -> None:
        for seed in (1, 2):
            user = User(app, profile, random.Random(seed))
            for _ in range(12):
                method, path, body = user.ask()
                asked.add(f"{method} {name_of(path)}")
                answer = await client.call(method, path, body)
                kind = answer.headers.get("content-type", "")
                user.hear(answer_of(answer.status, kind, answer.body))

    serving_app(app, main)
    assert asked == ASKED[name] if profile == "normal" else asked <= ASKED[name]
