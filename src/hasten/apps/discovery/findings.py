"""What the tools find, and the ideas they look at: typed, checked, readable.

Owns the records and how each says itself in ``Label: value`` lines, the one
form both a prompt and the report use. A source's answer that does not fit its
record is nonsense and is refused here (``pydantic.ValidationError``). Made by
``tools``, read by ``prompts`` and ``report``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Percent = Annotated[float, Field(ge=-100, le=1000)]
Money = Annotated[int, Field(ge=0, le=10_000_000)]
Words = Annotated[str, Field(min_length=2, max_length=200)]
ShortName = Annotated[str, Field(min_length=2, max_length=60)]


class Idea(BaseModel):
    """One startup idea."""

    model_config = ConfigDict(frozen=True)

    name: ShortName = Field(description="Name of the business, two to four words")
    offer: Words = Field(description="What it does, in about 14 words")
    customer: Words = Field(description="Who pays for it, in about 5 words")


class Ideas(BaseModel):
    """The ideas of one report, best first."""

    model_config = ConfigDict(frozen=True)

    ideas: tuple[Idea, ...] = Field(min_length=3, max_length=5)

    def lines(self) -> dict[str, str]:
        """Return a line for each idea."""
        return {
            f"Idea {number}": f"{idea.name}: {idea.offer} (for {idea.customer})"
            for number, idea in enumerate(self.ideas, 1)
        }


class Finding(BaseModel):
    """What a tool found. ``lines`` says it in labels and values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def lines(self) -> dict[str, str]:
        """Return the finding as labels and values, in reading order."""


class MissingFinding(Finding):
    """Stands where a finding should be: the tool failed, hung or returned nonsense."""

    what: str

    def lines(self) -> dict[str, str]:
        """Say plainly that the data is missing."""
        return {self.what: "missing, the source gave no usable answer for this report"}


class MarketTrends(Finding):
    """Where a market is going."""

    growth_pct: Percent
    trends: tuple[Words, ...] = Field(min_length=1)

    def lines(self) -> dict[str, str]:
        """Return growth and trends."""
        return {
            "Yearly growth": f"{self.growth_pct:g} %",
            "Trends": "; ".join(self.trends),
        }


class Competitors(Finding):
    """Who is there already, and what they leave open."""

    players: tuple[ShortName, ...] = Field(min_length=1)
    usual_price_usd: Money
    gap: Words

    def lines(self) -> dict[str, str]:
        """Return players, price and gap."""
        return {
            "Competitors": ", ".join(self.players),
            "Usual price": f"${self.usual_price_usd} a month",
            "Open gap": self.gap,
        }


class MarketSize(Finding):
    """Who buys, and how large that market is, from all of it down to a first year."""

    customer: Words
    total_musd: Annotated[float, Field(gt=0, le=10_000_000)]
    reachable_musd: Annotated[float, Field(gt=0, le=10_000_000)]
    first_year_customers: Annotated[int, Field(gt=0, le=1_000_000)]

    def lines(self) -> dict[str, str]:
        """Return the customer and the three sizes."""
        return {
            "Customer": self.customer,
            "Total market": f"${self.total_musd:,.0f} million a year",
            "Reachable market": f"${self.reachable_musd:,.1f} million a year",
            "First-year aim": f"{self.first_year_customers} customers",
        }


class IdeaScore(BaseModel):
    """How one idea did in validation; scores are out of 100."""

    name: ShortName
    score: int = Field(ge=0, le=100)
    because: Words


class Validation(Finding):
    """How the ideas did, side by side."""

    scores: tuple[IdeaScore, ...] = Field(min_length=1)

    def lines(self) -> dict[str, str]:
        """Return a line for each idea."""
        return {
            f"Score of idea {number}": f"{found.score} of 100 for {found.name}, {found.because}"
            for number, found in enumerate(self.scores, 1)
        }


class Risk(BaseModel):
    """One risk, why it is one, and what answers it."""

    name: ShortName
    why: Words
    answer: Words


class Risks(Finding):
    """What can go wrong."""

    risks: tuple[Risk, ...] = Field(min_length=1)

    def lines(self) -> dict[str, str]:
        """Return a line for each risk."""
        return {risk.name: f"{risk.why}; {risk.answer}" for risk in self.risks}


class CostLine(BaseModel):
    """What one thing costs a month, in US dollars."""

    item: ShortName
    low_usd: Money
    high_usd: Money


class Costs(Finding):
    """What it costs to start and to go on."""

    monthly: tuple[CostLine, ...] = Field(min_length=1)
    once_usd: Money

    def lines(self) -> dict[str, str]:
        """Return a line for each cost, the sum, and what is paid once."""
        lines = {line.item: f"${line.low_usd} to ${line.high_usd} a month" for line in self.monthly}
        low, high = (
            sum(getattr(line, end) for line in self.monthly) for end in ("low_usd", "high_usd")
        )
        lines["Monthly total"] = f"${low} to ${high}"
        lines["Paid once"] = f"${self.once_usd}"
        return lines


class RevenueLine(BaseModel):
    """What one idea may earn a month, in US dollars."""

    name: ShortName
    price_usd: Money
    month_6_usd: Money
    month_12_usd: Money


class Revenue(Finding):
    """What the ideas may earn."""

    ideas: tuple[RevenueLine, ...] = Field(min_length=1)

    def lines(self) -> dict[str, str]:
        """Return a line for each idea."""
        return {
            f"Revenue of idea {number}": (
                f"${line.price_usd} a customer, ${line.month_6_usd} in month 6, "
                f"${line.month_12_usd} in month 12"
            )
            for number, line in enumerate(self.ideas, 1)
        }


class ViabilityLine(BaseModel):
    """Whether one idea carries itself within the person's means."""

    name: ShortName
    break_even_month: int = Field(ge=1, le=120)
    verdict: Literal["within budget", "tight", "needs more money"]


class Viability(Finding):
    """Whether the ideas carry themselves."""

    ideas: tuple[ViabilityLine, ...] = Field(min_length=1)

    def lines(self) -> dict[str, str]:
        """Return a line for each idea."""
        return {
            f"Break-even of idea {number}": f"month {line.break_even_month}, {line.verdict}"
            for number, line in enumerate(self.ideas, 1)
        }


class Persona(Finding):
    """The customer of the leading idea."""

    who: Words
    pain: Words
    pays_usd: Money
    met_through: Words

    def lines(self) -> dict[str, str]:
        """Return who it is, what hurts, what it is worth and where to meet them."""
        return {
            "Customer": self.who,
            "Pain": self.pain,
            "Would pay": f"${self.pays_usd} a month",
            "Met through": self.met_through,
        }


class Questions(Finding):
    """What to ask ten people before building anything."""

    questions: tuple[Words, ...] = Field(min_length=3)

    def lines(self) -> dict[str, str]:
        """Return the numbered questions."""
        return {f"Question {number}": text for number, text in enumerate(self.questions, 1)}


class Domains(Finding):
    """Names worth looking up; a guess from length and common words, no registry was asked."""

    likely_free: tuple[ShortName, ...]
    likely_taken: tuple[ShortName, ...]

    def lines(self) -> dict[str, str]:
        """Return both lists."""
        return {
            "Likely free": ", ".join(self.likely_free) or "none of these",
            "Likely taken": ", ".join(self.likely_taken) or "none of these",
        }
