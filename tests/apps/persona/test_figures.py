"""What the application states, each figure at its target, and what keeps it true."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hasten.apps.persona import app
from hasten.apps.persona.board import (
    Persona,
    PersonaChange,
    change_persona,
    copy_persona,
    find_persona,
    sample_rows,
)
from hasten.apps.persona.events import PersonaLog
from hasten.apps.persona.prompts import CONTEXT_CHARS, JOURNEY, STORY_CHARS, short_request
from hasten.caller import Caller, set_caller
from hasten.errors import NotFound
from hasten.trace.event import RunEvent
from hasten.trial import measure_target, try_virtually

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome
    from hasten.quality.target import Target
    from hasten.trace.span import Span
    from hasten.trial import Trial

VIRTUAL = [target for target in app.targets if target.clock == "virtual"]


@pytest.mark.parametrize("target", VIRTUAL, ids=lambda target: target.name)
def test_the_figures_hold(target: Target) -> None:
    """On the simulated clock, in every environment."""
    found = measure_target(app, target)
    assert found.is_held, found
    if found.baseline is not None and target.name in {"cold", "compare", "tokens"}:
        assert found.value is not None
        assert found.baseline > 2 * found.value


def test_the_baseline_takes_what_the_plan_found() -> None:
    """5 to 8 s for one persona; 5 % of the answers cannot be read."""
    by_name = {target.name: measure_target(app, target) for target in VIRTUAL}
    assert 5 <= (by_name["cold"].baseline or 0) <= 8
    assert 10 <= (by_name["parse_errors"].baseline or 0) <= 100


def test_a_change_is_a_new_version_at_once() -> None:
    """Two changes in one second are two versions, and nothing of the one before is served."""

    async def measure(trial: Trial) -> float:
        set_caller(Caller("trial", "ann"))
        sample = await find_persona(trial.tables, "p01")
        own = await copy_persona(trial.tables, sample, "mine")
        for age in (30, 31):
            before = await trial.run({"persona_id": "mine"})
            assert before.record.llm_calls == 3
            assert (await trial.run({"persona_id": "mine"})).record.llm_calls == 0
            assert await change_persona(trial.tables, "mine", PersonaChange(age=age))
        after = await trial.run({"persona_id": "mine"})
        assert after.outputs["persona"].version == own.version + 2
        assert after.record.llm_calls == 3
        return 0.0

    try_virtually(app, measure, "hasten")


def test_one_that_is_not_there_does_not_fail_the_others() -> None:
    """It is named; if none is there the run fails."""

    async def measure(trial: Trial) -> float:
        asked = {"persona_ids": ["p01", "nobody", "p03"]}
        found = (await trial.run(asked, operation="compare")).outputs["comparison"]
        assert found.personas["nobody"] is None
        assert found.failed == {"nobody": "there is no persona 'nobody'"}
        assert found.personas["p03"].persona.full_name == "Aiko Tanaka"
        none = await trial.run({"persona_ids": ["x", "y"]}, operation="compare")
        assert none.status == "failed"
        return 0.0

    for mode in app.graphs:
        try_virtually(app, measure, mode)


def test_nobody_sees_or_changes_what_another_tenant_has() -> None:
    """A copy is its tenant's; a sample is nobody's to change."""

    async def measure(trial: Trial) -> float:
        set_caller(Caller("one", "ann"))
        sample = await find_persona(trial.tables, "p01")
        await copy_persona(trial.tables, sample, "mine")
        assert not await change_persona(trial.tables, "p01", PersonaChange(age=20))
        set_caller(Caller("two", "bob"))
        with pytest.raises(NotFound):
            await find_persona(trial.tables, "mine")
        assert not await change_persona(trial.tables, "mine", PersonaChange(age=20))
        return 0.0

    try_virtually(app, measure, "hasten")


def test_a_short_prompt_keeps_to_its_budget() -> None:
    """Context and story are cut at a sentence and a word; no schema stands in the prompt."""
    persona = Persona.model_validate(sample_rows()[0] | {"background": "word " * 200})
    request = short_request(JOURNEY, persona, "A sentence. " * 200, ("said",) * 20)
    prompt = request.messages[-1].content
    story = next(line for line in prompt.splitlines() if line.startswith("Story: "))
    market = next(line for line in prompt.splitlines() if line.startswith("Market: "))
    assert len(story) <= len("Story: ") + STORY_CHARS
    assert len(market) <= len("Market: ") + CONTEXT_CHARS
    assert prompt.count("- said: ") == 10
    assert "properties" not in prompt
    assert request.max_tokens == 2_000


def test_the_plans_events_are_told() -> None:
    """What was made and served, with the plan's fields; nothing that was said or written."""
    lines: list[dict[str, object]] = []
    log = PersonaLog()

    async def measure(trial: Trial) -> float:
        for _ in range(2):
            outcome = await trial.run({"persona_id": "p01"})
            for span in sorted(outcome.spans[1:], key=_end):
                data = {name: getattr(span, name) for name in span.__struct_fields__}
                lines.extend(map(json.loads, log(_event(outcome, "span.finished", data))))
            end = {"status": outcome.status, "duration_ms": outcome.record.duration_s * 1e3}
            lines.extend(map(json.loads, log(_event(outcome, "run.finished", end))))
        return 0.0

    try_virtually(app, measure, "hasten")
    names = [line["event"] for line in lines]
    assert sorted(names[:4]) == [
        "customer_journey_generated",
        "messaging_generated",
        "needs_analysis_generated",
        "persona_details_fetched_successfully",
    ]
    assert names[4:] == ["kpi_snapshot_served_from_cache", "persona_details_served_from_cache"]
    made = next(line for line in lines if line["event"] == "customer_journey_generated")
    assert made["persona_id"] == "p01"
    assert made["model"] == "sim-persona"
    assert made["rag_context_used"] is True
    fetched = lines[3]
    assert fetched["storage_ms"]
    assert fetched["parallel_fetch_ms"]


def _event(outcome: Outcome, type_: str, data: dict[str, Any]) -> RunEvent:
    return RunEvent(outcome.run_id, type_, 0.0, data.get("span_id", 0), data)


def _end(span: Span) -> tuple[float, int]:
    """Order spans as they end, the inner one first."""
    return span.end_s or 0.0, -span.span_id
