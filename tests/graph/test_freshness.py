"""The freshness guarantee: what may be reused, what is written anew, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy, Directives
from hasten.clock import current_clock
from hasten.errors import FreshnessRefused, GraphError
from hasten.graph.freshness import Freshness
from hasten.graph.graph import Graph
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.rerun import RERUN
from hasten.graph.step import Soft, step
from hasten.trace.recorder import emit_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.trace.event import RunEvent

KEPT = CachePolicy(use="block", ttl_s=1_000.0, fields=("area",), is_refreshed_early=False)


class Inputs(BaseModel):
    """An area many share, a story nobody does, and how long its own section gets."""

    area: str = "food"
    story: str = "mine"
    own_chars: int = 100
    floor: float = 0.3


def _block(name: str, chars: int, wait_s: float) -> Any:
    async def write_block(area: str) -> str:
        await current_clock().sleep(wait_s)
        text = f"{area} at {current_clock().monotonic():.0f} ".ljust(chars, ".")
        emit_text(f"About {name} of {area}", text)
        return text

    return step(name=name, section=f"About {name} of {{area}}", cache=KEPT)(write_block)


@step
async def own(story: str, own_chars: int) -> str:
    """Write what is this person's own; the last section to come."""
    await current_clock().sleep(9.0)
    return story.ljust(own_chars, ".")


@step
async def early(small: str, large: str) -> str:
    """Put together what is there soon."""
    return f"{small}|{large}"


@step
async def whole(early: str, own: str) -> str:
    """Put everything together."""
    return f"{early}|{own}"


SMALL, LARGE = _block("small", 50, 1.0), _block("large", 150, 2.0)


def build(**changes: Any) -> Graph:
    """Build the graph; ``changes`` replace fields of its guarantee."""
    told = {
        "sections": {"small": 50, "large": 150, "own": 100},
        "always_fresh": ("own",),
        "floor": lambda inputs: inputs.floor,
    }
    return Graph(
        "fresh",
        [SMALL, LARGE, own, early, whole],
        inputs=Inputs,
        outputs=["early", "whole"],
        freshness=Freshness(**{**told, **changes}),
    )


GRAPH = build()


def twice(
    first: dict[str, Any],
    second: dict[str, Any],
    *,
    hear: Callable[[RunEvent], None] = lambda _: None,
    **options: Any,
) -> Outcome:
    """Run the graph for two people, an hour of minutes apart, and return the second outcome."""

    async def main() -> Outcome:
        async with Cache() as cache:
            await GRAPH.run(first, options=RunOptions(cache=cache))
            await current_clock().sleep(60.0)
            asked = RunOptions(cache=cache, listeners=(hear,), **options)
            return await GRAPH.run(second, options=asked)

    return virtual.run(main())


def test_a_first_run_is_all_fresh() -> None:
    """Without anything stored, or without a cache, the run writes everything."""
    for cache in (None, Cache()):
        outcome = virtual.run(GRAPH.run({}, options=RunOptions(cache=cache)))
        assert outcome.record.reuse == {
            "fresh_share": 1.0,
            "cached_components": {},
            "fresh_components": {"small": 0.0, "large": 0.0, "own": 0.0},
        }


def test_blocks_are_reused_down_to_the_floor() -> None:
    """With 100 of 300 characters its own a run may reuse both blocks, and says how old they are."""
    reuse = twice({}, {"story": "hers"}).record.reuse
    assert reuse["fresh_share"] == pytest.approx(1 / 3, abs=1e-3)
    assert reuse["cached_components"] == pytest.approx({"small": 68.0, "large": 67.0})
    assert reuse["fresh_components"] == {"own": 0.0}


def test_a_higher_floor_lets_less_be_reused() -> None:
    """The blocks that do not fit are written anew from the start."""
    outcome = twice({}, {"story": "hers", "floor": 0.8})
    assert outcome.record.reuse["cached_components"] == pytest.approx({"small": 68.0})
    assert outcome.record.reuse["fresh_share"] == pytest.approx(5 / 6, abs=1e-3)
    assert outcome.record.duration_s == pytest.approx(9.0)


