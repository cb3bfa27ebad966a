"""What the tools ask: a small bundled body of knowledge behind a slow door.

Owns the answers, worked out from ``knowledge.toml`` and the fields of the
question alone, and how long each takes. Leaves checking them to ``findings``;
tests replace this resource to make sources fail, hang or talk nonsense.
"""

from __future__ import annotations

import tomllib
import zlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hasten import current_clock
from hasten.apps.discovery.findings import Idea, Ideas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LATENCY_S: dict[str, float] = {
    "research_market_trends": 6.7,
    "analyze_competitors": 5.2,
    "estimate_market_size": 4.8,
    "validate_startup_idea": 8.9,
    "assess_startup_risks": 6.2,
    "estimate_startup_costs": 5.1,
    "project_revenue": 4.8,
    "check_financial_viability": 5.5,
    "generate_customer_persona": 4.2,
    "generate_validation_questions": 3.2,
    "check_domain_availability": 0.8,
}
"""Seconds each tool takes, as discovery plan 0.1 timed them; the last two from the SPEC."""

_CUSTOMERS_MONTH_6 = {
    "<5 hrs/week": 3,
    "5-10 hrs/week": 6,
    "10-20 hrs/week": 10,
    "20+ hrs/week": 18,
}
_ONCE_USD = {
    "Free / Sweat-equity only": 0,
    "<$1k": 400,
    "$1k-$5k": 1_800,
    "$5k-$20k": 6_500,
    "$20k+": 16_000,
}
_STYLE_RISKS = {
    "Solo": (
        "Single point of failure",
        "an illness stops everything",
        "agree a stand-in for clients",
    ),
    "With a Partner": (
        "Unclear split",
        "effort drifts apart in month three",
        "write down hours and shares now",
    ),
    "Team": (
        "Coordination",
        "salaries and meetings start before income",
        "give each person one number to own",
    ),
}
_TELLING_CHARS = 5
_SHORT_CHARS = 9
_LONG_CHARS = 40
_COMMON = {"daily", "easy", "green", "home", "hub", "kit", "lab", "local", "pro", "smart", "team"}


class Sources:
    """Answers the tools' questions; ``latency_s`` is how long each tool's answer takes."""

    def __init__(self, latency_s: Mapping[str, float] | None = None) -> None:
        self._latency_s = latency_s or {}

    async def ask(self, tool: str, **fields: Any) -> Any:
        """Return the raw answer for ``tool``, worked out from ``fields`` only."""
        await current_clock().sleep(self._latency_s.get(tool, 0.0))
        return _ANSWERS[tool](**fields)


def plain_ideas(interest_area: str, sub_interest_area: str) -> Ideas:
    """Return three plain ideas for an area, for when no model could find better ones."""
    known = _about(interest_area, sub_interest_area)
    offers = (
        ("Done for You", f"takes over what hurts: {known['pain']}"),
        ("Starter Kit", f"templates and an hour of set-up; today {known['gap']}"),
        ("Check-up", f"a fixed-price review that ends in one page against {known['pain']}"),
    )
    return Ideas(
        ideas=tuple(
            Idea(name=f"{sub_interest_area} {what}", offer=offer, customer=known["customers"])
            for what, offer in offers
        )
    )


@cache
def _knowledge() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("knowledge.toml").read_text("utf-8"))


def _about(interest_area: str, sub_interest_area: str) -> dict[str, Any]:
    area = _knowledge()[interest_area]
    return {**area, **area[sub_interest_area]}


def _spread(text: str, values: int) -> int:
    """Return a number below ``values`` that depends on ``text`` alone, the same everywhere."""
    return zlib.crc32(text.encode()) % values


def _trends(interest_area: str, sub_interest_area: str) -> dict[str, Any]:
    known = _about(interest_area, sub_interest_area)
    return {"growth_pct": known["growth"], "trends": [known["trend"], *known["trends"]]}


def _competitors(interest_area: str, sub_interest_area: str) -> dict[str, Any]:
    known = _about(interest_area, sub_interest_area)
    return {
        "players": known["players"],
        "usual_price_usd": known["price"],
        "gap": known["gap"],
    }


