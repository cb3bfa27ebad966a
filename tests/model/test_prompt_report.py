"""What prompts are made of: parts, repetitions, and the end of the provider's prefix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.base import count_tokens
from hasten.model.price import Price
from hasten.model.prompt_report import CACHED_FROM_TOKENS, Prompt, parts_of, report

RULES = "\n".join(
    f"Rule {number}: what is said here holds for every answer." for number in range(99)
)
PRICES = {"m": Price(2.0, 0.5, 8.0)}


def _asked(*begins: str, rest: str = RULES, model: str = "m") -> list[Prompt]:
    return [Prompt("task", (("user", f"{begin}\n\n{rest}"),), model) for begin in begins]


def test_parts_are_roles_divided_at_headings_and_tags() -> None:
    """Each with its tokens; together they are the prompt."""
    text = (
        "Hello.\n# Goal\nSell tea.\n**Market Context:**\nTea sells.\n<documents>\n1.\n</documents>"
    )
    prompt = Prompt("p", (("system", "Be brief."), ("user", text)))
    assert [part for part, _ in parts_of(prompt)] == [
        "system",
        "user",
        "user: Goal",
        "user: Market Context",
        "user: documents",
    ]
    assert "".join(part for _, part in parts_of(prompt)[1:]) == text
    (kind,) = report([prompt]).kinds
    assert sum(part.tokens for part in kind.parts) == pytest.approx(kind.tokens, abs=4)


@pytest.mark.parametrize(
    ("begins", "what"),
    [
        (("Now: 2026-01-01 10:00", "Now: 2026-01-02 11:30"), "a date or time"),
        (("Call 0123456789abcdef0", "Call fedcba98765432100"), "an id"),
        (("Number 17 please", "Number 99 please"), "a number"),
        (("For Ada", "For Bob"), "text that differs"),
    ],
)
def test_what_ends_the_prefix_is_named(begins: tuple[str, str], what: str) -> None:
    """And what a better order would have saved: all that stays, for each call but the first."""
    (kind,) = report(_asked(*begins), prices=PRICES).kinds
    assert kind.broken_by.startswith(what)
    assert kind.prefix_tokens < 5
    assert kind.constant_tokens == count_tokens(RULES) > CACHED_FROM_TOKENS
    assert kind.saved_tokens == kind.constant_tokens
    assert kind.saved_usd == pytest.approx(kind.saved_tokens * 1.5 / 1e6)


def test_a_good_order_has_nothing_to_save() -> None:
    """What stays comes first: the prefix is all there could be."""
    prompts = [Prompt("t", (("system", RULES), ("user", who)), "m") for who in ("Ada", "Bob", "Cy")]
    (kind,) = report(prompts, prices=PRICES).kinds
    assert kind.prefix_tokens >= count_tokens(RULES)
    assert kind.saved_tokens == 0
    same = report([prompts[0]] * 3).kinds[0]
    assert (same.broken_by, same.saved_tokens) == ("", 0)


def test_one_call_or_a_short_prompt_promises_nothing() -> None:
    """There is no second call to save on, or too little for a provider to keep."""
    assert report(_asked("Ada")).kinds[0].saved_tokens == 0
    assert report(_asked("Ada", "Bob", rest="Short rules.")).kinds[0].saved_tokens == 0


def test_a_templates_prefix_ends_at_its_first_placeholder() -> None:
    """Whatever the style of the placeholder."""
    for placeholder in ("{name}", "{{ name }}", "${name}", "<<name>>"):
        text = f"For {placeholder}.\n\n{RULES}"
        (kind,) = report([Prompt("t", (("system", text),))], is_template=True).kinds
        assert kind.broken_by == f"the placeholder {placeholder}"
        assert kind.prefix_tokens == 1
        assert kind.constant_tokens == count_tokens(RULES)


def test_repeated_paragraphs_are_counted_across_prompts() -> None:
    """The costliest first, with the kinds they stand in."""
    rule = "Answer from the context only, and say so when there is nothing in it."
    prompts = [
        Prompt("a", (("system", rule), ("user", "One."))),
        Prompt("b", (("system", f"{rule}\n\nTwo."),)),
        Prompt("c", (("system", f"{RULES}"),)),
        Prompt("c", (("system", f"{RULES}"),)),
    ]
    first, second = report(prompts).repeated
    assert first.names == ("c",)
    assert (second.text, second.times, second.names) == (rule[:60], 2, ("a", "b"))
    assert second.tokens_again == count_tokens(rule)


def test_calls_without_text_have_counts_alone() -> None:
    """Prompts are private: without them, tokens per task are still there."""
    found = report([Prompt("a", tokens_in=90), Prompt("a", tokens_in=110, cached_tokens_in=50)])
    assert not found.has_text
    assert (found.kinds[0].tokens, found.kinds[0].cached_tokens) == (100, 25)
    assert found.repeated == ()
    assert report([]).kinds == ()


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_texts_have_a_report(texts: list[str]) -> None:
    """Whatever they hold."""
    found = report([Prompt("t", (("user", text),)) for text in texts])
    for kind in found.kinds:
        assert kind.saved_tokens >= 0
        assert kind.compacted_tokens <= kind.tokens
