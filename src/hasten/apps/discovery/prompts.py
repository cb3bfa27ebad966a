"""What the model is asked for: the sections of the three outputs, and the prompts for them.

Owns the table of sections with their lengths and what each one sees, and how a
request is put together. ``baseline`` asks for all sections of a task in one
request, ``hasten`` for each section alone with only what that section needs,
so titles, facts and lengths are the same in both. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from hasten import Request
from hasten.apps.discovery.findings import Finding, Ideas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Task = Literal["profile_analysis", "idea_research", "recommendation"]

PERSON = {
    "goal_type": "Goal",
    "time_commitment": "Time",
    "budget_range": "Budget",
    "interest_area": "Interest",
    "sub_interest_area": "Focus",
    "work_style": "Way of working",
    "skill_strength": "Strongest skill",
    "experience_summary": "Experience",
}
"""The inputs and what a prompt calls them."""

SYSTEM = (
    "You write one startup report for one person, as 'you'. Use only the facts given and name "
    "the ones you use. Start every section with its title as a ## heading. Figures are printed "
    "below your text: say what they mean, do not list them."
)

MARKET_TOOLS = ("research_market_trends", "analyze_competitors", "estimate_market_size")


ARCHETYPE = tuple(name for name in PERSON if name != "experience_summary")
"""All that is not personal; people alike in it may share what is made from it alone (2.1)."""

_MARKET = ("interest_area", "sub_interest_area")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section: where it belongs, how long it gets, and all that it may see.

    ``person`` are input fields, ``tools`` are findings it reads and prints,
    ``reads`` findings another section prints, ``profile`` sections of the
    profile it is glad to have. ``title`` may name input fields in braces.
    ``kept_days`` is how long its text serves everybody who is alike in ``kept_by``.
    """

    name: str
    task: Task
    title: str
    words: int
    brief: str
    person: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    has_ideas: bool = False
    profile: tuple[str, ...] = ()
    kept_days: int | None = None
    kept_by: tuple[str, ...] = ()

    @property
    def sees(self) -> tuple[str, ...]:
        """The names of all it cannot do without."""
        ideas = ("ideas",) if self.has_ideas else ()
        return (*self.person, *ideas, *self.tools, *self.reads)

    def heading(self, person: Mapping[str, str]) -> str:
        """Return the title for this person."""
        return self.title.format_map(person)

    def order(self, person: Mapping[str, str]) -> str:
        """Return the line that asks for this section."""
        return f"'{self.heading(person)}' in about {self.words} words: {self.brief}."


_PROFILE = (
    Section(
        name="core_motivation",
        task="profile_analysis",
        title="Core Motivation",
        words=186,
        brief="why this goal, read from what this person has done",
        person=("goal_type", "interest_area", "sub_interest_area", "experience_summary"),
    ),
    Section(
        name="operating_constraints",
        task="profile_analysis",
        title="Operating Constraints",
        words=150,
        brief="what time, money and way of working rule out and what they allow",
        person=("time_commitment", "budget_range", "work_style"),
        kept_days=30,
        kept_by=ARCHETYPE,
    ),
    Section(
        name="opportunity",
        task="profile_analysis",
        title="Opportunity Within {interest_area}",
        words=164,
        brief="where this focus has room for a newcomer with this goal",
        person=("goal_type", "interest_area", "sub_interest_area"),
        kept_days=30,
        kept_by=ARCHETYPE,
    ),
    Section(
        name="strengths",
        task="profile_analysis",
        title="Strengths You Can Leverage",
        words=150,
        brief="what the strongest skill is worth in this focus",
        person=("interest_area", "sub_interest_area", "skill_strength"),
        kept_days=30,
        kept_by=ARCHETYPE,
    ),
    Section(
        name="skill_gaps",
        task="profile_analysis",
        title="Skill Gaps to Fill",
        words=146,
        brief="what is usually missing next to this skill, and the cheapest way to get it",
        person=("sub_interest_area", "skill_strength", "work_style", "time_commitment"),
        kept_days=30,
        kept_by=ARCHETYPE,
    ),
    Section(
        name="profile_recommendations",
        task="profile_analysis",
        title="Recommendations",
        words=178,
        brief="three things to do first, drawn from this person's own past",
        person=("goal_type", "time_commitment", "budget_range", "experience_summary"),
    ),
)

_RESEARCH = (
    Section(
        name="market_direction",
        task="idea_research",
        title="Market Trends",
        words=59,
        brief="what the growth and the trends mean for somebody who enters now",
        person=("interest_area", "sub_interest_area"),
        tools=("research_market_trends",),
        kept_days=14,
        kept_by=_MARKET,
    ),
    Section(
        name="competition",
        task="idea_research",
        title="Competitive Landscape",
        words=56,
        brief="how to stand beside these competitors",
        person=("interest_area", "sub_interest_area"),
        tools=("analyze_competitors",),
        kept_days=14,
        kept_by=_MARKET,
    ),
    Section(
        name="market_sizing",
        task="idea_research",
        title="Market Size",
        words=46,
        brief="which of these sizes matters in a first year",
        person=("interest_area", "sub_interest_area"),
        tools=("estimate_market_size",),
        kept_days=14,
        kept_by=_MARKET,
    ),
    Section(
        name="idea_fit",
        task="idea_research",
        title="Startup Ideas",
        words=60,
        brief="how each idea fits this person",
        person=("goal_type", "skill_strength"),
        has_ideas=True,
    ),
    Section(
        name="idea_validation",
        task="idea_research",
        title="Validation of the Ideas",
        words=56,
        brief="what the scores say and what they leave open",
        person=("sub_interest_area",),
        tools=("validate_startup_idea",),
        has_ideas=True,
    ),
)

