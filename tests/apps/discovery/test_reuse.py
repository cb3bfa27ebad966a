"""What a report takes when others, or the same person, have asked before; what nobody else gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hasten import virtual
from hasten.apps.discovery import app
from hasten.apps.discovery.inputs import SAMPLES
from hasten.apps.discovery.prompts import SECTIONS
from hasten.apps.discovery.sources import LATENCY_S
from hasten.cache.cache import Cache
from hasten.cache.entry import unseal
from hasten.cache.tiers import Tier
from hasten.caller import Caller
from hasten.clock import current_clock
from hasten.codec import decode
from hasten.graph.outcome import RunOptions
from hasten.model.chain import build_chain
from hasten.model.simulated import SimulatedModel
from hasten.store.memory import MemoryStore

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome

ANN, BOB = (Caller("acme", name) for name in ("ann", "bob"))

ANNS = {**SAMPLES["chatbots"], "experience_summary": "I ran a Zanzibarquux bakery for ten years."}
BOBS = {**ANNS, "experience_summary": "I drive a night bus and repair radios."}
OTHER_PLANS = {
    "goal_type": "Career Change",
    "time_commitment": "20+ hrs/week",
    "skill_strength": "Creative / Design",
}
CANARY = "Zanzibarquux"

TTL_DAYS = {
    "research_market_trends": 7,
    "analyze_competitors": 14,
    "estimate_market_size": 30,
    "assess_startup_risks": 14,
    "estimate_startup_costs": 14,
    "operating_constraints": 30,
    "opportunity": 30,
    "strengths": 30,
    "skill_gaps": 30,
    "market_direction": 14,
    "competition": 14,
    "market_sizing": 14,
    "risk_answers": 30,
}
"""Discovery plan 1.2 and 2.2; everything else is made each time."""

BLOCKS = {name for name in TTL_DAYS if name not in LATENCY_S}
DAY_S = 86_400.0


async def report(cache: Cache, caller: Caller, inputs: dict[str, Any]) -> Outcome:
    """Make one report."""
    model = build_chain(SimulatedModel(app.profile))
    options = RunOptions(
        app=app.name, mode="hasten", simulated=True, caller=caller, cache=cache, rerun=app.rerun
    )
    given = app.resources(model, is_simulated=True)
    outcome = await app.graph("hasten").run(inputs, options=options, **given)
    assert outcome.status == "complete", outcome.degraded_by
    return outcome


def with_cache(main: Any) -> Any:
    """Run ``main(cache)`` in virtual time; behind its memory the cache has a store to look into."""

    async def run() -> Any:
        async with Cache([Tier(store=MemoryStore())]) as cache:
            return await main(cache)

    return virtual.run(run())


def after_anns(caller: Caller, inputs: dict[str, Any], *, wait_s: float = 0.0) -> Outcome:
    """Return the outcome of a report made after Ann's."""

    async def main(cache: Cache) -> Outcome:
        await report(cache, ANN, ANNS)
        await current_clock().sleep(wait_s)
        return await report(cache, caller, inputs)

    found: Outcome = with_cache(main)
    return found


def reused(outcome: Outcome) -> set[str]:
    """Return the names of the tools and sections that came from the cache."""
    return {found.name for found in outcome.spans if found.attributes.get("cache_hit")}


def test_a_cold_report_is_all_fresh_and_as_quick_as_ever() -> None:
    """Having a cache costs no time: at most 22 s."""
    outcome = with_cache(lambda cache: report(cache, ANN, ANNS))
    assert outcome.record.duration_s <= 22
    assert outcome.record.reuse["fresh_share"] == 1.0
    assert reused(outcome) == set()


def test_with_warm_tools_it_takes_18_s() -> None:
    """Somebody with other plans in the same market: the tools and the market's blocks are there."""
    outcome = after_anns(BOB, {**BOBS, **OTHER_PLANS})
    assert outcome.record.duration_s <= 18
    market = {"market_direction", "competition", "market_sizing", "risk_answers"}
    assert reused(outcome) == {name for name in TTL_DAYS if name in LATENCY_S} | market


def test_somebody_alike_waits_15_s() -> None:
    """Only the tools that look at ideas and the personal sections are left."""
    outcome = after_anns(BOB, BOBS)
    assert outcome.record.duration_s <= 15
    assert reused(outcome) == set(TTL_DAYS)
    reuse = outcome.record.reuse
    assert set(reuse["cached_components"]) == BLOCKS
    assert 0.3 <= reuse["fresh_share"] < 0.7
    written = {one.name for sections in SECTIONS.values() for one in sections} - BLOCKS
    assert set(reuse["fresh_components"]) == written
    assert {"core_motivation", "profile_recommendations"} <= written


