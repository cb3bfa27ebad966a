"""An application's own routes, socket and page, mounted under its name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from hasten.caller import Caller
from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.notebook import notebook_app
from tests.serve.conftest import Client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

TEA = {"note_id": "tea", "said": "Buy tea."}


@pytest.fixture
def on_notebook(tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a server with the notebook."""

    def run(test: Callable[[Client], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            guard = create_app(Settings(home=tmp_path, speed=500.0), {"notebook": notebook_app()})
            async with serving(guard) as url, aiohttp.ClientSession(url) as session:
                client = Client(session, lambda: guard.app.state.runtime)
                return await asyncio.wait_for(test(client), 30)

        return asyncio.run(main())

    return run


def test_a_route_reads_the_tables_in_the_callers_name(on_notebook: Callable[..., Any]) -> None:
    """What the seed and a run wrote is there; the caller is who the key says."""

    async def main(client: Client) -> None:
        first = await client.call("GET", "/apps/notebook/notes/first")
        assert first.json == {"said": "Hello.", "user": "local"}
        body = {"app": "notebook", "inputs": TEA}
        assert (await client.call("POST", "/api/run", body)).status == 200
        secret = (await client.runtime.keys.create(Caller("local", "ann")))[1]
        path = "/apps/notebook/notes/tea"
        assert (await client.call("GET", path)).status == 401
        headers = {"Authorization": f"Bearer {secret}"}
        assert (await client.call("GET", path, headers=headers)).json == {
            "said": "Buy tea.",
            "user": "ann",
        }

    on_notebook(main)


def test_a_socket_streams_a_run(on_notebook: Callable[..., Any]) -> None:
    """Pieces as they come, then the end; several messages on one socket."""

    async def main(client: Client) -> None:
        async with client.session.ws_connect("/apps/notebook/chat") as socket:
            for _ in range(2):
                await socket.send_json(TEA)
                text = ""
                while "messageComplete" not in (said := await socket.receive_json()):
                    text += said["messageChunk"]
                shown = await client.call("GET", f"/api/runs/{said['messageComplete']}")
                assert shown.json["outputs"]["answer"] == text

    on_notebook(main)


def test_a_socket_is_closed_with_a_reason(on_notebook: Callable[..., Any]) -> None:
    """Wrong inputs close it; another site's page and a stranger stay out; a ticket opens once."""

    async def main(client: Client) -> None:
        async with client.session.ws_connect("/apps/notebook/chat") as socket:
            await socket.send_json({"note_id": "x"})
            message = await socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
            assert "'said' is missing" in (message.extra or "")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.session.ws_connect("/apps/notebook/chat", origin="https://evil.example")
        _, secret = await client.runtime.keys.create(Caller("local", "ann"))
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.session.ws_connect("/apps/notebook/chat")
        headers = {"Authorization": f"Bearer {secret}"}
        ticket = (await client.call("POST", "/api/tickets", headers=headers)).json["ticket"]
        path = f"/apps/notebook/chat?ticket={ticket}"
        async with client.session.ws_connect(path) as socket:
            await socket.send_json(TEA)
            assert "messageChunk" in await socket.receive_json()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.session.ws_connect(path)
        note = {"params": {"ticket": ticket}}
        assert (await client.call("GET", "/apps/notebook/notes/tea", **note)).status == 401

    on_notebook(main)


def test_the_page_and_its_files_are_served(on_notebook: Callable[..., Any]) -> None:
    """The console at the application's address, its module beside it, nothing for a stranger."""

    async def main(client: Client) -> None:
        page = await client.call("GET", "/apps/notebook")
        assert b"/console/app.js" in page.body
        (shown,) = (await client.call("GET", "/api/apps")).json
        below = "/apps/notebook/page"
        assert shown["page"] == {"module": f"{below}/page.js", "style": f"{below}/page.css"}
        module = await client.call("GET", shown["page"]["module"])
        assert b"by itself" in module.body
        assert "script-src 'self'" in module.headers["Content-Security-Policy"]
        assert [one["name"] for one in shown["operations"]] == ["notebook.count"]
        assert (await client.call("GET", "/apps/nope")).status == 404

    on_notebook(main)


def test_an_operation_is_run_by_its_name(on_notebook: Callable[..., Any]) -> None:
    """``<app>.<operation>`` over HTTP; an unknown one is a 404 that names those there are."""

    async def main(client: Client) -> None:
        body = {"app": "notebook.count", "inputs": {}}
        assert (await client.call("POST", "/api/run", body)).json["outputs"] == {"count": 1}
        wrong = await client.call("POST", "/api/run", {**body, "app": "notebook.sum"})
        assert (wrong.status, "there are: count" in wrong.json["detail"]) == (404, True)

    on_notebook(main)