_RECOMMENDATION = (
    Section(
        name="comparison",
        task="recommendation",
        title="Comparison of Your Ideas",
        words=60,
        brief="which idea to take up first and what would change that",
        person=("goal_type", "time_commitment", "budget_range"),
        reads=("validate_startup_idea",),
        has_ideas=True,
        profile=("core_motivation",),
    ),
    Section(
        name="risk_answers",
        task="recommendation",
        title="Risks and Answers",
        words=61,
        brief="which risk to meet first and how",
        person=("interest_area", "work_style", "budget_range"),
        tools=("assess_startup_risks",),
        kept_days=30,
        kept_by=("interest_area", "work_style", "budget_range"),
    ),
    Section(
        name="costs_and_revenue",
        task="recommendation",
        title="Costs and Revenue",
        words=61,
        brief="what has to be earned before it pays for itself",
        person=("budget_range",),
        tools=("estimate_startup_costs", "project_revenue"),
        has_ideas=True,
    ),
    Section(
        name="viability",
        task="recommendation",
        title="Financial Viability",
        words=50,
        brief="which idea carries itself within this budget",
        person=("budget_range", "time_commitment"),
        tools=("check_financial_viability",),
        has_ideas=True,
    ),
    Section(
        name="customer",
        task="recommendation",
        title="Your First Customer",
        words=54,
        brief="a day on which this customer would call",
        person=("sub_interest_area",),
        tools=("generate_customer_persona",),
    ),
    Section(
        name="interviews",
        task="recommendation",
        title="Questions to Ask First",
        words=48,
        brief="how to hold these talks and what answer should stop you",
        person=("skill_strength",),
        tools=("generate_validation_questions",),
    ),
    Section(
        name="naming",
        task="recommendation",
        title="Name and Domain",
        words=35,
        brief="which name to try",
        tools=("check_domain_availability",),
    ),
    Section(
        name="roadmap",
        task="recommendation",
        title="Roadmap for Ninety Days",
        words=86,
        brief="what to do in the first, second and third month with the first idea",
        person=("goal_type", "time_commitment", "budget_range", "work_style"),
        has_ideas=True,
    ),
    Section(
        name="first_step",
        task="recommendation",
        title="Your First Step",
        words=63,
        brief="one step for this week that this person's past makes easy",
        person=("time_commitment", "experience_summary"),
        has_ideas=True,
        profile=("profile_recommendations",),
    ),
)

SECTIONS: dict[Task, tuple[Section, ...]] = {
    "profile_analysis": _PROFILE,
    "idea_research": _RESEARCH,
    "recommendation": _RECOMMENDATION,
}
"""The sections of each task, in the order they are read."""

OUTPUTS: dict[Task, str] = {
    "profile_analysis": "profile_analysis",
    "idea_research": "startup_ideas_research",
    "recommendation": "personalized_recommendations",
}
"""The output each task gives."""


def section_request(section: Section, given: Mapping[str, Any]) -> Request:
    """Ask for one section alone; ``given`` holds what the section declares, by name."""
    findings = [given[name] for name in (*section.tools, *section.reads)]
    ideas = [given["ideas"]] if section.has_ideas else []
    parts = [
        _facts(given, section.person),
        *(_lines(found) for found in (*ideas, *findings)),
        *(given[name] for name in section.profile if given[name] is not None),
        f"Write {section.order(given)}",
    ]
    return Request.ask(_joined(parts), system=SYSTEM, task=section.name)


def task_request(
    task: Task,
    person: Mapping[str, str],
    *,
    findings: Iterable[Finding] = (),
    before: Iterable[str] = (),
) -> Request:
    """Ask for all sections of ``task`` at once, with everything known.

    ``before`` are the outputs of earlier tasks.
    """
    orders = [section.order(person) for section in SECTIONS[task]]
    parts = [
        _facts(person, PERSON),
        *before,
        *(_lines(found) for found in findings),
        "Write these sections in this order:\n" + "\n".join(orders),
    ]
    return Request.ask(_joined(parts), system=SYSTEM, task=task)


def ideas_request(given: Mapping[str, Any]) -> Request:
    """Ask for the ideas alone."""
    strengths = given["strengths"]
    parts = [
        _facts(given, (name for name in PERSON if name in given)),
        *(_lines(given[name]) for name in MARKET_TOOLS),
        *([strengths] if strengths is not None else []),
        "Find three startup ideas for this person in this market, best first.",
    ]
    return Request.ask(_joined(parts), task="ideas")


def research_answer() -> type[Ideas]:
    """Return what one research call must answer: ``ideas``, and a text for each section."""
    texts: dict[str, Any] = {
        section.name: (str, Field(description=f"Section in about {section.words} words"))
        for section in _RESEARCH
    }
    return create_model("ResearchAnswer", __base__=Ideas, **texts)


def _facts(person: Mapping[str, str], names: Iterable[str]) -> str:
    """Return a line for each input field; a summary's own line breaks must not look like ours."""
    return "\n".join(f"{PERSON[name]}: {' '.join(person[name].split())}" for name in names)


def _lines(found: Finding | Ideas) -> str:
    return "\n".join(f"{label}: {value}" for label, value in found.lines().items())


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)
