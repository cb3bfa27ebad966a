"""LiteLLM as a client: of chat, Messages and Gemini, streamed and with tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integrations.conftest import Door

pytestmark = pytest.mark.filterwarnings("default")

TURNS = [{"role": "user", "content": "Work style: Solo\nWrite about risks in 60 words."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "rate",
        "parameters": {
            "type": "object",
            "properties": {"score": {"type": "integer"}},
            "required": ["score"],
        },
    },
}


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give LiteLLM, with the list of prices that comes with it."""
    return pytest.importorskip("litellm", reason="make integrations installs it")


def _ask(litellm: Any, where: dict[str, Any]) -> None:
    whole = litellm.completion(messages=TURNS, max_tokens=900, **where)
    text = whole.choices[0].message.content
    assert text
    assert whole.usage.completion_tokens > 20
    stream = litellm.completion(messages=TURNS, max_tokens=900, stream=True, **where)
    assert "".join(piece.choices[0].delta.content or "" for piece in stream) == text
    called = litellm.completion(messages=TURNS, tools=[TOOL], tool_choice="required", **where)
    (call,) = called.choices[0].message.tool_calls
    assert call.function.name == "rate"


def test_openai(litellm: Any, door: Door) -> None:
    """``openai/…`` with our address."""
    _ask(litellm, {"model": "openai/gpt-4o", "api_base": door.v1, "api_key": "any"})


def test_anthropic(litellm: Any, door: Door) -> None:
    """``anthropic/…`` with our address."""
    model = "anthropic/claude-sonnet-4-5"
    _ask(litellm, {"model": model, "api_base": door.root, "api_key": "any"})
