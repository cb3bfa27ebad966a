"""The interpretation as fast as its data allows: the poem is known by its number.

Owns the graph of the ``hasten`` mode. Nothing waits for the search: the section
on the poem itself starts at once, those that read related passages when these
have come or after ``PASSAGES_WAIT_S`` without them. Sections are written side by
side and streamed; the first depends on the poem alone and is shared by all who
drew it.
"""

from __future__ import annotations

from typing import Any

from hasten import CachePolicy, Graph, HastenError, Model, Step, step, write
from hasten.apps.fortune.inputs import FortuneInputs, Language
from hasten.apps.fortune.prompts import SECTIONS, Section, section_request
from hasten.apps.fortune.temple import Poem, Temple
from hasten.apps.fortune.tools import (
    DAY_S,
    give_out,
    give_out_the_rest,
    passages,
    poem,
    spoken,
)

PASSAGES_WAIT_S = 1.5
"""How long a section waits for related passages; a usual search takes 1.0 s."""

SECTION_TIMEOUT_S = 25.0


def _section_step(section: Section) -> Step[..., str]:
    async def write_section(
        model: Model,
        poem: Poem,
        spoken: Language,
        **given: Any,
    ) -> str:
        request = section_request(
            section, poem, given.get("question", ""), spoken, given.get("passages") or ()
        )
        text = await write(model, request, section=section.heading(spoken))
        if not text.strip():
            message = f"the model wrote nothing for {section.name!r}"
            raise HastenError(message)
        return text

    sees = section.sees_question
    return step(
        name=section.name,
        phase="LLM",
        label=f"Writing: {section.title[1].lower()}",
        timeout_s=SECTION_TIMEOUT_S,
        needs=("question",) if sees else (),
        soft_needs=("passages",) if sees else (),
        soft_wait_s=PASSAGES_WAIT_S,
        section=section.title[1],
        cache=None if sees else _shared(section),
    )(write_section)


def _shared(section: Section) -> CachePolicy:
    return CachePolicy(
        use=section.name,
        ttl_s=30 * DAY_S,
        fields=("poem", "spoken"),
        ignore=("model",),
        tags=("poem",),
    )


async def _without_the_wrong(poem: Poem, spoken: Language, **given: Any) -> str:
    return give_out_the_rest(
        poem, spoken, {section.name: given[section.name] for section in SECTIONS}
    )


@step(
    phase="Validation",
    label="Checking the interpretation",
    soft_needs=tuple(section.name for section in SECTIONS),
    soft_wait_s=SECTION_TIMEOUT_S,
    fallback=_without_the_wrong,
)
async def report(temple: Temple, poem: Poem, spoken: Language, **texts: Any) -> str:
    """Put the report together; a section that is missing or does not pass is left out of it."""
    return await give_out(temple, poem, spoken, texts)


GRAPH = Graph(
    "fortune.hasten",
    [
        poem,
        passages,
        spoken,
        *(_section_step(section) for section in SECTIONS),
        report,
    ],
    inputs=FortuneInputs,
    outputs=("poem", "report"),
    resources={"model": Model, "temple": Temple},
)
