"""What tokens cost: list prices of common models, in US dollars.

Owns the price table and the sum. Pure. ``traced`` asks for every call.

The figures are the providers' public list prices as of November 2025, for
plain calls up to the first context tier; batch and volume discounts are not
in. A ``PriceTable`` of your own goes into ``ChainPolicy.prices``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hasten.model.base import Usage

PER_TOKENS = 1_000_000
"""Prices are given for this many tokens."""


class Price(NamedTuple):
    """US dollars per million tokens: read, read from the provider's prompt cache, written."""

    in_usd: float
    cached_in_usd: float
    out_usd: float


class Cost(NamedTuple):
    """What a call cost; ``is_known`` is false when no price is listed, and ``usd`` is then 0."""

    usd: float
    is_known: bool


PriceTable = Mapping[str, Price]
"""Prices by model; a name stands for every name that continues it after a dash."""

SIMULATED = "sim"
"""The row for simulated models that are not named after a real one."""

PRICES: PriceTable = {
    "claude-3-5-haiku": Price(0.80, 0.08, 4.00),
    "claude-haiku-4-5": Price(1.00, 0.10, 5.00),
    "claude-opus-4": Price(15.00, 1.50, 75.00),
    "claude-opus-4-5": Price(5.00, 0.50, 25.00),
    "claude-sonnet-4": Price(3.00, 0.30, 15.00),
    "deepseek-chat": Price(0.28, 0.028, 0.42),
    "gemini-2.0-flash": Price(0.10, 0.025, 0.40),
    "gemini-2.5-flash": Price(0.30, 0.03, 2.50),
    "gemini-2.5-flash-lite": Price(0.10, 0.01, 0.40),
    "gemini-2.5-pro": Price(1.25, 0.125, 10.00),
    "gpt-4.1": Price(2.00, 0.50, 8.00),
    "gpt-4.1-mini": Price(0.40, 0.10, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.025, 0.40),
    "gpt-4o": Price(2.50, 1.25, 10.00),
    "gpt-4o-mini": Price(0.15, 0.075, 0.60),
    "gpt-5": Price(1.25, 0.125, 10.00),
    "gpt-5-mini": Price(0.25, 0.025, 2.00),
    "gpt-5-nano": Price(0.05, 0.005, 0.40),
    "mistral-large": Price(2.00, 2.00, 6.00),
    "mistral-small": Price(0.10, 0.10, 0.30),
    "o3": Price(2.00, 0.50, 8.00),
    "o4-mini": Price(1.10, 0.275, 4.40),
    SIMULATED: Price(0.40, 0.10, 1.60),
}


def price_of(model: str, prices: PriceTable = PRICES) -> Price | None:
    """Return the price of ``model``: of its longest listed beginning that ends at a dash.

    A folder before the name (``openai/gpt-4o``) does not count. A simulated
    model named after a real one (``sim-gpt-4o``) costs what the real one
    costs, so that a race shows real money.
    """
    name = model.rpartition("/")[2].lower()
    real = name.removeprefix(f"{SIMULATED}-")
    for candidate in (real, name):
        words = candidate.split("-")
        for end in range(len(words), 0, -1):
            listed = prices.get("-".join(words[:end]))
            if listed is not None:
                return listed
    return None


def cost_usd(model: str, usage: Usage, prices: PriceTable = PRICES) -> Cost:
    """Return what ``usage`` of ``model`` costs."""
    price = price_of(model, prices)
    if price is None:
        return Cost(0.0, is_known=False)
    usd = (
        (usage.tokens_in - usage.cached_tokens_in) * price.in_usd
        + usage.cached_tokens_in * price.cached_in_usd
        + usage.tokens_out * price.out_usd
    )
    return Cost(usd / PER_TOKENS, is_known=True)
