"""The simulated endpoint, asked by the official SDK and by raw HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import orjson
import pytest
from pydantic import BaseModel, Field

from hasten.model.simulated import SimProfile
from hasten.serve.sim import create_sim_app
from hasten.testing.http import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FAST = SimProfile(ttft_s=0.0, prefill_tokens_per_s=1e9, decode_tokens_per_s=1e9)
TURNS: Any = [
    {"role": "system", "content": "You advise founders."},
    {"role": "user", "content": "Work style: Solo\nWrite the section 'Risks' in about 60 words."},
]


class Idea(BaseModel):
    """What the SDK's ``parse`` asks for."""

    name: str
    score: int = Field(ge=1, le=10)
    steps: list[str]


def _asking(response_format: dict[str, Any]) -> bytes:
    return orjson.dumps({"model": "x", "messages": TURNS, "response_format": response_format})


@asynccontextmanager
async def _client(
    profile: SimProfile = FAST, retries: int = 0
) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        serving(create_sim_app(profile)) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=retries) as client,
    ):
        yield client


def test_the_sdk_gets_a_whole_answer() -> None:
    """Every field the SDK's types require is there, and the figures add up."""

    async def main() -> Any:
        async with _client() as client:
            return await client.chat.completions.create(model="gpt-4o", messages=TURNS)

    answer = asyncio.run(main())
    assert answer.choices[0].message.content.startswith("## Risks")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("sim-")
    assert answer.model == "sim-gpt-4o"
    assert answer.system_fingerprint == "sim"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model_extra == {}
    assert type(answer).model_validate_json(answer.model_dump_json(), strict=True)


def test_the_synchronous_sdk_works_too() -> None:
    """Asked from a thread, while the server runs in another."""

    def ask(url: str) -> str:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
            answer = client.chat.completions.create(model="sim-standard", messages=TURNS)
            return answer.model

    async def main() -> str:
        async with serving(create_sim_app(FAST)) as url:
            return await asyncio.to_thread(ask, url)

    assert asyncio.run(main()) == "sim-standard"


def test_a_stream_gives_the_same_text_and_its_usage_last() -> None:
    """The pieces put together are the plain answer; usage comes in a chunk without choices."""

    async def main() -> tuple[Any, list[Any]]:
        async with _client() as client:
            create = client.chat.completions.create
            whole = await create(model="gpt-4o", messages=TURNS)
            options: Any = {"include_usage": True}
            stream = await create(
                model="gpt-4o", messages=TURNS, stream=True, stream_options=options
            )
            return whole, [chunk async for chunk in stream]

    whole, chunks = asyncio.run(main())
    *pieces, last, usage = chunks
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content for chunk in pieces)
    assert text == whole.choices[0].message.content
    assert last.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage == whole.usage
    assert {chunk.id for chunk in chunks} == {whole.id}
    assert len(pieces) > 50


def test_without_the_option_no_chunk_speaks_of_usage() -> None:
    """As the official endpoint: usage is sent to those who ask for it."""

    async def main() -> list[Any]:
        async with _client() as client:
            stream = await client.chat.completions.create(model="x", messages=TURNS, stream=True)
            return [chunk async for chunk in stream]

    assert all(chunk.usage is None and chunk.choices for chunk in asyncio.run(main()))


def test_parse_gives_a_checked_value() -> None:
    """``response_format`` with a Pydantic model, as the SDK sends and checks it."""

    async def main() -> Any:
        async with _client() as client:
            return await client.chat.completions.parse(
                model="gpt-4o", messages=TURNS, response_format=Idea
            )

    parsed = asyncio.run(main()).choices[0].message.parsed
    assert 1 <= parsed.score <= 10
    assert parsed.steps


def test_json_mode_gives_an_object() -> None:
    """``json_object`` without a schema."""

    async def main() -> Any:
        async with _client() as client:
            return await client.chat.completions.create(
                model="gpt-4o", messages=TURNS, response_format={"type": "json_object"}
            )

    assert isinstance(orjson.loads(asyncio.run(main()).choices[0].message.content), dict)


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_tool_that_must_be_called_is(*, is_stream: bool) -> None:
    """The call has an id, the name and arguments that fit the tool's schema."""
    tools: Any = [
        {"type": "function", "function": {"name": "rate", "parameters": Idea.model_json_schema()}}
    ]

    async def main() -> Any:
        async with _client() as client:
            if not is_stream:
                answer = await client.chat.completions.create(
                    model="gpt-4o", messages=TURNS, tools=tools, tool_choice="required"
                )
                return answer.choices[0]
            async with client.chat.completions.stream(
                model="gpt-4o", messages=TURNS, tools=tools, tool_choice="required"
            ) as stream:
                await stream.until_done()
                return (await stream.get_final_completion()).choices[0]

    choice = asyncio.run(main())
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "rate"
    assert Idea.model_validate_json(call.function.arguments)


def test_max_tokens_ends_with_length() -> None:
    """Both names of the limit work."""

    async def main() -> list[Any]:
        async with _client() as client:
            create = client.chat.completions.create
            return [
                await create(model="x", messages=TURNS, max_tokens=7),
                await create(model="x", messages=TURNS, max_completion_tokens=7),
            ]

    for answer in asyncio.run(main()):
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 7


