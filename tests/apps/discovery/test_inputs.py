"""The eight inputs: whole vocabularies, and refusals that say what would do."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from hasten.apps.discovery import app
from hasten.apps.discovery.inputs import MAX_SUMMARY_CHARS, SAMPLES, SUB_AREAS, InterestArea
from hasten.errors import InvalidInput

GRAPH = app.graph()


def refusal(**changes: Any) -> InvalidInput:
    """Return how a sample with ``changes`` is refused."""
    given = {**SAMPLES["chatbots"], **changes}
    with pytest.raises(InvalidInput) as caught:
        GRAPH.parse({name: value for name, value in given.items() if value is not None})
    return caught.value


def test_every_area_has_sub_areas_of_its_own() -> None:
    """The two vocabularies fit together and no sub-area is in two areas."""
    assert set(SUB_AREAS) == set(get_args(InterestArea))
    sub_areas = [found for subs in SUB_AREAS.values() for found in subs]
    assert len(set(sub_areas)) == len(sub_areas) >= 4 * len(SUB_AREAS)


def test_the_schema_tells_which_sub_areas_go_with_an_area() -> None:
    """A program that reads the schema alone can offer the right sub-areas."""
    rules = app.inputs.model_json_schema()["allOf"]
    told = {
        rule["if"]["properties"]["interest_area"]["const"]: tuple(
            rule["then"]["properties"]["sub_interest_area"]["enum"]
        )
        for rule in rules
    }
    assert told == SUB_AREAS


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_are_valid(sample: str) -> None:
    """Every sample may be run as it is."""
    assert GRAPH.parse(SAMPLES[sample]).model_dump() == SAMPLES[sample]


@pytest.mark.parametrize("field", list(SAMPLES["chatbots"]))
def test_a_missing_field_is_named(field: str) -> None:
    """All eight are needed."""
    assert refusal(**{field: None}).field == field


@pytest.mark.parametrize(
    "field",
    [
        name
        for name in SAMPLES["chatbots"]
        if name not in ("sub_interest_area", "experience_summary")
    ],
)
def test_a_value_outside_its_vocabulary_is_refused(field: str) -> None:
    """The refusal names the field and lists the vocabulary."""
    found = refusal(**{field: "Whatever"})
    assert found.field == field
    assert SAMPLES["chatbots"][field] in found.allowed


def test_a_sub_area_of_another_area_is_refused() -> None:
    """The refusal lists the sub-areas of the area that was chosen."""
    found = refusal(sub_interest_area="Pet Care")
    assert found.field == "sub_interest_area"
    assert found.allowed == SUB_AREAS["AI / Automation"]
    assert "Chatbots, Workflow Automation" in str(found)


def test_an_unknown_field_is_refused() -> None:
    """The refusal lists the fields there are."""
    found = refusal(budget="none")
    assert found.field == "budget"
    assert "budget_range" in found.allowed


@pytest.mark.parametrize("summary", ["", " \n\t", "x" * (MAX_SUMMARY_CHARS + 1), "y" * 2**20])
def test_a_summary_that_says_nothing_or_too_much_is_refused(summary: str) -> None:
    """Blank text and a megabyte are the caller's mistakes."""
    assert refusal(experience_summary=summary).field == "experience_summary"
