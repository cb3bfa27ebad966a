"""What a graph refuses when it is built, and that the message names the steps."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, TypedDict, TypeVar

import pytest
from pydantic import BaseModel

from hasten.errors import GraphError
from hasten.graph.check import fits
from hasten.graph.step import Retry, Soft, Step, StepPolicy, step, tool
from tests.graph.common import graph

Thing = TypeVar("Thing")


class Base(BaseModel):
    """A class a step returns."""


class Derived(Base):
    """A class that may stand for its base."""


class Scores(dict[str, Thing]):
    """A generic whose argument is not in the place of its base's."""


class Named(Protocol):
    """Something only a type checker can compare."""

    name: str


class Row(TypedDict):
    """Another one."""

    name: str


async def number() -> int:
    """Return a number."""
    return 1


def refusal(*steps: Any, **options: Any) -> str:
    """Return why these steps make no graph."""
    with pytest.raises(GraphError) as refused:
        graph(*steps, **options)
    return str(refused.value)


def chain(**needs: str) -> list[Step[..., Any]]:
    """Return a step for each keyword, named after it, that needs the steps its value names."""

    async def work(**inputs: object) -> object:
        return inputs

    return [
        Step(work, StepPolicy(needs=tuple(names.split())), name=name)
        for name, names in needs.items()
    ]


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        ([number], {}, "<function number at"),
        (chain(last="", other=""), {}, "steps ['other'] lead to no output of ['last']"),
        (chain(a="c", b="a", c="b", last="c"), {}, "steps wait for each other: "),
        (chain(last="last"), {}, "steps wait for each other: last -> last"),
        (chain(last="nobody"), {}, "step 'last' takes 'nobody', which is no step"),
        (chain(last="nobody"), {}, "known: ['last', 'topic']"),
        ([*chain(last=""), *chain(last="")], {}, "two steps are named 'last'"),
        (chain(topic="", last="topic"), {}, "'topic' is both a step and an input"),
        (chain(last=""), {"resources": {"last": int}}, "'last' is both a step and a resource"),
        (chain(last=""), {"resources": {"topic": str}}, "['topic'] are inputs and resources"),
        (chain(last=""), {"outputs": ()}, "there is no output; its steps are ['last']"),
        (chain(last=""), {"outputs": ("lost",)}, "outputs ['lost'] name no step"),
        (chain(last=""), {"outputs": ("last", "last")}, "named twice: ['last', 'last']"),
        (chain(last=""), {"optional": ("first",)}, "optional ['first'] are not among the outputs"),
        (chain(last=""), {"limits": {"few": 0}}, "limit 'few' lets 0 steps run"),
        (chain(last=""), {"deadline_s": 0}, "deadline_s must be above 0, not 0"),
    ],
)
def test_names_and_bounds(steps: list[Any], options: dict[str, Any], message: str) -> None:
    """Each mistake is refused in words that name who made it."""
    assert message in refusal(*steps, **options)
    assert refusal(*steps, **options).startswith("graph 'tested': ")


def test_the_steps_of_a_cycle_are_all_named() -> None:
    """In the order in which they wait."""
    message = refusal(*chain(a="c", b="a", c="b", last="c"))
    way = message.split(": ")[2].split(" -> ")
    assert way[0] == way[-1]
    assert sorted(way[1:]) == ["a", "b", "c"]


def test_a_soft_dependency_is_a_step_and_may_close_a_cycle() -> None:
    """It cannot be an input; waiting softly for each other is waiting for each other."""

    @step
    async def last(topic: Soft[str]) -> str:
        return topic or ""

    assert "step 'last' takes Soft 'topic': no such step" in refusal(last)

    @step
    async def one(two: Soft[int]) -> int:
        return two or 0

    @step
    async def two(one: int) -> int:
        return one

    assert "steps wait for each other" in refusal(one, two, outputs=("two",))


def test_types_are_compared() -> None:
    """With steps, inputs and resources; the message shows both sides."""

    @step
    async def count() -> int:
        return 1

    @step
    async def last(count: str) -> str:
        return count

    assert "step 'last' takes 'count' as str, but it is int" in refusal(count, last)

    @step(name="last")
    async def wants_number(topic: int) -> int:
        return topic

    assert "step 'last' takes 'topic' as int, but it is str" in refusal(wants_number)

    @step(name="last")
    async def wants_words(words: list[str]) -> str:
        return words[0]

    message = refusal(wants_words, resources={"words": list[int]})
    assert "takes 'words' as list[str], but it is list[int]" in message


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"limit": "few"}, "step 'last' is under limit 'few', which is not among ['many']"),
        ({"log_fields": ("tpoic",)}, "step 'last': log_fields names ['tpoic'], not among"),
        ({"soft_wait_s": {"topic": 1.0}}, "step 'last': soft_wait_s names ['topic'], not among []"),
    ],
)
def test_policies_name_what_is_there(policy: dict[str, Any], message: str) -> None:
    """A limit of the graph, parameters of the step, soft inputs of the step."""

    @step(**policy)
    async def last(topic: str) -> str:
        return topic

    assert message in refusal(last, limits={"many": 3})


async def takes_more(topic: str, extra: int) -> str:
    """Take a parameter the step has not."""
    return topic * extra


