"""What is known of companies and industries: behind one interface, asked by its tools.

Owns ``CompanySource`` and the bundled one: a dozen fictional companies in six
industries, written for this application, with how long each kind of answer takes.
Real companies are asked of ``edgar``.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from abc import ABC, abstractmethod
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from hasten import HastenError, current_clock

if TYPE_CHECKING:
    from collections.abc import Mapping

LIVE = "sec:"
"""Before a ticker: a company whose filings are looked up at the SEC."""

FIRST_YEAR = 2016
DAY_S, MINUTE_S = 86_400.0, 60.0

LATENCY_S = {
    "company": 0.4,
    "news": 2.5,
    "industry": 4.8,
    "filings": 1.5,
    "benchmarks": 5.0,
    "cases": 5.0,
    "pulse": 0.3,
}
"""Seconds each kind of answer takes: what the plan's agents and frameworks spend on sources."""

_NUMBERS = ("margin_percent", "growth_percent", "debt_to_equity")


class Company(BaseModel):
    """Who a company is."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    industry: str
    country: str
    founded: int | None
    about: str


class Filings(BaseModel):
    """What a company earned and owes, a figure a year from ``first_year``, in millions of USD."""

    model_config = ConfigDict(frozen=True)

    first_year: int
    revenue: tuple[float, ...]
    operating_profit: tuple[float, ...] = ()
    net_profit: tuple[float, ...] = ()
    debt: tuple[float, ...] = ()
    equity: tuple[float, ...] = ()


class Industry(BaseModel):
    """What is the same for every company of an industry: a fact by its label."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    facts: dict[str, str]


class Benchmarks(BaseModel):
    """The middle of an industry; ``None`` where it is not known."""

    model_config = ConfigDict(frozen=True)

    margin_percent: float | None = None
    growth_percent: float | None = None
    debt_to_equity: float | None = None


class CompanySource(ABC):
    """Where facts come from. Raises ``HastenError`` for what it does not know or cannot reach."""

    @abstractmethod
    async def company(self, company: str) -> Company:
        """Return who a company is."""

    @abstractmethod
    async def news(self, company: str) -> tuple[str, ...]:
        """Return what was lately heard of a company, newest first."""

    @abstractmethod
    async def filings(self, company: str) -> Filings:
        """Return a company's figures."""

    async def pulse(self, company: str) -> dict[str, float]:
        """Return the figures by which it is seen whether something happened."""
        filings = await self.filings(company)
        return {
            name: values[-1] for name, values in filings if isinstance(values, tuple) and values
        }

    async def industry(self, industry: str) -> Industry:
        """Return what is known of an industry; one that is not in our book has its name only."""
        told = industries().get(industry, {"name": industry})
        facts = {name: str(fact) for name, fact in told.items() if name not in {"name", *_NUMBERS}}
        return Industry(id=industry, name=told["name"], facts=facts)

    async def benchmarks(self, industry: str) -> Benchmarks:
        """Return the middle of an industry."""
        return Benchmarks.model_validate(
            {name: industries().get(industry, {}).get(name) for name in _NUMBERS}
        )

    async def cases(self, industry: str) -> str:
        """Return what frameworks are held against: a case from the same industry."""
        return str(industries().get(industry, {}).get("case", ""))


