"""One application behind a running server, for the tests of its routes."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.serve.conftest import Client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from hasten.app import App

SPEED = 10.0
"""At more than this the applications' time limits get so short that a busy machine breaks them."""

WITHIN_S = 60.0


@pytest.fixture
def serving_app(tmp_path: Path) -> Callable[[App, Callable[[Client], Awaitable[Any]]], Any]:
    """Give a function that runs a test's coroutine against a server with one application.

    Its model answers at once.
    """

    def run(app: App, test: Callable[[Client], Awaitable[Any]]) -> Any:
        profile = dataclasses.replace(
            app.profile, ttft_s=0.0, prefill_tokens_per_s=1e6, decode_tokens_per_s=1e6
        )
        quick = dataclasses.replace(app, profile=profile)

        async def main() -> Any:
            guard = create_app(Settings(home=tmp_path, speed=SPEED), {app.name: quick})
            async with serving(guard) as url, aiohttp.ClientSession(url) as session:
                client = Client(session, lambda: guard.app.state.runtime)
                return await asyncio.wait_for(test(client), WITHIN_S)

        return asyncio.run(main())

    return run