async def takes_other(topic: int) -> str:
    """Take it as another type."""
    return str(topic)


async def returns_other(topic: str) -> bytes:
    """Return another type."""
    return topic.encode()


async def takes_less(extra: int = 2) -> str:
    """Take nothing it must have."""
    return str(extra)


async def takes_all(**inputs: object) -> Any:
    """Take whatever the step takes."""
    return inputs


def not_async(topic: str) -> str:
    """Return at once."""
    return topic


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        (
            takes_more,
            "the fallback of step 'last' takes 'extra', which the step is not given: ['topic'",
        ),
        (takes_other, "the fallback of step 'last' takes 'topic' as int, but the step as str"),
        (returns_other, "the fallback of step 'last' returns bytes, but the step str"),
        (not_async, "step 'last': its fallback must be an async function"),
    ],
)
def test_a_fallback_must_stand_in(fallback: Any, message: str) -> None:
    """It takes a subset of what the step is given and returns what the step returns."""

    async def last(topic: str, extra: int = 2) -> str:
        return topic * extra

    with pytest.raises(GraphError) as refused:
        graph(step(fallback=fallback)(last))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("fallback", "takes"),
    [(takes_less, ()), (takes_all, ("topic",)), (step(takes_all), ("topic",))],
)
def test_a_fallback_may_take_less_or_all(fallback: Any, takes: tuple[str, ...]) -> None:
    """It is given only what the step has, too; it may be a step itself."""

    @step(fallback=fallback)
    async def last(topic: str) -> str:
        return topic

    assert graph(last).steps[0].fallback_takes == takes


async def positional(topic: str, /) -> str:
    """Take what cannot be given by name."""
    return topic


async def variadic(*topics: str) -> str:
    """Take as many as there are."""
    return topics[0]


async def unresolved(topic: Missing) -> str:  # noqa: F821 - what the test is about
    """Have an annotation nobody defined."""
    return topic


@pytest.mark.parametrize(
    ("function", "policy", "message"),
    [
        (not_async, {}, "step 'not_async': must be an async function"),
        (takes_less, {"timeout_s": 0}, "step 'takes_less': timeout_s must be above 0, not 0"),
        (takes_less, {"retry": Retry(0)}, "step 'takes_less': retry must allow at least 1 attempt"),
        (positional, {}, "step 'positional': parameter 'topic' cannot be given by name"),
        (variadic, {}, "step 'variadic': parameter 'topics' cannot be given by name"),
        (
            takes_less,
            {"needs": ("a",)},
            "step 'takes_less': needs ['a'], but its function takes no",
        ),
        (unresolved, {}, "step 'unresolved': an annotation cannot be resolved (name 'Missing'"),
    ],
)
def test_a_step_that_is_none(function: Any, policy: dict[str, Any], message: str) -> None:
    """Refused by name: what is not async, has no time, cannot be called by name."""
    with pytest.raises(GraphError) as refused:
        graph(step(**policy)(function), outputs=(function.__name__,))
    assert message in str(refused.value)


def test_a_tool_is_called_a_tool() -> None:
    """In messages as in traces."""
    with pytest.raises(GraphError, match="tool 'not_async': must be an async function"):
        tool(not_async)


def test_a_parameter_with_a_default_needs_nobody() -> None:
    """But it is filled if somebody has its name; a partial fixes one beforehand."""

    @step
    async def last(topic: str, times: int = 2) -> str:
        return topic * times

    assert graph(last).takes == (("topic",),)
    assert graph(last, resources={"times": int}).takes == (("topic", "times"),)
    fixed = step(name="last")(functools.partial(takes_more, extra=3))
    assert graph(fixed).takes == (("topic",),)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, Any),
        (Any, int),
        (int, object),
        (int, int),
        (int, float),
        (bool, int),
        (Derived, Base),
        (str, str | None),
        (str | None, str | int | None),
        (None, str | None),
        (list[int], list[int]),
        (list[int], Sequence[int]),
        (list[Derived], Sequence[Base]),
        (dict[str, int], Mapping[str, float]),
        (list[int], list),
        (list, list[int]),
        (Scores[int], dict[str, int]),
        (Annotated[int, "years"], int),
        (list[Annotated[int, "years"]], list[int]),
        (Literal["a", "b"], str),
        (Literal["a"], Literal["a", "b"]),
        (Literal["a"], Literal["a", "b"] | None),
        (Thing, int),
        (Thing, Literal["a"]),
        (int, Thing),
        (Base, Named),
        (dict[str, str], Row),
        (Row, Mapping[str, Any]),
    ],
)
def test_annotations_that_fit(given: Any, wanted: Any) -> None:
    """What is known to fit, and what annotations cannot tell."""
    assert fits(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, str),
        (float, int),
        (Base, Derived),
        (str | None, str),
        (list[int], list[str]),
        (list[int], Sequence[str]),
        (Sequence[int], list[int]),
        (dict[str, int], dict[str, str]),
        (dict[str, int], list[str]),
        (str, Literal["a"]),
        (Literal["a", "c"], Literal["a", "b"]),
        (Literal["a"], int),
        (Annotated[int, "years"], str),
    ],
)
def test_annotations_that_do_not_fit(given: Any, wanted: Any) -> None:
    """What a type checker would refuse, too."""
    assert not fits(given, wanted)
