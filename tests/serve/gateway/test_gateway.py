"""The gateway's data path: passed through, stored, given again, collapsed, invalidated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.serve.gateway.conftest import CHAT, MESSAGES, ask, leave
from tests.serve.gateway.upstream import Provider
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.gateway.conftest import Door

    Through = Callable[..., Any]


def test_a_call_goes_through_untouched_and_is_given_again(through: Through) -> None:
    """Unknown fields and headers travel; the second answer is ours, with a new id."""

    async def test(door: Door) -> None:
        first = await door.post(
            CHAT, ask(odd={"a": [1]}), openai_beta="x", authorization="Bearer sk-own"
        )
        assert first.status == 200
        assert first.json["id"] == "chatcmpl-up1"
        assert first.json["odd"] == 1
        assert "fwd=miss; stored" in first.said
        assert first.headers["x-request-id"] == "req_up"
        (seen,) = door.provider.seen
        assert seen.body == ask(odd={"a": [1]})
        assert seen.headers["openai-beta"] == "x"
        assert "authorization" not in seen.headers
        again = await door.post(CHAT, ask(odd={"a": [1]}), openai_beta="x")
        assert "hit" in again.said
        assert again.headers["hasten-cost-usd"] == "0"
        assert float(again.headers["hasten-saved-usd"]) > 0
        assert again.json["id"] not in ("", "chatcmpl-up1")
        same = {name: value for name, value in again.json.items() if name not in ("id", "created")}
        assert same == {n: v for n, v in first.json.items() if n not in ("id", "created")}
        other = await door.post(CHAT, ask(odd={"a": [1]}))
        assert "fwd=miss" in other.said
        assert len(door.provider.seen) == 2

    through(test)


def test_plain_and_streamed_are_one_entry(through: Through) -> None:
    """What was streamed is given plain, what was plain is streamed; usage as it was."""

    async def test(door: Door) -> None:
        streamed = await door.post(CHAT, ask(stream=True))
        assert streamed.events[-1] == "[DONE]"
        assert not any(one.get("usage") for one in streamed.events[:-1])
        plain = await door.post(CHAT, ask())
        assert "hit" in plain.said
        assert plain.json["choices"][0]["message"]["content"] == "Tea is ready."
        assert plain.json["usage"]["total_tokens"] == 11
        options = {"include_usage": True}
        replayed = await door.post(CHAT, ask(stream=True, stream_options=options))
        assert "hit" in replayed.said
        texts = [
            c["delta"].get("content") or "" for e in replayed.events[:-1] for c in e["choices"]
        ]
        assert "".join(texts) == "Tea is ready."
        assert replayed.events[-2]["usage"]["total_tokens"] == 11
        assert len(door.provider.seen) == 1
        await door.post(CHAT, ask("more?"))
        streamed = await door.post(CHAT, ask("more?", stream=True))
        assert "hit" in streamed.said
        assert len(door.provider.seen) == 2

    through(test)


def test_tools_are_given_again_in_both_forms(through: Through) -> None:
    """A stored tool call comes back plain and streamed."""
    tool = {"type": "function", "function": {"name": "brew", "parameters": {}}}

    async def test(door: Door) -> None:
        first = await door.post(CHAT, ask(tools=[tool]))
        streamed = await door.post(CHAT, ask(tools=[tool], stream=True))
        calls = [c["delta"].get("tool_calls") for e in streamed.events[:-1] for c in e["choices"]]
        (call,) = next(filter(None, calls))
        wanted = first.json["choices"][0]["message"]["tool_calls"][0]
        assert call == {"index": 0, **wanted}
        assert "hit" in streamed.said

    through(test)


def test_twenty_in_flight_are_one_call(through: Through) -> None:
    """Plain, streamed and mixed: the provider is asked once, everybody has the whole answer."""

    async def test(door: Door) -> None:
        for text, forms in (("a", (False,)), ("b", (True,)), ("c", (False, True))):
            asked = [
                door.post(CHAT, ask(text, stream=forms[place % len(forms)])) for place in range(20)
            ]
            given = await asyncio.gather(*asked)
            assert {one.status for one in given} == {200}
            for one in given:
                assert b"ready" in one.body
            assert sum("collapsed" in one.said or "hit" in one.said for one in given) == 19, text
        assert len(door.provider.seen) == 3

    through(test, provider=Provider(wait_s=0.2))


def test_a_late_joiner_gets_the_stream_from_its_start(through: Through) -> None:
    """Somebody who joins in the middle reads every word, and nobody waits for the end."""

    async def test(door: Door) -> None:
        early, late = bytearray(), bytearray()

        async def stream(into: bytearray) -> None:
            async with door.session.post(CHAT, json=ask(stream=True)) as answer:
                async for piece in answer.content.iter_any():
                    into.extend(piece)

        async with asyncio.TaskGroup() as both:
            both.create_task(stream(early))
            await until(lambda: b"is " in early)
            both.create_task(stream(late))
            await until(lambda: late == early)
            assert b"ready" not in late
            door.provider.may_go_on.set()
        assert late == early
        assert late.endswith(b"[DONE]\n\n")
        assert len(door.provider.seen) == 1

    through(test, provider=Provider(rests_after=3))


def test_what_an_upstream_refuses_is_passed_on_and_not_kept(through: Through) -> None:
    """Status, headers and body of an error are the provider's; the next call asks again."""
    body = b'{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}'
    headers = {"retry-after": "7", "x-ratelimit-remaining-tokens": "0"}

    async def test(door: Door) -> None:
        for stream in (False, True):
            door.provider.refusals.append((429, headers, body))
            refused = await door.post(CHAT, ask(stream=stream))
            assert (refused.status, refused.body) == (429, body)
            assert refused.headers["retry-after"] == "7"
            assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
        assert (await door.post(CHAT, ask())).status == 200

    through(test)


