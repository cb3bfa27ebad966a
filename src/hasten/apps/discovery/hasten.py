"""The report as fast as its data allows: everything starts as soon as its inputs are known.

Owns the graph of the ``hasten`` mode. Tools are steps, sections are steps, and
an output is put together from the sections that came within the task's time.
The profile is a soft input everywhere. Ideas are one short structured call
after the market tools; what needs ideas waits for it and nothing else does.

Sections made of nothing personal are kept and shared between people who are alike
in what they are made from (discovery plan 2.2); ``FRESHNESS`` says how much of a
report must be written for its reader all the same (2.5).
"""

from __future__ import annotations

from typing import Any

from hasten import CachePolicy, Freshness, Graph, HastenError, Model, Step, parse, step, write
from hasten.apps.discovery.findings import Ideas
from hasten.apps.discovery.inputs import DiscoveryInputs
from hasten.apps.discovery.prompts import (
    MARKET_TOOLS,
    OUTPUTS,
    PERSON,
    SECTIONS,
    Section,
    Task,
    ideas_request,
    section_request,
)
from hasten.apps.discovery.report import TASK_TIMEOUT_S, assemble
from hasten.apps.discovery.shelf import ReportStore, report_document, report_record
from hasten.apps.discovery.sources import Sources, plain_ideas
from hasten.apps.discovery.tools import DAY_S, MARKET_TAGS, TOOLS

IDEAS_TIMEOUT_S = 15.0

PROFILE_WAIT_S = 4.0
"""How long to wait for a section of the profile when all else came from the cache."""

CHARS_PER_WORD = 6
"""How long a word is, with its space; only for guessing how long a section will be."""

DETAILED_CHARS = 500
"""A summary longer than this is told so much of that little may be shared (plan 2.5)."""

SECTIONS_AT_ONCE = 6
"""How many sections of a task are written at once, so that a real endpoint is not drowned.

Each task has its own places: sections that hang in one must not hold up another.
"""


async def _plain_ideas(interest_area: str, sub_interest_area: str) -> Ideas:
    return plain_ideas(interest_area, sub_interest_area)


@step(
    phase="idea_research",
    label="Finding ideas",
    timeout_s=IDEAS_TIMEOUT_S,
    fallback=_plain_ideas,
    needs=(*PERSON, *MARKET_TOOLS),
    soft_needs=("strengths",),
    soft_wait_s=PROFILE_WAIT_S,
)
async def ideas(model: Model, **given: Any) -> Ideas:
    """Find three to five ideas; the first is the one the later tools look at closest."""
    return (await parse(model, ideas_request(given), Ideas)).value


def _section_step(section: Section) -> Step[..., str]:
    async def write_section(model: Model, **given: Any) -> str:
        heading = section.heading(given)
        text = await write(model, section_request(section, given), section=heading)
        if not text.strip():
            message = f"the model wrote nothing for {heading!r}"
            raise HastenError(message)
        return text

    return step(
        name=section.name,
        phase=section.task,
        label=f"Writing {section.name.replace('_', ' ')}",
        limit=section.task,
        section=section.title,
        needs=tuple(dict.fromkeys((*section.sees, *section.kept_by))),
        soft_needs=section.profile,
        soft_wait_s=PROFILE_WAIT_S,
        cache=_kept(section, section.kept_days) if section.kept_days else None,
    )(write_section)


def _kept(section: Section, days: int) -> CachePolicy:
    return CachePolicy(
        use=section.name,
        ttl_s=days * DAY_S,
        fields=section.kept_by,
        ignore=("model", *section.tools),
        tags=MARKET_TAGS,
    )


def _fresh_floor(inputs: DiscoveryInputs) -> float:
    return 0.8 if len(inputs.experience_summary) > DETAILED_CHARS else 0.3


FRESHNESS = Freshness(
    sections={
        section.name: section.words * CHARS_PER_WORD
        for sections in SECTIONS.values()
        for section in sections
    },
    always_fresh=("core_motivation", "profile_recommendations", "comparison", "first_step"),
    floor=_fresh_floor,
)
"""Discovery plan 2.5: the shares, and what is always written anew."""


def _output_step(
    task: Task, *, after: tuple[str, ...] = (), glad_of: tuple[str, ...] = ()
) -> Step[..., str]:
    """Make the step that puts an output together; its 45 s count from ``after``."""
    parts = (name for section in SECTIONS[task] for name in (section.name, *section.tools))

    async def put_together(**given: Any) -> str:
        return assemble(task, given)

    return step(
        name=OUTPUTS[task],
        phase=task,
        label=f"Putting together the {OUTPUTS[task].replace('_', ' ')}",
        needs=(*PERSON, *after),
        soft_needs=(*parts, *glad_of),
        soft_wait_s=TASK_TIMEOUT_S,
    )(put_together)


GRAPH = Graph(
    "discovery.hasten",
    [
        *TOOLS.values(),
        ideas,
        *(_section_step(section) for sections in SECTIONS.values() for section in sections),
        _output_step("profile_analysis"),
        _output_step("idea_research", glad_of=("ideas",)),
        _output_step("recommendation", after=("ideas",)),
        report_document,
        report_record,
    ],
    inputs=DiscoveryInputs,
    outputs=tuple(OUTPUTS.values()),
    effects=("report_record",),
    resources={"model": Model, "sources": Sources, "shelf": ReportStore},
    limits=dict.fromkeys(SECTIONS, SECTIONS_AT_ONCE),
    freshness=FRESHNESS,
)
