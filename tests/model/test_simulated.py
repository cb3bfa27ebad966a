"""The simulated model: its pace, its luck, and that it says what it is."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from hasten import virtual
from hasten.clock import Clock, current_clock, use_clock
from hasten.errors import ModelRejected, ModelUnavailable, RateLimited
from hasten.model.base import Request, Response
from hasten.model.simulated import SimProfile, SimulatedModel

PROMPT = """Interest area: AI / Automation
Work style: Solo
Write the section 'Risks' in about 150 words."""
ASK = Request.ask(PROMPT, system="You advise founders.")
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 10}},
    "required": ["score"],
}


async def _timed_stream(model: SimulatedModel, request: Request) -> tuple[list[float], Response]:
    """Return when each piece came and the whole answer."""
    clock = current_clock()
    start_s = clock.monotonic()
    times: list[float] = []
    pieces: list[str] = []
    async with aclosing(model.stream(request)) as chunks:
        async for chunk in chunks:
            times.append(clock.monotonic() - start_s)
            pieces.append(chunk.text)
            if chunk.response is not None:
                assert "".join(pieces) == chunk.response.text
                return times, chunk.response
    raise AssertionError


async def _timed_call(model: SimulatedModel, request: Request) -> tuple[float, Response]:
    """Return the seconds a plain call took and its answer."""
    start_s = current_clock().monotonic()
    response = await model.complete(request)
    return current_clock().monotonic() - start_s, response


def test_a_stream_takes_first_token_plus_prefill_plus_decode() -> None:
    """The first piece comes after TTFT, prefill and one token; the last at the decode rate."""
    profile = SimProfile(ttft_s=0.5, prefill_tokens_per_s=100, decode_tokens_per_s=50)
    times, response = virtual.run(_timed_stream(SimulatedModel(profile), ASK))
    first_s = 0.5 + response.usage.tokens_in / 100
    assert first_s < times[0] <= first_s + 10 / 50
    assert times[-1] == pytest.approx(first_s + response.usage.tokens_out / 50)
    assert len(times) > 100


def test_a_plain_call_takes_as_long_and_says_the_same() -> None:
    """Streamed or not, the same answer after the same time."""
    model = SimulatedModel(SimProfile(jitter=0.3))
    times, streamed = virtual.run(_timed_stream(model, ASK))
    took_s, plain = virtual.run(_timed_call(model, ASK))
    assert plain == streamed
    assert took_s == pytest.approx(times[-1])


def test_speed_shortens_the_wait_and_not_the_record() -> None:
    """At speed 1000 a call of a simulated minute is over at once and still lasts a minute."""

    async def main() -> float:
        with use_clock(Clock(speed=1000.0)):
            request = Request.ask("Say something in about 20 words.")
            took_s, _ = await _timed_call(SimulatedModel(SimProfile(ttft_s=60.0)), request)
            return took_s

    real = Clock()
    began_s = real.monotonic()
    assert asyncio.run(main()) >= 60.0
    assert real.monotonic() - began_s < 30.0


def test_the_answer_depends_on_seed_and_request_alone() -> None:
    """Same seed and request, same words; another seed or request, other words."""

    async def text(seed: int, prompt: str) -> str:
        return (await SimulatedModel(SimProfile(seed=seed)).complete(Request.ask(prompt))).text

    one = virtual.run(text(1, PROMPT))
    assert virtual.run(text(1, PROMPT), seed=9) == one
    assert virtual.run(text(2, PROMPT)) != one
    assert virtual.run(text(1, PROMPT + " Be brief.")) != one


def test_it_says_that_it_is_simulated() -> None:
    """The flag, the id and the model's name say so, whichever model was asked for."""
    request = Request.ask("Hello", model="gpt-4o")
    _, response = virtual.run(_timed_call(SimulatedModel(), request))
    assert response.simulated
    assert response.id.startswith("sim-")
    assert response.model == "sim-gpt-4o"


def test_max_tokens_cuts_and_shortens_the_call() -> None:
    """``max_tokens`` ends the answer with reason ``length`` and its time with it."""

    async def main() -> tuple[float, Response, float]:
        model = SimulatedModel()
        whole_s, _ = await _timed_call(model, ASK)
        short = Request(messages=ASK.messages, max_tokens=20)
        short_s, response = await _timed_call(model, short)
        return short_s, response, whole_s

    short_s, response, whole_s = virtual.run(main())
    assert response.finish_reason == "length"
    assert response.usage.tokens_out == 20
    assert short_s < whole_s / 2


def test_a_stop_sequence_ends_the_answer_before_itself() -> None:
    """Nothing from the stop sequence on is said."""
    request = Request(messages=ASK.messages, stop=("\n\n",))
    _, response = virtual.run(_timed_call(SimulatedModel(), request))
    assert response.text == "## Risks"
    assert response.finish_reason == "stop"


