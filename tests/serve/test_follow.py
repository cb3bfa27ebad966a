"""Following a run: resumed at any message, in every protocol, over both transports."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError
from sqlalchemy import delete

from hasten.caller import Caller
from hasten.serve.stream.feed import FORMATS
from hasten.store.sql.schema import events as events_table
from tests.serve.sse import read_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

TEA = {"app": "toy", "inputs": {"topic": "tea", "note": "with milk"}}
HANGING = {"app": "toy", "inputs": {"topic": "tea", "trouble": "hang"}, "speed": 50}

every_format = pytest.mark.parametrize("protocol", FORMATS)


async def body(client: Client, path: str, method: str = "GET", **options: Any) -> bytes:
    """Read a whole stream as it is on the wire."""
    async with client.session.request(method, path, **options) as response:
        assert response.status == 200, await response.text()
        return await response.read()


def blocks(stream: bytes) -> list[bytes]:
    """Return the messages of a stream, without its first lines and its pings."""
    found = stream.split(b"\n\n")[:-1]
    return [block for block in found if not block.startswith((b"retry", b":"))]


def id_of(block: bytes) -> str:
    """Return a message's id."""
    return next(line[4:] for line in block.decode().split("\n") if line.startswith("id: "))


def data_of(block: bytes) -> Any:
    """Return a message's data."""
    line = next(line for line in block.split(b"\n") if line.startswith(b"data: "))
    return line[6:] if line == b"data: [DONE]" else json.loads(line[6:])


@every_format
def test_a_reader_comes_back_at_any_message(on_server: Callable[..., Any], protocol: str) -> None:
    """Whatever the last message was, what follows is what would have followed, to the byte."""

    async def test(client: Client) -> None:
        whole = await body(client, f"/api/run/stream?format={protocol}&pace=0", "POST", json=TEA)
        told = blocks(whole)
        path = f"/api/runs/{await newest(client)}/events?format={protocol}"
        assert blocks(await body(client, path)) == told
        for place, block in enumerate(told[:-1]):
            rest = await body(client, path, headers={"Last-Event-ID": id_of(block)})
            assert blocks(rest) == told[place + 1 :]
        ids = [id_of(block) for block in told]
        assert len(set(ids)) == len(ids)

    on_server(test)


def test_all_readers_of_a_live_run_hear_the_same(on_server: Callable[..., Any]) -> None:
    """Twenty readers that come at any time, and one that left twice, have the same bytes."""

    async def test(client: Client) -> None:
        async with client.session.post("/api/run/stream", json={**TEA, "speed": 20}) as first:
            path = f"/api/runs/{first.headers['Hasten-Run-Id']}/events"
            readers = [asyncio.create_task(body(client, path)) for _ in range(20)]
            after, seen = "", []
            for _ in range(3):
                async with client.session.get(f"{path}?after={after}") as response:
                    async for event in read_events(response):
                        seen.append(event)
                        after = event.id
                        if len(seen) in {3, 7}:
                            break
            whole = blocks(await first.read())
        assert [blocks(one) for one in await asyncio.gather(*readers)] == [whole] * 20
        assert [event.id for event in seen] == [id_of(block) for block in whole]

    on_server(test)


def test_nothing_is_left_to_read(on_server: Callable[..., Any]) -> None:
    """Who has seen the end gets 204, which keeps an EventSource from coming again."""

    async def test(client: Client) -> None:
        last = id_of(blocks(await body(client, "/api/run/stream", "POST", json=TEA))[-1])
        path = f"/api/runs/{await newest(client)}/events"
        assert (await client.call("GET", f"{path}?after={last}")).status == 204

    on_server(test)


def test_an_eventsource_that_comes_again_starts_nothing(on_server: Callable[..., Any]) -> None:
    """It repeats the request it was opened with, when the stream broke and when it ended."""

    async def test(client: Client) -> None:
        path = "/api/run/stream?app=toy&topic=tea"
        last = id_of(blocks(await body(client, path))[-1])
        again = await client.call("GET", path, headers={"Last-Event-ID": last})
        assert again.status == 204
        assert len((await client.call("GET", "/api/runs")).json["runs"]) == 1

    on_server(test)


