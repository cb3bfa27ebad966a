"""Sources and models that fail, hang or talk nonsense: there is always a report that says so."""

from __future__ import annotations

import asyncio

import pytest

from hasten import virtual
from hasten.apps.discovery import app
from hasten.apps.discovery.hasten import PROFILE_WAIT_S
from hasten.apps.discovery.prompts import OUTPUTS, SECTIONS
from hasten.apps.discovery.report import SHORT_FORM, TASK_TIMEOUT_S
from hasten.apps.discovery.shelf import ReportStore
from hasten.apps.discovery.tools import TOOL_TIMEOUT_S, TOOLS
from hasten.clock import current_clock
from hasten.graph.outcome import RunOptions
from hasten.model.simulated import SimulatedModel
from hasten.testing.model import FakeModel
from tests.apps.discovery.common import MODES, NEVER_S, ChosenModel, FaultySources, discover

PROFILE = {"profile_analysis", *(section.name for section in SECTIONS["profile_analysis"])}
RESEARCH = {"idea_research", "ideas", *(section.name for section in SECTIONS["idea_research"])}
RECOMMENDATION = {"recommendation", *(section.name for section in SECTIONS["recommendation"])}
TASKS = {
    "profile_analysis": PROFILE,
    "idea_research": RESEARCH,
    "recommendation": RECOMMENDATION,
}


@pytest.mark.parametrize("fault", ["fails", "hangs", "nonsense"])
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("mode", MODES)
def test_a_tool_that_gives_nothing_is_named(mode: str, tool: str, fault: str) -> None:
    """Its fallback stands in the answer, the run is degraded by it, its span says so."""
    outcome = discover(mode, sources=FaultySources({tool: fault}))
    assert outcome.status == "degraded"
    assert any(reason.startswith(f"{tool}: fallback after") for reason in outcome.degraded_by)
    whole = "\n".join(outcome.outputs.values())
    if mode == "baseline" and SHORT_FORM in whole:
        assert fault == "hangs"  # one by one, waiting for it can cost the task its 45 s
        return
    assert whole.count(":** missing, the source gave no usable answer") == 1
    span = next(span for span in outcome.spans if span.name == tool)
    assert span.status == "degraded"
    assert span.duration_s <= TOOL_TIMEOUT_S
    assert whole.count(SHORT_FORM) == 0


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("task", OUTPUTS)
@pytest.mark.parametrize("mode", MODES)
def test_a_task_without_its_model_ends_in_its_short_form(
    mode: str, task: str, *, hangs: bool
) -> None:
    """After 45 s at most; the other two tasks are written in full."""
    model = ChosenModel(TASKS[task].__contains__, hangs=hangs)
    outcome = discover(mode, model=model)
    assert outcome.status == "degraded"
    assert any(task in reason or OUTPUTS[task] in reason for reason in outcome.degraded_by) or (
        mode == "baseline" and any("research" in reason for reason in outcome.degraded_by)
    )
    short = {name: text.count(SHORT_FORM) for name, text in outcome.outputs.items()}
    expected = {OUTPUTS[one]: len(SECTIONS[one]) if one == task else 0 for one in OUTPUTS}
    assert short == expected
    usual_s = discover(mode).record.duration_s
    assert outcome.record.duration_s <= usual_s + TASK_TIMEOUT_S


@pytest.mark.parametrize("mode", MODES)
def test_without_a_profile_the_rest_goes_on(mode: str) -> None:
    """Research and recommendation are whole, and still about this person."""
    outcome = discover(mode, model=ChosenModel(PROFILE.__contains__, hangs=False))
    assert SHORT_FORM not in outcome.outputs["startup_ideas_research"]
    assert SHORT_FORM not in outcome.outputs["personalized_recommendations"]
    assert "Free / Sweat-equity only" in outcome.outputs["personalized_recommendations"]