def test_what_came_short_is_made_up_for() -> None:
    """A section of its own that came short: the largest reused block is written anew."""
    told: list[RunEvent] = []
    outcome = twice({}, {"story": "hers", "own_chars": 20}, hear=told.append)
    assert outcome.record.reuse["cached_components"] == pytest.approx({"small": 68.0})
    assert outcome.record.reuse["fresh_share"] == pytest.approx(170 / 220, abs=1e-3)
    assert outcome.record.duration_s == pytest.approx(11.0)
    new = "food at 80"
    assert new in outcome.outputs["early"]
    assert new in outcome.outputs["whole"]
    given = [event.data["value"] for event in told if event.type == "output"]
    assert [new in text for text in given] == [False, True, True]
    shown = ""
    for event in told:
        if event.data.get("section") == "About large of food":
            shown = (
                event.data["text"] if event.type == "text.replaced" else shown + event.data["text"]
            )
    assert shown.startswith(new)


def test_a_block_that_was_not_reused_serves_the_next() -> None:
    """What is written anew for one person's share is kept for others."""

    async def main() -> None:
        async with Cache() as cache:
            for floor in (0.3, 0.9):
                await GRAPH.run({"floor": floor}, options=RunOptions(cache=cache))
            found = await GRAPH.run({}, options=RunOptions(cache=cache))
        assert found.record.reuse["cached_components"]["large"] == pytest.approx(7.0)

    virtual.run(main())


def test_a_cached_block_is_told_like_a_written_one() -> None:
    """Whoever follows reads it under its title, once."""
    told: list[RunEvent] = []
    twice({}, {"story": "hers"}, hear=told.append)
    texts = [event.data for event in told if event.type == "text"]
    assert [data["section"] for data in texts] == ["About small of food", "About large of food"]
    assert [len(data["text"]) for data in texts] == [50, 150]


def test_a_rerun_keeps_the_originals_share() -> None:
    """The same again is as fresh as it was, and says that it is given again."""

    async def main() -> None:
        async with Cache() as cache:
            first, again = [
                await GRAPH.run({}, options=RunOptions(cache=cache, rerun=RERUN)) for _ in range(2)
            ]
        assert again.record.reuse["cached"] is True
        assert again.record.reuse["fresh_share"] == first.record.reuse["fresh_share"] == 1.0

    virtual.run(main())


def test_a_stale_block_is_never_taken() -> None:
    """However old an answer the request would take, a block does not outlive its policy."""

    async def main() -> Outcome:
        async with Cache() as cache:
            await GRAPH.run({}, options=RunOptions(cache=cache))
            await current_clock().sleep(2_000.0)
            asked = Directives(max_stale_s=float("inf"))
            return await GRAPH.run({}, options=RunOptions(cache=cache, directives=asked))

    assert virtual.run(main()).record.reuse["fresh_share"] == 1.0


def when_the_model_is_gone(fallback: Callable[..., Any] | None = None) -> Outcome:
    """Answer once, then again with a ``block`` that must be written anew and cannot be."""
    fails: list[str] = []

    @step(cache=KEPT, fallback=fallback)
    async def block(area: str) -> str:
        if fails:
            raise ValueError(*fails)
        return area.ljust(100, ".")

    @step
    async def own(story: str) -> str:
        await current_clock().sleep(1.0)
        return story

    @step
    async def whole(block: str, own: str) -> str:
        return block + own

    told = Freshness(sections={"block": 100, "own": 100}, floor=lambda _: 0.4)
    graph = Graph("short", [block, own, whole], inputs=Inputs, outputs=["whole"], freshness=told)

    async def main() -> Outcome:
        async with Cache() as cache:
            await graph.run({}, options=RunOptions(cache=cache))
            fails.append("the model is gone")
            return await graph.run({}, options=RunOptions(cache=cache, rerun=RERUN))

    return virtual.run(main())


