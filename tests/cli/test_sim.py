"""``hasten sim``: an endpoint for any client, and for our own applications."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

from tests.cli.processes import Process, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Said

AT_ONCE = 5
STOPS_WITHIN_S = 3.0


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Give the simulated endpoint, at two hundred times its pace."""
    home = tmp_path_factory.mktemp("sim")
    with running(home, "sim", "--port", "0", "--speed", "200") as process:
        yield process
        assert process.stop() == (0, "", "")
        assert not any(home.iterdir())


@pytest.fixture
def base_url(sim: Process) -> str:
    """Give its base URL, as it tells it."""
    found = re.search(r"OPENAI_BASE_URL=(http://localhost:\d+/v1) hasten run discovery", sim.ready)
    assert found is not None, sim.ready
    return found[1]


def test_the_official_client(base_url: str) -> None:
    """It lists the model, gets an answer and a stream, which are the same."""
    client = OpenAI(base_url=base_url, api_key="unused", max_retries=0)
    (model,) = client.models.list().data
    assert model.id == "sim-discovery"
    asked: dict[str, Any] = {
        "model": model.id,
        "messages": [{"role": "user", "content": "Write about tea in 30 words."}],
    }
    whole = client.chat.completions.create(**asked)
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 10
    with client.chat.completions.create(**asked, stream=True) as stream:
        text = "".join(piece.choices[0].delta.content or "" for piece in stream if piece.choices)
    assert text == whole.choices[0].message.content
    client.close()


def most_at_once(spans: list[dict[str, Any]]) -> int:
    """Return how many of the spans were under way at one moment."""
    moments = sorted(
        [(span["start_s"], 1) for span in spans] + [(span["end_s"], -1) for span in spans]
    )
    under_way = most = 0
    for _, change in moments:
        under_way += change
        most = max(most, under_way)
    return most


@pytest.mark.parametrize("protocol", ["", "responses/", "anthropic/", "gemini/"])
def test_a_whole_application_runs_against_it(
    base_url: str, hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Every call goes over the wire, never more at once than allowed; it says it is simulated."""
    root = base_url.removesuffix("/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", root)
    monkeypatch.setenv("GEMINI_BASE_URL", f"{root}/v1beta")
    monkeypatch.setenv("HASTEN_MODEL_CONCURRENCY", str(AT_ONCE))
    model = f"{protocol}sim-discovery"
    said = hasten("run", "discovery", "--clock", "real", "--model", model, "--json")
    assert (said.code, said.err) == (0, "")
    race = said.json
    (run,) = race["runs"]
    assert run["outcome"] in {"complete", "degraded"}
    assert race["clock"] == "real"
    assert race["simulated"] is True
    assert run["llm_calls"] == 21
    assert not [text for text in run["outputs"].values() if "short form" in text]
    kept = hasten("runs", run["run_id"], "--json").json
    calls = [span for span in kept["spans"] if span["kind"] == "model"]
    assert {call["attributes"]["model"] for call in calls} == {"sim-discovery"}
    assert most_at_once(calls) == AT_ONCE


def test_streams_arrive_in_pieces(
    base_url: str, hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first text is there long before the whole."""
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    said = hasten("run", "discovery", "--mode", "baseline", "--model", "sim-discovery", "--json")
    (run,) = said.json["runs"]
    assert run["outcome"] == "complete"
    assert run["llm_calls"] == 3
    assert run["first_text_s"] < run["duration_s"] / 2
    path = run["critical_path"]
    assert all(first["start_s"] <= second["start_s"] for first, second in pairwise(path))


def test_an_unknown_application(hasten: Callable[..., Said]) -> None:
    """Its profile is not to be had."""
    said = hasten("sim", "--app", "nope")
    assert said.code == 2
    assert "no app 'nope'" in said.err


def test_an_open_stream_does_not_keep_it(tmp_path: Path) -> None:
    """Stopped in the middle of an answer it is gone in about a second, without a word."""
    with running(tmp_path, "sim", "--port", "0") as process:
        found = re.search(r"OPENAI_BASE_URL=(\S+)", process.ready)
        assert found is not None
        client = OpenAI(base_url=found[1], api_key="unused", max_retries=0)
        asked: dict[str, Any] = {"model": "sim-discovery", "stream": True}
        message = {"role": "user", "content": "Write about tea in 2000 words."}
        with client.chat.completions.create(**asked, messages=[message]) as stream:
            next(iter(stream))
            began_s = time.monotonic()
            assert process.stop() == (0, "", "")
            assert time.monotonic() - began_s < STOPS_WITHIN_S
        client.close()
