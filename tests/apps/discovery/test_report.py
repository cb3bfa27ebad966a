"""Putting outputs together: headings found, figures placed once, gaps said plainly."""

from __future__ import annotations

import pytest

from hasten.apps.discovery.findings import MissingFinding, Questions
from hasten.apps.discovery.inputs import SAMPLES
from hasten.apps.discovery.prompts import SECTIONS
from hasten.apps.discovery.report import SHORT_FORM, assemble, split
from hasten.errors import HastenError

PERSON = SAMPLES["handmade"]


HEADINGS = [section.heading(PERSON) for section in SECTIONS["profile_analysis"]]


def test_an_answer_is_split_at_the_headings_that_were_asked_for() -> None:
    """Any level and case will do; other headings stay where they are, preambles go."""
    answer = "Sure, here it is.\n\n" + "\n\n".join(
        f"### {heading.upper()} ##\nAbout {heading}.\n\n#### A thought\nMore."
        for heading in HEADINGS
    )
    texts = split("profile_analysis", answer, PERSON)
    assert list(texts) == [section.name for section in SECTIONS["profile_analysis"]]
    assert texts["opportunity"] == "About Opportunity Within E-commerce.\n\n#### A thought\nMore."


def test_a_heading_that_comes_again_is_part_of_its_section() -> None:
    """The first one opens the section."""
    answer = "\n\n".join(f"## {heading}\nText." for heading in [*HEADINGS, HEADINGS[0]])
    texts = split("profile_analysis", answer, PERSON)
    assert texts["profile_recommendations"] == "Text.\n\n## Core Motivation\nText."


@pytest.mark.parametrize("last", ["", "## Recommendations\n\n"])
def test_an_answer_that_lacks_a_section_is_refused(last: str) -> None:
    """Missing or empty, the section is named."""
    answer = "\n\n".join(f"## {heading}\nText." for heading in HEADINGS[:-1])
    with pytest.raises(HastenError, match="lacks the sections profile_recommendations"):
        split("profile_analysis", f"{answer}\n\n{last}", PERSON)


def test_a_section_brings_its_own_heading_or_none() -> None:
    """The report has each heading once either way."""
    bare = assemble("profile_analysis", {**PERSON, "core_motivation": "Because."})
    headed = assemble(
        "profile_analysis", {**PERSON, "core_motivation": "## Core Motivation\n\nBecause."}
    )
    assert bare == headed
    assert bare.count("## Core Motivation") == 1


def test_what_did_not_come_is_said_in_its_place() -> None:
    """A short form tells the person's own facts, but never quotes the summary."""
    text = assemble("profile_analysis", PERSON)
    assert text.count(SHORT_FORM) == len(SECTIONS["profile_analysis"])
    assert "- **Budget:** $1k-$5k" in text
    assert "museum" not in text


def test_figures_stand_below_their_section() -> None:
    """Findings are printed by code, and one that is missing says so."""
    known = {
        **PERSON,
        "interviews": "Ask.",
        "generate_validation_questions": Questions(questions=("Why?", "How?", "When?")),
        "check_domain_availability": MissingFinding(what="Domain names"),
    }
    text = assemble("recommendation", known)
    assert "## Questions to Ask First\n\nAsk.\n\n- **Question 1:** Why?" in text
    assert "- **Domain names:** missing, the source gave no usable answer" in text
