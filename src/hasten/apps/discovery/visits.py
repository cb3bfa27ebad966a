"""What people do in a load test: have a report written, have it again, look at past ones.

Owns the mix. The manifest gives it as ``App.load``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from hasten.apps.discovery.inputs import SAMPLES, SUB_AREAS, BudgetRange, SkillStrength

if TYPE_CHECKING:
    from collections.abc import Generator
    from random import Random

COLD = 0.3
"""The share of reports that nobody has had one like; the others are of somebody alike."""

READ_LIVE = 0.7
"""The share of reports that are read while they are written."""

JOBS = ("baker", "nurse", "bus driver", "teacher", "welder", "translator", "gardener", "cook")


def visit(profile: str, chance: Random) -> Generator[tuple[str, str, Any], Any, None]:
    """Have a report written; unless in a burst, have it again and look at past ones."""
    asked = {"app": "discovery", "inputs": person(chance)}
    is_read_live = chance.random() < READ_LIVE
    yield "POST", "/api/run/stream" if is_read_live else "/api/run", asked
    if profile != "burst":
        yield "POST", "/api/run", asked
        yield "GET", "/api/runs?app=discovery", None


def person(chance: Random) -> dict[str, Any]:
    """Return inputs with a summary of their own: a sample's plans, or plans drawn at random."""
    alike = chance.choice([*SAMPLES.values()])
    years, job = chance.randint(1, 40), chance.choice(JOBS)
    told = {
        "experience_summary": f"I have been a {job} for {years} years. Client: {chance.random()}"
    }
    if chance.random() >= COLD:
        return {**alike, **told}
    area = chance.choice([*SUB_AREAS])
    return {
        **alike,
        **told,
        "interest_area": area,
        "sub_interest_area": chance.choice(SUB_AREAS[area]),
        "budget_range": chance.choice(get_args(BudgetRange)),
        "skill_strength": chance.choice(get_args(SkillStrength)),
    }
