"""What the plan measured, and what is left of it."""

from __future__ import annotations

import statistics
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import pytest

from hasten import virtual
from hasten.apps.fortune import app
from hasten.apps.fortune.inputs import DEITY_IDS, SAMPLES
from hasten.apps.fortune.prompts import SECTIONS
from hasten.cache.cache import Cache
from hasten.errors import ModelRejected
from hasten.model.base import Chunk
from hasten.model.simulated import SimulatedModel
from hasten.trace.critical import breakdown
from hasten.trace.tree import Trace
from tests.apps.fortune.common import SlowTemple, ask, asking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Request

run_once = cache(ask)

QUESTIONS = [f"Will the year {year} be a good one for us?" for year in range(2000, 2040)]


def test_the_baseline_takes_what_the_plan_found() -> None:
    """37 to 39 s: up to 2 s in a polled queue, 1 s of search, 36 s of writing, validation."""
    took_s, waited_s = [], []
    for question in QUESTIONS:
        outcome = run_once("baseline", inputs=_Frozen(SAMPLES["love"] | {"question": question}))
        parts = breakdown(Trace(outcome.record, outcome.spans)).parts_us
        assert parts["RAG"] / 1e6 == pytest.approx(1.045, abs=0.005)
        assert parts["LLM"] / 1e6 == pytest.approx(35.8, rel=0.06)
        assert parts["Validation"] / 1e6 == pytest.approx(0.234, abs=0.001)
        took_s.append(outcome.record.duration_s)
        waited_s.append(parts.get("Queue", 0) / 1e6)
    assert 37 <= statistics.mean(took_s) <= 39
    assert statistics.mean(waited_s) == pytest.approx(1.0, abs=0.25)


class _Frozen(dict[str, object]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


@pytest.mark.parametrize("sample", SAMPLES)
def test_hasten_reads_within_a_second_and_is_done_within_twelve(sample: str) -> None:
    """Its price: no more tokens out, at most half as many again in."""
    hasten = run_once("hasten", inputs=_Frozen(SAMPLES[sample])).record
    baseline = run_once("baseline", inputs=_Frozen(SAMPLES[sample])).record
    assert hasten.status == baseline.status == "complete"
    assert hasten.duration_s <= 12
    assert hasten.first_text_s is not None
    assert hasten.first_text_s <= 1
    assert hasten.tokens_out == pytest.approx(baseline.tokens_out, rel=0.1)
    assert hasten.tokens_in <= 1.5 * baseline.tokens_in


@pytest.mark.parametrize("mode", app.graphs)
@pytest.mark.parametrize("deity_id", DEITY_IDS)
def test_every_deity_answers_in_five_sections(mode: str, deity_id: str) -> None:
    """With the poem on top, for its first and its last poem."""
    for number in (1, 20):
        asked = {"deity_id": deity_id, "fortune_number": number, "question": "What now?"}
        report = run_once(mode, inputs=_Frozen(asked)).outputs["report"]
        assert report.startswith("# ")
        assert [line[3:] for line in report.splitlines() if line.startswith("## ")] == [
            section.title[1] for section in SECTIONS
        ]
        assert "could not be written" not in report


def test_the_language_is_that_of_the_question_unless_said() -> None:
    """Titles, verse and what the model is asked for."""
    report = ask(inputs=SAMPLES["工作"]).outputs["report"]
    assert "## 籤詩意涵" in report
    assert "金滿箱中靜" in report
    report = ask(inputs=SAMPLES["工作"] | {"language": "en"}).outputs["report"]
    assert "## What the poem says" in report


def test_a_search_that_hangs_costs_a_moment_and_is_said() -> None:
    """Nothing but the passages is missing."""
    outcome = ask(temple=SlowTemple())
    assert outcome.status == "degraded"
    assert outcome.record.duration_s <= 12
    assert "could not be written" not in outcome.outputs["report"]


class OneSilent(SimulatedModel):
    """Refuses one section."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer all but the health section."""
        if request.task == "health":
            message = "no"
            raise ModelRejected(message, model=self.name)
        async for chunk in super().stream(request):
            yield chunk


def test_a_section_that_fails_leaves_the_others() -> None:
    """The poem's gist stands in for it."""
    outcome = ask(model=OneSilent(app.profile))
    assert outcome.status == "degraded"
    assert outcome.outputs["report"].count("could not be written") == 1


class OnePromising(SimulatedModel):
    """Promises too much in one section."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer the health section with what no temple may say."""
        async for chunk in super().stream(request):
            response = chunk.response
            if request.task == "health" and response is not None:
                text = f"{response.text} You are guaranteed to heal."
                yield Chunk(response=msgspec.structs.replace(response, text=text))
            else:
                yield chunk


def test_a_section_that_promises_too_much_is_left_out() -> None:
    """The validation stage says which, and why."""
    outcome = ask(model=OnePromising(app.profile))
    assert outcome.status == "degraded"
    assert "guaranteed" not in outcome.outputs["report"]
    assert outcome.outputs["report"].count("could not be written") == 1


def test_what_was_asked_before_comes_at_once() -> None:
    """The same question whole; another of the same poem without writing its first section."""

    async def three() -> None:
        async with Cache() as cache:
            first = await asking(cache=cache)
            again = await asking(cache=cache)
            assert again.record.reuse["cached"]
            assert again.record.duration_s <= 0.05
            assert again.outputs["report"] == first.outputs["report"]
            other = await asking(
                cache=cache, inputs=SAMPLES["love"] | {"question": "And my sister?"}
            )
            assert other.record.llm_calls == len(SECTIONS) - 1
            assert not other.record.reuse.get("cached")

    virtual.run(three())
