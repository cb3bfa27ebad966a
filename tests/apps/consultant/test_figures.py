"""What the application states, each figure at its target, and what keeps it true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.apps.consultant import app
from hasten.apps.consultant.chapters import AGENTS, FRAMEWORK_CHAPTERS, SYNTHESIS
from hasten.apps.consultant.inputs import FRAMEWORKS, SAMPLES
from hasten.apps.consultant.sources import LATENCY_S, SampleSource, companies
from hasten.cache.cache import Cache
from hasten.errors import HastenError
from hasten.trial import measure_target, try_virtually
from tests.apps.consultant.common import Listening, analyse, analysing

if TYPE_CHECKING:
    from hasten.apps.consultant.sources import Filings
    from hasten.quality.target import Target
    from hasten.trial import Trial

VIRTUAL = [target for target in app.targets if target.clock == "virtual"]
CHAPTERS = (*AGENTS, *FRAMEWORK_CHAPTERS.values(), SYNTHESIS)


@pytest.mark.parametrize("target", VIRTUAL, ids=lambda target: target.name)
def test_the_figures_hold(target: Target) -> None:
    """On the simulated clock, in every environment."""
    found = measure_target(app, target)
    assert found.is_held, found


def test_the_baseline_takes_what_the_plan_found() -> None:
    """15, 12 and 18 s of agents, 15 s for a framework and 10 for each more, 5 s of synthesis."""
    one = analyse("baseline")
    took_s = {span.name: span.duration_s for span in one.spans if span.kind == "step"}
    assert took_s["research"] == pytest.approx(15, abs=0.5)
    assert took_s["market"] == pytest.approx(12, abs=0.5)
    assert took_s["financial"] == pytest.approx(18, abs=0.5)
    assert took_s["views"] == pytest.approx(15, abs=1)
    assert took_s["synthesis"] == pytest.approx(5, abs=0.5)
    assert one.record.duration_s == pytest.approx(65, abs=1.5)
    five = analyse("baseline", inputs=SAMPLES["five"])
    assert five.record.duration_s == pytest.approx(105, abs=2.5)
    by_name = {target.name: target for target in VIRTUAL}
    assert measure_target(app, by_name["reply"]).baseline == pytest.approx(3.2, abs=0.3)
    assert measure_target(app, by_name["forecast"]).baseline == pytest.approx(5.5, abs=0.4)


def test_sections_do_not_cost_more() -> None:
    """As much is written, and what is read stays within half as much again."""
    for inputs in (SAMPLES["one"], SAMPLES["five"]):
        before, after = (analyse(mode, inputs=inputs) for mode in ("baseline", "hasten"))
        assert after.record.tokens_in <= 1.5 * before.record.tokens_in
        assert after.record.tokens_out == pytest.approx(before.record.tokens_out, rel=0.05)
        assert before.outputs.keys() == after.outputs.keys()
        for name in inputs["frameworks"]:
            wanted = [section.title for section in FRAMEWORK_CHAPTERS[name].sections]
            for outcome in (before, after):
                assert list(outcome.outputs["views"][name].sections) == wanted


def test_titles_and_what_they_read_exist() -> None:
    """A title is there once; what a section reads is the title of one written before it."""
    titles = [section.title for chapter in CHAPTERS for section in chapter.sections]
    assert len(titles) == len(set(titles))
    agents = {section.title for chapter in AGENTS for section in chapter.sections}
    for chapter in FRAMEWORK_CHAPTERS.values():
        assert {title for section in chapter.sections for title in section.reads} <= agents
    read = {title for section in SYNTHESIS.sections for title in section.reads}
    assert read <= set(titles)


def test_at_most_five_analysts_work_at_once() -> None:
    """Agents and frameworks count, section calls do not."""
    spans = analyse(inputs=SAMPLES["five"]).spans
    analysts = [
        one for one in spans if one.name in {"research", "market", "financial", *FRAMEWORKS}
    ]
    calls = [one for one in spans if one.kind == "model"]
    assert len(analysts) == 8
    for one in analysts:
        at_once = sum(other.start_s <= one.start_s < (other.end_s or 0) for other in analysts)
        assert at_once <= 5
    middle = max(one.start_s for one in analysts) + 1
    assert sum(one.start_s < middle < (one.end_s or 0) for one in calls) > 5


def test_what_is_shared_knows_nothing_of_a_company() -> None:
    """No name, no news, no figure of any company is in a prompt that rivals share."""
    model = Listening()
    outcome = analyse(model=model, inputs=SAMPLES["five"])
    shared = {
        section.title for chapter in CHAPTERS for section in chapter.sections if section.is_shared
    }
    company = companies()[SAMPLES["five"]["company"]]
    secrets = [company["name"], company["about"], *company["news"]]
    asked = [one.messages[-1].content for one in model.asked]
    of_industry = [one for one in asked if any(f"'{title}' in about" in one for title in shared)]
    assert len(of_industry) == len(shared)
    assert not [told for told in of_industry for secret in secrets if secret in told]
    assert outcome.outputs["profile"].name == company["name"]


class NoFilings(SampleSource):
    """A source whose filings are gone."""

    async def filings(self, company: str) -> Filings:
        """Fail."""
        message = f"no filings of {company!r} today"
        raise HastenError(message)


def test_without_an_agent_the_analysis_says_so_and_nothing_of_it_is_kept() -> None:
    """Degraded, without the chapter; asked again with the source back, what read it is new."""
    inputs = {**SAMPLES["one"], "frameworks": ["porter", "swot"]}

    async def main() -> None:
        async with Cache() as cache:
            without = await analysing(cache=cache, source=NoFilings(LATENCY_S), inputs=inputs)
            assert without.status == "degraded"
            assert without.outputs.get("financial") is None
            assert without.outputs["synthesis"].sections
            whole = await analysing(cache=cache, inputs=inputs)
            assert whole.status == "complete"
            assert whole.outputs["financial"].sections
            written = {one.name for one in whole.spans if one.kind == "step"}
            assert not whole.record.reuse.get("cached")
            hit = {one.name for one in whole.spans if one.attributes.get("cache_hit")}
            assert {"industry", "rivals", "research", "porter_applied"} <= hit
            assert {"swot_applied", "synthesis"} <= written - hit
            again = await analysing(cache=cache, inputs=inputs)
            assert again.record.reuse["cached"]

    virtual.run(main())


def test_nobody_is_given_anothers_analysis() -> None:
    """A whole analysis is its asker's; what is public of an industry is everyone's."""

    async def measure(trial: Trial) -> float:
        await trial.run(SAMPLES["one"], user="ann")
        bob = await trial.run(SAMPLES["one"], user="bob")
        assert not bob.record.reuse.get("cached")
        assert (await trial.run(SAMPLES["one"], user="ann")).record.reuse["cached"]
        return 0.0

    try_virtually(app, measure, "hasten")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"company": "nobody"}, "company"),
        ({"company": ""}, "company"),
        ({"company": "x" * 5_000}, "company"),
        ({"company": "sec:../../etc"}, "company"),
        ({"company": 7}, "company"),
        ({"company": "ledgerleaf", "frameworks": []}, "frameworks"),
        ({"company": "ledgerleaf", "frameworks": ["astrology"]}, "frameworks"),
        ({"company": "ledgerleaf", "frameworks": ["swot"] * 9}, "frameworks"),
        ({"company": "ledgerleaf", "mood": "good"}, "mood"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], field: str) -> None:
    """The field, not a failure later."""
    with pytest.raises(HastenError) as caught:
        app.graph().parse(given)
    assert getattr(caught.value, "field", "").startswith(field)


def test_the_order_and_the_spelling_asked_in_change_nothing() -> None:
    """One key for one analysis."""
    one = app.graph().parse({"company": "Ledgerleaf", "frameworks": ["swot", "porter", "swot"]})
    assert one == app.graph().parse({"company": "ledgerleaf", "frameworks": ["porter", "swot"]})
