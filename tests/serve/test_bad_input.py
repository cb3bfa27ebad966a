"""Wrong requests: always a 4xx problem that names the field, never a 500, never a hang."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Answer, Client

CASES: dict[str, tuple[Any, int, str, str]] = {
    "unknown app": ({"app": "nope", "inputs": {}}, 404, "", "toy"),
    "unknown mode": (
        {"app": "toy", "inputs": {"topic": "tea"}, "mode": "x"},
        422,
        "mode",
        "hasten",
    ),
    "long app": ({"app": "x" * 100_000, "inputs": {}}, 422, "app", ""),
    "long mode": (
        {"app": "toy", "inputs": {"topic": "tea"}, "mode": "x" * 100_000},
        422,
        "mode",
        "",
    ),
    "no text": ({"app": "toy", "inputs": {"topic": "tea", "note": "a\0"}}, 422, "note", "U+0000"),
    "missing": ({"app": "toy", "inputs": {}}, 422, "topic", ""),
    "unknown field": ({"app": "toy", "inputs": {"topic": "tea", "x": 1}}, 422, "x", "note"),
    "outside": ({"app": "toy", "inputs": {"topic": "beer"}}, 422, "topic", "coffee"),
    "wrong type": ({"app": "toy", "inputs": {"topic": ["tea"]}}, 422, "topic", "tea"),
    "too long": (
        {"app": "toy", "inputs": {"topic": "tea", "note": "x" * 1_000_000}},
        422,
        "note",
        "",
    ),
    "inputs no object": ({"app": "toy", "inputs": [1]}, 422, "inputs", ""),
    "no inputs": ({"app": "toy"}, 422, "inputs", ""),
    "extra member": ({"app": "toy", "inputs": {"topic": "tea"}, "y": 1}, 422, "y", ""),
    "speed": ({"app": "toy", "inputs": {"topic": "tea"}, "speed": -1}, 422, "speed", ""),
    "not an object": ([1, 2], 422, "body", ""),
    "unicode": ({"app": "toy", "inputs": {"topic": "té\u0000\U0001f375"}}, 422, "topic", "tea"),
}


def check_problem(answer: Answer, status: int, field: str, allowed: str) -> None:
    """Check that an answer is a problem naming the field and what would do."""
    assert answer.status == status, answer.body[:500]
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = answer.json
    assert found["status"] == status
    assert found["title"]
    assert found["type"].startswith("urn:hasten:problem:")
    assert len(answer.body) < 2_000, "a problem never repeats the value back"
    if field:
        assert field in [one["field"] for one in found["errors"]]
    if allowed:
        assert allowed in str(found)


@pytest.mark.parametrize("path", ["/api/run", "/api/run/stream"])
def test_wrong_bodies(on_server: Callable[..., Any], path: str) -> None:
    """Each wrong body is refused with its field, plain and streamed alike."""

    async def test(client: Client) -> None:
        for body, *expected in CASES.values():
            check_problem(await client.call("POST", path, body), *expected)
        assert (await client.call("GET", "/health")).json["live_runs"] == 0

    on_server(test)


def test_not_json(on_server: Callable[..., Any]) -> None:
    """Broken JSON is a 400, another content type a 415, an enormous body a 413."""

    async def test(client: Client) -> None:
        as_json = {"Content-Type": "application/json"}
        broken = await client.call("POST", "/api/run", None, data=b'{"app": ', headers=as_json)
        check_problem(broken, 400, "", "")
        for data, why in ((b'{"app": "\xff"}', "UTF-8"), (b"[" * 100_000, "deep")):
            not_read = await client.call("POST", "/api/run", None, data=data, headers=as_json)
            check_problem(not_read, 400, "", why)
        form = await client.call("POST", "/api/run", None, data={"app": "toy"})
        check_problem(form, 415, "", "application/json")
        body = io.BytesIO(b" " * 9_000_000)
        huge = await client.call("POST", "/api/run", None, data=body, headers=as_json)
        check_problem(huge, 413, "", "")

        async def endless() -> Any:
            for _ in range(100):
                yield b" " * 100_000

        chunked = await client.call("POST", "/api/run", None, data=endless(), headers=as_json)
        assert chunked.status == 413

    on_server(test)


def test_wrong_queries(on_server: Callable[..., Any]) -> None:
    """The query form of a run names the field, too."""

    async def test(client: Client) -> None:
        path = "/api/run/stream?app=toy"
        check_problem(await client.call("GET", path), 422, "topic", "")
        check_problem(await client.call("GET", f"{path}&topic=beer"), 422, "topic", "tea")
        check_problem(await client.call("GET", f"{path}&topic=tea&speed=fast"), 422, "speed", "")
        check_problem(await client.call("GET", "/api/runs?limit=0"), 422, "limit", "")
        check_problem(await client.call("GET", "/api/runs?status=asleep"), 422, "status", "queued")
        check_problem(await client.call("GET", "/api/jobs?status=asleep"), 422, "status", "dead")
        check_problem(await client.call("GET", "/api/runs/nope"), 404, "", "nope")
        check_problem(await client.call("GET", "/api/runs/a%00"), 404, "", "U+0000")
        check_problem(await client.call("GET", "/api/runs?app=%00"), 404, "", "U+0000")
        check_problem(await client.call("GET", "/api/runs/nope/events"), 404, "", "nope")
        check_problem(await client.call("POST", "/api/runs/nope/cancel"), 404, "", "nope")
        check_problem(await client.call("GET", "/nothing/here"), 404, "", "/nothing/here")
        check_problem(await client.call("DELETE", "/api/run"), 405, "", "")

    on_server(test)


@pytest.mark.parametrize("wrong", ["format=morse", "pace=-1", "pace=x"])
def test_no_run_is_started_for_a_wrong_view(on_server: Callable[..., Any], wrong: str) -> None:
    """Who asks for a run in a protocol there is not pays for none."""

    async def test(client: Client) -> None:
        body = {"app": "toy", "inputs": {"topic": "tea"}}
        refused = [
            await client.call("POST", f"/api/run/stream?{wrong}", body),
            await client.call("GET", f"/api/run/stream?app=toy&topic=tea&{wrong}"),
        ]
        for one in refused:
            check_problem(one, 422, wrong.partition("=")[0], "")
        assert (await client.call("GET", "/api/runs")).json["runs"] == []

    on_server(test)


def test_other_sites_are_refused(on_server: Callable[..., Any]) -> None:
    """A page of another site can neither start a run nor read anything."""

    async def test(client: Client) -> None:
        body = {"app": "toy", "inputs": {"topic": "tea"}}
        rebound = {"Host": "evil.example"}
        assert (await client.call("GET", "/api/runs", headers=rebound)).status == 421
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            refused = await client.call("POST", "/api/run", body, headers=headers)
            check_problem(refused, 403, "", "")
            path = "/api/run/stream?app=toy&topic=tea"
            assert (await client.call("GET", path, headers=headers)).status == 403
        assert (await client.call("GET", "/api/runs")).json["runs"] == []

    on_server(test)


def test_own_pages_pass(on_server: Callable[..., Any]) -> None:
    """The server's own page may call it, under every name of this machine."""

    async def test(client: Client) -> None:
        host = client.session._base_url.authority
        headers = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert (await client.call("GET", "/api/apps", headers=headers)).status == 200
        for name in ("localhost", "127.0.0.1", "[::1]"):
            assert (await client.call("GET", "/api/apps", headers={"Host": name})).status == 200

    on_server(test)
