"""The simulated endpoint in Responses, Messages and embeddings, asked by the official SDKs."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import anthropic
import openai
import pytest
from pydantic import BaseModel, Field

from hasten.model.simulated import SimProfile
from hasten.serve.sim import create_sim_app
from hasten.testing.http import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FAST = SimProfile(ttft_s=0.0, prefill_tokens_per_s=1e9, decode_tokens_per_s=1e9)
PROMPT = "Work style: Solo\nWrite the section 'Risks' in about 60 words."
TURNS: Any = [{"role": "user", "content": PROMPT}]


class Idea(BaseModel):
    """What the SDKs' ``parse`` asks for."""

    name: str
    score: int = Field(ge=1, le=10)


RATE: Any = {"name": "rate", "input_schema": Idea.model_json_schema()}
RATE_FUNCTION: Any = {
    "type": "function",
    "name": "rate",
    "parameters": Idea.model_json_schema(),
    "strict": False,
}


@asynccontextmanager
async def _openai(profile: SimProfile = FAST) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        serving(create_sim_app(profile)) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client


@asynccontextmanager
async def _anthropic(profile: SimProfile = FAST) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with (
        serving(create_sim_app(profile)) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0) as client,
    ):
        yield client


def test_responses_whole_streamed_and_parsed() -> None:
    """The same text each way; every event in order; the SDK's types are satisfied."""

    async def main() -> None:
        async with _openai() as client:
            whole = await client.responses.create(
                model="gpt-4o", input=PROMPT, instructions="You advise founders."
            )
            assert whole.output_text.startswith("## Risks")
            assert whole.status == "completed"
            assert whole.usage is not None
            assert whole.usage.total_tokens > whole.usage.output_tokens > 0
            assert type(whole).model_validate_json(whole.model_dump_json(), strict=True)
            async with client.responses.stream(
                model="gpt-4o", input=PROMPT, instructions="You advise founders."
            ) as stream:
                events = [event async for event in stream]
                final = await stream.get_final_response()
            pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
            assert "".join(pieces) == final.output_text == whole.output_text
            assert len(pieces) > 50
            assert [event.sequence_number for event in events] == list(range(len(events)))
            parsed = await client.responses.parse(model="gpt-4o", input=PROMPT, text_format=Idea)
            assert isinstance(parsed.output_parsed, Idea)

    asyncio.run(main())


def test_responses_call_a_tool_and_read_its_result() -> None:
    """Whole and streamed; the items it gave go back with the result."""

    async def main() -> None:
        async with _openai() as client:
            asked: Any = {"model": "gpt-4o", "tools": [RATE_FUNCTION]}
            whole = await client.responses.create(input=PROMPT, tool_choice="required", **asked)
            (call,) = whole.output
            assert call.type == "function_call"
            assert Idea.model_validate_json(call.arguments)
            async with client.responses.stream(
                input=PROMPT, tool_choice="required", **asked
            ) as stream:
                await stream.until_done()
                (streamed,) = (await stream.get_final_response()).output
            assert streamed.arguments == call.arguments
            result = {"type": "function_call_output", "call_id": call.call_id, "output": "rated"}
            back: Any = [{"role": "user", "content": PROMPT}, call.to_dict(), result]
            assert (await client.responses.create(input=back, **asked)).output_text

    asyncio.run(main())


def test_messages_whole_streamed_and_parsed() -> None:
    """The same text each way; the SDK's types are satisfied; a limit ends it."""

    async def main() -> None:
        async with _anthropic() as client:
            asked: Any = {"model": "claude-x", "max_tokens": 900, "messages": TURNS}
            whole = await client.messages.create(system="You advise founders.", **asked)
            (block,) = whole.content
            assert block.type == "text"
            assert block.text.startswith("## Risks")
            assert (whole.stop_reason, whole.model) == ("end_turn", "sim-claude-x")
            assert type(whole).model_validate_json(whole.model_dump_json(), strict=True)
            async with client.messages.stream(system="You advise founders.", **asked) as stream:
                pieces = [text async for text in stream.text_stream]
                final = await stream.get_final_message()
            assert "".join(pieces) == final.content[0].text == block.text
            assert len(pieces) > 50
            assert final.usage == whole.usage
            parsed = await client.messages.parse(output_format=Idea, **asked)
            assert isinstance(parsed.parsed_output, Idea)
            cut = await client.messages.create(**{**asked, "max_tokens": 5})
            assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 5)

    asyncio.run(main())