def test_an_upstream_that_dies_in_the_middle(through: Through) -> None:
    """The stream ends with an error in the caller's protocol, and nothing is kept of it."""

    async def test(door: Door) -> None:
        door.provider.dies_after = 3
        broken = await door.post(CHAT, ask(stream=True))
        assert broken.events[-1]["error"]["code"] == "model_unavailable"
        assert "[DONE]" not in broken.events
        door.provider.dies_after = None
        again = await door.post(CHAT, ask(stream=True))
        assert "fwd=miss" in again.said
        assert again.events[-1] == "[DONE]"

    through(test)


def test_a_client_that_leaves_takes_its_call_along(through: Through) -> None:
    """Upstream calls end when nobody listens any more: plain, streamed, bypassing."""

    async def test(door: Door) -> None:
        for fields in ({}, {"stream": True}):
            for mode in ("on", "off"):
                await leave(door, ask(mode, **fields), mode)
        assert (len(door.provider.seen), door.provider.broken_calls) == (4, 4)

    through(test, provider=Provider(wait_s=20.0))


def test_requests_tell_the_cache_what_to_do(through: Through) -> None:
    """Cache-Control and Hasten-Cache-*: refreshed, not stored, only if cached, kept out, tagged."""

    async def test(door: Door) -> None:
        only = await door.post(CHAT, ask(), cache_control="only-if-cached")
        assert only.status == 504
        await door.post(CHAT, ask(), cache_control="no-store")
        assert "fwd=miss" in (await door.post(CHAT, ask())).said
        assert "hit" in (await door.post(CHAT, ask(), cache_control="only-if-cached")).said
        assert "fwd=" in (await door.post(CHAT, ask(), cache_control="no-cache")).said
        assert "bypass" in (await door.post(CHAT, ask(), hasten_cache_mode="off")).said
        tagged = ask("tagged")
        await door.post(CHAT, tagged, hasten_cache_tags="market, x", hasten_session="s1")
        for tag in ("market", "session:s1"):
            assert "hit" in (await door.post(CHAT, tagged)).said
            async with door.session.post("/api/cache/invalidate", json={"tag": tag}) as done:
                assert done.status == 200
            gone = await door.post(CHAT, tagged, hasten_cache_tags="market", hasten_session="s1")
            assert "fwd=miss" in gone.said or "stale" in gone.said
        for name, value in (
            ("hasten_cache_scope", "public"),
            ("hasten_cache_ttl", "never"),
            ("hasten_cache_mode", "maybe"),
            ("hasten_cache_tags", "{x}"),
        ):
            wrong = await door.post(CHAT, ask(), **{name: value})
            assert wrong.status == 400
            assert name.replace("_", "-") in wrong.json["error"]["message"].lower()

    through(test)


