"""What tokens cost: list prices of common models, in US dollars.

Owns the price table and the sum. Pure. ``traced`` and the gateway ask for every call.

The figures are the providers' public list prices for plain calls up to the first context
tier; batch and volume discounts are not in, of prices by the hour the higher is taken.
Checked on 21 November 2026 against platform.claude.com/docs/en/about-claude/pricing,
developers.openai.com/api/docs/pricing, ai.google.dev/gemini-api/docs/pricing,
api-docs.deepseek.com/quick_start/pricing, and the table that LiteLLM 1.106.2 ships.
Prices change: ``prices`` in ``hasten.toml`` replaces rows and adds some, and a
``PriceTable`` of your own goes into ``ChainPolicy.prices``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hasten.model.base import Usage

PER_TOKENS = 1_000_000
"""Prices are given for this many tokens."""


class Price(NamedTuple):
    """US dollars per million tokens: read, read from the provider's prompt cache, written.

    ``write_in_usd`` is for tokens read and written into that cache, ``long_write_in_usd``
    for those that it keeps an hour; ``None``: writing costs nothing beyond reading.
    """

    in_usd: float
    cached_in_usd: float
    out_usd: float
    write_in_usd: float | None = None
    long_write_in_usd: float | None = None


class Cost(NamedTuple):
    """What a call cost; ``is_known`` is false when no price is listed, and ``usd`` is then 0.

    ``usd`` has the provider's prompt cache in it: reading from it spared
    ``prompt_saved_usd``, writing into it took ``prompt_written_usd`` more than reading.
    """

    usd: float
    is_known: bool
    prompt_saved_usd: float = 0.0
    prompt_written_usd: float = 0.0


PriceTable = Mapping[str, Price]
"""Prices by model, as ``bare`` has its name, which stands for every one that continues it after
a dash."""

SIMULATED = "sim"
"""The row for simulated models that are not named after a real one."""

WRITE, LONG_WRITE = 1.25, 2.0
"""What writing a prompt into its cache costs, of its plain price: five minutes, an hour."""


def _claude(in_usd: float, cached_in_usd: float, out_usd: float) -> Price:
    return Price(in_usd, cached_in_usd, out_usd, in_usd * WRITE, in_usd * LONG_WRITE)


def _gpt(in_usd: float, cached_in_usd: float, out_usd: float) -> Price:
    return Price(in_usd, cached_in_usd, out_usd, in_usd * WRITE)


PRICES: PriceTable = {
    "claude-3-5-haiku": _claude(0.80, 0.08, 4.00),
    "claude-3-7-sonnet": _claude(3.00, 0.30, 15.00),
    "claude-fable-5": _claude(10.00, 1.00, 50.00),
    "claude-fable-5-1": _claude(10.00, 0.25, 50.00),
    "claude-haiku-4-5": _claude(1.00, 0.10, 5.00),
    "claude-haiku-5-5": _claude(0.10, 0.01, 0.50),
    "claude-opus-4": _claude(15.00, 1.50, 75.00),
    "claude-opus-4-5": _claude(5.00, 0.50, 25.00),
    "claude-opus-4-6": _claude(5.00, 0.50, 25.00),
    "claude-opus-4-7": _claude(5.00, 0.50, 25.00),
    "claude-opus-4-8": _claude(5.00, 0.50, 25.00),
    "claude-opus-5": _claude(5.00, 0.50, 25.00),
    "claude-opus-5-5": _claude(4.00, 0.20, 20.00),
    "claude-sonnet-4": _claude(3.00, 0.30, 15.00),
    "claude-sonnet-5": _claude(2.00, 0.20, 10.00),
    "claude-sonnet-5-5": _claude(2.00, 0.10, 10.00),
    "deepseek-chat": Price(0.28, 0.028, 0.42),
    "deepseek-flash": Price(0.30, 0.006, 1.20),
    "deepseek-reasoner": Price(0.28, 0.028, 0.42),
    "deepseek-v4-flash": Price(0.30, 0.006, 1.20),
    "deepseek-v4-pro": Price(1.32, 0.044, 3.96),
    "gemini-2.5-flash": Price(0.30, 0.03, 2.50),
    "gemini-2.5-flash-lite": Price(0.10, 0.01, 0.40),
    "gemini-2.5-pro": Price(1.25, 0.125, 10.00),
    "gemini-3-flash": Price(0.50, 0.05, 3.00),
    "gemini-3.1-flash-lite": Price(0.25, 0.025, 1.50),
    "gemini-3.1-pro": Price(2.00, 0.20, 12.00),
    "gemini-3.5-flash": Price(1.50, 0.15, 9.00),
    "gemini-3.5-flash-lite": Price(0.30, 0.03, 2.50),
    "gemini-3.6-flash": Price(0.75, 0.075, 3.75),  # until the end of 2026, then twice as much
    "gemini-3.7-flash": Price(0.75, 0.075, 3.75),  # the same
    "gemini-3.8-flash": Price(0.75, 0.075, 3.75),  # the same
    "gpt-4.1": Price(2.00, 0.50, 8.00),
    "gpt-4.1-mini": Price(0.40, 0.10, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.025, 0.40),
    "gpt-4o": Price(2.50, 1.25, 10.00),
    "gpt-4o-2024-05-13": Price(5.00, 5.00, 15.00),
    "gpt-4o-mini": Price(0.15, 0.075, 0.60),
    "gpt-5": Price(1.25, 0.125, 10.00),
    "gpt-5-mini": Price(0.25, 0.025, 2.00),
    "gpt-5-nano": Price(0.05, 0.005, 0.40),
    "gpt-5-pro": Price(15.00, 15.00, 120.00),
    "gpt-5.1": Price(1.25, 0.125, 10.00),
    "gpt-5.1-codex-mini": Price(0.25, 0.025, 2.00),
    "gpt-5.2": Price(1.75, 0.175, 14.00),
    "gpt-5.2-pro": Price(21.00, 21.00, 168.00),
    "gpt-5.4": Price(2.50, 0.25, 15.00),
    "gpt-5.4-mini": Price(0.75, 0.075, 4.50),
    "gpt-5.4-nano": Price(0.20, 0.02, 1.25),
    "gpt-5.4-pro": Price(30.00, 30.00, 180.00),
    "gpt-5.5": Price(5.00, 0.50, 30.00),
    "gpt-5.5-cyber": Price(12.50, 1.25, 75.00),
    "gpt-5.5-pro": Price(30.00, 30.00, 180.00),
    "gpt-5.6": _gpt(4.00, 0.40, 20.00),
    "gpt-5.6-cyber": _gpt(12.50, 1.25, 75.00),
    "gpt-5.6-luna": _gpt(0.20, 0.02, 1.20),
    "gpt-5.6-terra": _gpt(2.00, 0.20, 12.00),
    "gpt-6-astra": _gpt(10.00, 1.00, 50.00),
    "gpt-6-luna": _gpt(0.10, 0.01, 0.50),
    "gpt-6-sol": _gpt(2.00, 0.20, 10.00),
    "gpt-6.1-sol": _gpt(2.00, 0.10, 10.00),
    "gpt-6.1-terra": _gpt(1.00, 0.05, 5.00),
    "mistral-large": Price(0.50, 0.05, 1.50),
    "mistral-large-4": Price(0.68, 0.068, 2.09),
    "mistral-medium": Price(1.50, 0.15, 7.50),
    "mistral-small": Price(0.15, 0.015, 0.60),
    "o1": Price(15.00, 7.50, 60.00),
    "o1-pro": Price(150.00, 150.00, 600.00),
    "o3": Price(2.00, 0.50, 8.00),
    "o3-deep-research": Price(10.00, 2.50, 40.00),
    "o3-mini": Price(1.10, 0.55, 4.40),
    "o3-pro": Price(20.00, 20.00, 80.00),
    "o4-mini": Price(1.10, 0.275, 4.40),
    "o4-mini-deep-research": Price(2.00, 0.50, 8.00),
    SIMULATED: Price(0.40, 0.10, 1.60),
    "text-embedding-3-large": Price(0.13, 0.13, 0.0),
    "text-embedding-3-small": Price(0.02, 0.02, 0.0),
}


def bare(model: str) -> str:
    """Return the name of a model in lower case, without a folder (``openai/gpt-4o``)."""
    return model.rpartition("/")[2].lower()


def price_of(model: str, prices: PriceTable = PRICES) -> Price | None:
    """Return the price of ``model``: of its longest listed beginning that ends at a dash.

    A folder before the name does not count. A simulated model named after a real one
    (``sim-gpt-4o``) costs what the real one costs, so that a race shows real money.
    """
    name = bare(model)
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
    written = max(usage.cache_write_tokens_in - usage.long_write_tokens_in, 0)
    write_usd = price.in_usd if price.write_in_usd is None else price.write_in_usd
    long_usd = write_usd if price.long_write_in_usd is None else price.long_write_in_usd
    spared = usage.cached_tokens_in * (price.in_usd - price.cached_in_usd)
    more = written * (write_usd - price.in_usd)
    more += usage.long_write_tokens_in * (long_usd - price.in_usd)
    usd = usage.tokens_in * price.in_usd - spared + more + usage.tokens_out * price.out_usd
    return Cost(
        max(usd, 0.0) / PER_TOKENS,
        is_known=True,
        prompt_saved_usd=spared / PER_TOKENS,
        prompt_written_usd=more / PER_TOKENS,
    )
