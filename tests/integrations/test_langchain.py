"""LangChain: ``ChatOpenAI`` through the gateway, structured output, tools, our cache."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel, Field

from hasten.adapters.blocking import BlockingCache
from hasten.adapters.langchain import LangChainCache

if TYPE_CHECKING:
    from tests.integrations.conftest import Door

langchain_openai = pytest.importorskip("langchain_openai", reason="make integrations installs it")
pytestmark = pytest.mark.filterwarnings("default")

PROMPT = "Work style: Solo\nWrite the section 'Risks' in about 60 words."


class Idea(BaseModel):
    """A startup idea."""

    name: str
    score: int = Field(ge=1, le=10)


def test_chat_openai(door: Door) -> None:
    """Plain, streamed, awaited, structured, with a tool; by chat and by Responses."""
    for by_responses in (False, True):
        model = langchain_openai.ChatOpenAI(
            base_url=door.v1,
            api_key="any",
            model="gpt-4o",
            max_retries=0,
            use_responses_api=by_responses,
        )
        said = model.invoke(PROMPT)
        assert said.text.startswith("## Risks")
        assert said.usage_metadata["output_tokens"] > 20
        assert "".join(piece.text for piece in model.stream(PROMPT)) == said.text
        if not by_responses:  # its async client belongs to one event loop
            assert asyncio.run(model.ainvoke(PROMPT)).text == said.text
        assert isinstance(model.with_structured_output(Idea).invoke(PROMPT), Idea)
        called = model.bind_tools([Idea], tool_choice="Idea").invoke(PROMPT)
        assert Idea.model_validate(called.tool_calls[0]["args"])


def test_our_cache(sim: str) -> None:
    """A question asked again does not leave the process, and its tokens are not billed again."""
    with BlockingCache() as cache:
        model = langchain_openai.ChatOpenAI(
            base_url=f"{sim}/v1", api_key="any", model="gpt-4o", cache=LangChainCache(cache)
        )
        first = model.invoke(PROMPT)
        nowhere = langchain_openai.ChatOpenAI(
            base_url=f"{sim}/v1", api_key="any", model="gpt-4o", cache=LangChainCache(cache)
        )
        nowhere.root_client.base_url = "http://127.0.0.1:9/v1"
        again = nowhere.invoke(PROMPT)
        assert again.text == first.text
        assert again.id != first.id or again.usage_metadata.get("total_cost") == 0
