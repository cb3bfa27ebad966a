"""Another model in place of one that fails: heard, said, and never stored."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.clock import current_clock
from hasten.errors import ModelError, ModelRefused, ModelRejected, ModelUnavailable
from hasten.model.base import Model, Request
from hasten.model.cached import CachedModel
from hasten.model.chain import ChainPolicy, build_chain
from hasten.model.fallback import FallbackModel, Spare
from hasten.testing.model import BrokenAnswer, FakeModel
from tests.model.recording import recorded

ASK = Request.ask("Hello", model="gpt-4o")


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("down"),
        ModelRejected("no such model", status=404),
        ModelRejected("who?", status=401),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False])
def test_the_next_model_answers_and_the_run_says_so(error: ModelError, *, is_stream: bool) -> None:
    """At another endpoint by its own name; the run is degraded by it."""

    async def main() -> None:
        first, second = FakeModel(error), FakeModel("hi", name="other")
        model = FallbackModel(first, [Spare(second)])
        with recorded() as recorder:
            if is_stream:
                async with aclosing(model.stream(ASK)) as chunks:
                    assert (await anext(chunks)).text == "hi"
            else:
                assert (await model.complete(ASK)).text == "hi"
        assert second.requests[0].model == ""
        assert recorder.run.degraded_by == ["model: other in place of fake"]

    virtual.run(main())


def test_another_model_of_the_same_endpoint() -> None:
    """Asked by its name, after the retries of the first."""

    async def main() -> list[str]:
        wire = FakeModel(
            lambda ask: ModelUnavailable("down") if ask.model == "gpt-4o" else ask.model
        )
        model = build_chain(wire, ChainPolicy(fallbacks=("gpt-4o-mini",)))
        assert (await model.complete(ASK)).text == "gpt-4o-mini"
        return [ask.model for ask in wire.requests]

    assert virtual.run(main()) == ["gpt-4o"] * 3 + ["gpt-4o-mini"]


@pytest.mark.parametrize("error", [ModelRejected("wrong", status=400), ModelRefused("no")])
def test_what_no_other_model_would_answer_is_raised(error: ModelError) -> None:
    """A wrong request, and one that was declined."""
    second = FakeModel("hi")

    with pytest.raises(type(error)):
        virtual.run(FallbackModel(FakeModel(error), [Spare(second)]).complete(ASK))
    assert second.requests == []


def test_a_model_that_failed_is_passed_over_for_a_while() -> None:
    """Then it is asked again; and if all fail, the first error is raised."""

    async def main() -> None:
        first, second = FakeModel(ModelUnavailable("down"), "back"), FakeModel("hi")
        model = FallbackModel(first, [Spare(second)])
        assert [(await model.complete(ASK)).text for _ in range(3)] == ["hi"] * 3
        assert len(first.requests) == 1
        await current_clock().sleep(31.0)
        assert (await model.complete(ASK)).text == "back"
        lost = FallbackModel(
            FakeModel(ModelUnavailable("one")), [Spare(FakeModel(ModelUnavailable("two")))]
        )
        with pytest.raises(ModelUnavailable, match="one"):
            await lost.complete(ASK)

    virtual.run(main())


def test_a_stream_that_has_begun_stays_with_its_model() -> None:
    """What was said cannot be taken back."""

    async def main() -> None:
        first = FakeModel(BrokenAnswer("half", ModelUnavailable("broken")))
        model = FallbackModel(first, [Spare(FakeModel("hi"))])
        with pytest.raises(ModelUnavailable):
            await Model.complete(model, ASK)  # reads the stream

    virtual.run(main())


def test_a_fallbacks_answer_is_never_stored() -> None:
    """The next caller asks again, and gets the first model's once it is back."""

    async def main() -> None:
        first, second = FakeModel(ModelUnavailable("down"), "back"), FakeModel("hi")
        async with Cache() as cache:
            model = CachedModel(FallbackModel(first, [Spare(second)], rest_s=0.0), cache)
            assert (await model.complete(ASK)).text == "hi"
            await current_clock().sleep(0.1)
            assert (await model.complete(ASK)).text == "back"
            assert (await model.complete(ASK)).saved is not None

    virtual.run(main())