def test_scopes_keep_people_and_sessions_apart(through: Through) -> None:
    """Session scope: another session has its own answer, and one without is shared by neither."""

    async def test(door: Door) -> None:
        mine = {"hasten_cache_scope": "session", "hasten_session": "a"}
        assert "fwd=miss" in (await door.post(CHAT, ask(), **mine)).said
        assert "hit" in (await door.post(CHAT, ask(), **mine)).said
        assert "fwd=miss" in (await door.post(CHAT, ask(), **{**mine, "hasten_session": "b"})).said
        assert "fwd=miss" in (await door.post(CHAT, ask())).said

    through(test)


def test_the_messages_protocol(through: Through) -> None:
    """Anthropic's routes: versions and betas travel, errors and streams are in its shape."""

    async def test(door: Door) -> None:
        asked = {
            "model": "claude-x",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "a"}],
        }
        first = await door.post(
            MESSAGES, asked, anthropic_beta="b1", anthropic_version="2023-06-01"
        )
        assert first.json["id"] == "msg_up1"
        assert door.provider.seen[0].path == "/v1/messages"
        assert door.provider.seen[0].headers["anthropic-beta"] == "b1"
        again = await door.post(
            MESSAGES, {**asked, "stream": True}, anthropic_beta="b1", anthropic_version="2023-06-01"
        )
        assert "hit" in again.said
        kinds = [one["type"] for one in again.events]
        assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
        assert again.events[0]["message"]["usage"]["input_tokens"] == 7
        streamed = await door.post(MESSAGES, {**asked, "stream": True, "system": "s"})
        assert "fwd=miss" in streamed.said
        plain = await door.post(MESSAGES, {**asked, "system": "s"})
        assert "hit" in plain.said
        assert plain.json["content"] == [{"type": "text", "text": "Tea is ready."}]
        assert plain.json["usage"]["output_tokens"] == 4
        counted = await door.post("/v1/messages/count_tokens", asked)
        assert counted.json == {"input_tokens": 12}
        wrong = await door.post(MESSAGES, b"{")
        assert (wrong.status, wrong.json["error"]["type"]) == (400, "invalid_request_error")

    through(test, protocol="anthropic")


def test_responses_embeddings_and_models(through: Through) -> None:
    """The other routes of OpenAI's: an answer the provider keeps keeps its id."""

    async def test(door: Door) -> None:
        asked = {"model": "gpt-4o", "input": "tea?"}
        for fields, is_kept in (({}, True), ({"store": False}, False)):
            first = await door.post("/v1/responses", {**asked, **fields})
            again = await door.post("/v1/responses", {**asked, **fields})
            assert "hit" in again.said
            assert (again.json["id"] == first.json["id"]) is is_kept
            assert again.json["output"] == first.json["output"]
            replayed = await door.post("/v1/responses", {**asked, **fields, "stream": True})
            assert replayed.events[-1]["type"] == "response.completed"
            assert (
                replayed.events[-1]["response"]["output"][0]["content"]
                == first.json["output"][0]["content"]
            )
        assert "bypass" in (await door.post("/v1/responses", {**asked, "background": True})).said
        embedded = {"model": "text-embedding-3-small", "input": "tea"}
        first = await door.post("/v1/embeddings", embedded)
        again = await door.post("/v1/embeddings", embedded)
        assert again.json == first.json
        assert "hit" in again.said
        assert (await door.get("/v1/models")).json["data"][0]["id"] == "gpt-4o"
        assert (await door.get("/v1/models/gpt-4o")).status == 200
        assert (await door.get("/v1/models/none")).status == 404
        assert (await door.get("/v1/nothing")).status == 404
        assert (await door.get(CHAT)).status == 405

    through(test)
