"""pydantic-ai: agents with tools and checked output, on OpenAI's and Anthropic's protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from tests.integrations.conftest import Door

pydantic_ai = pytest.importorskip("pydantic_ai", reason="make integrations installs it")
pytestmark = pytest.mark.filterwarnings("default")

PROMPT = "Work style: Solo\nWrite the section 'Risks' in about 60 words."


class Idea(BaseModel):
    """A startup idea."""

    name: str
    score: int = Field(ge=1, le=10)


def _models(door: Door) -> list[Any]:
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    ours = OpenAIProvider(base_url=door.v1, api_key="any")
    theirs = AnthropicProvider(base_url=door.root, api_key="any")
    return [
        OpenAIChatModel("gpt-4o", provider=ours),
        OpenAIResponsesModel("gpt-4o", provider=ours),
        AnthropicModel("claude-sonnet-4-5", provider=theirs),
    ]


def test_an_agent(door: Door) -> None:
    """It answers in text, as a stream, and with a checked value by a forced tool."""

    async def main() -> None:
        for model in _models(door):
            agent = pydantic_ai.Agent(model)
            said = await agent.run(PROMPT)
            assert said.output.startswith("## Risks")
            async with agent.run_stream(PROMPT) as stream:
                assert await stream.get_output() == said.output
            typed = await pydantic_ai.Agent(model, output_type=Idea).run(PROMPT)
            assert isinstance(typed.output, Idea)

    import asyncio

    asyncio.run(main())
