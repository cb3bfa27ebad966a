"""A running server with the toy application, and a client for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.serve.browsing import browser, page, server  # noqa: F401 - fixtures
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


class Client:
    """Talks to the server as a program would: real HTTP, JSON in and out."""

    def __init__(self, session: aiohttp.ClientSession, runtime: Callable[[], Any]) -> None:
        self.session = session
        self._runtime = runtime

    @property
    def runtime(self) -> Any:
        """The server's runtime."""
        return self._runtime()

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send one request and read the whole answer."""
        async with self.session.request(method, path, json=body, **options) as response:
            return Answer(response.status, response.headers, await response.read())


class Answer:
    """A whole HTTP answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        """The body as JSON."""
        import orjson

        return orjson.loads(self.body)


@asynccontextmanager
async def client_of(home: Path, **settings: Any) -> AsyncIterator[Client]:
    """Serve the toy from ``home`` at a high speed and give a client."""
    given: dict[str, Any] = {"home": home, "speed": 500.0, **settings}
    guard = create_app(Settings(**given), {"toy": toy_app()})
    async with serving(guard) as url, aiohttp.ClientSession(url) as session:
        yield Client(session, lambda: guard.app.state.runtime)


@pytest.fixture
def on_server(tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a fresh server."""

    def run(test: Callable[[Client], Awaitable[Any]], **settings: Any) -> Any:
        async def main() -> Any:
            async with client_of(tmp_path / "state", **settings) as client:
                return await asyncio.wait_for(test(client), 30)

        return asyncio.run(main())

    return run
