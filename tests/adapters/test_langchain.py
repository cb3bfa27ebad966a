"""Our cache under LangChain's own models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation

from hasten.adapters.blocking import BlockingCache
from hasten.adapters.langchain import LangChainCache

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL: Any = {"name": "look", "args": {"a": 1}, "id": "t1", "type": "tool_call"}


class Counting(BaseChatModel):
    """Answers with the number of the call, a tool call and its usage."""

    calls: list[str] = []  # noqa: RUF012 - a pydantic field
    temperature: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "counting"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"temperature": self.temperature}

    def _generate(self, messages: Any, *_args: Any, **_kwargs: Any) -> ChatResult:
        self.calls.append(messages[-1].content)
        usage: Any = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        message = AIMessage(f"{len(self.calls)}", tool_calls=[CALL], usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def cache() -> Iterator[LangChainCache]:
    """Give our cache as LangChain's."""
    with BlockingCache() as blocking:
        yield LangChainCache(blocking)


def test_a_question_is_asked_once(cache: LangChainCache) -> None:
    """Plain and async alike; what it answers keeps its calls; other settings are asked anew."""
    model = Counting(cache=cache)
    first = model.invoke("tea?")
    again = model.invoke("tea?")
    waited = asyncio.run(model.ainvoke("tea?"))
    assert (first.content, again.content, waited.content) == ("1", "1", "1")
    assert again.tool_calls == first.tool_calls == [CALL]  # type: ignore[attr-defined]
    assert model.invoke("coffee?").content == "2"
    other = Counting(cache=cache, temperature=0.5, calls=model.calls)
    assert other.invoke("tea?").content == "3"


def test_what_is_cleared_is_asked_anew(cache: LangChainCache) -> None:
    """By either way of clearing."""
    model = Counting(cache=cache)
    assert model.invoke("tea?").content == "1"
    cache.clear()
    assert model.invoke("tea?").content == "2"
    asyncio.run(cache.aclear())
    assert asyncio.run(model.ainvoke("tea?")).content == "3"
    assert model.invoke("tea?").content == "3"


def test_a_text_model_is_kept_too(cache: LangChainCache) -> None:
    """Generations without a message."""
    model = FakeListLLM(responses=["one", "two"], cache=cache)
    assert [model.invoke("tea?"), model.invoke("tea?"), model.invoke("mate?")] == [
        "one",
        "one",
        "two",
    ]


def test_bytes_name_no_class_to_be_made(cache: LangChainCache) -> None:
    """A text that looks like LangChain's serialised objects stays a text."""
    evil = '{"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}}'
    cache.update("p", "m", [Generation(text=evil, generation_info={"lc": 1, "type": "secret"})])
    found = cache.lookup("p", "m")
    assert found is not None
    assert (found[0].text, found[0].generation_info) == (evil, {"lc": 1, "type": "secret"})
    assert cache.lookup("p", "other") is None
