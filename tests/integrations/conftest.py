"""The simulated endpoint, and a gateway in front of it, as processes: what every client asks.

A client that is not installed is skipped, except in CI's own environment for them:
``make integrations`` makes it and runs everything here.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator


class Door(NamedTuple):
    """Where a client asks; ``root`` is without ``/v1``."""

    name: str
    root: str

    @property
    def v1(self) -> str:
        """The base URL for OpenAI's clients."""
        return f"{self.root}/v1"


@pytest.fixture(scope="session")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the simulated endpoint's URL."""
    home = tmp_path_factory.mktemp("sim")
    with running(home, "sim", "--port", "0", "--speed", "500") as process:
        yield re.findall(r"ANTHROPIC_BASE_URL=(http://localhost:\d+)", process.ready)[0]


@pytest.fixture(scope="session")
def gateway(sim: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a gateway whose upstreams are the simulated endpoint."""
    named = {
        "OPENAI_BASE_URL": f"{sim}/v1",
        "OPENAI_API_KEY": "unused",
        "ANTHROPIC_BASE_URL": sim,
        "ANTHROPIC_API_KEY": "unused",
        "GEMINI_BASE_URL": f"{sim}/v1beta",
        "GEMINI_API_KEY": "unused",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in named.items():
            patch.setenv(name, value)
        with running(tmp_path_factory.mktemp("gateway"), "serve", "--port", "0") as process:
            patch.undo()
            yield re.findall(r"http://localhost:\d+", process.ready)[0]


@pytest.fixture(params=["sim", "gateway"])
def door(request: pytest.FixtureRequest) -> Door:
    """Give the endpoint itself, then the gateway in front of it."""
    return Door(request.param, request.getfixturevalue(request.param))


@pytest.fixture(autouse=True)
def quiet_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep clients from telling their makers that they were used."""
    for name in ("OTEL_SDK_DISABLED", "CREWAI_DISABLE_TELEMETRY", "LITELLM_LOCAL_MODEL_COST_MAP"):
        monkeypatch.setenv(name, "true")
    assert os.environ["OTEL_SDK_DISABLED"] == "true"
