"""Google's own SDK against the simulated endpoint: our Gemini format is the one it knows."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

pytest.importorskip("google.genai", reason="make integrations installs it")
pytestmark = pytest.mark.filterwarnings("default")

PROMPT = "Work style: Solo\nWrite the section 'Risks' in about 60 words."


class Idea(BaseModel):
    """A startup idea."""

    name: str
    score: int = Field(ge=1, le=10)


def test_google_genai(sim: str) -> None:
    """Whole, streamed, with a schema, with a function, counted."""
    from google import genai
    from google.genai import types

    client = genai.Client(
        api_key="any", http_options=types.HttpOptions(base_url=sim, api_version="v1beta")
    )
    models, name = client.models, "gemini-2.5-flash"
    whole = models.generate_content(model=name, contents=PROMPT)
    assert whole.text.startswith("## Risks")
    assert whole.usage_metadata.candidates_token_count > 20
    stream = models.generate_content_stream(model=name, contents=PROMPT)
    assert "".join(piece.text or "" for piece in stream) == whole.text
    typed = models.generate_content(
        model=name,
        contents=PROMPT,
        config={"response_mime_type": "application/json", "response_schema": Idea},
    )
    assert isinstance(typed.parsed, Idea)
    rate = types.FunctionDeclaration(
        name="rate", parameters_json_schema=Idea.model_json_schema(), description="Rate it."
    )
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[rate])],
        tool_config={"function_calling_config": {"mode": "ANY"}},
    )
    called = models.generate_content(model=name, contents=PROMPT, config=config)
    assert called.function_calls[0].name == "rate"
    assert Idea.model_validate(called.function_calls[0].args)
    assert models.count_tokens(model=name, contents=PROMPT).total_tokens > 10
