"""What is told of a persona: the forms a model fills, and the figures that are worked out.

Owns the pydantic models. Their descriptions are all a model is told about form and
length: with structured output no schema stands in the prompt (persona plan 1).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


def _about(words: int, what: str) -> str:
    return f"{what}, in about {words} words"


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class JourneyStage(_Answer):
    """One stage of a journey."""

    goal: str = Field(description=_about(14, "What they want to get done here"))
    touchpoints: str = Field(description=_about(14, "Where they meet us"))
    feeling: str = Field(description=_about(12, "What they feel and fear"))
    opportunity: str = Field(description=_about(16, "What we should do"))


class CustomerJourney(_Answer):
    """Four stages from first notice to long after buying."""

    awareness: JourneyStage
    consideration: JourneyStage
    decision: JourneyStage
    post_purchase: JourneyStage


class JobToBeDone(_Answer):
    """A job in the JTBD form: when, I want, so that."""

    when: str = Field(description=_about(14, "The situation"))
    wants: str = Field(description=_about(14, "What they want to do"))
    so_that: str = Field(description=_about(12, "What that gives them"))


class Pain(_Answer):
    """Something that hurts."""

    pain: str = Field(description=_about(14, "What hurts"))
    severity: int = Field(ge=1, le=5, description="1 mild to 5 severe")
    relief: str = Field(description=_about(14, "What would ease it"))


class NeedsAndPains(_Answer):
    """Jobs to be done, pains, and what a good result looks like."""

    jobs: Annotated[tuple[JobToBeDone, ...], Field(min_length=3, max_length=3)]
    pains: Annotated[tuple[Pain, ...], Field(min_length=3, max_length=3)]
    outcomes: Annotated[
        tuple[Annotated[str, Field(description=_about(14, "A result they would pay for"))], ...],
        Field(min_length=2, max_length=2),
    ]


class Messaging(_Answer):
    """How to speak to them."""

    promise: str = Field(description=_about(24, "The one promise"))
    headlines: Annotated[
        tuple[Annotated[str, Field(description=_about(9, "A headline"))], ...],
        Field(min_length=3, max_length=3),
    ]
    tone: str = Field(description=_about(14, "The tone that fits, and the one that does not"))
    channels: str = Field(description=_about(18, "Where to say it"))
    email: str = Field(description=_about(80, "A first e-mail"))


class Demographics(_Answer):
    """The five fields that make a segment (persona plan 4); who shares them shares figures."""

    age: int
    gender: str
    education_level: str
    income_bracket: str
    location: str


class Kpi(_Answer):
    """What a segment is worth, in the project's own figures."""

    segment_size: int
    conversion_rate_percent: float
    average_order_usd: float
    retention_12m_percent: float
    satisfaction: float = Field(ge=1, le=10)