@pytest.mark.parametrize("mode", MODES)
def test_without_research_the_recommendation_uses_the_profile(mode: str) -> None:
    """Plain ideas stand in for found ones, and the profile is in the prompts that follow."""
    model = ChosenModel(RESEARCH.__contains__, hangs=False)
    outcome = discover(mode, model=model)
    assert SHORT_FORM not in outcome.outputs["personalized_recommendations"]
    assert "Chatbots Done for You" in outcome.outputs["startup_ideas_research"]
    asked = [
        turn.content
        for request in model.requests
        if request.task in RECOMMENDATION
        for turn in request.messages
    ]
    sentence = outcome.outputs["profile_analysis"].partition("## Core Motivation\n\n")[2][:60]
    assert any(sentence in text for text in asked)


@pytest.mark.parametrize(("mode", "most_s"), [("baseline", 139.0), ("hasten", 74.0)])
@pytest.mark.parametrize("hangs", [False, True])
def test_without_any_model_there_is_still_a_report(
    mode: str, most_s: float, *, hangs: bool
) -> None:
    """All sections are in their short form, the tools' figures stand, the end comes in time."""
    outcome = discover(mode, model=ChosenModel(lambda _: True, hangs=hangs))
    assert outcome.status == "degraded"
    assert outcome.record.duration_s <= most_s
    assert all(SHORT_FORM in text for text in outcome.outputs.values())


@pytest.mark.parametrize("said", ["", "Certainly! I can help you with that."])
@pytest.mark.parametrize("mode", MODES)
def test_a_model_that_says_nothing_to_the_point_degrades_the_run(mode: str, said: str) -> None:
    """Empty answers, missing headings and missing JSON are never passed off as a report."""
    outcome = discover(mode, model=FakeModel(said))
    assert outcome.status == "degraded"
    assert "Chatbots Done for You" in outcome.outputs["startup_ideas_research"]
    assert mode == "hasten" or all(SHORT_FORM in text for text in outcome.outputs.values())


class FullShelf(ReportStore):
    """A shelf that takes no more records."""

    async def write_record(self, parts: object) -> None:
        """Refuse."""
        raise OSError(str(parts)[:20])


@pytest.mark.parametrize("mode", MODES)
def test_a_report_that_cannot_be_saved_is_answered_all_the_same(mode: str) -> None:
    """The run is degraded by it and the answer whole."""
    outcome = discover(mode, shelf=FullShelf())
    assert outcome.degraded_by == ("report_record: no value: OSError",)
    assert set(outcome.outputs) == set(OUTPUTS.values())


@pytest.mark.parametrize("mode", MODES)
def test_a_finished_report_is_on_the_shelf(mode: str) -> None:
    """As one document and as its parts."""
    shelf = ReportStore()
    outcome = discover(mode, shelf=shelf)
    assert shelf.parts == outcome.outputs
    assert all(text in shelf.document for text in outcome.outputs.values())


@pytest.mark.parametrize("after_s", [0.0, 3.0, 12.0, 19.0])
@pytest.mark.parametrize("mode", MODES)
def test_cancelling_leaves_no_task(mode: str, after_s: float) -> None:
    """At any moment a run can be ended, and nothing of it goes on."""

    async def main() -> str:
        resources = app.resources(SimulatedModel(app.profile), is_simulated=True)
        run = app.graph(mode).start(app.samples["chatbots"], options=RunOptions(), **resources)
        await current_clock().sleep(after_s)
        run.cancel()
        outcome = await run.outcome()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return outcome.status

    assert virtual.run(main()) == "cancelled"


def test_hanging_sections_do_not_keep_the_ideas_waiting_for_long() -> None:
    """Ideas are no section: all places may be taken, and the profile is waited for briefly."""
    model = ChosenModel(PROFILE.__contains__, hangs=True)
    outcome = discover("hasten", model=model, sources=FaultySources({}))
    ideas = next(span for span in outcome.spans if span.name == "ideas")
    assert ideas.start_s - outcome.record.started_s == pytest.approx(6.7 + PROFILE_WAIT_S)
    assert outcome.record.duration_s < NEVER_S
