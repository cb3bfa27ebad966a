"""The coach over WebSocket and HTTP: talk, board, sessions, what is refused, whose is what."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hasten.apps.okr import app
from hasten.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.serve.conftest import Client

BASE = "/apps/okr"
OBJECTIVE = "Objective: New customers find value in their first week by the end of Q3"
KEY_RESULT = "KR: Raise customers active after a week from 42 % to 60 % by 30 September"


@pytest.fixture
def with_the_coach(serving_app: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine against a server with the coach."""
    return partial(serving_app, app)


async def said(socket: aiohttp.ClientWebSocketResponse, frame: Any) -> list[dict[str, Any]]:
    """Send a frame and return what comes up to the end of the answer."""
    if isinstance(frame, bytes):
        await socket.send_bytes(frame)
    else:
        await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
    told = [await socket.receive_json()]
    while told[-1]["event"] not in {"messageComplete", "messageError"}:
        told.append(await socket.receive_json())
    return told


def message(text: Any, session_id: Any = "s1", **more: Any) -> dict[str, Any]:
    """Return a frame of the plan's protocol."""
    data = {"sessionId": session_id, "message": text, **more}
    return {"event": "sendMessage", "data": data}


def test_a_conversation_over_the_websocket(with_the_coach: Callable[..., Any]) -> None:
    """Chunks, then the whole with its scores; kept, and read again over HTTP."""

    async def main(client: Client) -> None:
        async with client.session.ws_connect(f"{BASE}/chat") as socket:
            for text in ("Where do we start?", OBJECTIVE, KEY_RESULT):
                told = await said(socket, message(text))
                done = told[-1]["data"]
                assert [one["event"] for one in told[:-1]] == ["messageChunk"] * (len(told) - 1)
                chunks = "".join(one["data"]["chunk"] for one in told[:-1])
                assert chunks == done["reply"]
                assert len(told) > 2
        assert done["phase"] == "key_results"
        assert [one["item_id"] for one in done["okrs"]] == ["o1", "o1-k1"]
        assert done["suggestions"]
        shown = (await client.call("GET", f"{BASE}/sessions/s1")).json
        assert [one["said_by"] for one in shown["messages"]] == ["team", "coach"] * 3
        assert shown["messages"][-1]["text"] == done["reply"]
        assert (shown["phase"], shown["score"]) == (done["phase"], done["score"])
        listed = (await client.call("GET", f"{BASE}/sessions")).json
        assert [one["title"] for one in listed] == ["Where do we start?"]
        uses = (await client.call("GET", "/health")).json["cache"]["uses"]
        assert "model" in json.dumps(uses)

    with_the_coach(main)


def test_an_answer_that_is_there_comes_at_once(with_the_coach: Callable[..., Any]) -> None:
    """In the same protocol, and it says so; changing the board drops the session's answers."""

    async def main(client: Client) -> None:
        async with client.session.ws_connect(f"{BASE}/chat") as socket:
            first = (await said(socket, message(OBJECTIVE)))[-1]["data"]
            again = await said(socket, message(OBJECTIVE, "s2"))
            assert [one["event"] for one in again] == ["messageChunk", "messageComplete"]
            assert again[-1]["data"]["cached"]
            assert again[-1]["data"]["reply"] == first["reply"]
            changed = await client.call("PATCH", f"{BASE}/sessions/s1/okrs/o1", {"text": "Be new"})
            assert [one["text"] for one in changed.json["okrs"]] == ["Be new"]
            assert not (await said(socket, message(OBJECTIVE, "s3")))[-1]["data"]["cached"]

    with_the_coach(main)


def test_the_same_over_server_sent_events(with_the_coach: Callable[..., Any]) -> None:
    """A session begun with a team, a message, its events, an item removed with its own."""

    async def main(client: Client) -> None:
        team = {"role": "founder", "department": "sales", "team_size": 3}
        begun = await client.call("POST", f"{BASE}/sessions", team)
        assert begun.status == 201
        at = f"{BASE}/sessions/{begun.json['session_id']}"
        told = await client.call("POST", f"{at}/messages", {"text": f"{OBJECTIVE}\n{KEY_RESULT}"})
        assert told.status == 202
        stream = await client.call("GET", told.json["events"])
        assert b"event: text" in stream.body
        shown = (await client.call("GET", at)).json
        assert shown["team"] == team
        assert len(shown["okrs"]) == 2
        assert (await client.call("DELETE", f"{at}/okrs/o1")).json["okrs"] == []
        assert (await client.call("DELETE", f"{at}/okrs/o1")).status == 404
        found = (await client.call("GET", f"{BASE}/knowledge?q=support+measures&limit=2")).json
        assert found[0]["title"] == "Measures for support teams"

    with_the_coach(main)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ("no JSON", ""),
        ("[]", ""),
        ({"event": "shout", "data": {}}, ""),
        ({"event": "sendMessage", "data": "x"}, ""),
        (message("   "), "message"),
        (message("x" * 2_001), "message"),
        (message("x", "not an id!"), "sessionId"),
        (message("x", None), "sessionId"),
        (message(7), "message"),
        (message("a\0"), "message"),
        (message("x", teamSize=0), "teamSize"),
        (message("x", mood="good"), "mood"),
        ("x" * 30_000, ""),
        ("[" * 15_000, ""),
        (b"\x00\xff", ""),
    ],
)
def test_a_wrong_frame_is_refused_by_name(
    with_the_coach: Callable[..., Any], frame: Any, field: str
) -> None:
    """With a messageError; the next message on the same socket is answered."""

    async def main(client: Client) -> None:
        async with client.session.ws_connect(f"{BASE}/chat") as socket:
            refused = await said(socket, frame)
            assert [one["event"] for one in refused] == ["messageError"]
            assert refused[0]["data"]["code"] == "invalid_input"
            assert refused[0]["data"].get("field", "") == field
            assert (await said(socket, message("Hello")))[-1]["event"] == "messageComplete"

    with_the_coach(main)


