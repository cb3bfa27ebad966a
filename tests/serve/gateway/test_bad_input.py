"""Whatever comes in: no crash, no 5xx, no hang; and what may change an answer changes its key."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_params
from openai.types import embedding_create_params, responses
from openai.types.chat import completion_create_params

from hasten.caller import LOCAL
from hasten.serve.gateway.routes import CHAT as CHAT_ROUTE
from hasten.serve.gateway.routes import COUNT, EMBEDDINGS, IGNORED, RESPONSES, read_question
from hasten.serve.gateway.routes import MESSAGES as MESSAGES_ROUTE
from hasten.settings import UpstreamSettings
from tests.serve.gateway.conftest import CHAT, MESSAGES, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.gateway.conftest import Door

    Through = Callable[..., Any]

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
)
PATHS = (CHAT, MESSAGES, "/v1/responses", "/v1/embeddings", "/v1/messages/count_tokens")
SEED = 7
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 2**70, "", "\u0000", "é" * 300, "\ud800", [], {}, [[]]),
    *(
        {"role": "user"},
        [{"role": 1}],
        [{"role": "user", "content": {}}],
        ["x"] * 50,
        {"a": {"b": []}},
    ),
)


def mangled(source: random.Random) -> tuple[str, bytes]:
    """Return a request with something wrong with it."""
    path = source.choice(PATHS)
    body: Any = {
        "model": "gpt-4o",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
        "input": "hi",
        "stream": source.random() < 0.2,
    }
    for _ in range(source.randint(1, 3)):
        name = source.choice(
            [*body, "tools", "stream_options", "response_format", "stop", "system"]
        )
        body[name] = source.choice(ODD)
    try:
        data = orjson.dumps(body)
    except TypeError:
        data = repr(body).encode("utf-8", "surrogatepass")
    if source.random() < 0.4:
        place = source.randrange(len(data))
        cut = (
            data[:place],
            data[place:],
            data + data[:place],
            data[:place] + b"\xff" + data[place:],
        )
        data = source.choice(cut)
    return path, source.choice([data, data, data, b"[" * 2_000, b"null", b'"x"', b""])


@pytest.mark.parametrize(
    "count", [300, pytest.param(10_000, marks=pytest.mark.slow)], ids=["some", "10000"]
)
def test_malformed_requests(through: Through, count: int) -> None:
    """Seeded nonsense against the simulated model: 4xx or an answer, nothing else, every time."""

    async def test(door: Door) -> None:
        source = random.Random(SEED)
        statuses = set()
        for _ in range(count // 20):
            asked = [door.post(*mangled(source)) for _ in range(20)]
            for given in await asyncio.gather(*asked):
                statuses.add(given.status)
                assert given.status < 500, given.body[:300]
                if given.status >= 400:
                    assert given.json["error"]["message"]
        assert 400 in statuses

    quick = UpstreamSettings(name="sim", protocol="simulated")
    through(test, upstreams=(quick,), speed=1_000.0, within_s=count / 20)


@pytest.mark.parametrize("name", ["", "m" * 201, "sim\0", "sim\nx", 7])
def test_a_model_has_a_name_that_can_be_kept(through: Through, name: Any) -> None:
    """Else PostgreSQL would refuse the call's row, and with it those of all other calls then."""

    async def test(door: Door) -> None:
        refused = await door.post(CHAT, ask("tea?", model=name))
        assert (refused.status, refused.json["error"]["param"]) == (400, "model")

    through(test)


def test_an_empty_stop_stops_nothing(through: Through) -> None:
    """Found by the long run: the simulated model could not cut a text at nothing."""

    async def test(door: Door) -> None:
        for stop in ("", ["", "§"]):
            assert (await door.post(CHAT, ask(stop=stop))).status == 200

    quick = UpstreamSettings(name="sim", protocol="simulated")
    through(test, upstreams=(quick,), speed=1_000.0)


