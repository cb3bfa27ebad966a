"""Trials: fresh each time, virtual or real, in either mode; what goes wrong is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from hasten import SimProfile, Target, Trial
from hasten.errors import HastenError
from hasten.trial import measure_target, measure_targets, try_really, try_virtually
from tests.notebook import notebook_app, notes
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEA = {"topic": "tea"}


async def cold(trial: Trial) -> float:
    """Return how long one run takes."""
    return await trial.duration_s(TEA)


async def again(trial: Trial) -> float:
    """Return how long the second takes."""
    await trial.run(TEA)
    return await trial.duration_s(TEA)


def stated(measure: Callable[[Trial], Awaitable[float]], **options: object) -> Target:
    """Return a target of that measure, held below five seconds."""
    given = {"name": "x", "about": "x", "measure": measure, "at_most": 5.0, **options}
    return Target(**given)  # type: ignore[arg-type]


def test_both_modes_are_measured() -> None:
    """The baseline does one thing after the other."""
    found = measure_target(toy_app(), stated(cold))
    assert found.value is not None
    assert found.baseline is not None
    assert found.baseline > found.value + 1.5
    assert found.is_held


def test_a_trial_remembers_its_own_runs_only() -> None:
    """What one trial computed is there for its second run and for no other trial."""
    assert try_virtually(toy_app(), again, "hasten") == 0.0
    assert try_virtually(toy_app(), again, "baseline") > 5.0
    assert try_virtually(toy_app(), cold, "hasten") > 2.0


def test_a_trial_has_tables_and_operations() -> None:
    """In memory in virtual time, on disk on the real clock; seeded on both."""

    async def counted(trial: Trial) -> float:
        await trial.run("tea")
        outcome = await trial.run(operation="count")
        assert outcome.value()["count"] == len(await trial.tables.rows(sa.select(notes)))
        return float(outcome.value()["count"])

    assert try_virtually(notebook_app(), counted, "hasten") == 2.0
    assert try_really(notebook_app(profile=SimProfile(ttft_s=0.0)), counted, "hasten") == 2.0


def test_a_real_trial_fills_fast_and_measures_slow() -> None:
    """The second of two equal runs takes milliseconds on the wall."""

    async def rerun(trial: Trial) -> float:
        await trial.run(TEA, speed=1_000)
        return await trial.median_s(lambda: trial.run(TEA), times=3)

    found = measure_target(toy_app(), stated(rerun, clock="real", baseline=again, at_most=1.0))
    assert found.is_held
    assert found.baseline is not None
    assert found.baseline > 5.0


def test_what_goes_wrong_is_not_held_and_says_why() -> None:
    """A failing or degraded run has no duration worth telling."""

    async def failing(trial: Trial) -> float:
        return await trial.duration_s({**TEA, "trouble": "answer"})

    async def degraded(trial: Trial) -> float:
        return await trial.duration_s({**TEA, "trouble": "tool"})

    async def unknown(trial: Trial) -> float:
        return await trial.duration_s("coffee")

    for measure, why in ((failing, "the answer broke"), (degraded, "degraded"), (unknown, "tea")):
        found = measure_target(toy_app(), stated(measure))
        assert (found.is_held, found.value) == (False, None)
        assert why in found.why


def test_a_figure_may_need_another_manifest() -> None:
    """Its changes hold for it alone."""
    slow = stated(cold, changes={"profile": SimProfile(ttft_s=60.0)})
    app = replace(toy_app(), targets=(slow, stated(cold)))
    first, second = measure_targets(app)
    assert (first.is_held, second.is_held) == (False, True)


def test_the_race_leaves_out_what_is_not_in_it() -> None:
    """``check`` measures all."""
    app = replace(toy_app(), targets=(stated(cold), stated(cold, is_raced=False)))
    assert len(measure_targets(app, is_race=True)) == 1


def test_virtual_time_has_no_speed() -> None:
    """Saying one is a mistake."""

    async def fast(trial: Trial) -> float:
        await trial.run(TEA, speed=2.0)
        return 0.0

    with pytest.raises(HastenError, match="no speed"):
        try_virtually(toy_app(), fast, "hasten")


def test_jobs_wait_while_others_are_under_way() -> None:
    """Each says how long it was queued and when its work began; none is left when the last has."""

    async def waiting(trial: Trial) -> float:
        waits = await trial.pick_ups([{"topic": word} for word in ("tea", "coffee")], 0.001)
        assert len(waits) == 2
        assert all(0 <= one.queued_s <= one.begun_s < 1 for one in waits)
        return 0.0

    assert try_really(toy_app(), waiting, "hasten") == 0.0
    with pytest.raises(HastenError, match="real clock"):
        try_virtually(toy_app(), waiting, "hasten")
