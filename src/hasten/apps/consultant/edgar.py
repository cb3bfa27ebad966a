"""Real companies: the public filings of the SEC (EDGAR), which need no key.

Owns reading ``data.sec.gov``: who files, what was filed lately, ten years of figures. The
SEC asks every program to say whose it is: an e-mail address in ``SEC_CONTACT``
(https://www.sec.gov/search-filings/edgar-application-programming-interfaces).
"""

from __future__ import annotations

import os
from datetime import date
from typing import Any

import aiohttp

from hasten import HastenError
from hasten.apps.consultant.sources import LIVE, Company, CompanySource, Filings

CONTACT = "SEC_CONTACT"
TIMEOUT_S = 10.0
YEARS = 10
MILLION = 1e6

_TAGS = {
    "revenue": ("RevenueFromContractWithCustomerExcludingAssessedTax", "Revenues"),
    "operating_profit": ("OperatingIncomeLoss",),
    "net_profit": ("NetIncomeLoss",),
    "debt": ("LongTermDebt", "LongTermDebtNoncurrent"),
    "equity": ("StockholdersEquity",),
}
_YEAR_DAYS = range(350, 381)
_NOT_FOUND = 404


class EdgarSource(CompanySource):
    """Asks the SEC for ``sec:`` and a ticker. ``files`` and ``data`` are its two hosts."""

    def __init__(
        self, files: str = "https://www.sec.gov", data: str = "https://data.sec.gov"
    ) -> None:
        self._files = files
        self._data = data

    async def company(self, company: str) -> Company:
        """Return who files."""
        told = await self._submissions(company)
        return Company(
            id=company,
            name=str(told.get("name") or company),
            industry=str(told.get("sicDescription") or "unknown").lower(),
            country=str(told.get("stateOfIncorporation") or "unknown"),
            founded=None,
            about=str(told.get("sicDescription") or "a listed company").lower(),
        )

    async def news(self, company: str) -> tuple[str, ...]:
        """Return what was filed lately."""
        recent = (await self._submissions(company)).get("filings", {}).get("recent", {})
        days, forms = recent.get("filingDate", []), recent.get("form", [])
        about = recent.get("primaryDocDescription", [""] * len(days))
        found = zip(days, forms, about, strict=False)
        return tuple(f"{day}: {form} {what}".strip() for day, form, what in found)[:5]

    async def filings(self, company: str) -> Filings:
        """Return the figures of up to ten years. Raises ``HastenError`` if there are none."""
        cik = await self._cik(company)
        years = {name: await self._first(cik, tags) for name, tags in _TAGS.items()}
        revenue = years["revenue"]
        if not revenue:
            message = f"{company}: the SEC has no yearly revenue of it"
            raise HastenError(message)
        last = max(revenue)
        first = last
        while first - 1 in revenue and last - first < YEARS - 1:
            first -= 1
        wanted = range(first, last + 1)
        series = {
            name: tuple(round(found[year] / MILLION, 1) for year in wanted)
            for name, found in years.items()
            if all(year in found for year in wanted)
        }
        return Filings.model_validate({"first_year": first, **series})

    async def _submissions(self, company: str) -> dict[str, Any]:
        cik = await self._cik(company)
        return await self._get(f"{self._data}/submissions/CIK{cik:010d}.json") or {}

    async def _cik(self, company: str) -> int:
        ticker = company.removeprefix(LIVE)
        listed = await self._get(f"{self._files}/files/company_tickers.json") or {}
        for one in listed.values():
            if one["ticker"] == ticker:
                return int(one["cik_str"])
        message = f"the SEC lists no company with the ticker {ticker!r}"
        raise HastenError(message)

    async def _first(self, cik: int, tags: tuple[str, ...]) -> dict[int, float]:
        """Return a figure by year, of the first tag that has any."""
        for tag in tags:
            at = f"{self._data}/api/xbrl/companyconcept/CIK{cik:010d}/us-gaap/{tag}.json"
            found = yearly(await self._get(at) or {})
            if found:
                return found
        return {}

    async def _get(self, url: str) -> dict[str, Any] | None:
        contact = os.environ.get(CONTACT, "")
        if not contact:
            message = f"to ask the SEC, set {CONTACT} to an e-mail address it may write to"
            raise HastenError(message)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = {"User-Agent": f"hasten-consultant {contact}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.get(url) as response,
            ):
                if response.status == _NOT_FOUND:
                    return None
                response.raise_for_status()
                told = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            message = f"the SEC did not answer {url}: {error or type(error).__name__}"
            raise HastenError(message) from error
        if not isinstance(told, dict):
            message = f"the SEC answered {url} with no object"
            raise HastenError(message)
        return told


def yearly(concept: dict[str, Any]) -> dict[int, float]:
    """Return the figure of each year that annual reports (10-K) tell; a later report corrects."""
    found: dict[int, float] = {}
    rows = concept.get("units", {}).get("USD", [])
    for row in sorted(rows, key=lambda one: str(one.get("filed", ""))):
        if not str(row.get("form", "")).startswith("10-K"):
            continue
        end = date.fromisoformat(row["end"])
        begun = date.fromisoformat(row["start"]) if "start" in row else None
        if begun is None or (end - begun).days in _YEAR_DAYS:
            found[end.year] = float(row["val"])
    return found
