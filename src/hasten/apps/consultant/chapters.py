"""What an analysis is made of: agents, frameworks, a synthesis, each in sections.

Owns titles, lengths, and what each section is told. ``baseline`` asks for a chapter in one
request with all that is known, ``hasten`` for each section alone with what it reads; titles
and lengths are the same in both. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class Findings(BaseModel):
    """What a chapter came to: the text of each section by its title."""

    model_config = ConfigDict(frozen=True)

    title: str
    sections: dict[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """One section: ``facts`` are labels of facts, ``reads`` titles of earlier sections.

    ``is_shared`` says that it is about the industry alone: it reads nothing of the company's.
    """

    title: str
    brief: str
    facts: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Chapter:
    """An agent's, a framework's or the last part of an analysis; each section has ``words``."""

    name: str
    title: str
    role: str
    words: int
    sections: tuple[Section, ...]
    max_tokens: int = 2_000


def _of_industry(
    title: str, brief: str, facts: tuple[str, ...], reads: tuple[str, ...] = ()
) -> Section:
    return Section(title, brief, facts, reads, is_shared=True)


RESEARCH = Chapter(
    "research",
    "Research",
    "You research companies.",
    158,
    (
        Section("Business model", "how it earns and from whom", ("About", "Country")),
        Section("Position", "where it stands among others", ("About", "Founded")),
        Section("Recent events", "what they change", ("News",)),
        Section("People and reputation", "who trusts it and who does not", ("About", "News")),
    ),
)
MARKET = Chapter(
    "market",
    "Market",
    "You know markets.",
    119,
    (
        _of_industry("Size and growth", "how large, how fast and why", ("Size", "Growth")),
        _of_industry("Customers", "who buys and what decides", ("Customers", "Buyers")),
        _of_industry("Rivals", "who else is there and how they win", ("Rivals", "Trend")),
    ),
)
FINANCIAL = Chapter(
    "financial",
    "Financials",
    "You read balance sheets.",
    149,
    (
        Section("Growth of sales", "the ten years and their turns", ("Revenue", "Usual growth")),
        Section(
            "Profitability",
            "margins and what moved them",
            ("Revenue", "Operating profit", "Usual margin"),
        ),
        Section("Cash and debt", "what it owes and can bear", ("Debt", "Equity", "Net profit")),
        Section(
            "Against its peers",
            "better and worse than the middle of the industry",
            ("Operating margin", "Usual margin", "Yearly growth", "Usual growth", "Usual debt"),
        ),
    ),
)
AGENTS = (RESEARCH, MARKET, FINANCIAL)


def agents_read(chapter: Chapter) -> tuple[str, ...]:
    """Return the names of the agents that a chapter reads a section of."""
    read = {title for section in chapter.sections for title in section.reads}
    return tuple(
        agent.name for agent in AGENTS if read & {section.title for section in agent.sections}
    )


def _framework(name: str, title: str, *sections: Section) -> Chapter:
    role = f"You apply the framework {title} as consultants do."
    return Chapter(name, title, role, 475 // len(sections), sections)


PORTER = _framework(
    "porter",
    "Porter's five forces",
    _of_industry("Rivalry", "how hard and on what", ("Rivals", "Growth"), ("Rivals",)),
    _of_industry("New entrants", "who could come", ("Entrants", "Case")),
    _of_industry("Power of suppliers", "who they depend on", ("Suppliers",)),
    _of_industry("Power of buyers", "who can ask for less", ("Buyers",), ("Customers",)),
    _of_industry("Substitutes", "what would do instead", ("Substitutes", "Case")),
    Section("What the forces mean", "for this company", ("About", "News"), ("Position",)),
)
SWOT = _framework(
    "swot",
    "SWOT",
    Section("Strengths", "three that count", ("About",), ("Position", "Profitability")),
    Section("Weaknesses", "three that cost", ("About",), ("Cash and debt",)),
    Section("Opportunities", "three within reach", ("Trend", "Technology"), ("Customers",)),
    Section("Threats", "three to prepare for", ("Rivals", "Substitutes"), ("Recent events",)),
    Section("What the SWOT means", "the one match to act on", ("About", "News"), ("Position",)),
)
PESTEL = _framework(
    "pestel",
    "PESTEL",
    _of_industry("Politics", "what governments decide", ("Politics",)),
    _of_industry("Economy", "what money does", ("Economy",), ("Size and growth",)),
    _of_industry("Society", "how people change", ("Society",)),
    _of_industry("Technology", "what becomes possible", ("Technology", "Case")),
    _of_industry("Environment", "what becomes scarce", ("Environment",)),
    _of_industry("Law", "what becomes a duty", ("Law",)),
    Section("What PESTEL means", "for this company", ("About", "Country"), ("Recent events",)),
)
BLUE_OCEAN = _framework(
    "blue_ocean",
    "Blue Ocean",
    Section("Eliminate", "what all do and no one needs", ("Rivals", "Case"), ("Rivals",)),
    Section("Reduce", "what is overdone", ("Buyers",), ("Customers",)),
    Section("Raise", "what should be far better", ("Customers",), ("Position",)),
    Section("Create", "what nobody offers", ("Trend", "Technology"), ("Business model",)),
    Section("The open water", "the offer that follows", ("About",), ("Customers",)),
)
VALUE_CHAIN = _framework(
    "value_chain",
    "Value chain",
    Section("Making", "inbound goods and operations", ("About", "Suppliers"), ("Profitability",)),
    Section("Selling", "outbound goods, marketing, sales", ("Customers",), ("Business model",)),
    Section("Service", "what keeps customers", ("About", "Case"), ("People and reputation",)),
    Section("Support", "people, technology, purchasing", ("Technology",), ("Cash and debt",)),
    Section("Where value is lost", "and how to keep it", ("About",), ("Against its peers",)),
)
FRAMEWORK_CHAPTERS = {
    chapter.name: chapter for chapter in (PORTER, SWOT, PESTEL, BLUE_OCEAN, VALUE_CHAIN)
}

CONCLUSIONS = tuple(chapter.sections[-1].title for chapter in FRAMEWORK_CHAPTERS.values())
"""Where each framework says what it means for the company: what a synthesis reads."""

SYNTHESIS = Chapter(
    "synthesis",
    "Synthesis",
    "You write for a board that has five minutes.",
    78,
    (
        Section("Summary", "where the company stands", ("About",), ("Position", *CONCLUSIONS)),
        Section(
            "Recommendations",
            "three, with a first step",
            ("About",),
            ("Profitability", "Customers"),
        ),
        Section("Risks to watch", "three, each with a sign", ("About",), ("Recent events",)),
    ),
)
