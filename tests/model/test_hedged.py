"""A second call beside a slow one: heard if it is first, and rare."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelUnavailable
from hasten.model.base import Request
from hasten.model.hedged import HedgedModel, HedgePolicy
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.model.traced import TracedModel
from hasten.testing.faults import FaultyModel, failing, hanging, slow
from hasten.testing.model import FakeModel
from tests.model.recording import recorded

ASK = Request.ask("Hello")


def test_the_second_call_is_heard_and_the_first_cancelled_and_counted() -> None:
    """The 21st call hangs; the answer comes after the usual time twice, from a second call."""

    async def main() -> None:
        fault = hanging(times=1, skip=20)
        model = HedgedModel(TracedModel(FaultyModel(FakeModel("hi", first_s=1.0), fault)))
        for _ in range(20):
            await model.complete(ASK)
        with recorded() as recorder:
            start_s = current_clock().monotonic()
            assert (await model.complete(ASK)).text == "hi"
        assert fault.happened == 1
        assert current_clock().monotonic() - start_s == pytest.approx(2.0)
        assert (model.hedges, model.won) == (1, 1)
        assert [span.status for span in recorder.spans[1:]] == ["cancelled", "ok"]
        assert recorder.run.llm_calls == 2

    virtual.run(main())


def test_the_first_call_may_still_win() -> None:
    """The second is cancelled then."""

    async def main() -> None:
        fault = slow(1.0, times=1, skip=1)
        wire = FakeModel("one two", first_s=1.0, piece_s=5.0)
        model = HedgedModel(FaultyModel(wire, slow(0.8, times=1)), HedgePolicy(after_s=1.5))
        for _ in range(19):
            model._budget(current_clock()).note_call(0.0)
        start_s = current_clock().monotonic()
        async with aclosing(model.stream(ASK)) as chunks:
            assert (await anext(chunks)).text == "one"
            assert current_clock().monotonic() - start_s == pytest.approx(1.8)
            assert wire.open_calls == 1
        assert wire.open_calls == 0
        assert (model.hedges, model.won, fault.happened) == (1, 0, 0)

    virtual.run(main())


def test_no_more_than_one_call_in_twenty() -> None:
    """Every call is slow: 200 calls make 10 second ones at most."""

    async def main() -> tuple[int, int]:
        wire = FakeModel("hi", first_s=5.0)
        model = HedgedModel(wire, HedgePolicy(after_s=1.0))
        await asyncio.gather(*(model.complete(ASK) for _ in range(200)))
        return model.hedges, len(wire.requests)

    hedges, calls = virtual.run(main())
    assert 0 < hedges <= 10
    assert calls == 200 + hedges


def test_nothing_is_hedged_before_the_usual_time_is_known() -> None:
    """Nineteen calls teach, the twentieth still waits."""

    async def main() -> int:
        model = HedgedModel(FaultyModel(FakeModel("hi", first_s=1.0), slow(60.0, skip=19)))
        for _ in range(20):
            await model.complete(ASK)
        return model.hedges

    assert virtual.run(main()) == 0


def test_when_both_fail_the_first_error_is_raised_and_one_failure_waits_for_the_other() -> None:
    """A failed first call does not end the second, nor the other way round."""

    async def main() -> None:
        errors = iter([ModelUnavailable("first"), ModelUnavailable("second")])
        wire = FaultyModel(FakeModel("hi"), failing(lambda: next(errors)))
        with pytest.raises(ModelUnavailable, match="first"):
            await HedgedModel(wire).complete(ASK)
        wire = FakeModel(ModelUnavailable("first"), "good", first_s=2.0)
        model = HedgedModel(wire, HedgePolicy(after_s=1.0, share=1.0))
        assert (await model.complete(ASK)).text == "good"

    virtual.run(main())


@pytest.mark.parametrize("seed", range(5))
def test_whoever_leaves_ends_both_calls(seed: int) -> None:
    """Before the first piece, while two calls are under way."""

    async def main() -> int:
        wire = FakeModel("hi", first_s=5.0)
        model = HedgedModel(wire, HedgePolicy(after_s=1.0, share=1.0))
        task = asyncio.create_task(model.complete(ASK))
        await current_clock().sleep(2.0)
        assert wire.open_calls == 2
        task.cancel()
        await asyncio.wait([task])
        return wire.open_calls

    assert virtual.run(main(), seed=seed) == 0


def test_the_tail_gets_shorter() -> None:
    """One call in fifty takes ten times as long: with hedging the 99th percentile does not."""

    async def p99_s(*, is_hedged: bool) -> float:
        calls = 0

        def jam() -> float:
            nonlocal calls
            calls += 1
            return 10.0 if calls % 50 == 0 else 0.0

        class Jammed(SimulatedModel):
            async def stream(self, request: Request):  # type: ignore[no-untyped-def] # noqa: ANN202 - as its parent
                await current_clock().sleep(jam())
                async for chunk in super().stream(request):
                    yield chunk

        wire = Jammed(SimProfile(decode_tokens_per_s=1e4))
        model = HedgedModel(wire) if is_hedged else wire
        took = []
        for number in range(400):
            start_s = current_clock().monotonic()
            async with aclosing(model.stream(Request.ask(f"Say {number}"))) as chunks:
                async for _ in chunks:
                    pass
            took.append(current_clock().monotonic() - start_s)
        return sorted(took)[395]

    assert virtual.run(p99_s(is_hedged=False)) > 10.0
    assert virtual.run(p99_s(is_hedged=True)) < 2.0
