"""Try again what may be tried again, as long as the policy allows."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import (
    InvalidOutput,
    ModelError,
    ModelRefused,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from hasten.model.base import Request
from hasten.model.retrying import RetryingModel, RetryPolicy
from hasten.testing.model import BrokenAnswer, FakeModel, Script
from tests.model.recording import recorded

ASK = Request.ask("Hello")


async def _listen(model: RetryingModel, heard: list[str]) -> None:
    async with aclosing(model.stream(ASK)) as chunks:
        async for chunk in chunks:
            heard.append(chunk.text)  # noqa: PERF401 - it raises half-way


async def _stream_text(model: RetryingModel) -> str:
    heard: list[str] = []
    await _listen(model, heard)
    return "".join(heard)


def _call(
    *script: Script, policy: RetryPolicy | None = None, is_stream: bool = False
) -> tuple[str, int, float]:
    """Return the answer, the number of calls, and the seconds it all took."""

    async def main() -> tuple[str, int, float]:
        wire = FakeModel(*script)
        model = RetryingModel(wire, policy)
        text = await _stream_text(model) if is_stream else (await model.complete(ASK)).text
        return text, len(wire.requests), current_clock().monotonic()

    return virtual.run(main())


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    "error", [ModelUnavailable("gone"), ModelTimeout("late"), RateLimited("busy")]
)
def test_retryable_errors_are_tried_again(error: ModelError, *, is_stream: bool) -> None:
    """Two failures, then the answer."""
    text, calls, took_s = _call(error, error, "hello", is_stream=is_stream)
    assert (text, calls) == ("hello", 3)
    assert took_s > 0


@pytest.mark.parametrize(
    "error", [ModelRejected("bad", status=400), ModelRefused("no"), InvalidOutput("not JSON")]
)
def test_other_errors_are_final(error: ModelError) -> None:
    """What would fail again in the same way is not repeated."""
    with pytest.raises(type(error)):
        _call(error, "never said")


def test_attempts_are_bounded() -> None:
    """The last error comes out after as many calls as the policy has attempts."""

    async def main() -> int:
        wire = FakeModel(ModelUnavailable("gone"))
        with pytest.raises(ModelUnavailable):
            await RetryingModel(wire, RetryPolicy(attempts=4)).complete(ASK)
        return len(wire.requests)

    assert virtual.run(main()) == 4


def test_retry_after_is_obeyed() -> None:
    """No call before the endpoint said so, and not much later."""
    _, calls, took_s = _call(RateLimited("busy", retry_after_s=7.0), "hello")
    assert calls == 2
    assert 7.0 <= took_s <= 7.5


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    """An endpoint that asks for an hour gets no retry, and the caller no hour of waiting."""

    async def main() -> float:
        model = RetryingModel(FakeModel(RateLimited("busy", retry_after_s=3600.0)))
        with pytest.raises(RateLimited):
            await model.complete(ASK)
        return current_clock().monotonic()

    assert virtual.run(main()) == 0.0


def test_a_stream_is_not_repeated_after_its_first_piece() -> None:
    """What was said cannot be taken back: the break comes out."""

    async def main() -> tuple[list[str], int]:
        wire = FakeModel(BrokenAnswer("one two", ModelUnavailable("gone")), "never said")
        heard: list[str] = []
        with pytest.raises(ModelUnavailable):
            await _listen(RetryingModel(wire), heard)
        return heard, len(wire.requests)

    assert virtual.run(main()) == (["one", " two"], 1)


def test_a_wait_is_a_queue_span_that_says_why() -> None:
    """The trace shows the time that was spent waiting and the error before it."""

    async def main() -> list[tuple[str, float, str]]:
        with recorded() as recorder:
            error = RateLimited("busy", retry_after_s=2.0)
            await RetryingModel(FakeModel(error, "hello")).complete(ASK)
        return [
            (span.kind, span.duration_s, span.attributes["after"]) for span in recorder.spans[1:]
        ]

    ((kind, waited_s, after),) = virtual.run(main())
    assert (kind, after) == ("queue", "rate_limited")
    assert waited_s >= 2.0


@given(failures=st.integers(1, 40), seed=st.integers(0, 1000))
def test_the_wait_is_drawn_below_a_bound_that_doubles(failures: int, seed: int) -> None:
    """Full jitter: between nothing and the doubled base, never above the cap, same every time."""
    policy = RetryPolicy(base_s=0.5, cap_s=8.0, seed=seed)
    wait_s = policy.wait_s(ASK, failures, ModelUnavailable("gone"))
    assert 0 <= wait_s <= min(8.0, 0.5 * 2 ** (failures - 1))
    assert wait_s == policy.wait_s(ASK, failures, ModelUnavailable("gone"))


def test_waits_spread_over_their_whole_range() -> None:
    """Different requests wait differently, so that they do not come back all at once."""
    policy = RetryPolicy(base_s=1.0)
    error = ModelUnavailable("gone")
    waits = [policy.wait_s(Request.ask(str(number)), 1, error) for number in range(200)]
    assert min(waits) < 0.1
    assert max(waits) > 0.9


def test_all_calls_together_retry_a_fifth_of_their_number_and_three() -> None:
    """An endpoint that is down gets 1.2 times its traffic, not three times; then it is news."""

    async def main() -> tuple[int, int]:
        wire = FakeModel(ModelUnavailable("down"))
        model = RetryingModel(wire)
        results = await asyncio.gather(
            *(model.complete(ASK) for _ in range(100)), return_exceptions=True
        )
        assert all(isinstance(one, ModelUnavailable) for one in results)
        down = len(wire.requests)
        await current_clock().sleep(120.0)
        with pytest.raises(ModelUnavailable):
            await model.complete(ASK)
        return down, len(wire.requests) - down

    assert virtual.run(main()) == (120, 3)
