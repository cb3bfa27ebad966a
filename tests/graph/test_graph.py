"""Graphs: how inputs are read, and what is known of a graph that was built."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from hasten.errors import InvalidInput
from hasten.graph.graph import Graph
from hasten.graph.schedule import Node
from hasten.graph.step import Soft, step
from tests.graph.common import graph


class Style(Enum):
    """One vocabulary as an enum."""

    QUIET = "quiet"
    LOUD = "loud"


class Place(BaseModel):
    """A field with fields of its own."""

    city: str


class Form(BaseModel):
    """Inputs with every kind of field."""

    model_config = ConfigDict(extra="forbid")

    area: Literal["tea", "coffee"]
    style: Style | None = None
    times: Annotated[int, Field(ge=1)] = 1
    place: Place | None = None


@step
async def last(area: str) -> str:
    """Return the area."""
    return area


FORM = Graph("form", [last], inputs=Form, outputs=["last"])


def test_inputs_are_read_or_taken_as_they_are() -> None:
    """A mapping is validated, a model of the right class is not looked at again."""
    assert FORM.parse({"area": "tea", "style": "loud"}) == Form(area="tea", style=Style.LOUD)
    form = Form(area="tea")
    assert FORM.parse(form) is form


@pytest.mark.parametrize(
    ("given", "message", "field", "value", "allowed"),
    [
        ({"area": "milk"}, "'area' must be one of: tea, coffee", "area", "milk", "tea coffee"),
        ({"area": "tea", "style": 3}, "must be one of: quiet, loud", "style", 3, "quiet loud"),
        ({}, "'area' is missing", "area", None, ""),
        (
            {"area": "tea", "aera": 1},
            "unknown field 'aera'; the fields are area, place, style, times",
            "aera",
            1,
            "area place style times",
        ),
        ({"area": "tea", "times": 0}, "'times': Input should be greater", "times", 0, ""),
        ({"area": "tea", "place": {}}, "'place.city' is missing", "place.city", None, ""),
        ([1], "'inputs': Input should be a valid dictionary", "inputs", [1], ""),
    ],
)
def test_a_wrong_input_says_what_would_do(
    given: Any, message: str, field: str, value: object, allowed: str
) -> None:
    """It names the field, shows the value, lists the vocabulary."""
    with pytest.raises(InvalidInput) as refused:
        FORM.parse(given)
    error = refused.value
    assert message in str(error)
    assert (error.field, error.value, error.allowed) == (field, value, tuple(allowed.split()))
    assert error.others == ()


def test_all_that_is_wrong_is_told_at_once() -> None:
    """The first is raised and carries the others."""
    with pytest.raises(InvalidInput) as refused:
        FORM.parse({"area": "milk", "times": -1, "colour": 1})
    fields = [refused.value.field, *(other.field for other in refused.value.others)]
    assert fields == ["area", "times", "colour"]


def test_a_built_graph_knows_its_order() -> None:
    """Each step after what it takes; edges by position; what each is after."""

    @step(name="last", limit="few", soft_wait_s=4)
    async def end(one: int, two: Soft[int], topic: str) -> str:
        return f"{one}{two}{topic}"

    @step
    async def two(one: int) -> int:
        return one

    @step
    async def one() -> int:
        return 1

    of = graph(end, two, one, limits={"few": 1})
    assert repr(of) == "<graph tested: 3 steps>"
    assert [found.name for found in of.steps] == ["one", "two", "last"]
    assert of.nodes[1:] == (Node("two", (0,)), Node("last", (0,), ((1, 4.0),), "few"))
    assert of.takes[2] == ("one", "two", "topic")
    assert of.after[2] == ("one", "two")