def test_a_guarantee_that_cannot_be_met_is_an_error() -> None:
    """If blocks cannot be written anew and the rest came short, there is no answer."""
    outcome = when_the_model_is_gone()
    assert outcome.status == "failed"
    assert isinstance(outcome.error, FreshnessRefused)
    assert outcome.outputs == {}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.floats(0, 1), st.integers(0, 10))
def test_whatever_its_length_an_answer_keeps_to_the_floor(
    own_chars: int, floor: float, seed: int
) -> None:
    """However far the lengths are from what was expected: nothing is below it, nothing refused."""

    async def main() -> Outcome:
        async with Cache() as cache:
            await GRAPH.run({}, options=RunOptions(cache=cache))
            asked = {"story": "", "own_chars": own_chars, "floor": floor}
            return await GRAPH.run(asked, options=RunOptions(cache=cache))

    outcome = virtual.run(main(), seed=seed)
    assert outcome.status == "complete"
    reuse = outcome.record.reuse
    cached = sum({"small": 50, "large": 150}[name] for name in reuse["cached_components"])
    assert 1 - cached / (200 + own_chars) >= floor - 1e-9
    assert reuse["fresh_share"] == pytest.approx(1 - cached / (200 + own_chars), abs=1e-4)


def test_what_another_run_is_writing_is_not_this_runs_own() -> None:
    """Of two runs at once one writes each block; the other has it from it, new as it is."""

    async def main() -> list[Outcome]:
        async with Cache() as cache:
            options = RunOptions(cache=cache)
            runs = [GRAPH.start({"story": one}, options=options) for one in ("his", "hers")]
            return [await run.outcome() for run in runs]

    found = [outcome.record.reuse["cached_components"] for outcome in virtual.run(main())]
    assert sorted(pair for one in found for pair in one.items()) == [("large", 0.0), ("small", 0.0)]


def test_a_block_made_by_a_fallback_degrades_the_run() -> None:
    """Writing anew may end in a fallback: the run says so, and its answer is not kept."""

    async def plain(area: str) -> str:
        return area.ljust(100, "-")

    outcome = when_the_model_is_gone(plain)
    assert outcome.status == "degraded"
    assert outcome.degraded_by == ("block: fallback after ValueError",)
    assert "-" in outcome.outputs["whole"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sections": {"lost": 1}}, r"\['lost'\], which are no steps"),
        ({"always_fresh": ("small",)}, "'small' is always fresh, so it must not be cached"),
        ({"max_age_s": 999.0}, "'small' may get older than 999 s"),
    ],
)
def test_a_graph_that_cannot_keep_to_it_is_refused(changes: dict[str, Any], why: str) -> None:
    """Mistakes show when the graph is built."""
    with pytest.raises(GraphError, match=why):
        build(**changes)


def test_a_section_must_be_shown() -> None:
    """A section no output takes could not be put in its place again."""

    @step
    async def last(early: str) -> str:
        return early

    told = Freshness(sections={"small": 50}, floor=lambda _: 0.3)
    with pytest.raises(GraphError, match="'small' is no output, nor does one take it"):
        Graph("hid", [SMALL, LARGE, early, last], inputs=Inputs, outputs=["last"], freshness=told)


def test_a_section_that_never_comes_counts_for_nothing() -> None:
    """A degraded answer says what is in it; one that would be all reused is refused."""

    @step
    async def own(story: str) -> str:
        await current_clock().sleep(10_000.0)
        return story

    @step(soft_wait_s=5.0)
    async def whole(small: str, own: Soft[str]) -> str:
        return f"{small}{own}"

    told = Freshness(sections={"small": 50, "own": 100}, floor=lambda _: 0.3)
    graph = Graph("hung", [SMALL, own, whole], inputs=Inputs, outputs=["whole"], freshness=told)

    async def main() -> None:
        async with Cache() as cache:
            first, second = [await graph.run({}, options=RunOptions(cache=cache)) for _ in range(2)]
        assert first.status == "degraded"
        assert first.record.reuse["fresh_components"] == {"small": 0.0}
        assert isinstance(second.error, FreshnessRefused)

    virtual.run(main())