def test_the_rate_limit_is_a_429_with_retry_after() -> None:
    """The SDK's own error class, the header in whole seconds, and its retry gets through."""

    async def main(retries: int) -> Any:
        profile = SimProfile(ttft_s=0.0, rate_limit_per_s=2.0)
        async with _client(profile, retries) as client:
            create = client.chat.completions.create
            ask = {"model": "x", "messages": TURNS, "max_tokens": 1}
            calls = [create(**ask) for _ in range(4)]
            return await asyncio.gather(*calls, return_exceptions=True)

    refused = [answer for answer in asyncio.run(main(0)) if isinstance(answer, Exception)]
    assert refused
    for error in refused:
        assert isinstance(error, openai.RateLimitError)
        assert error.code == "rate_limit_exceeded"
        assert int(error.response.headers["Retry-After"]) >= 1
        assert 0 < int(error.response.headers["retry-after-ms"]) <= 1000
    assert not [answer for answer in asyncio.run(main(5)) if isinstance(answer, Exception)]


def test_a_failure_before_the_first_piece_is_a_503() -> None:
    """Plain and streamed: the status says it, the SDK knows its class."""

    async def main() -> None:
        async with _client(SimProfile(ttft_s=0.0, error_rate=1.0)) as client:
            create = client.chat.completions.create
            with pytest.raises(openai.InternalServerError):
                await create(model="x", messages=TURNS)

    asyncio.run(main())


def test_a_failure_on_the_way_ends_the_stream_with_an_error() -> None:
    """Some streams break before their first piece and some after; none ends as if it were whole."""

    async def outcome(client: openai.AsyncOpenAI, number: int) -> str:
        turns: Any = [{"role": "user", "content": f"Question {number}"}]
        try:
            stream = await client.chat.completions.create(model="x", messages=turns, stream=True)
        except openai.InternalServerError:
            return "before"
        try:
            async for _ in stream:
                pass
        except openai.APIError:
            return "on the way"
        return "never"

    async def main() -> set[str]:
        profile = SimProfile(ttft_s=0.0, decode_tokens_per_s=1e6, error_rate=1.0)
        async with _client(profile) as client:
            return {await outcome(client, number) for number in range(12)}

    assert asyncio.run(main()) == {"before", "on the way"}


WRONG: tuple[tuple[bytes, str | None], ...] = (
    (b"{", None),
    (b"[]", None),
    (b'{"model": "x"}', "messages"),
    (b'{"messages": []}', "model"),
    (b'{"model": "x", "messages": []}', "messages"),
    (b'{"model": "x", "messages": [{"role": "king", "content": "hi"}]}', "messages[0].role"),
    (b'{"model": "x", "messages": [{"role": "user", "content": 5}]}', "messages[0].content"),
    (b'{"model": "x", "messages": [{"role": "user", "content": "hi"}], "n": 2}', "n"),
    (_asking({"type": "json_schema"}), "response_format.json_schema"),
    (
        _asking({"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#/no"}}}),
        "response_format",
    ),
)
"""Bodies that are wrong, and the parameter that is to blame."""


def test_a_wrong_body_is_a_400_that_names_the_parameter() -> None:
    """In OpenAI's own error shape, whatever is wrong."""

    async def main() -> None:
        async with serving(create_sim_app(FAST)) as url, aiohttp.ClientSession() as session:
            for body, param in WRONG:
                async with session.post(f"{url}/v1/chat/completions", data=body) as reply:
                    error = orjson.loads(await reply.read())["error"]
                assert reply.status == 400
                assert error.keys() == {"message", "type", "param", "code"}
                assert (error["type"], error["param"]) == ("invalid_request_error", param)

    asyncio.run(main())


def test_models_are_listed_and_unknown_paths_are_404_in_the_same_shape() -> None:
    """``/v1/models``, one of them, and a path that is not there."""

    async def main() -> None:
        async with _client() as client:
            (listed,) = (await client.models.list()).data
            assert listed.id == "sim-standard"
            assert (await client.models.retrieve("sim-standard")).owned_by == "hasten"
            with pytest.raises(openai.NotFoundError) as caught:
                await client.get("/nothing", cast_to=object)
            assert caught.value.type == "invalid_request_error"

    asyncio.run(main())


def test_parts_of_content_and_developer_turns_are_understood() -> None:
    """Text in parts is text; a picture is let through; a part without its type is refused."""

    async def main() -> None:
        async with _client() as client:
            turns: Any = [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Section 'Costs'."}]},
            ]
            answer = await client.chat.completions.create(model="x", messages=turns)
            assert (answer.choices[0].message.content or "").startswith("## Costs")
            turns[1]["content"].append({"type": "image_url", "image_url": {"url": "x"}})
            seen = await client.chat.completions.create(model="x", messages=turns)
            assert (seen.choices[0].message.content or "").startswith("## Costs")
            del turns[1]["content"][0]["type"]
            with pytest.raises(openai.BadRequestError) as caught:
                await client.chat.completions.create(model="x", messages=turns)
            assert caught.value.param == "messages[1].content[0].type"

    asyncio.run(main())
