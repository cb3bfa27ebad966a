"""What people do in a load test: analyse a company, talk about it, forecast, look back.

Owns the mix (plan: scenarios). The manifest gives it as ``App.load``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.apps.consultant.chat import SAMPLES as TALKS
from hasten.apps.consultant.sources import companies

if TYPE_CHECKING:
    from collections.abc import Generator
    from random import Random

AT = "/apps/consultant"

MIXED = {"analysis": 5, "talk": 1, "forecast": 2, "past": 2}
BURST = {"analysis": 9, "forecast": 1}


def visit(profile: str, chance: Random) -> Generator[tuple[str, str, Any], Any, None]:
    """Ask for an analysis first, since a talk needs one; then mixed, in a burst mostly for more."""
    mix = BURST if profile == "burst" else MIXED
    yield _request("analysis", chance)
    while True:
        yield _request(chance.choices([*mix], [*mix.values()])[0], chance)


def _request(kind: str, chance: Random) -> tuple[str, str, Any]:
    company = chance.choice([*companies()])
    question = chance.choice([talk["message"] for talk in TALKS.values()])
    return {
        "analysis": ("POST", f"{AT}/analyze", {"company": company, "frameworks": ["porter"]}),
        "talk": ("POST", f"{AT}/conversational/chat", {"message": question}),
        "forecast": ("POST", f"{AT}/forecasting/generate", {"company": company}),
        "past": ("GET", f"{AT}/analyses", None),
    }[kind]