def test_messages_call_a_tool_and_read_its_result() -> None:
    """Whole and streamed; the blocks it gave go back with the result."""

    async def main() -> None:
        async with _anthropic() as client:
            asked: Any = {"model": "claude-x", "max_tokens": 900, "tools": [RATE]}
            must: Any = {"type": "tool", "name": "rate"}
            whole = await client.messages.create(messages=TURNS, tool_choice=must, **asked)
            (call,) = whole.content
            assert (whole.stop_reason, call.type) == ("tool_use", "tool_use")
            assert Idea.model_validate(call.input)
            async with client.messages.stream(messages=TURNS, tool_choice=must, **asked) as stream:
                (streamed,) = (await stream.get_final_message()).content
            assert streamed.input == call.input
            result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "rated"}
            back: Any = [*TURNS, {"role": "assistant", "content": whole.content}]
            back.append({"role": "user", "content": [result]})
            again = await client.messages.create(messages=back, **asked)
            assert again.content[0].type == "text"

    asyncio.run(main())


def test_messages_are_counted_and_models_listed() -> None:
    """The count is what an answer says that it read."""

    async def main() -> None:
        async with _anthropic() as client:
            counted = await client.messages.count_tokens(model="claude-x", messages=TURNS)
            said = await client.messages.create(model="claude-x", max_tokens=9, messages=TURNS)
            assert counted.input_tokens == said.usage.input_tokens
            assert [one.id async for one in client.models.list()] == ["sim-standard"]

    asyncio.run(main())


def test_errors_have_the_shape_of_the_protocol() -> None:
    """A wrong field, a rate limit, a failure, a path that is not there."""

    async def main() -> None:
        profile = SimProfile(ttft_s=0.0, error_rate=1.0, rate_limit_per_s=2.0)
        async with _anthropic(profile) as client:
            asked: Any = {"model": "x", "messages": TURNS}
            with pytest.raises(anthropic.BadRequestError, match="messages"):
                await client.messages.create(max_tokens=5, model="x", messages=[])
            calls = [client.messages.create(max_tokens=5, **asked) for _ in range(5)]
            failed = await asyncio.gather(*calls, return_exceptions=True)
            limited = [error for error in failed if isinstance(error, anthropic.RateLimitError)]
            assert limited
            assert int(limited[0].response.headers["Retry-After"]) >= 1
            assert limited[0].body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
            assert any(isinstance(error, anthropic.InternalServerError) for error in failed)
            with pytest.raises(anthropic.NotFoundError):
                await client.get("/v1/messages/nothing", cast_to=object)

    asyncio.run(main())


def test_embeddings_are_the_same_in_both_encodings_and_near_for_kin_texts() -> None:
    """The SDK asks for base64; vectors have length 1 and as many numbers as were asked for."""

    async def main() -> None:
        async with _openai() as client:
            create = client.embeddings.create
            texts = ["cheap flights to Rome", "cheap flights to Oslo", "quarterly tax report"]
            packed = await create(model="text-embedding-3-small", input=texts)
            plain = await create(
                model="text-embedding-3-small", input=texts, encoding_format="float"
            )
            first, second, third = (one.embedding for one in packed.data)
            for one, other in zip(packed.data, plain.data, strict=True):
                assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
                assert math.hypot(*one.embedding) == pytest.approx(1.0, abs=1e-6)
            near, far = (
                sum(a * b for a, b in zip(first, other, strict=True)) for other in (second, third)
            )
            assert near > 0.5 > abs(far)
            assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0
            short = await create(model="x", input=[[1, 2], [3]], dimensions=8)
            assert [len(one.embedding) for one in short.data] == [8, 8]
            for wrong in ("", []):
                with pytest.raises(openai.BadRequestError, match="input"):
                    await create(model="x", input=wrong)

    asyncio.run(main())


def test_gemini_counts_lists_and_names_what_is_wrong() -> None:
    """What no wire of ours asks for."""

    async def main() -> None:
        body: Any = {"contents": [{"parts": [{"text": PROMPT}]}]}
        async with serving(create_sim_app(FAST)) as url, aiohttp.ClientSession() as session:
            models = f"{url}/v1beta/models"
            async with session.post(f"{models}/gemini-x:countTokens", json=body) as reply:
                assert (await reply.json())["totalTokens"] > 10
            async with session.get(models) as reply:
                assert (await reply.json())["models"][0]["name"] == "models/sim-standard"
            async with session.post(f"{models}/gemini-x:generateContent", json={}) as reply:
                error = (await reply.json())["error"]
                assert (reply.status, error["status"]) == (400, "INVALID_ARGUMENT")
                assert "contents" in error["message"]
            async with session.post(f"{models}/gemini-x:dance", json=body) as reply:
                assert reply.status == 404

    asyncio.run(main())