@pytest.mark.parametrize("wrong", ["x", "-1", "1.", "1.2.3", "٣", "9" * 20])
def test_a_wrong_id_is_named(on_server: Callable[..., Any], wrong: str) -> None:
    """An id that no message of ours has is a 422 at once, not a broken stream."""

    async def test(client: Client) -> None:
        await body(client, "/api/run/stream", "POST", json=TEA)
        path = f"/api/runs/{await newest(client)}/events"
        answer = await client.call("GET", path, params={"after": wrong})
        assert answer.status == 422
        assert answer.json["errors"][0]["field"] == "after"

    on_server(test)


@every_format
def test_what_is_gone_is_said_and_the_result_is_told(
    on_server: Callable[..., Any], protocol: str
) -> None:
    """Events lost in the middle are a gap; a lost end is told from what is stored of the run."""

    async def test(client: Client) -> None:
        told = blocks(await body(client, f"/api/run/stream?format={protocol}", "POST", json=TEA))
        run_id = await newest(client)
        path = f"/api/runs/{run_id}/events?format={protocol}"
        await forget(client, run_id, (1, 2, 5, 6, 7))
        rest = blocks(await body(client, path))
        assert id_of(rest[-1]) == id_of(told[-1])
        if protocol != "openai-responses":
            assert b"gap" in b"".join(rest)
        await forget(client, run_id, range(9, 1_000))
        rest = blocks(await body(client, path))
        assert b"facts about tea" in b"".join(rest)
        ended = {
            "hasten": b'"complete":true',
            "ai-sdk": b"[DONE]",
            "ag-ui": b"RUN_FINISHED",
            "openai-responses": b"response.completed",
        }
        assert ended[protocol] in rest[-1]
        from_beyond = blocks(await body(client, f"{path}&after=999"))
        assert from_beyond
        assert ended[protocol] in from_beyond[-1]

    on_server(test)


def test_a_gap_names_its_first_and_last(on_server: Callable[..., Any]) -> None:
    """A reader knows which events it will never see."""

    async def test(client: Client) -> None:
        await body(client, "/api/run/stream", "POST", json=TEA)
        run_id = await newest(client)
        await forget(client, run_id, (4, 5))
        told = blocks(await body(client, f"/api/runs/{run_id}/events"))
        (gap,) = (block for block in told if block.startswith(b"event: gap"))
        assert data_of(gap) == {"first": 4, "last": 5}
        assert id_of(gap) == "5"

    on_server(test)


