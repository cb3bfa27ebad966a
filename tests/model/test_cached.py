"""The response cache: what is reused, what never is, and what a hit says it saved."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import Directives
from hasten.cache.request import cache_request
from hasten.caller import LOCAL, Caller, set_caller
from hasten.clock import current_clock
from hasten.errors import ModelRefused, ModelUnavailable, NotCached
from hasten.model.base import Message, Request, Response, Saved, ToolCall, Usage
from hasten.model.cached import CachedModel, ResponsePolicy
from hasten.model.traced import TracedModel
from hasten.testing.model import BrokenAnswer, FakeModel
from tests.model.recording import recorded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from hasten.model.base import Chunk, Model

ASK = Request.ask("What is a lease?", system="You are brief.", model="gpt-4o")
ANSWER = Response(text="A lock with an end.", model="gpt-4o", usage=Usage(1_000_000, 100_000))


def _with(
    wire: Model, work: Callable[[CachedModel], Awaitable[Any]], policy: ResponsePolicy | None = None
) -> Any:
    async def main() -> Any:
        async with Cache() as cache:
            return await work(CachedModel(TracedModel(wire), cache, policy))

    return virtual.run(main())


async def _read(model: Model, request: Request = ASK) -> tuple[str, Response]:
    async with aclosing(model.stream(request)) as chunks:
        found = [chunk async for chunk in chunks]
    last = found.pop().response
    assert last is not None
    return "".join(chunk.text for chunk in found), last


def test_a_hit_costs_nothing_and_says_what_it_saved() -> None:
    """Tokens, money and seconds, in the answer and in the span; no second model span."""

    async def main() -> None:
        async with Cache() as cache:
            model = CachedModel(TracedModel(FakeModel(ANSWER, first_s=2.0)), cache)
            with recorded() as first:
                assert (await model.complete(ASK)).saved is None
            with recorded() as second:
                hit = await model.complete(ASK)
        assert hit.saved == Saved(tokens_in=1_000_000, tokens_out=100_000, usd=3.5, s=2.0)
        assert msgspec.structs.replace(hit, saved=None) == ANSWER
        assert (first.run.llm_calls, first.run.cost_usd) == (1, 3.5)
        assert (second.run.llm_calls, second.run.cost_usd, second.run.tokens_in) == (0, 0.0, 0)
        said = second.spans[-1].attributes
        assert said["saved_tokens_in"] == 1_000_000
        assert said["saved_tokens_out"] == 100_000
        assert (said["saved_usd"], said["saved_ms"]) == (3.5, 2_000)
        assert second.run.cache_hits == 1

    virtual.run(main())


def test_twenty_at_once_are_one_call_and_a_late_stream_begins_at_its_start() -> None:
    """Plain calls, and streams that join while the first is half through."""
    wire = FakeModel("one two three four", first_s=1.0, piece_s=1.0)

    async def work(model: CachedModel) -> None:
        async def late() -> tuple[str, Response]:
            await current_clock().sleep(2.5)
            return await _read(model)

        heard = await asyncio.gather(_read(model), *(late() for _ in range(9)))
        assert {text for text, _ in heard} == {"one two three four"}
        assert {last.text for _, last in heard} == {"one two three four"}
        assert sum(last.saved is not None for _, last in heard) == 9
        other = msgspec.structs.replace(ASK, seed=1)
        plain = await asyncio.gather(*(model.complete(other) for _ in range(20)))
        assert len(plain) == 20
        assert sum(one.saved is not None for one in plain) == 19

    _with(wire, work)
    assert len(wire.requests) == 2


def test_one_stored_answer_serves_plain_calls_and_streams() -> None:
    """Whichever came first."""
    wire = FakeModel("one two three")

    async def work(model: CachedModel) -> None:
        text, last = await _read(model)
        assert (text, last.saved) == ("one two three", None)
        assert (await model.complete(ASK)).saved is not None
        text, last = await _read(model)
        assert text == "one two three"
        assert last.saved is not None

    _with(wire, work)
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        msgspec.structs.replace(ANSWER, finish_reason="length"),
        msgspec.structs.replace(ANSWER, finish_reason="content_filter"),
        msgspec.structs.replace(ANSWER, text=""),
        ModelRefused("no"),
        ModelUnavailable("gone"),
        BrokenAnswer("half", ModelUnavailable("broken")),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False])
def test_only_whole_good_answers_are_stored(answer: Any, *, is_stream: bool) -> None:
    """Cut, filtered, empty, refused or failed: the next one asks again."""
    wire = FakeModel(answer, "good")

    async def work(model: CachedModel) -> None:
        with suppress(ModelRefused, ModelUnavailable):
            await (_read(model) if is_stream else model.complete(ASK))
        assert (await model.complete(ASK)).text == "good"

    _with(wire, work)
    assert len(wire.requests) == 2


def test_a_tool_call_is_an_answer() -> None:
    """It is stored, although it has no text."""
    call = Response(
        text="", model="m", finish_reason="tool_calls", tool_calls=(ToolCall("1", "f", "{}"),)
    )
    wire = FakeModel(call)

    async def work(model: CachedModel) -> None:
        await model.complete(ASK)
        assert (await model.complete(ASK)).tool_calls == call.tool_calls
        assert (await _read(model))[1].tool_calls == call.tool_calls

    _with(wire, work)
    assert len(wire.requests) == 1


CHANGES: dict[str, Any] = {
    "messages": (Message("user", "What is a lease? "),),
    "model": "gpt-4o-mini",
    "max_tokens": 9,
    "temperature": 0.1,
    "seed": 7,
    "stop": ("x",),
    "schema": {"type": "object"},
    "tools": ({"type": "function", "function": {"name": "f"}},),
    "extra": {"top_p": 0.5},
}


@pytest.mark.parametrize("field", CHANGES)
def test_what_changes_the_answer_changes_the_key(field: str) -> None:
    """Each field of a request by itself is another question."""
    wire = FakeModel("first", "second")

    async def work(model: CachedModel) -> str:
        await model.complete(ASK)
        return (await model.complete(msgspec.structs.replace(ASK, **{field: CHANGES[field]}))).text

    assert _with(wire, work) == "second"


def test_what_does_not_change_the_answer_does_not() -> None:
    """The task, the section, who asks, and whether the default model is named."""
    wire = FakeModel("first", "second", name="gpt-4o")

    async def work(model: CachedModel) -> str:
        await model.complete(ASK)
        same = msgspec.structs.replace(
            ASK, model="", task="t", section="s", extra={"user": "u1", "stream": True}
        )
        return (await model.complete(same)).text

    assert _with(wire, work) == "first"


def test_a_request_field_is_in_the_key_or_said_not_to_be() -> None:
    """A field that is added to ``Request`` must change the key unless it is listed."""
    from hasten.model.cached import UNKEYED, key_fields

    unkeyed = {"task", "section", "is_repair"}
    assert set(key_fields(ASK, "m")) == {*Request.__struct_fields__} - unkeyed
    assert set(Request.__struct_fields__) >= UNKEYED


def test_tenants_never_share() -> None:
    """Neither a stored answer nor a call under way."""
    wire = FakeModel("first", "second", first_s=1.0)

    async def work(model: CachedModel) -> list[str]:
        async def ask(tenant: str) -> str:
            set_caller(Caller(tenant, "u"))
            return (await model.complete(ASK)).text

        pair = await asyncio.gather(ask("a"), ask("b"))
        set_caller(LOCAL)
        return pair

    assert sorted(_with(wire, work)) == ["first", "second"]


def test_an_answer_lives_half_an_hour() -> None:
    """And not longer."""
    wire = FakeModel("first", "second")

    async def work(model: CachedModel) -> tuple[str, str]:
        await model.complete(ASK)
        await current_clock().sleep(1_000)
        early = (await model.complete(ASK)).text
        await current_clock().sleep(900)
        return early, (await model.complete(ASK)).text

    assert _with(wire, work) == ("first", "second")


def test_a_full_cache_drops_what_was_not_used_for_longest() -> None:
    """Two entries: the third drops the one not asked for since."""
    wire = FakeModel(lambda request: request.messages[0].content)

    async def work(model: CachedModel) -> None:
        for word in ("a", "b", "a", "c"):
            await model.complete(Request.ask(word))
        await current_clock().sleep(0.1)
        assert [ask.messages[0].content for ask in wire.requests] == ["a", "b", "c"]
        await model.complete(Request.ask("a"))
        assert len(wire.requests) == 3
        await model.complete(Request.ask("b"))
        assert len(wire.requests) == 4

    _with(wire, work, ResponsePolicy(max_entries=2))


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({"temperature": 0.2}, 1),
        ({"temperature": 0.9}, 2),
        ({}, 2),
        ({"temperature": 0.9, "seed": 1}, 1),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_policy_may_ask_for_little_chance(
    fields: dict[str, Any], calls: int, *, is_stream: bool
) -> None:
    """With ``max_temperature`` a hot request without a seed is asked each time."""
    wire = FakeModel("x")
    request = msgspec.structs.replace(ASK, **fields)

    async def work(model: CachedModel) -> None:
        for _ in range(2):
            await (_read(model, request) if is_stream else model.complete(request))

    _with(wire, work, ResponsePolicy(max_temperature=0.3))
    assert len(wire.requests) == calls


def test_a_sessions_answers_go_with_it() -> None:
    """Dropping the tag of a session drops what it asked first, for everybody."""
    wire = FakeModel("x")

    async def main() -> None:
        async with Cache() as cache:
            model = CachedModel(wire, cache)
            with cache_request("s1"):
                await model.complete(ASK)
            await model.complete(ASK)
            assert len(wire.requests) == 1
            await cache.invalidate("tag=session:s1")
            await model.complete(ASK)
            assert len(wire.requests) == 2

    virtual.run(main())


def test_who_leaves_with_the_last_piece_leaves_the_answer_behind() -> None:
    """It is stored although the stream itself has not ended yet."""

    class Lingering(FakeModel):
        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            """Answer, and end a second after the last piece."""
            async for chunk in super().stream(request):
                yield chunk
            await current_clock().sleep(1.0)

    wire = Lingering("one two")

    async def main() -> None:
        async with Cache() as cache:
            model = CachedModel(wire, cache)
            async with aclosing(model.stream(ASK)) as chunks:
                async for chunk in chunks:
                    if chunk.response is not None:
                        break
            await current_clock().sleep(2.0)
            assert (await model.complete(ASK)).text == "one two"

    virtual.run(main())
    assert len(wire.requests) == 1


def test_the_call_upstream_ends_when_nobody_listens() -> None:
    """One of two listeners leaves: it goes on. Both leave: it is closed."""
    wire = FakeModel("one two three four five", first_s=1.0, piece_s=1.0)

    async def work(model: CachedModel) -> None:
        tasks = [asyncio.create_task(_read(model)) for _ in range(2)]
        await current_clock().sleep(2.5)
        tasks[0].cancel()
        await current_clock().sleep(0.1)
        assert wire.open_calls == 1
        tasks[1].cancel()
        await current_clock().sleep(0.1)
        assert wire.open_calls == 0
        await asyncio.wait(tasks)

    _with(wire, work)


def test_one_request_may_ask_for_more() -> None:
    """``no-cache`` asks anew, ``only-if-cached`` never asks."""
    wire = FakeModel("first", "second")

    async def work(model: CachedModel) -> None:
        with pytest.raises(NotCached):
            await model.complete(ASK, directives=Directives(only_if_cached=True))
        await model.complete(ASK)
        anew = await model.complete(ASK, directives=Directives(no_cache=True))
        assert anew.text == "second"

    _with(wire, work)
