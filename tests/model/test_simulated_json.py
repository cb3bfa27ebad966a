"""JSON of the simulated model satisfies whatever schema it was given."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, conlist

from hasten.model.draw import draw
from hasten.model.simulated_json import answer
from hasten.model.simulated_pattern import matching
from hasten.model.simulated_prompt import Fact

FACTS = (Fact("interest area", "AI / Automation"), Fact("rivals", "12"))
NAMES = ("name", "summary", "score", "interest_area", "priceUsd", "tags", "created", "is_open", "x")
FORMATS = (
    "date",
    "time",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uuid",
)
PATTERNS = (
    r"^[a-z]+(-[a-z0-9]+)*$",
    r"^\d{3}-\d{4}$",
    r"^(yes|no|maybe)$",
    r"^[^0-9\s]{2,5}$",
    r"^#?[A-F0-9]{6}$",
    r"^\$\w+\.\S+$",
    r"^(\w)x\1$",
)

_numbers = st.integers(-1000, 1000)


@st.composite
def _ranges(make: Any, low: int = 0, span: int = 6) -> tuple[int, int]:
    start = make(st.integers(low, low + span))
    return start, make(st.integers(start, start + span))


@st.composite
def _string(make: Any) -> dict[str, Any]:
    kind = make(st.sampled_from(("plain", "sized", "format", "pattern", "enum", "const")))
    if kind == "sized":
        least, most = make(_ranges(span=60))
        return {"type": "string", "minLength": least, "maxLength": most}
    if kind == "format":
        return {"type": "string", "format": make(st.sampled_from(FORMATS))}
    if kind == "pattern":
        return {"type": "string", "pattern": make(st.sampled_from(PATTERNS))}
    if kind == "enum":
        return {"enum": make(st.lists(st.sampled_from(("a", "b", 3, None)), min_size=1))}
    return {"const": make(st.text(max_size=5))} if kind == "const" else {"type": "string"}


@st.composite
def _number(make: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": make(st.sampled_from(("integer", "number")))}
    low = make(_numbers)
    high = low + make(st.integers(3, 500))
    if make(st.booleans()):
        schema[make(st.sampled_from(("minimum", "exclusiveMinimum")))] = low
    if make(st.booleans()):
        schema[make(st.sampled_from(("maximum", "exclusiveMaximum")))] = high
    if make(st.booleans()) and high - low > 40:
        schema["multipleOf"] = make(st.sampled_from((1, 2, 5, 0.5, 10)))
        assume(schema["type"] == "number" or schema["multipleOf"] != 0.5)
    return schema


def _array(items: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def made(make: Any) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": make(items)}
        if make(st.booleans()):
            schema["minItems"], schema["maxItems"] = make(_ranges(span=4))
        if make(st.booleans()):
            schema["prefixItems"] = make(st.lists(items, min_size=1, max_size=2))
        return schema

    return made()


def _object(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def made(make: Any) -> dict[str, Any]:
        properties = make(st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if properties:
            schema["required"] = make(st.lists(st.sampled_from(sorted(properties)), unique=True))
        more = make(st.sampled_from(("closed", "open", "typed", "sized")))
        if more == "closed":
            schema["additionalProperties"] = False
        elif more == "typed":
            schema["additionalProperties"] = make(values)
        elif more == "sized":
            schema["minProperties"] = make(st.integers(0, 6))
        return schema

    return made()


def _joined(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    branches = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda found: {"anyOf": found}, branches),
        st.builds(lambda part: {"oneOf": [part, {"type": "null"}]}, _typed),
        st.builds(lambda part: {"allOf": [part]}, parts),
    )


_typed = st.one_of(_number(), st.just({"type": "boolean"}), st.just({"type": "string"}))
_leaf = st.one_of(_string(), _number(), st.just({"type": "boolean"}), st.just({"type": "null"}))
_schema = st.recursive(
    _leaf, lambda inner: st.one_of(_array(inner), _object(inner), _joined(inner)), max_leaves=8
)


@settings(
    max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(schema=_schema, seed=st.integers(0, 99))
def test_the_answer_satisfies_any_schema(schema: dict[str, Any], seed: int) -> None:
    """Whatever the schema, the value passes an independent validator."""
    value = answer(schema, FACTS, draw(seed))
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert list(validator.iter_errors(value)) == []


@given(pattern=st.sampled_from(PATTERNS), seed=st.integers(0, 99), stretch=st.integers(0, 9))
def test_a_string_for_a_pattern_matches_it(pattern: str, seed: int, stretch: int) -> None:
    """At any seed and length, the expression finds itself in the string."""
    assert re.search(pattern, matching(pattern, draw(seed), stretch=stretch))


def test_a_pattern_that_cannot_be_read_is_named() -> None:
    """A broken expression is an error about that expression."""
    with pytest.raises(ValueError, match=r"'\(a'"):
        matching("(a", draw(0))


class _Idea(BaseModel):
    """A record as applications ask for it."""

    name: str = Field(min_length=3, max_length=40)
    pitch: str = Field(description="What it does, in about 20 words")
    effort: Literal["low", "medium", "high"]
    score: int = Field(ge=1, le=10)
    interest_area: str
    slug: str = Field(pattern=r"^[a-z]+(-[a-z]+)*$")
    next: _Idea | None = None


class _Ideas(BaseModel):
    """A list of them."""

    ideas: conlist(_Idea, min_length=3, max_length=5)  # type: ignore[valid-type]
    prices_usd: dict[str, float]


@given(st.integers(0, 200))
def test_pydantic_takes_the_answer_to_its_own_schema(seed: int) -> None:
    """References, recursion, literals, bounds, patterns and maps, as pydantic writes them."""
    value = answer(_Ideas.model_json_schema(), FACTS, draw(seed))
    ideas = _Ideas.model_validate(value)
    assert ideas.prices_usd
    assert {idea.interest_area for idea in ideas.ideas} == {"AI / Automation"}
    assert len({idea.pitch for idea in ideas.ideas}) == len(ideas.ideas)


def test_a_length_in_a_description_is_kept() -> None:
    """``in about N words`` works in a schema as it does in a prompt."""
    schema = {"type": "string", "description": "The case for it, in about 80 words"}
    assert abs(len(answer(schema, FACTS, draw(1), name="case").split()) - 80) <= 15


def test_unique_items_differ_even_when_there_are_few() -> None:
    """All values of a small enum are found when every one is wanted."""
    schema = {
        "type": "array",
        "items": {"enum": ["a", "b", "c", "d"]},
        "minItems": 4,
        "uniqueItems": True,
    }
    assert sorted(answer(schema, (), draw(2))) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("schema", "message"),
    [({"$ref": "#/$defs/gone"}, "gone"), (False, "false"), ({"enum": []}, "allowed")],
)
def test_an_impossible_schema_is_an_error(schema: Any, message: str) -> None:
    """What nothing satisfies is said, and not answered with nonsense."""
    with pytest.raises(ValueError, match=message):
        answer(schema, (), draw(0))


HUGE = {"type": "string", "minLength": 10**9}
ENDLESS = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
CIRCLE = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
MANY = {"type": "array", "items": {"type": "string"}, "minItems": 10**9}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (HUGE, "minLength"),
        (MANY, "values"),
        ({"type": "array", "items": {"minLength": 40_000}, "minItems": 500}, "values"),
        ({"type": "string", "pattern": "(a{1000}){100000}"}, "longer"),
        ({"type": "string", "pattern": "(?:){1000000000}"}, "longer"),
        (ENDLESS, "in each other"),
        ({"$ref": "#"}, "itself"),
        (CIRCLE, "itself"),
        ({"anyOf": []}, "no JSON Schema"),
        ({"type": "object", "properties": 5}, "no JSON Schema"),
        ({"type": "array", "items": 5}, "no JSON Schema"),
        ({"type": "string", "minLength": "x"}, "no JSON Schema"),
        ({"type": "string", "pattern": 5}, "no JSON Schema"),
        ({"type": "integer", "multipleOf": "x"}, "no JSON Schema"),
        ({"enum": 5}, "no JSON Schema"),
    ],
)
def test_anybodys_schema_holds_nothing_up(schema: Any, message: str) -> None:
    """One that never ends, asks for gigabytes or is none is an error at once."""
    with pytest.raises(ValueError, match=message):
        answer(schema, (), draw(0))
