"""Prompts made shorter: what may go, what must stay, and how much it saves."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.base import count_tokens
from hasten.model.prompt import CompactPolicy, compact, nearness, trim

POLICY = CompactPolicy()
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["score"],
}
WORDY = (
    "Please make sure to write in plain English at all times. "
    "You should always use the numbers that are given in order to support each claim. "
    "It is important that you do not invent any numbers. "
    "Make sure that you keep each section under a hundred words."
)


def test_instructions_become_a_list_without_filler() -> None:
    """Each sentence a bullet, its demand and its negation kept."""
    made = compact(WORDY, POLICY)
    assert made.text.splitlines() == [
        "- Write in plain English at all times",
        "- Use the numbers that are given to support each claim",
        "- Do not invent any numbers",
        "- Keep each section under a hundred words",
    ]
    assert [one.rule for one in made.effects] == ["bullets"]
    assert made.tokens_saved == count_tokens(WORDY) - count_tokens(made.text) > 10


@pytest.mark.parametrize(
    "text",
    [
        "The house is old. It has a garden. It was sold last year.",
        'You must say "please". You should say it twice. Make sure that it is loud. "Do it." Now.',
        "You should never do this. Try that.",
        "```\nPlease make sure to  keep   this. You should keep it. Please do. Ensure it.\n```",
    ],
)
def test_what_asks_for_nothing_or_is_quoted_stays(text: str) -> None:
    """Facts, quotations, short texts and code are not ours to change."""
    assert compact(text, POLICY).text == text


def test_never_stays_never() -> None:
    """A demand not to do something is not turned into one to do it."""
    text = (
        "You should never give legal advice to anybody. You must not name competitors of ours. "
        "Make sure that you always answer in German. You need to always stay polite with them."
    )
    made = compact(text, POLICY).text
    assert "never give legal advice" in made.lower() or "do not give legal advice" in made.lower()
    assert "not name competitors" in made.lower()


def test_what_was_said_before_goes_once_and_placeholders_stay() -> None:
    """Within one text, and across the turns of a request."""
    rule = "Answer only from the context that is given below, and say so when it is not there."
    made = compact(f"{rule}\n\nTopic: {{topic}}\n\n{rule}", POLICY)
    assert made.text == f"{rule}\n\nTopic: {{topic}}"
    said: set[str] = set()
    compact(rule, POLICY, said=said)
    assert compact(f"{rule}\n\nWhat is a lease?", POLICY, role="user", said=said).text == (
        "What is a lease?"
    )
    filled = "The {persona} shall be described in {count} sentences, no more and no less."
    assert compact(f"{filled}\n\n{filled}", POLICY).text == f"{filled}\n\n{filled}"


def test_a_persons_own_repetitions_stay() -> None:
    """Who asks how often a line occurs must get all of them through."""
    line = "2026-01-01 12:00:00 ERROR connection to the database was lost"
    text = f"How often?\n{line}\n{line}\n{line}"
    assert compact(text, POLICY, role="user", said=set()).text == text


def test_a_schema_that_the_request_carries_goes_from_the_text() -> None:
    """In a fence or bare; one for something else, and without a schema besides, it stays."""
    written = json.dumps(SCHEMA, indent=2)
    for text in (f"Score it.\n\n```json\n{written}\n```\n\nBe fair.", f"Score it.\n\n{written}"):
        made = compact(text, POLICY, schema=SCHEMA)
        assert "properties" not in made.text
        assert made.text.startswith("Score it.")
        assert compact(text, POLICY).text.count("properties") == 1
    other = '{"type": "object", "properties": {"colour": {"type": "string"}}}'
    assert compact(f"Compare: {other}", POLICY, schema=SCHEMA).text.endswith(other)


def test_a_context_keeps_what_is_nearest_to_the_question() -> None:
    """Up to its budget, in its own order, tagged or under a heading."""
    near = "A lease on a lock ends after its time, so a crashed holder blocks nobody."
    far = [f"Paragraph {n} is about the weather in month {n}, and clouds." for n in range(30)]
    context = "\n\n".join([*far[:15], near, *far[15:]])
    policy = CompactPolicy(context_tokens=60)
    tagged = f"What is a lease on a lock?\n<context>\n{context}\n</context>\nAnswer briefly."
    made = compact(tagged, policy).text
    assert near in made
    assert made.endswith("</context>\nAnswer briefly.")
    assert count_tokens(made) < 100
    headed = (
        f"What is a lease on a lock?\n\n**Market Context:**\n{context}\n\n"
        "**Task:**\nAnswer briefly."
    )
    made = compact(headed, policy).text
    assert near in made
    assert made.endswith("**Task:**\nAnswer briefly.")
    assert count_tokens(made) < 100


def test_one_long_paragraph_keeps_its_beginning() -> None:
    """There is nothing to choose from."""
    made = trim("word " * 1_000, "question", 50)
    assert made.startswith("word word")
    assert made.endswith("…")
    assert count_tokens(made) <= 51


def test_nearness_prefers_rare_words() -> None:
    """A word that every text has says nothing."""
    texts = ["the lease and the lock", "the weather and the clouds", "the lock and the door"]
    scores = nearness("the lease", texts)
    assert scores[0] == max(scores)
    assert scores[0] > 3 * max(scores[1:])


@given(st.text(max_size=400), st.sampled_from(["system", "user"]))
def test_no_text_grows_or_breaks_a_rule(text: str, role: str) -> None:
    """Whatever is written: no more tokens than before, and the same again when repeated."""
    policy = CompactPolicy(context_tokens=50)
    made = compact(text, policy, role=role, schema=SCHEMA)
    assert count_tokens(made.text) <= count_tokens(text)
    assert made.tokens_saved == count_tokens(text) - count_tokens(made.text)
    again = compact(made.text, policy, role=role, schema=SCHEMA)
    assert count_tokens(again.text) <= count_tokens(made.text)