class SampleSource(CompanySource):
    """The bundled companies; ``latency_s`` is how long each kind of answer takes."""

    def __init__(self, latency_s: Mapping[str, float] | None = None) -> None:
        self._latency_s = latency_s or {}

    async def company(self, company: str) -> Company:
        """Return who a company is."""
        await self._wait("company")
        return Company.model_validate(_told(company))

    async def news(self, company: str) -> tuple[str, ...]:
        """Return what was lately heard of a company."""
        await self._wait("news")
        return tuple(_told(company)["news"])

    async def filings(self, company: str) -> Filings:
        """Return a company's ten years."""
        await self._wait("filings")
        return Filings.model_validate({"first_year": FIRST_YEAR, **_told(company)})

    async def pulse(self, company: str) -> dict[str, float]:
        """Return the share price, made up: a slow wave, a jump a day, a twitch a minute."""
        await self._wait("pulse")
        name, now_s = _told(company)["id"], current_clock().now()
        day, minute = int(now_s // DAY_S), int(now_s // MINUTE_S)
        wave = math.sin(day / 17 + len(company))
        moved = 0.12 * wave + 0.1 * _drawn(f"{name} {day}") + 0.01 * _drawn(f"{name} {minute}")
        return {"share price": round(100 * (1 + moved), 2)}

    async def industry(self, industry: str) -> Industry:
        """Return what is known of an industry."""
        await self._wait("industry")
        return await super().industry(industry)

    async def benchmarks(self, industry: str) -> Benchmarks:
        """Return the middle of an industry."""
        await self._wait("benchmarks")
        return await super().benchmarks(industry)

    async def cases(self, industry: str) -> str:
        """Return a case from the same industry."""
        await self._wait("cases")
        return await super().cases(industry)

    async def _wait(self, what: str) -> None:
        await current_clock().sleep(self._latency_s.get(what, 0.0))


class EitherSource(CompanySource):
    """Asks ``live`` for what begins with ``sec:``, ``sample`` for the rest."""

    def __init__(self, sample: CompanySource, live: CompanySource) -> None:
        self._sample = sample
        self._live = live

    async def company(self, company: str) -> Company:
        """Return who a company is."""
        return await self._of(company).company(company)

    async def news(self, company: str) -> tuple[str, ...]:
        """Return what was lately heard of a company."""
        return await self._of(company).news(company)

    async def filings(self, company: str) -> Filings:
        """Return a company's figures."""
        return await self._of(company).filings(company)

    async def pulse(self, company: str) -> dict[str, float]:
        """Return the figures that may move."""
        return await self._of(company).pulse(company)

    async def industry(self, industry: str) -> Industry:
        """Return what is known of an industry, which only the sample has a book of."""
        return await self._sample.industry(industry)

    async def benchmarks(self, industry: str) -> Benchmarks:
        """Return the middle of an industry."""
        return await self._sample.benchmarks(industry)

    async def cases(self, industry: str) -> str:
        """Return a case from the same industry."""
        return await self._sample.cases(industry)

    def _of(self, company: str) -> CompanySource:
        return self._live if company.startswith(LIVE) else self._sample


def _drawn(what: str) -> float:
    """Return a number from -0.5 to 0.5 that is always the same for ``what``."""
    return hashlib.sha256(what.encode()).digest()[0] / 255 - 0.5


def known(company: str) -> str:
    """Return the id of a company that is asked for by id or name. Raises ``ValueError``."""
    asked = company.strip()
    if asked.lower().startswith(LIVE):
        ticker = asked[len(LIVE) :].strip().upper()
        if not (ticker.replace("-", "").replace(".", "").isalnum() and ticker.isascii()):
            message = f"{company!r} is no ticker: letters and digits after {LIVE!r}"
            raise ValueError(message)
        return LIVE + ticker
    for one in companies().values():
        if asked.casefold() in {one["id"], one["name"].casefold()}:
            return str(one["id"])
    message = f"there is no company {company!r}; there are {', '.join(companies())}, and {LIVE}…"
    raise ValueError(message)


@cache
def companies() -> dict[str, dict[str, Any]]:
    """Return the bundled companies by id."""
    return {one["id"]: one for one in _read("companies.toml")["companies"]}


@cache
def industries() -> dict[str, dict[str, Any]]:
    """Return the bundled industries by id."""
    return _read("industries.toml")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _told(company: str) -> dict[str, Any]:
    if company not in companies():
        message = f"there is no company {company!r} in the sample"
        raise HastenError(message)
    return companies()[company]
