"""Experiments: checks, both orders of the judge, and what may be concluded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from hasten import Experiment, Trial
from hasten.errors import HastenError
from hasten.quality.answer import (
    Answer,
    facts_score,
    fresh_score,
    schema_score,
    sections_score,
    words_score,
)
from hasten.quality.experiment import conclude
from hasten.quality.judge import Judged, judge
from hasten.testing.model import FakeModel
from hasten.trial import measure_experiment, try_really, try_virtually
from tests.toy import toy_app


class Shape(BaseModel):
    """What an output should be."""

    size: int


def answer(text: str = "# Meaning\n\nYou, Ann, love tea.", **changes: Any) -> Answer:
    """Return an answer."""
    given: dict[str, Any] = {
        "inputs": {"name": "Ann"},
        "outputs": {"report": text},
        "text": text,
        "fresh_share": 0.5,
        "duration_s": 2.0,
        "tokens_in": 100,
        "tokens_out": 10,
        "cost_usd": 0.1,
    }
    return Answer(**{**given, **changes})


def experiment(**changes: Any) -> Experiment:
    """Return an experiment on tea."""
    given = {"name": "x", "about": "x", "inputs": [{"topic": "tea"}]}
    return Experiment(**{**given, **changes})


def test_each_check_gives_a_share() -> None:
    """Sections as headings or keys, facts in any case, words, freshness, schemas."""
    assert sections_score(answer(), ["Meaning", "Love"]) == 0.5
    assert sections_score(answer('{"meaning": 1}'), ["meaning"]) == 1.0
    assert sections_score(answer("the meaning of tea"), ["Meaning"]) == 0.0
    assert sections_score(answer("## What next?\nDrink."), ["What next?", "What nex"]) == 0.5
    assert facts_score(answer(), ["ann", "coffee"]) == 0.5
    assert (words_score(answer("a b c"), 6, 9), words_score(answer("a b c"), 1, 3)) == (0.5, 1.0)
    assert words_score(answer("a b c d"), 1, 2) == 0.5
    assert (fresh_score(answer(), 0.5), fresh_score(answer(), 0.51)) == (1.0, 0.0)
    shaped = answer(outputs={"a": {"size": 1}, "b": '{"size": "x"}', "c": Shape(size=1)})
    schemas = {"a": Shape, "b": Shape, "c": Shape, "d": Shape}
    assert schema_score(shaped, schemas) == 0.5


def test_a_failed_answer_is_worth_nothing() -> None:
    """However easy the checks."""
    found = experiment(words=(0, 10)).scores(answer(outputs={}, text=""))
    assert found == {"answered": 0.0, "words": 0.0}


@pytest.mark.parametrize(
    ("variant", "conclusion"),
    [([1.0] * 12, "kept"), ([0.5] * 12, "lost"), ([1.0, 0.6] * 6, "undecided")],
)
def test_the_interval_decides(variant: list[float], conclusion: str) -> None:
    """Kept when it surely is, lost when it surely is not, else undecided.

    Every answer passes the check "answered", so half of a loss in the other is seen.
    """
    one = experiment(checks={"good": lambda found: found.fresh_share})
    pairs = [(answer(fresh_share=1.0), answer(fresh_share=share)) for share in variant]
    found = conclude("toy", one, pairs)
    assert found.conclusion == conclusion
    assert found.is_held is (conclusion == "kept")
    assert found.scores["good"][0] == 1.0


def test_what_was_saved_is_a_share_of_the_baselines() -> None:
    """Nothing saved of nothing."""
    pairs = [(answer(cost_usd=0.0), answer(tokens_in=60, duration_s=1.0, cost_usd=0.0))]
    found = conclude("toy", experiment(), pairs)
    assert found.saved == pytest.approx(
        {"tokens_in": 0.4, "tokens_out": 0.0, "duration_s": 0.5, "cost_usd": 0.0}
    )


def test_a_judge_that_likes_whatever_is_first_likes_both() -> None:
    """Both orders are asked and the positions taken out again."""
    first = FakeModel('{"a": 9, "b": 3}')
    found = asyncio.run(judge(first, answer("one"), answer("two")))
    assert (found.baseline, found.variant) == (6.0, 6.0)


def test_a_judge_sees_no_names_and_the_better_wins() -> None:
    """The second order holds the answers swapped."""
    fair = FakeModel('{"a": 4, "b": 8, "reason": "richer"}', '{"a": 8, "b": 4}')
    found = asyncio.run(judge(fair, answer("one"), answer("two")))
    assert (found.baseline, found.variant, found.reasons[0]) == (4.0, 8.0, "richer")
    asked = [request.messages[-1].content for request in fair.requests]
    assert asked[0].index("one") < asked[0].index("two")
    assert asked[1].index("two") < asked[1].index("one")
    assert not any(word in asked[0] for word in ("baseline", "variant", "hasten"))


def test_the_judge_counts_where_it_is_stricter() -> None:
    """A variant that passes every check and loses every judgement has lost."""
    pairs = [(answer(), answer())] * 10
    judged = [Judged(8.0, 4.0, ("dull", ""))] * 10
    found = conclude("toy", experiment(), pairs, judged)
    assert (found.conclusion, found.quality.estimate) == ("lost", 0.5)
    assert found.wins is not None
    assert found.wins.estimate == 0.0
    assert found.scores["judge"] == (8.0, 4.0)


def test_an_experiment_runs_both_arms_with_caches_of_their_own() -> None:
    """The same inputs again cost the variant nothing; nothing leaks from arm to arm."""
    twice = experiment(inputs=["tea", "tea", {"topic": "coffee"}])
    found = measure_experiment(toy_app(), twice)
    assert (found.pairs, found.conclusion) == (3, "kept")
    assert 0.3 < found.saved["tokens_in"] < 0.4
    same = experiment(baseline={"mode": "hasten"}, variant={"mode": "hasten"})
    assert measure_experiment(toy_app(), same).saved["tokens_in"] == 0.0


def test_a_judge_is_asked_where_there_is_one() -> None:
    """Once for each order of each pair."""
    fair = FakeModel('{"a": 8, "b": 8}')
    found = measure_experiment(toy_app(), experiment(is_judged=True), lambda: fair)
    assert (found.conclusion, len(fair.requests)) == ("kept", 2)
    assert measure_experiment(toy_app(), experiment(is_judged=True)).wins is None


def test_a_target_can_be_an_experiments_quality() -> None:
    """Inside a trial."""

    async def quality(trial: Trial) -> float:
        return (await trial.compare(experiment())).quality.low * 100

    assert try_virtually(toy_app(), quality, "hasten") == 100.0
    with pytest.raises(HastenError, match="virtual clock"):
        try_really(toy_app(), quality, "hasten")
    with pytest.raises(HastenError, match="no inputs"):
        measure_experiment(toy_app(), experiment(inputs=[]))
