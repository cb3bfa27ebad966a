"""CrewAI: a crew whose model is behind the gateway and whose tool our cache keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hasten.adapters.blocking import BlockingCache
from hasten.cache.policy import CachePolicy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrations.conftest import Door

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def crewai(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Give CrewAI, its files in a folder of their own."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "false")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    return pytest.importorskip("crewai", reason="make integrations installs it")


def test_a_crew(crewai: Any, door: Door) -> None:
    """An agent does its task with the model at our address."""
    model = crewai.LLM(model="openai/gpt-4o", base_url=door.v1, api_key="any")
    agent = crewai.Agent(role="Adviser", goal="Advise founders", backstory="Old hand", llm=model)
    task = crewai.Task(
        description="Name one risk of a tea shop.", expected_output="A risk.", agent=agent
    )
    assert str(crewai.Crew(agents=[agent], tasks=[task], verbose=False).kickoff())


def test_a_cached_tool(crewai: Any) -> None:
    """Our decorator under CrewAI's: run twice, it looks once."""
    from crewai.tools import tool

    asked: list[str] = []
    with BlockingCache() as cache:

        @tool("Market size")
        @cache.cached(CachePolicy(use="market_size", ttl_s=30 * 86_400))
        def market_size(industry: str) -> str:
            """Look up how large the market of an industry is."""
            asked.append(industry)
            return f"{industry}: large"

        for industry in ("tea", "tea", "coffee"):
            assert market_size.run(industry=industry) == f"{industry}: large"
    assert asked == ["tea", "coffee"]