def test_a_kept_answer_is_streamed_at_a_pace(on_server: Callable[..., Any]) -> None:
    """A rerun comes as text in the same protocol, no faster than asked for, and is the same."""

    async def test(client: Client) -> None:
        await body(client, "/api/run/stream", "POST", json=TEA)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        paced = blocks(await body(client, "/api/run/stream?pace=2000", "POST", json=TEA))
        took_s = loop.time() - began_s
        told = [data_of(block) for block in paced]
        assert told[-1]["reuse"]["cached"] is True
        text = "".join(one["text"] for one in told if "section" in one)
        (whole,) = (one["data"]["answer"] for one in told if one.get("status") == "completed")
        assert text == whole
        assert took_s > len(text) / 2_000
        path = f"/api/runs/{told[-1]['run_id']}/events?pace=1000000"
        half = id_of(paced[len(paced) // 2])
        assert blocks(await body(client, f"{path}&after={half}")) == paced[len(paced) // 2 + 1 :]
        at_once = blocks(await body(client, path.replace("1000000", "0")))
        assert not any("section" in data_of(block) for block in at_once)

    on_server(test)


def test_a_socket_tells_what_the_events_tell(on_server: Callable[..., Any]) -> None:
    """The same messages come over a WebSocket, from any id on, and it closes at the end."""

    async def test(client: Client) -> None:
        told = blocks(await body(client, "/api/run/stream", "POST", json=TEA))
        path = f"/api/runs/{await newest(client)}/ws"
        for after in ("", id_of(told[4])):
            async with client.session.ws_connect(f"{path}?after={after}") as socket:
                sent = [json.loads(message.data) async for message in socket]
                assert socket.close_code == 1000
            rest = told[5:] if after else told
            assert [(one["id"], one["data"]) for one in sent] == [
                (id_of(block), data_of(block)) for block in rest
            ]

    on_server(test)


def test_closing_a_socket_is_not_cancelling(on_server: Callable[..., Any]) -> None:
    """A socket that closes leaves the run alone; one that asks for it cancels it."""

    async def test(client: Client) -> None:
        async with client.session.post("/api/run/stream", json=HANGING) as response:
            path = f"/api/runs/{response.headers['Hasten-Run-Id']}/ws"
            async with client.session.ws_connect(path) as socket:
                await socket.receive_json()
            assert (await client.call("GET", "/health")).json["live_runs"] == 1
            async with client.session.ws_connect(path) as socket:
                await socket.send_bytes(b'{"type": "cancel"}')
                for said in ("{", "[" * 9_000, "[]", '{"type": "other"}', '{"type": "cancel"}'):
                    await socket.send_str(said)
                sent = [json.loads(message.data) async for message in socket]
            assert sent[-1]["data"]["status"] == "cancelled"
            assert blocks(await response.read())

    on_server(test)


def test_a_ticket_opens_one_stream(on_server: Callable[..., Any]) -> None:
    """A page that can send no key brings a ticket, which is good once, for events or a socket."""

    async def test(client: Client) -> None:
        _, secret = await client.runtime.keys.create(Caller(tenant="acme", user="ann"))
        key = {"headers": {"Authorization": f"Bearer {secret}"}}
        await body(client, "/api/run/stream", "POST", json=TEA, **key)
        run_id = await newest(client, **key)
        for _ in range(2):
            ticket = (await client.call("POST", "/api/tickets", **key)).json["ticket"]
            path = f"/api/runs/{run_id}/events?ticket={ticket}"
            assert blocks(await body(client, path))
            assert (await client.call("GET", path)).status == 401
        ticket = (await client.call("POST", "/api/tickets", **key)).json["ticket"]
        path = f"/api/run/stream?app=toy&topic=tea&ticket={ticket}"
        assert blocks(await body(client, path))
        ticket = (await client.call("POST", "/api/tickets", **key)).json["ticket"]
        path = f"/api/runs/{run_id}/ws?ticket={ticket}"
        async with client.session.ws_connect(path) as socket:
            assert (await socket.receive()).type is WSMsgType.TEXT
        with pytest.raises(WSServerHandshakeError):
            await client.session.ws_connect(path)
        assert (await client.call("POST", "/api/tickets")).status == 401

    on_server(test)


def test_a_ticket_shows_no_more_than_its_caller_may_see(on_server: Callable[..., Any]) -> None:
    """A ticket of one tenant opens no run of another."""

    async def test(client: Client) -> None:
        keys = client.runtime.keys
        _, ann = await keys.create(Caller(tenant="acme", user="ann"))
        _, eve = await keys.create(Caller(tenant="other", user="eve", role="admin"))
        as_ann = {"headers": {"Authorization": f"Bearer {ann}"}}
        await body(client, "/api/run/stream", "POST", json=TEA, **as_ann)
        run_id = await newest(client, **as_ann)
        as_eve = {"headers": {"Authorization": f"Bearer {eve}"}}
        ticket = (await client.call("POST", "/api/tickets", **as_eve)).json["ticket"]
        answer = await client.call("GET", f"/api/runs/{run_id}/events?ticket={ticket}")
        assert answer.status == 404

    on_server(test)


@pytest.mark.parametrize("path", ["events", "ws"])
def test_pages_of_other_sites_are_refused(on_server: Callable[..., Any], path: str) -> None:
    """Neither transport opens for a page from elsewhere, key or not."""

    async def test(client: Client) -> None:
        await body(client, "/api/run/stream", "POST", json=TEA)
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        headers = {"Origin": "https://evil.example", **(upgrade if path == "ws" else {})}
        whole = f"/api/runs/{await newest(client)}/{path}"
        assert (await client.call("GET", whole, headers=headers)).status == 403

    on_server(test)


async def newest(client: Client, **options: Any) -> str:
    """Return the id of the last run."""
    found: str = (await client.call("GET", "/api/runs", **options)).json["runs"][0]["run_id"]
    return found


async def forget(client: Client, run_id: str, numbers: Any) -> None:
    """Delete events of a run from the database, as a lost disk would."""
    gone = delete(events_table).where(
        events_table.c.run_id == run_id, events_table.c.seq.in_(list(numbers))
    )
    await client.runtime.sql.write(lambda connection: connection.execute(gone) and None)
