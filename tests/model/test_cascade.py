"""The small model first, the large one when it must be."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from hasten import virtual
from hasten.errors import ModelRefused, ModelUnavailable
from hasten.model.base import Request, Response
from hasten.model.cascade import CascadeModel, CascadePolicy
from hasten.testing.model import FakeModel

if TYPE_CHECKING:
    from hasten.testing.model import Answer

SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
POLICY = CascadePolicy(small="small")


def _ask(
    small: Answer, policy: CascadePolicy = POLICY, *, is_stream: bool = False, **fields: Any
) -> tuple[str, list[str], CascadeModel]:
    wire = FakeModel(lambda ask: small if ask.model == "small" else "large says")
    model = CascadeModel(wire, policy)
    request = Request.ask("Hello", **fields)

    async def main() -> str:
        if not is_stream:
            return (await model.complete(request)).text
        async with aclosing(model.stream(request)) as chunks:
            return "".join([chunk.text async for chunk in chunks])

    return virtual.run(main()), [ask.model for ask in wire.requests], model


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_good_small_answer_is_enough(*, is_stream: bool) -> None:
    """One call, to the small model."""
    text, asked, model = _ask("small says", is_stream=is_stream)
    assert (text, asked) == ("small says", ["small"])
    assert (model.asked, model.escalated) == (1, 0)
    assert _ask('{"a": 1}', schema=SCHEMA)[1] == ["small"]


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(
    ("small", "fields"),
    [
        ('{"a": "one"}', {"schema": SCHEMA}),
        ("{", {"schema": SCHEMA}),
        (Response(text="cut", model="small", finish_reason="length"), {}),
        (Response(text="", model="small", finish_reason="content_filter"), {}),
        (ModelRefused("no"), {}),
        (ModelUnavailable("down"), {}),
    ],
)
def test_an_answer_that_will_not_do_escalates(
    small: Answer, fields: dict[str, Any], *, is_stream: bool
) -> None:
    """Not in the form, cut, filtered, refused, failed."""
    text, asked, model = _ask(small, is_stream=is_stream, **fields)
    assert (text, asked) == ("large says", ["small", ""])
    assert model.escalated == 1


def test_a_low_score_escalates() -> None:
    """By the policy's own judgement."""
    policy = CascadePolicy(small="small", score=lambda _, answer: len(answer.text) / 10)
    assert _ask("short", policy)[1] == ["small", ""]
    assert _ask("long enough", policy)[1] == ["small"]


def test_only_its_tasks_and_only_without_a_model_of_ones_own() -> None:
    """Others go straight to the model they ask for."""
    policy = CascadePolicy(small="small", tasks=frozenset({"score"}))
    assert _ask("x", policy)[1] == [""]
    assert _ask("x", policy, task="score")[1] == ["small"]
    assert _ask("x", policy, task="score", model="big")[1] == ["big"]


def test_what_was_asked_short_is_not_cut() -> None:
    """``max_tokens`` would cut the large model's answer as well."""
    cut = Response(text="cut", model="small", finish_reason="length")
    assert _ask(cut, max_tokens=1)[1] == ["small"]
