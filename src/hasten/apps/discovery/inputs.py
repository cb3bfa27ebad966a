"""The eight inputs of a discovery report, and inputs to try it with.

Owns the vocabularies (discovery plan 2.1, 4.1, extended to whole lists) and
what is a valid combination. Leaves their meaning to ``sources`` and
``prompts``.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

MAX_SUMMARY_CHARS = 20_000

GoalType = Literal[
    "Extra Income",
    "Passive Income",
    "Career Change",
    "Full-time Business",
    "Learning by Building",
    "Social Impact",
]
TimeCommitment = Literal["<5 hrs/week", "5-10 hrs/week", "10-20 hrs/week", "20+ hrs/week"]
BudgetRange = Literal["Free / Sweat-equity only", "<$1k", "$1k-$5k", "$5k-$20k", "$20k+"]
WorkStyle = Literal["Solo", "With a Partner", "Team"]
SkillStrength = Literal[
    "Analytical / Strategic",
    "Creative / Design",
    "Technical / Engineering",
    "Sales / Marketing",
    "Operations / Organizing",
    "Teaching / Communication",
]
InterestArea = Literal[
    "AI / Automation",
    "E-commerce",
    "Education",
    "Health / Wellness",
    "Creator Economy",
    "Personal Finance",
    "Local Services",
    "Sustainability",
]

SUB_AREAS: dict[str, tuple[str, ...]] = {
    "AI / Automation": ("Chatbots", "Workflow Automation", "Content Tools", "Data Assistants"),
    "E-commerce": ("Dropshipping", "Handmade Goods", "Print on Demand", "Subscription Boxes"),
    "Education": ("Online Courses", "Tutoring", "Career Coaching", "Workplace Training"),
    "Health / Wellness": ("Fitness Coaching", "Meal Planning", "Mental Wellbeing", "Elder Care"),
    "Creator Economy": ("Newsletters", "Podcasts", "Paid Communities", "Digital Templates"),
    "Personal Finance": ("Budgeting Tools", "Freelancer Finance", "Bookkeeping", "Money Education"),
    "Local Services": ("Home Services", "Pet Care", "Event Planning", "Local Tourism"),
    "Sustainability": ("Repair and Reuse", "Home Energy", "Sustainable Food", "Carbon Reporting"),
}
"""The sub-areas of each interest area; no sub-area belongs to two."""


def _sub_area_rules() -> list[JsonValue]:
    """Say in JSON Schema which sub-areas go with which area, so that a form can offer them."""
    return [
        {
            "if": {"properties": {"interest_area": {"const": area}}},
            "then": {"properties": {"sub_interest_area": {"enum": list(parts)}}},
        }
        for area, parts in SUB_AREAS.items()
    ]


class DiscoveryInputs(BaseModel):
    """What a person tells about themselves. Only ``experience_summary`` is personal.

    The other seven make an *archetype* (discovery plan 2.1); what is made from
    them alone may be shared between people.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"allOf": _sub_area_rules()}
    )

    goal_type: GoalType = Field(description="What the business is for.")
    time_commitment: TimeCommitment = Field(description="Time there is for it.")
    budget_range: BudgetRange = Field(description="Money there is for it.")
    interest_area: InterestArea = Field(description="Field of interest.")
    sub_interest_area: str = Field(description="Part of that field; depends on interest_area.")
    work_style: WorkStyle = Field(description="Who is going to work on it.")
    skill_strength: SkillStrength = Field(description="What this person does best.")
    experience_summary: str = Field(
        min_length=1,
        max_length=MAX_SUMMARY_CHARS,
        description="What this person has done so far, in their own words.",
    )

    @field_validator("sub_interest_area")
    @classmethod
    def _belongs_to_area(cls, sub_area: str, info: ValidationInfo) -> str:
        area = info.data.get("interest_area")
        if area is not None and sub_area not in SUB_AREAS[area]:
            kind, template = "sub_area", "must be one of {choices} when interest_area is {area}"
            allowed = SUB_AREAS[area]
            known = {"choices": ", ".join(allowed), "area": repr(area), "allowed": allowed}
            raise PydanticCustomError(kind, template, known)
        return sub_area

    @field_validator("experience_summary")
    @classmethod
    def _says_something(cls, summary: str) -> str:
        if not summary.strip():
            message = "must say something; a sentence about past work will do"
            raise ValueError(message)
        return summary


SAMPLES: dict[str, dict[str, Any]] = {
    "chatbots": {
        "goal_type": "Extra Income",
        "time_commitment": "<5 hrs/week",
        "budget_range": "Free / Sweat-equity only",
        "interest_area": "AI / Automation",
        "sub_interest_area": "Chatbots",
        "work_style": "Solo",
        "skill_strength": "Analytical / Strategic",
        "experience_summary": (
            "Eight years as an operations analyst at a regional hotel group. I built the reports "
            "that showed why guests call the front desk twice, wrote small Python scripts to sort "
            "booking emails, and trained three receptionists to use them."
        ),
    },
    "handmade": {
        "goal_type": "Career Change",
        "time_commitment": "10-20 hrs/week",
        "budget_range": "$1k-$5k",
        "interest_area": "E-commerce",
        "sub_interest_area": "Handmade Goods",
        "work_style": "With a Partner",
        "skill_strength": "Creative / Design",
        "experience_summary": (
            "Graphic designer for a museum shop, eleven years. My partner and I sell hand-bound "
            "notebooks at two yearly markets and sell out each time. I know packaging and print "
            "buying well, online advertising not at all."
        ),
    },
    "repair": {
        "goal_type": "Social Impact",
        "time_commitment": "20+ hrs/week",
        "budget_range": "$5k-$20k",
        "interest_area": "Sustainability",
        "sub_interest_area": "Repair and Reuse",
        "work_style": "Team",
        "skill_strength": "Operations / Organizing",
        "experience_summary": (
            "Ran the workshop of a bicycle cooperative for six years, from four volunteers to nine "
            "paid mechanics. Before that I was a logistics planner for a furniture retailer. Two "
            "former colleagues want to join."
        ),
    },
}
"""Inputs to try, by name; the first is the one the figures are quoted for."""