def test_the_same_again_asks_nobody() -> None:
    """A rerun makes no call at all, and another person with the same inputs does not get it."""
    again, bobs = after_anns(ANN, ANNS), after_anns(BOB, ANNS)
    assert (again.record.llm_calls, again.record.tool_calls) == (0, 0)
    assert again.record.duration_s == 0
    assert again.record.reuse["cached"] is True
    assert "cached" not in bobs.record.reuse
    assert bobs.record.llm_calls > 0


def test_what_is_personal_reaches_nobody_else() -> None:
    """A word of Ann's summary is in no answer of Bob's, and in no entry that others share."""

    async def main(cache: Cache) -> None:
        anns = await report(cache, ANN, ANNS)
        assert CANARY in "".join(anns.outputs.values())
        bobs = await report(cache, BOB, BOBS)
        assert reused(bobs)
        assert CANARY not in "".join(bobs.outputs.values())
        entries = [unseal(data) async for data in cache.tiers[0].store.scan()]
        assert len([entry for entry in entries if not entry.user]) == len(TTL_DAYS)
        told = [entry.user for entry in entries if CANARY in f"{entry} {decode(entry.body)}"]
        assert told == ["ann"]

    with_cache(main)


def test_tenants_share_nothing() -> None:
    """Not even what is known of a market."""
    assert reused(after_anns(Caller("other", "ann"), ANNS)) == set()


@pytest.mark.parametrize("length", [500, 501])
def test_who_tells_much_gets_a_report_of_their_own(length: int) -> None:
    """Above 500 characters at least 80 % of the report is written for this person."""
    told = ("I keep bees, repair clocks and teach both to children in the valley. " * 9)[:length]
    outcome = after_anns(BOB, {**BOBS, "experience_summary": told})
    share = outcome.record.reuse["fresh_share"]
    assert share >= 0.8 if length > 500 else 0.3 <= share < 0.7
    assert outcome.record.reuse["cached_components"]
    assert outcome.record.duration_s <= 18


@pytest.mark.parametrize(("name", "days"), TTL_DAYS.items())
def test_what_is_kept_ends_in_time(name: str, days: int) -> None:
    """Each tool's answer and each block lives as long as the plan says, or 5 % less."""
    assert name in reused(after_anns(BOB, BOBS, wait_s=days * DAY_S * 0.94))
    assert name not in reused(after_anns(BOB, BOBS, wait_s=days * DAY_S))


def test_a_block_says_how_old_it_is() -> None:
    """Ages are told for each block, in seconds."""
    ages = after_anns(BOB, BOBS, wait_s=DAY_S).record.reuse["cached_components"]
    assert set(ages) == BLOCKS
    assert all(DAY_S <= age_s <= DAY_S + 60 for age_s in ages.values())


def test_news_of_a_market_drop_all_that_was_made_from_it() -> None:
    """Tools, blocks and reruns of one market go; another market's stay."""
    elsewhere = SAMPLES["handmade"]

    async def main(cache: Cache) -> None:
        await report(cache, ANN, ANNS)
        await report(cache, ANN, elsewhere)
        area = ANNS["interest_area"]
        await cache.invalidate(f"tag=market:{area}", tenants=["acme"])
        again = await report(cache, ANN, ANNS)
        assert "cached" not in again.record.reuse
        assert reused(again) == set()
        assert (await report(cache, ANN, elsewhere)).record.reuse["cached"] is True

    with_cache(main)


def test_a_cached_section_is_read_like_any_other() -> None:
    """The live report shows every section under its own heading, reused or not."""

    async def main(cache: Cache) -> set[str]:
        await report(cache, ANN, ANNS)
        heard: set[str] = set()
        model = build_chain(SimulatedModel(app.profile))
        options = RunOptions(
            caller=BOB,
            cache=cache,
            listeners=(lambda event: heard.add(event.data.get("section", "")),),
        )
        given = app.resources(model, is_simulated=True)
        await app.graph("hasten").run(BOBS, options=options, **given)
        return heard

    headings = {one.heading(BOBS) for sections in SECTIONS.values() for one in sections}
    assert headings <= with_cache(main)
