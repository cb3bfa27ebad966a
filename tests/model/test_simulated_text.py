"""Plain text of the simulated model: length, facts, headings, no repetition."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.draw import draw
from hasten.model.simulated_prompt import Fact, Section, facts_in, sections_in, shorten, words_in
from hasten.model.simulated_text import MAX_SECTIONS, write_text

PROMPT = """Goal type: Extra Income
Interest area: AI / Automation
- Sub interest area: Chatbots
Time commitment: <5 hrs/week
Work style: Solo
Experience summary: Six years of internal dashboards for a logistics firm, and a small support team.
Tools: {"growth_rate": "18 % a year", "rivals": 12}
Format: Markdown
"""
TITLES = (
    "Core Motivation",
    "Operating Constraints",
    "Opportunity within AI / Automation",
    "Strengths You Can Leverage",
    "Skill Gaps to Fill",
    "Recommendations",
    "Market Trends",
    "Competitors",
    "Market Size",
    "Validation",
    "Risks",
    "Costs",
    "Revenue",
    "Financial Viability",
    "Customer Persona",
    "Validation Questions",
    "Domain Check",
    "Roadmap",
)


def _section(title: str, words: int = 150) -> str:
    turn = f"{PROMPT}\nWrite the section '{title}' in about {words} words."
    return write_text(turn, turn, draw(1, title))


def test_facts_are_read_from_lines_and_from_json() -> None:
    """Labels come in lower case, long values shortened, orders left out."""
    facts = facts_in(PROMPT)
    assert Fact("interest area", "AI / Automation") in facts
    assert Fact("sub interest area", "Chatbots") in facts
    assert Fact("growth rate", "18 % a year") in facts
    assert Fact("rivals", "12") in facts
    assert (
        Fact("experience summary", "Six years of internal dashboards for a logistics firm") in facts
    )
    assert "format" not in [fact.label for fact in facts]


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("Write the section 'Risks' in about 80 words.", [Section("Risks", 80)]),
        ('Write the section "What\'s next" (about 60 words)', [Section("What's next", 60)]),
        ("Write the section “Costs”.", [Section("Costs", 120)]),
        (
            "Write these sections:\n- 'One' in about 50 words\n- 'Two' in about 70 words",
            [Section("One", 50), Section("Two", 70)],
        ),
        ("It isn't a section, it's a 'quote' in a sentence of about 9 words.", []),
    ],
)
def test_sections_are_read_with_their_lengths(turn: str, expected: list[Section]) -> None:
    """Any kind of quotes, with and without a length, one or many."""
    assert list(sections_in(turn)) == expected


@given(words=st.integers(25, 1200), title=st.sampled_from(TITLES))
def test_a_section_has_its_heading_and_about_the_wanted_length(words: int, title: str) -> None:
    """Never more than 20 words or a tenth away from what was asked for."""
    text = _section(title, words)
    assert text.startswith(f"## {title}\n\n")
    assert abs(len(text.split()) - words) <= max(20, words // 10)


@pytest.mark.parametrize("title", TITLES)
def test_every_section_uses_the_facts(title: str) -> None:
    """At least two facts of the prompt appear word for word."""
    text = _section(title)
    assert sum(fact.value in text for fact in facts_in(PROMPT)) >= 2


def test_sections_of_one_report_do_not_repeat_each_other() -> None:
    """No sentence twice in a report of eighteen sections, and few stretches of eight words."""
    texts = [_section(title) for title in TITLES]
    sentences = Counter(
        sentence
        for text in texts
        for sentence in re.split(r"(?<=\.)\s+", text)
        if len(sentence.split()) > 4
    )
    assert [sentence for sentence, count in sentences.items() if count > 1] == []
    words = [text.split() for text in texts]
    runs = Counter(tuple(part[at : at + 8]) for part in words for at in range(len(part) - 7))
    assert sum(count - 1 for count in runs.values()) < 0.05 * runs.total()


def test_thousands_of_sections_are_not_all_written() -> None:
    """A prompt of a few kilobytes holds nobody up."""
    asked = "\n".join(f"'Part {number}' in about 99999 words" for number in range(1_000))
    told = write_text(asked, asked, draw(1))
    assert told.count("## Part") == MAX_SECTIONS


def test_sentences_are_whole() -> None:
    """Every line is a heading, a list item or a paragraph that begins and ends as one should."""
    for title in TITLES:
        for line in filter(None, _section(title, 300).splitlines()[1:]):
            assert re.match(r"(- \*\*[A-Z][^*]+:\*\* \S|[“A-Z0-9<$])", line), line
            assert line.endswith(".")
            assert "{" not in line
            assert "  " not in line
            assert not re.search(r"\b(every|first|a|an) an? ", line), line


def test_a_plain_question_is_answered_in_paragraphs() -> None:
    """Without sections there is no heading; the question is quoted; a wanted length is kept."""
    turn = (
        "Should we open a second shop in the old town or wait for a year? Answer in about 60 words."
    )
    text = write_text(turn, turn, draw(0))
    assert "#" not in text
    assert "Should we open a second shop in the old town or wait for a year?" in text
    assert abs(len(text.split()) - 60) <= 12


@given(st.text(max_size=400))
def test_any_prompt_gets_an_answer(prompt: str) -> None:
    """Whatever is said, there is text, and reading it raises nothing."""
    assert write_text(prompt, prompt, draw(3)).strip()
    assert words_in(prompt) is None or words_in(prompt) >= 0  # type: ignore[operator]


@given(st.text(max_size=200), st.integers(5, 80))
def test_shortened_values_fit_in_a_sentence(value: str, limit: int) -> None:
    """No longer than the limit, one line, no mark at the end."""
    short = shorten(value, limit)
    assert len(short) <= limit
    assert "\n" not in short