def _market_size(interest_area: str, sub_interest_area: str) -> dict[str, Any]:
    known = _about(interest_area, sub_interest_area)
    return {
        "customer": known["customers"],
        "total_musd": known["market"],
        "reachable_musd": known["market"] / 400,
        "first_year_customers": max(12, 3_600 // known["price"]),
    }


def _validation(ideas: Ideas, interest_area: str, sub_interest_area: str) -> dict[str, Any]:
    known = _about(interest_area, sub_interest_area)
    said = " ".join(known[name] for name in ("customers", "pain", "gap"))
    wanted = {word for word in said.split() if len(word) >= _TELLING_CHARS}
    return {"scores": [_score(idea, wanted, known) for idea in ideas.ideas]}


def _score(idea: Idea, wanted: set[str], known: Mapping[str, Any]) -> dict[str, Any]:
    said = f"{idea.offer} {idea.customer}".lower().split()
    shared = len(wanted.intersection(said))
    score = 48 + known["growth"] // 2 + 6 * min(shared, 4) + _spread(idea.name, 9)
    why = f"it speaks to {known['pain']}" if shared else "its demand has yet to be shown"
    return {"name": idea.name, "score": min(score, 96), "because": why}


def _risks(interest_area: str, work_style: str, budget_range: str) -> dict[str, Any]:
    rows = [*_knowledge()[interest_area]["risks"], _STYLE_RISKS[work_style]]
    if budget_range in ("Free / Sweat-equity only", "<$1k"):
        rows.append(("No cushion", "one bad month ends the try", "take payment before delivery"))
    return {"risks": [dict(zip(("name", "why", "answer"), row, strict=True)) for row in rows]}


def _costs(interest_area: str, budget_range: str) -> dict[str, Any]:
    rows = _knowledge()[interest_area]["costs"]
    lines = [dict(zip(("item", "low_usd", "high_usd"), row, strict=True)) for row in rows]
    return {"monthly": lines, "once_usd": _ONCE_USD[budget_range]}


def _revenue(
    ideas: Ideas, interest_area: str, sub_interest_area: str, time_commitment: str
) -> dict[str, Any]:
    usual = _about(interest_area, sub_interest_area)["price"]
    return {"ideas": [_earning(idea, usual, time_commitment) for idea in ideas.ideas]}


def _earning(idea: Idea, usual_usd: int, time_commitment: str) -> dict[str, Any]:
    price = max(5, usual_usd * (80 + _spread(idea.name, 50)) // 100)
    month_6 = price * _CUSTOMERS_MONTH_6[time_commitment]
    return {
        "name": idea.name,
        "price_usd": price,
        "month_6_usd": month_6,
        "month_12_usd": month_6 * 5 // 2,
    }


def _viability(
    ideas: Ideas,
    interest_area: str,
    sub_interest_area: str,
    time_commitment: str,
    budget_range: str,
) -> dict[str, Any]:
    usual = _about(interest_area, sub_interest_area)["price"]
    monthly = sum(row[2] for row in _knowledge()[interest_area]["costs"])
    return {
        "ideas": [
            _carrying(idea, _earning(idea, usual, time_commitment), monthly, budget_range)
            for idea in ideas.ideas
        ]
    }


def _carrying(
    idea: Idea, earning: Mapping[str, int], monthly_usd: int, budget_range: str
) -> dict[str, Any]:
    to_pay = monthly_usd + _ONCE_USD[budget_range] / 6
    month = round(6 * to_pay / max(earning["month_6_usd"], 1)) + 2
    verdict = "within budget" if month <= 6 else "tight" if month <= 12 else "needs more money"  # noqa: PLR2004 - half a year, a year
    return {"name": idea.name, "break_even_month": min(month, 60), "verdict": verdict}


def _persona(ideas: Ideas, interest_area: str, sub_interest_area: str) -> dict[str, Any]:
    known = _about(interest_area, sub_interest_area)
    return {
        "who": ideas.ideas[0].customer,
        "pain": known["pain"],
        "pays_usd": known["price"],
        "met_through": known["channel"],
    }


def _questions(ideas: Ideas) -> dict[str, Any]:
    lead = ideas.ideas[0]
    return {
        "questions": [
            "When did you last meet this problem, and what did it cost you?",
            "What have you tried so far, and why did you stop?",
            f"What would {lead.name} have to do in its first week to be kept?",
            "Who else decides, and what would make them say no?",
            "May I charge you a deposit today?",
        ]
    }


def _domains(ideas: Ideas) -> dict[str, Any]:
    found = {f"{_joined(idea)}.com": _is_likely_taken(idea) for idea in ideas.ideas}
    return {
        "likely_free": [name for name, is_taken in found.items() if not is_taken],
        "likely_taken": [name for name, is_taken in found.items() if is_taken],
    }


def _joined(idea: Idea) -> str:
    return "".join(part for part in idea.name.lower() if part.isalnum())[:_LONG_CHARS]


def _is_likely_taken(idea: Idea) -> bool:
    return len(_joined(idea)) < _SHORT_CHARS or _COMMON.issuperset(idea.name.lower().split())


_ANSWERS: dict[str, Callable[..., dict[str, Any]]] = {
    "research_market_trends": _trends,
    "analyze_competitors": _competitors,
    "estimate_market_size": _market_size,
    "validate_startup_idea": _validation,
    "assess_startup_risks": _risks,
    "estimate_startup_costs": _costs,
    "project_revenue": _revenue,
    "check_financial_viability": _viability,
    "generate_customer_persona": _persona,
    "generate_validation_questions": _questions,
    "check_domain_availability": _domains,
}
