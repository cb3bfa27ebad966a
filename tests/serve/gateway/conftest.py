"""A running server with its gateway in front of a provider, and a client for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import pytest

from hasten.serve import create_app
from hasten.settings import Settings, UpstreamSettings
from hasten.testing.http import serving
from tests.serve.conftest import Answer
from tests.serve.gateway.upstream import Provider, providing
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


def ask(text: str = "tea?", **fields: Any) -> dict[str, Any]:
    """Return a chat request."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}


class Given(Answer):
    """A whole answer of the gateway."""

    @property
    def said(self) -> str:
        """What the cache said."""
        return str(self.headers.get("cache-status", ""))

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events."""
        lines = [one for one in self.body.decode().split("\n") if one.startswith("data: ")]
        return [one[6:] if one == "data: [DONE]" else orjson.loads(one[6:]) for one in lines]


class Door:
    """The gateway as a client sees it, and its provider."""

    def __init__(self, session: aiohttp.ClientSession, provider: Provider, app: Any) -> None:
        self.session = session
        self.provider = provider
        self.app = app
        self.url = str(session._base_url)

    @property
    def gateway(self) -> Any:
        """The gateway itself."""
        return self.app.state.gateway

    @property
    def runtime(self) -> Any:
        """The server's runtime."""
        return self.app.state.runtime

    async def post(self, path: str, body: Any, **headers: str) -> Given:
        """POST a body, which is JSON unless it is bytes, and read the whole answer."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"content-type": "application/json", **named}
        async with self.session.post(path, data=data, headers=named) as answer:
            return Given(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **headers: str) -> Given:
        """GET and read the whole answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(path, headers=named) as answer:
            return Given(answer.status, answer.headers, await answer.read())


async def leave(door: Door, body: Any, mode: str) -> None:
    """Ask, hang up while the provider takes its time, and wait until it has noticed."""
    provider = door.provider
    seen, broken = len(provider.seen), provider.broken_calls
    call = asyncio.create_task(door.post(CHAT, body, hasten_cache_mode=mode))
    await until(lambda: len(provider.seen) > seen)
    call.cancel()
    await asyncio.wait([call])
    await until(lambda: provider.broken_calls > broken)


@asynccontextmanager
async def door_to(
    home: Path, provider: Provider, *, protocol: str = "openai", **settings: Any
) -> AsyncIterator[Door]:
    """Serve the gateway in front of ``provider``."""
    async with providing(provider):
        url = provider.url.removesuffix("/v1") if protocol == "anthropic" else provider.url
        if "upstreams" not in settings:
            one = UpstreamSettings(name="up", protocol=protocol, base_url=url)  # type: ignore[arg-type]
            settings["upstreams"] = (one,)
        app = create_app(Settings(home=home, **settings), {})
        async with serving(app) as base, aiohttp.ClientSession(base) as session:
            yield Door(session, provider, app.app)


@pytest.fixture
def through(tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a fresh gateway and provider."""

    def run(test: Callable[[Door], Awaitable[Any]], **given: Any) -> Any:
        async def main() -> Any:
            provider, within_s = (
                given.pop("provider", None) or Provider(),
                given.pop("within_s", 30),
            )
            async with door_to(tmp_path / "state", provider, **given) as door:
                return await asyncio.wait_for(test(door), within_s)

        return asyncio.run(main())

    return run
