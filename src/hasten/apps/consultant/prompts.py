"""What the model is told and asked: facts by label, a section or a whole chapter.

Owns the words of the prompts. Pure; ``hasten`` asks for sections, ``baseline`` for chapters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hasten import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hasten.apps.consultant.chapters import Chapter, Findings, Section
    from hasten.apps.consultant.sources import Benchmarks, Company, Filings, Industry

Facts = dict[str, str]

RULES = "Use only what you are told; be concrete, repeat nothing. Title each section with ##."

_HEADING = re.compile(r"^#{1,6}[ \t]*(.+?)[ \t#]*$", re.MULTILINE)


def company_facts(company: Company) -> Facts:
    """Return who it is."""
    facts = {"Company": company.name, "About": company.about, "Country": company.country}
    return facts | ({"Founded": str(company.founded)} if company.founded else {})


def news_facts(news: Iterable[str]) -> Facts:
    """Return what was heard."""
    return {"News": "; ".join(news)}


def industry_facts(industry: Industry) -> Facts:
    """Return what is the same for the whole industry."""
    named = {label.capitalize(): fact for label, fact in industry.facts.items() if label != "case"}
    return {"Industry": industry.name, **named}


def filing_facts(filings: Filings) -> Facts:
    """Return the series in one line each, and what follows from them."""
    told = {
        name.replace("_", " ").capitalize(): _line(filings.first_year, values)
        for name, values in filings
        if isinstance(values, tuple) and values
    }
    if filings.operating_profit:
        margin = 100 * filings.operating_profit[-1] / filings.revenue[-1]
        told["Operating margin"] = f"{margin:.1f} % last year"
    if len(filings.revenue) > 1 and filings.revenue[0] > 0:
        years = len(filings.revenue) - 1
        growth = 100 * ((max(filings.revenue[-1], 0) / filings.revenue[0]) ** (1 / years) - 1)
        told["Yearly growth"] = f"{growth:.1f} % over {years} years"
    return told


def benchmark_facts(benchmarks: Benchmarks) -> Facts:
    """Return the middle of the industry."""
    found = {
        "Usual margin": (benchmarks.margin_percent, " %"),
        "Usual growth": (benchmarks.growth_percent, " % a year"),
        "Usual debt": (benchmarks.debt_to_equity, " of equity"),
    }
    return {
        label: f"{value:g}{unit}" for label, (value, unit) in found.items() if value is not None
    }


def section_request(
    chapter: Chapter, section: Section, facts: Mapping[str, str], read: Mapping[str, str]
) -> Request:
    """Ask for one section with what it reads of ``facts`` and of earlier sections."""
    told = [f"{label}: {facts[label]}" for label in ("Company", *section.facts) if label in facts]
    told += [f"{title}: {flat(read[title])}" for title in section.reads if title in read]
    return Request.ask(
        "\n".join([*told, f"Write {_order(chapter, section)}"]),
        system=f"{chapter.role} {RULES}",
        task=chapter.name,
        max_tokens=chapter.max_tokens,
    )


def chapter_request(
    chapter: Chapter, facts: Mapping[str, str], earlier: Iterable[Findings] = ()
) -> Request:
    """Ask for a whole chapter with all that is known."""
    told = [f"{label}: {fact}" for label, fact in facts.items()]
    told += [f"{title}: {flat(text)}" for one in earlier for title, text in one.sections.items()]
    orders = [_order(chapter, section) for section in chapter.sections]
    return Request.ask(
        "\n".join([*told, "Write these sections in this order:", *orders]),
        system=f"{chapter.role} {RULES}",
        task=chapter.name,
        max_tokens=chapter.max_tokens,
    )


def split(text: str, chapter: Chapter) -> dict[str, str]:
    """Return the sections of a whole chapter by title; one that is missing is left out."""
    wanted = {section.title.casefold(): section.title for section in chapter.sections}
    marks = [one for one in _HEADING.finditer(text) if one[1].casefold() in wanted]
    ends = [one.start() for one in marks[1:]] + [len(text)]
    return {
        wanted[mark[1].casefold()]: text[mark.end() : end].strip()
        for mark, end in zip(marks, ends, strict=True)
    }


def body(text: str) -> str:
    """Return a section without its own title."""
    title = _HEADING.match(text.lstrip())
    return (text.lstrip()[title.end() :] if title else text).strip()


def _order(chapter: Chapter, section: Section) -> str:
    return f"'{section.title}' in about {chapter.words} words: {section.brief}."


def _line(first_year: int, values: tuple[float, ...]) -> str:
    return ", ".join(f"{first_year + place} {value:g}" for place, value in enumerate(values))


def flat(text: str) -> str:
    """Return a text in one line: its line breaks must not look like ours."""
    return " ".join(text.split())