def test_the_rate_limit_says_how_long_to_wait() -> None:
    """A second's worth of calls passes, the next is told when it is welcome, and then it is."""

    async def main() -> None:
        model = SimulatedModel(SimProfile(rate_limit_per_s=2.0))
        request = Request.ask("Hi", max_tokens=1)
        calls = [asyncio.create_task(model.complete(request)) for _ in range(3)]
        await asyncio.wait(calls)
        (refused,) = [error for call in calls if (error := call.exception())]
        assert isinstance(refused, RateLimited)
        assert refused.retry_after_s == pytest.approx(0.5)
        await current_clock().sleep(0.5)
        await model.complete(request)

    virtual.run(main())


def test_errors_come_at_their_rate_and_a_retry_has_its_own_luck() -> None:
    """About a fifth of many requests fails at the first try; all of them get through in the end."""

    async def tries(model: SimulatedModel, number: int) -> int:
        for attempt in range(1, 20):
            try:
                await model.complete(Request.ask(f"Question {number}", max_tokens=5))
            except ModelUnavailable:
                continue
            return attempt
        raise AssertionError

    async def main() -> list[int]:
        model = SimulatedModel(SimProfile(error_rate=0.2))
        return [await tries(model, number) for number in range(300)]

    attempts = virtual.run(main())
    failed_first = sum(attempt > 1 for attempt in attempts)
    assert 35 <= failed_first <= 85
    assert attempts == virtual.run(main(), seed=5)


def test_a_failing_stream_breaks_before_or_between_its_pieces() -> None:
    """Both kinds of failure happen, and never after the whole answer was given."""

    async def pieces_before_failure(number: int) -> int:
        count = 0
        model = SimulatedModel(SimProfile(error_rate=1.0))
        async with aclosing(model.stream(Request.ask(f"Question {number}"))) as chunks:
            try:
                async for chunk in chunks:
                    assert chunk.response is None
                    count += 1
            except ModelUnavailable:
                return count
        raise AssertionError

    async def main() -> list[int]:
        return [await pieces_before_failure(number) for number in range(40)]

    counts = virtual.run(main())
    assert 8 <= sum(count == 0 for count in counts) <= 32


def test_malformed_answers_come_at_their_rate() -> None:
    """With ``malformed_rate`` 1 every answer with a schema breaks it, with 0 none does."""

    def is_valid(text: str) -> bool:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        return isinstance(value, dict) and isinstance(value.get("score"), int)

    async def main(rate: float) -> list[bool]:
        model = SimulatedModel(SimProfile(malformed_rate=rate))
        asks = [Request.ask(f"Rate number {number}", schema=SCHEMA) for number in range(30)]
        return [is_valid((await model.complete(ask)).text) for ask in asks]

    assert all(virtual.run(main(0.0)))
    assert not any(virtual.run(main(1.0)))


def test_a_tool_is_called_when_the_request_insists() -> None:
    """``tool_choice`` by name gives a call whose arguments satisfy the tool's schema."""
    tools = tuple(
        {"type": "function", "function": {"name": name, "parameters": SCHEMA}}
        for name in ("first", "second")
    )
    choice = {"type": "function", "function": {"name": "second"}}
    request = Request.ask("Rate it", tools=tools, extra={"tool_choice": choice})
    _, response = virtual.run(_timed_call(SimulatedModel(), request))
    assert response.finish_reason == "tool_calls"
    assert response.tool_calls[0].name == "second"
    assert 1 <= orjson.loads(response.tool_calls[0].arguments)["score"] <= 10


@pytest.mark.parametrize(
    ("schema", "message"),
    [({"$ref": "#/$defs/missing"}, "missing"), ({"type": "integer", "minimum": 1e308}, "64-bit")],
)
def test_a_schema_nothing_satisfies_is_rejected(schema: dict[str, Any], message: str) -> None:
    """An impossible schema is the request's fault, not a failure of the model."""
    request = Request.ask("Rate it", schema=schema)
    with pytest.raises(ModelRejected, match=message):
        virtual.run(_timed_call(SimulatedModel(), request))


@pytest.mark.parametrize(
    "wrong",
    [{"name": "gpt-4o"}, {"decode_tokens_per_s": 0}, {"ttft_s": -1}, {"error_rate": 1.5}],
)
def test_a_profile_no_model_can_have_is_refused(wrong: dict[str, float]) -> None:
    """A wrong figure is found when the profile is made."""
    with pytest.raises(ValueError, match=r"must|begins|lie"):
        SimProfile(**wrong)  # type: ignore[arg-type]