def test_doors_that_stay_shut(through: Through) -> None:
    """Another host, another site's page, no JSON, too much, twice the same header."""

    async def test(door: Door) -> None:
        for headers, status in (
            ({"host": "evil.example"}, 421),
            ({"origin": "https://evil.example"}, 403),
            ({"sec_fetch_site": "cross-site"}, 403),
            ({"content_type": "text/plain"}, 415),
        ):
            refused = await door.post(CHAT, ask(), **headers)
            assert refused.status == status
            assert refused.json["error"]["message"]
        assert (await door.post(CHAT, b"x" * 3_000)).status == 413
        raw = (
            HEAD + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n"
            b"content-length: 2\r\n\r\n{}"
        )
        assert b"HTTP/1.1 400" in await sent(door, raw)
        chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n"
        assert b"HTTP/1.1 413" in await sent(
            door, chunked + b"fff\r\n" + b"x" * 4_095 + b"\r\n0\r\n\r\n"
        )
        assert not door.provider.seen

    through(test, max_body_bytes=2_048)


async def sent(door: Door, data: bytes) -> bytes:
    """Send bytes as they are and return the beginning of what comes back."""
    port = int(door.url.rsplit(":", 1)[1].strip("/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(1_000), 5)
    writer.close()
    return answer


def test_a_body_that_never_comes(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends slowly for ever is told so, and the gateway goes on."""
    monkeypatch.setattr("hasten.serve.gateway.door.BODY_WITHIN_S", 0.2)
    monkeypatch.setattr("hasten.serve.gateway.door.LOOK_EVERY_S", 0.05)

    async def test(door: Door) -> None:
        assert b"HTTP/1.1 408" in await sent(door, HEAD + b"content-length: 99\r\n\r\n{")
        assert (await door.post(CHAT, ask())).status == 200

    through(test)


def key_of(route: Any, body: dict[str, Any]) -> bytes:
    """Return the digest of a body's key."""
    from hasten.cache.policy import CachePolicy

    question = read_question(route, orjson.dumps(body))
    return CachePolicy(use="gateway").key(question.fields, LOCAL, made_by=route.name).digest


def fields_of(*kinds: Any) -> list[str]:
    """Return every field that the official client's types know."""
    return sorted({name for kind in kinds for name in kind.__annotations__})


@pytest.mark.parametrize(
    ("route", "fields"),
    [
        (
            CHAT_ROUTE,
            fields_of(
                completion_create_params.CompletionCreateParamsBase,
                completion_create_params.CompletionCreateParamsNonStreaming,
            ),
        ),
        (
            RESPONSES,
            fields_of(responses.response_create_params.ResponseCreateParamsBase),
        ),
        (
            MESSAGES_ROUTE,
            fields_of(
                message_create_params.MessageCreateParamsBase,
                beta_params.MessageCreateParamsBase,
            ),
        ),
        (COUNT, fields_of(message_count_tokens_params.MessageCountTokensParams)),
        (EMBEDDINGS, fields_of(embedding_create_params.EmbeddingCreateParams)),
    ],
    ids=["chat", "responses", "messages", "count_tokens", "embeddings"],
)
def test_every_field_is_in_the_key(route: Any, fields: list[str]) -> None:
    """Each field of the official client's types, and 50 unknown ones, but for the short list."""
    base = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    plain = key_of(route, base)
    for name in (*fields, *(f"unknown_{number}" for number in range(50))):
        value: Any = True if name == "stream" else {"include_usage": True}
        value = "other-model" if name == "model" else value
        is_same = key_of(route, {**base, name: value}) == plain
        assert is_same is (name in IGNORED), name
        if name not in IGNORED and name != "model":
            for odd in (False, 0, 0.5, "x", [], [1], "y" * 100):
                assert key_of(route, {**base, name: odd}) != key_of(route, {**base, name: value})
    changed = [name for name in fields if name not in IGNORED]
    assert len(changed) >= min(len(fields), 4)
    assert key_of(route, {**base, "top_p": 1}) != key_of(route, {**base, "top_p": 1.0})
    assert key_of(route, dict(reversed(base.items()))) == plain