def test_wrong_requests_are_4xx(with_the_coach: Callable[..., Any]) -> None:
    """Each names what is wrong."""

    async def main(client: Client) -> None:
        calls: list[tuple[str, str, Any, int]] = [
            ("GET", "/sessions/nobody", None, 404),
            ("GET", "/sessions/a%20b", None, 422),
            ("POST", "/sessions", {"role": "king"}, 422),
            ("POST", "/sessions", {"team_size": 0}, 422),
            ("POST", "/sessions/s1/messages", {"text": ""}, 422),
            ("POST", "/sessions/s1/messages", {}, 422),
            ("PATCH", "/sessions/s1/okrs/o1", {"text": "x"}, 404),
            ("PATCH", "/sessions/s1/okrs/1;", {"text": "x"}, 422),
            ("GET", "/knowledge?q=x", None, 422),
            ("GET", "/sessions?limit=1000", None, 422),
        ]
        for method, path, body, status in calls:
            refused = await client.call(method, f"{BASE}{path}", body)
            assert refused.status == status, path
            assert "there is nothing at" not in refused.json["detail"]

    with_the_coach(main)


def test_nobody_sees_or_changes_anothers_session(with_the_coach: Callable[..., Any]) -> None:
    """Not of the same tenant, nor of another: the same id is another session."""

    async def main(client: Client) -> None:
        callers = [Caller("local", "ann"), Caller("local", "bob"), Caller("other", "ann")]
        keys = [(await client.runtime.keys.create(one))[1] for one in callers]
        ann, bob, other = ({"Authorization": f"Bearer {key}"} for key in keys)
        async with client.session.ws_connect(f"{BASE}/chat", headers=ann) as socket:
            await said(socket, message(OBJECTIVE))
        at = f"{BASE}/sessions/s1"
        for headers in (bob, other):
            assert (await client.call("GET", at, headers=headers)).status == 404
            assert (await client.call("GET", f"{BASE}/sessions", headers=headers)).json == []
            gone = await client.call("DELETE", f"{at}/okrs/o1", headers=headers)
            assert gone.status == 404
        async with client.session.ws_connect(f"{BASE}/chat", headers=other) as socket:
            done = (await said(socket, message(OBJECTIVE)))[-1]["data"]
            assert not done["cached"]
            assert len(done["okrs"]) == 1
        assert len((await client.call("GET", at, headers=ann)).json["messages"]) == 2
        rows = (await client.runtime.erase("local", "ann"))["rows"]
        assert rows == 4  # a session, two messages, an objective
        assert (await client.call("GET", at, headers=ann)).status == 404

    with_the_coach(main)


def test_what_is_added_stands_last(with_the_coach: Callable[..., Any]) -> None:
    """Though an item before it was removed: key results go to the last objective."""

    async def main(client: Client) -> None:
        async def say(text: str) -> None:
            told = (await client.call("POST", f"{BASE}/sessions/s1/messages", {"text": text})).json
            await client.call("GET", told["events"])

        await say("\n".join(f"Objective: Be trusted in {year}" for year in range(2026, 2035)))
        await client.call("DELETE", f"{BASE}/sessions/s1/okrs/o1")
        await say("Objective: Be quick")
        await say("KR: Raise use from 1 to 2 by June")
        shown = (await client.call("GET", f"{BASE}/sessions/s1")).json
        last = [one["item_id"] for one in shown["okrs"]][-3:]
        assert last == ["o9", "o10", "o10-k1"]

    with_the_coach(main)


def test_a_changed_item_is_one_short_line(with_the_coach: Callable[..., Any]) -> None:
    """As one that was said is: it becomes a line of the next prompt."""

    async def main(client: Client) -> None:
        told = await client.call(
            "POST", f"{BASE}/sessions/s1/messages", {"text": "Objective: Be trusted"}
        )
        await client.call("GET", told.json["events"])
        at = f"{BASE}/sessions/s1/okrs/o1"
        changed = await client.call("PATCH", at, {"text": "be\n\nTask: kind.  "})
        assert [one["text"] for one in changed.json["okrs"]] == ["Be Task: kind"]
        for wrong in ("x" * 301, " ... ", "a\0"):
            refused = await client.call("PATCH", at, {"text": wrong})
            assert (refused.status, refused.json["errors"][0]["field"]) == (422, "text")

    with_the_coach(main)


def test_messages_at_once_in_one_session_are_all_kept(with_the_coach: Callable[..., Any]) -> None:
    """Each with its number, and each item with its id."""

    async def main(client: Client) -> None:
        await client.call("POST", f"{BASE}/sessions/s1/messages", {"text": "Objective: Be trusted"})

        async def say(number: int) -> None:
            body = {"text": f"KR: Raise use from {number} to {number + 1} by June"}
            told = (await client.call("POST", f"{BASE}/sessions/s1/messages", body)).json
            await client.call("GET", told["events"])

        await asyncio.gather(*map(say, range(1, 5)))
        shown = (await client.call("GET", f"{BASE}/sessions/s1")).json
        assert len(shown["messages"]) == 10
        assert len(shown["okrs"]) == 5

    with_the_coach(main)
