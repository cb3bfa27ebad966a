"""The gateway in a process of its own, over RSGI, as ``hasten serve --gateway-only`` runs it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from hasten.store.keys import KeyStore
from hasten.store.sql import open_sql
from tests.cli.processes import running
from tests.serve.gateway.conftest import CHAT, Door, ask, leave
from tests.serve.gateway.upstream import Provider, providing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Give a function that runs a test against a gateway process and a provider here."""

    def run(test: Callable[[Door], Awaitable[None]], provider: Provider) -> Any:
        async def main() -> Any:
            async with providing(provider):
                monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
                start = running(tmp_path, "serve", "--gateway-only", "--port", "0", lines=1)
                process = await asyncio.to_thread(start.__enter__)
                try:
                    (base,) = re.findall(r"http://localhost:\d+", process.ready)
                    async with aiohttp.ClientSession(base) as session:
                        await asyncio.wait_for(test(Door(session, provider, None)), 30)
                    files = [one.path for one in process.worker.memory_maps()]
                    assert any("orjson" in one for one in files)
                    assert not any("sqlalchemy" in one for one in files), "more than all it needs"
                    return await asyncio.to_thread(process.stop)
                finally:
                    await asyncio.to_thread(start.__exit__, None, None, None)

        return asyncio.run(main())

    return run


def test_the_same_gateway_over_rsgi(alone: Callable[..., Any], tmp_path: Path) -> None:
    """Plain, streamed, shared, stored, refused, left; health and figures; a clean end with rows."""

    async def test(door: Door) -> None:
        first, *others = await asyncio.gather(*(door.post(CHAT, ask()) for _ in range(20)))
        assert first.json["choices"][0]["message"]["content"] == "Tea is ready."
        assert {one.status for one in others} == {200}
        assert len(door.provider.seen) == 1
        streamed = await door.post(CHAT, ask(stream=True))
        assert "hit" in streamed.said
        live = await door.post(CHAT, ask("live", stream=True))
        assert live.events[-1] == "[DONE]"
        assert (await door.post(CHAT, b"{")).status == 400
        assert (await door.post(CHAT, ask(), host="evil.example")).status == 421
        assert (await door.get("/v1/models")).status == 200
        assert (await door.get("/")).status == 404
        assert (await door.get("/health")).json["status"] == "ok"
        figures = (await door.get("/metrics")).body
        assert b'hasten_gateway_requests_total{result="hit"' in figures
        assert b"hasten_storage_bytes" in figures
        (hit,) = (await door.get("/api/gateway/calls?result=hit&limit=1")).json["calls"]
        assert (hit["model"], hit["route"]) == ("gpt-4o", "chat")
        wrong = await door.get("/api/gateway/calls?limit=many")
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "limit")
        (upstream,) = (await door.get("/api/gateway")).json["upstreams"]
        assert upstream["calls"]["200"] >= 2
        door.provider.wait_s = 20.0
        await leave(door, ask("left"), "off")
        assert door.provider.broken_calls == 1

    code, _, said = alone(test, Provider(wait_s=0.1))
    assert (code, said) == (0, "")

    async def kept() -> bool:
        store = await open_sql(f"sqlite:///{tmp_path}/.hasten/hasten.db")
        try:
            return await KeyStore(store).any()
        finally:
            await store.close()

    assert asyncio.run(kept()) is False
