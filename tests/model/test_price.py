"""What tokens cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.base import Usage
from hasten.model.price import PRICES, SIMULATED, cost_usd, price_of


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/GPT-4o", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-8", "claude-opus-4-8"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("gpt-5.6-sol", "gpt-5.6"),
        ("o1-pro-2025-03-19", "o1-pro"),
        ("o3-deep-research-2025-06-26", "o3-deep-research"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("sim-gpt-4o", "gpt-4o"),
        ("sim-standard", SIMULATED),
    ],
)
def test_a_dated_or_prefixed_name_finds_its_price(model: str, listed: str) -> None:
    """The longest listed beginning counts, and a simulated model costs what its original does."""
    assert price_of(model) == PRICES[listed]


@pytest.mark.parametrize("model", ["", "gpt", "gpt-4omega", "llama3:8b"])
def test_an_unlisted_model_costs_nothing_and_says_so(model: str) -> None:
    """A beginning that does not end at a dash is another model."""
    assert cost_usd(model, Usage(1000, 1000)) == (0.0, False, 0.0, 0.0)


def test_cached_tokens_cost_their_own_price() -> None:
    """Tokens from the provider's cache are counted once, at the lower price."""
    cost = cost_usd("gpt-4.1", Usage(2_000_000, 1_000_000, 500_000))
    assert cost.usd == pytest.approx(1.5 * 2.0 + 0.5 * 0.5 + 8.0)
    assert cost.is_known


def test_what_the_prompt_cache_is_written_costs_more_and_says_so() -> None:
    """Anthropic: 1.25 times the price for five minutes, twice for an hour; reads a tenth."""
    usage = Usage(4_000_000, 0, 1_000_000, 2_000_000, 500_000)
    cost = cost_usd("claude-sonnet-4-5", usage)
    assert cost.usd == pytest.approx(1 * 3.0 + 1 * 0.3 + 1.5 * 3.75 + 0.5 * 6.0)
    assert cost.prompt_saved_usd == pytest.approx(2.7)
    assert cost.prompt_written_usd == pytest.approx(1.5 * 0.75 + 0.5 * 3.0)
    plain = cost_usd("claude-sonnet-4-5", Usage(4_000_000))
    assert cost.usd == pytest.approx(plain.usd - cost.prompt_saved_usd + cost.prompt_written_usd)


def test_writing_costs_nothing_more_where_the_provider_asks_nothing_for_it() -> None:
    """OpenAI before GPT-5.6, Gemini."""
    cost = cost_usd("gpt-4.1", Usage(1_000_000, 0, 0, 1_000_000))
    assert (cost.usd, cost.prompt_written_usd) == (2.0, 0.0)
    assert cost_usd("gpt-6-sol", Usage(1_000_000, 0, 0, 1_000_000)).usd == pytest.approx(2.5)


COUNTS = st.integers(0, 10**7)


@given(st.sampled_from(sorted(PRICES)), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_cost_is_never_below_nothing_and_its_parts_add_up(
    model: str, fresh: int, out: int, read: int, written: int, lasting: int
) -> None:
    """Whatever share of a prompt came from the cache or went into it."""
    whole = fresh + read + written + lasting
    cost = cost_usd(model, Usage(whole, out, read, written + lasting, lasting))
    plain = cost_usd(model, Usage(whole, out))
    assert cost.usd >= 0
    assert cost.prompt_saved_usd >= 0
    assert cost.prompt_written_usd >= 0
    parts = plain.usd - cost.prompt_saved_usd + cost.prompt_written_usd
    assert cost.usd == pytest.approx(parts, abs=1e-9)


def test_the_cache_is_never_dearer_than_a_fresh_read() -> None:
    """A slip in the table would show here."""
    for name, price in PRICES.items():
        assert 0 < price.cached_in_usd <= price.in_usd
        assert price.in_usd <= price.out_usd or "embedding" in name
        assert price.in_usd < (price.write_in_usd or 1e9) < (price.long_write_in_usd or 1e9 + 1)
