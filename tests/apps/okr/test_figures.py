"""What the coach states, each figure at its target, and what keeps it true."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from hasten import Request
from hasten.apps.okr import app
from hasten.apps.okr.targets import COMPACTION, ENTRIES, REUSE
from hasten.apps.okr.workload import common, conversations, inputs_of, own, work_through
from hasten.trial import measure_target, try_virtually

if TYPE_CHECKING:
    from hasten.quality.target import Target
    from hasten.trial import Trial

VIRTUAL = [target for target in app.targets if target.clock == "virtual"]
BEGIN = app.samples["begin"]
STAGES = [
    "step_1_load_session",
    "step_2_load_messages",
    "step_3_load_okrs",
    "step_4_quality_assessment",
    "step_5_choose_phase",
    "step_6_build_prompt",
    "step_7_claude_api_call",
    "step_7_5_knowledge_suggestions",
    "step_8_save_message",
    "step_9_save_reply",
]


@pytest.mark.parametrize("target", VIRTUAL, ids=lambda target: target.name)
def test_the_figures_hold(target: Target) -> None:
    """On the simulated clock, in every environment."""
    found = measure_target(app, target)
    assert found.is_held, found
    if found.baseline is not None and target.name.startswith(("average", "first")):
        assert found.value is not None
        assert found.baseline > 2 * found.value


@pytest.mark.parametrize("repeats", [0.4, 0.6, 0.8, 0.9])
def test_the_baseline_takes_what_the_plan_found(repeats: float) -> None:
    """4,657 ms a message with about 2,000 tokens of prompt, whatever is repeated."""

    async def measure(trial: Trial) -> tuple[float, float]:
        found = await work_through(trial, repeats)
        return found.average_s, found.tokens_in / len(inputs_of(conversations(repeats)))

    average_s, tokens_in = try_virtually(app, measure, "baseline")
    assert average_s == pytest.approx(4.657, rel=0.02)
    assert tokens_in == pytest.approx(2_000, rel=0.1)


@pytest.mark.parametrize("experiment", [COMPACTION, REUSE], ids=lambda one: one.name)
def test_quality_is_kept(experiment: object) -> None:
    """Of the short prompt, and of answers that come from the cache."""
    result = try_virtually(app, lambda trial: trial.compare(experiment), "hasten")  # type: ignore[arg-type]
    assert result.conclusion == "kept"
    assert all(before > 0.5 for before, _ in result.scores.values()), result.scores


@pytest.mark.parametrize("mode", app.graphs)
def test_the_plans_stages_are_in_the_trace(mode: str) -> None:
    """By name; in the baseline one after another, else side by side."""

    async def measure(trial: Trial) -> None:
        outcome = await trial.run(BEGIN)
        spans = {one.name: one for one in outcome.spans}
        assert set(STAGES) <= set(spans)
        knowledge, call = spans["step_7_5_knowledge_suggestions"], spans["step_7_claude_api_call"]
        assert call.end_s is not None
        assert (knowledge.start_s < call.end_s) == (mode == "hasten")

    try_virtually(app, measure, mode)


def test_the_same_situation_is_answered_once() -> None:
    """Another session of the tenant hits, another message or team does not."""

    async def measure(trial: Trial) -> None:
        first = await trial.run(BEGIN)
        assert first.record.llm_calls == 1
        assert (await trial.run(BEGIN, user="bob")).record.llm_calls == 0
        assert (await trial.run({**BEGIN, "session_id": "x"})).record.llm_calls == 0
        assert (await trial.run({**BEGIN, "session_id": "y", "team_size": 30})).record.llm_calls
        assert (await trial.run(BEGIN)).record.llm_calls == 1, "it comes after an answer now"

    try_virtually(app, measure, "hasten")


def test_a_sessions_answers_are_dropped_with_it() -> None:
    """Those it asked first; what was warmed stays."""

    async def measure(trial: Trial) -> None:
        warmed = common()[0][0]
        (await trial.run({}, operation="warm")).value()
        mine = {"session_id": "mine", "message": own(1)[0]}
        assert (await trial.run(mine)).record.llm_calls == 1
        await trial.forget("tag=session:mine")
        assert (await trial.run({**mine, "session_id": "b"})).record.llm_calls == 1
        assert (
            await trial.run({**mine, "session_id": "c", "message": warmed})
        ).record.llm_calls == 0

    try_virtually(app, measure, "hasten")


def test_what_is_read_twice_in_a_message_is_loaded_once() -> None:
    """Each of session, messages and board: one query."""

    async def measure(trial: Trial) -> None:
        outcome = await trial.run(BEGIN)
        reads = [one.name for one in outcome.spans if one.name.startswith("select ")]
        assert len(reads) == len(set(reads)) == 3

    try_virtually(app, measure, "hasten")


@pytest.mark.slow
def test_memory_stays_flat() -> None:
    """Over 100,000 messages nobody asked before, below 100 MB; the last is still kept."""

    async def measure(trial: Trial) -> None:
        most_mb = []
        for number in range(100 * ENTRIES):
            asked = Request.ask(f"Question {number}? About 40 words.")
            await trial.model.complete(asked)
            if number % (10 * ENTRIES) == 0:
                most_mb.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        assert most_mb[-1] - most_mb[0] < 100
        assert most_mb[-1] - most_mb[2] < 20
        answered_s = trial.clock.monotonic()
        await trial.model.complete(asked)
        assert trial.clock.monotonic() == answered_s

    try_virtually(app, measure, "hasten")
