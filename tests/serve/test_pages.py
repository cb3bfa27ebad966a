"""What a browser or a monitor finds: health, the list of applications, the API's description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hasten.errors import SettingsError
from hasten.serve.admission import refuse_open_bind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client


def test_health_says_what_there_is(on_server: Callable[..., Any]) -> None:
    """Health names the model, the applications and the database, and is never cached."""

    async def test(client: Client) -> None:
        answer = await client.call("GET", "/health")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json["status"] == "ok"
        assert answer.json["apps"] == ["toy"]
        assert answer.json["simulated"] is True

    on_server(test)


def test_runs_go_on_without_the_database(on_server: Callable[..., Any]) -> None:
    """A database that is gone is said by health; runs are answered and stay readable."""

    async def test(client: Client) -> None:
        body = {"app": "toy", "inputs": {"topic": "tea"}}
        await client.call("POST", "/api/run", body)
        await client.runtime.sql.close()
        answer = await client.call("POST", "/api/run", body)
        assert answer.status == 200
        health = (await client.call("GET", "/health")).json
        assert health["status"] == "degraded"
        assert health["database"]["available"] is False
        shown = await client.call("GET", f"/api/runs/{answer.json['run_id']}")
        assert shown.status == 200
        refused = await client.call("GET", "/api/runs")
        assert refused.status == 503
        assert "sqlite" not in refused.json["detail"], "where a store is, is nobody's business"

    on_server(test)


def test_apps_describe_themselves(on_server: Callable[..., Any]) -> None:
    """Each has a schema with its vocabularies, samples that fit it, and its phases in order."""

    async def test(client: Client) -> None:
        (app,) = (await client.call("GET", "/api/apps")).json
        assert app["inputs"]["properties"]["topic"]["enum"] == ["tea", "coffee"]
        assert list(app["phases"]) == ["research", "draft", "answer"]
        assert app["modes"] == ["baseline", "hasten"]
        for sample in app["samples"].values():
            answer = await client.call("POST", "/api/run", {"app": "toy", "inputs": sample})
            assert answer.status == 200

    on_server(test)


def test_the_api_is_described(on_server: Callable[..., Any]) -> None:
    """The description has every route, and its page loads nothing from elsewhere."""

    async def test(client: Client) -> None:
        paths = (await client.call("GET", "/openapi.json")).json["paths"]
        assert {"/api/run", "/api/run/stream", "/api/runs/{run_id}", "/health"} <= set(paths)
        page = await client.call("GET", "/docs")
        assert page.status == 200
        assert b"http" not in page.body
        for path in ("/docs/start.js", "/docs/files/swagger-ui-bundle.js"):
            assert (await client.call("GET", path)).status == 200

    on_server(test)


def test_an_open_door_is_refused() -> None:
    """Beyond this machine nobody is let in without keys."""
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):  # noqa: S104 - what is refused
        with pytest.raises(SettingsError, match="keys create"):
            refuse_open_bind(host, has_keys=False)
        refuse_open_bind(host, has_keys=True)
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        refuse_open_bind(host, has_keys=False)
