"""What tokens cost."""

from __future__ import annotations

import pytest

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
    assert cost_usd(model, Usage(1000, 1000)) == (0.0, False)


def test_cached_tokens_cost_their_own_price() -> None:
    """Tokens from the provider's cache are counted once, at the lower price."""
    cost = cost_usd("gpt-4.1", Usage(2_000_000, 1_000_000, 500_000))
    assert cost.usd == pytest.approx(1.5 * 2.0 + 0.5 * 0.5 + 8.0)
    assert cost.is_known


def test_the_cache_is_never_dearer_than_a_fresh_read() -> None:
    """A slip in the table would show here."""
    assert all(price.cached_in_usd <= price.in_usd <= price.out_usd for price in PRICES.values())
