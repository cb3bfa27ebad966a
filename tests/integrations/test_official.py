"""The official SDKs against the simulated endpoint and through the gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anthropic
import openai
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from tests.integrations.conftest import Door

PROMPT = "Work style: Solo\nWrite the section 'Risks' in about 60 words."
TURNS: Any = [{"role": "user", "content": PROMPT}]


class Idea(BaseModel):
    """What ``parse`` asks for."""

    name: str
    score: int = Field(ge=1, le=10)


CHAT_TOOL: Any = {
    "type": "function",
    "function": {"name": "rate", "parameters": Idea.model_json_schema()},
}
TOOL: Any = {"name": "rate", "input_schema": Idea.model_json_schema()}


def test_openai(door: Door) -> None:
    """Chat whole, streamed, with a tool, parsed; Responses; embeddings; models."""
    with openai.OpenAI(base_url=door.v1, api_key="any", max_retries=0) as client:
        create = client.chat.completions.create
        whole = create(model="gpt-4o", messages=TURNS)
        text = whole.choices[0].message.content or ""
        assert text.startswith("## Risks")
        with create(model="gpt-4o", messages=TURNS, stream=True) as stream:
            pieces = [one.choices[0].delta.content or "" for one in stream if one.choices]
        assert "".join(pieces) == text
        called = create(model="gpt-4o", messages=TURNS, tools=[CHAT_TOOL], tool_choice="required")
        (call,) = called.choices[0].message.tool_calls or ()
        turns = [*TURNS, called.choices[0].message.to_dict()]
        turns.append({"role": "tool", "tool_call_id": call.id, "content": "rated"})
        assert create(model="gpt-4o", messages=turns, tools=[CHAT_TOOL]).choices[0].message.content
        parsed = client.chat.completions.parse(model="gpt-4o", messages=TURNS, response_format=Idea)
        assert isinstance(parsed.choices[0].message.parsed, Idea)
        said = client.responses.create(model="gpt-4o", input=PROMPT)
        assert said.output_text == text
        with client.responses.stream(model="gpt-4o", input=PROMPT) as events:
            assert events.until_done().get_final_response().output_text == text
        vectors = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
        assert [len(one.embedding) for one in vectors.data] == [256, 256]
        assert client.models.list().data


def test_openai_async(door: Door) -> None:
    """The same, awaited, many at once."""

    async def main() -> list[str]:
        async with openai.AsyncOpenAI(base_url=door.v1, api_key="any", max_retries=0) as client:

            async def ask(number: int) -> str:
                turns: Any = [{"role": "user", "content": f"Write about tea no. {number % 2}."}]
                async with client.chat.completions.stream(model="gpt-4o", messages=turns) as stream:
                    final = await stream.get_final_completion()
                return final.choices[0].message.content or ""

            return list(await asyncio.gather(*map(ask, range(6))))

    answers = asyncio.run(main())
    assert all(answers)
    assert len(set(answers)) == 2


def test_anthropic(door: Door) -> None:
    """Messages whole, streamed, with a tool, parsed; counted."""
    with anthropic.Anthropic(base_url=door.root, api_key="any", max_retries=0) as client:
        asked: Any = {"model": "claude-x", "max_tokens": 900}
        whole = client.messages.create(messages=TURNS, **asked)
        text = whole.content[0].text  # type: ignore[union-attr]
        assert text.startswith("## Risks")
        with client.messages.stream(messages=TURNS, **asked) as stream:
            assert "".join(stream.text_stream) == text
        must: Any = {"type": "tool", "name": "rate"}
        called = client.messages.create(messages=TURNS, tools=[TOOL], tool_choice=must, **asked)
        (call,) = called.content
        assert Idea.model_validate(call.input)  # type: ignore[union-attr]
        with client.messages.stream(
            messages=TURNS, tools=[TOOL], tool_choice=must, **asked
        ) as stream:
            assert stream.get_final_message().content[0].input == call.input  # type: ignore[union-attr]
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "rated"}  # type: ignore[union-attr]
        back: Any = [*TURNS, {"role": "assistant", "content": called.content}]
        back.append({"role": "user", "content": [result]})
        again = client.messages.create(messages=back, tools=[TOOL], **asked)
        assert again.content[0].type == "text"
        parsed = client.messages.parse(messages=TURNS, output_format=Idea, **asked)
        assert isinstance(parsed.parsed_output, Idea)
        assert client.messages.count_tokens(model="claude-x", messages=TURNS).input_tokens > 10


def test_anthropic_async(door: Door) -> None:
    """The same, awaited."""

    async def main() -> None:
        async with anthropic.AsyncAnthropic(base_url=door.root, api_key="any") as client:
            asked: Any = {"model": "claude-x", "max_tokens": 900, "messages": TURNS}
            whole = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                final = await stream.get_final_message()
            assert final.content[0].text == whole.content[0].text

    asyncio.run(main())


def test_one_client_reaches_the_other_provider(gateway: str) -> None:
    """OpenAI's client asks Claude and Gemini through the gateway; Anthropic's asks GPT."""
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="any", max_retries=0) as client:
        for model in ("claude-x", "gemini-x"):
            create = client.chat.completions.create
            whole = create(model=model, messages=TURNS, max_tokens=900)
            text = whole.choices[0].message.content
            with create(model=model, messages=TURNS, max_tokens=901, stream=True) as stream:
                pieces = [one.choices[0].delta.content or "" for one in stream if one.choices]
            assert "".join(pieces)
            assert text
            parsed = client.chat.completions.parse(
                model=model, messages=TURNS, response_format=Idea
            )
            assert isinstance(parsed.choices[0].message.parsed, Idea)
    with anthropic.Anthropic(base_url=gateway, api_key="any", max_retries=0) as client:
        said = client.messages.create(model="gpt-4o", max_tokens=900, messages=TURNS)
        assert said.content[0].type == "text"


def test_the_second_time_costs_nothing(gateway: str) -> None:
    """The gateway says that it had the answer."""
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="any", max_retries=0) as client:
        turns: Any = [{"role": "user", "content": "Write about white tea."}]
        for said in ("fwd=miss", "hit"):
            raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=turns)
            assert said in raw.headers["cache-status"]
