"""The interpretation as its plan found it: queue, search, one long call, validation.

Owns the graph of the ``baseline`` mode. A task waits for the queue's next look,
the poem is searched for together with what is related to it, and all sections
are written in one call. Poems, prompts, lengths and checks are those of the
``hasten`` mode.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from hasten import Graph, Model, current_clock, step, write
from hasten.apps.fortune.inputs import FortuneInputs, Language
from hasten.apps.fortune.prompts import SECTIONS, whole_request
from hasten.apps.fortune.report import split
from hasten.apps.fortune.temple import Passage, Poem, Temple
from hasten.apps.fortune.tools import give_out, give_out_the_rest, spoken

POLL_EVERY_S = 2.0
"""How often the plan's queue looked for new tasks; a task waits half of it on average."""

ANSWER_TIMEOUT_S = 90.0


class Found(NamedTuple):
    """What one search gives."""

    poem: Poem
    passages: tuple[Passage, ...]


@step(phase="Queue", label="Waiting for the queue")
async def queued(temple: Temple, question: str) -> float:
    """Wait until the queue looks again; when that is depends on when the question came."""
    wait_s = POLL_EVERY_S * (zlib.crc32(question.encode()) % 1_000) / 1_000
    if temple.is_slow:
        await current_clock().sleep(wait_s)
    return wait_s


@step(phase="RAG", label="Searching poems")
async def found(
    temple: Temple,
    queued: float,  # noqa: ARG001 - the queue comes first
    deity_id: str,
    fortune_number: int,
    question: str,
) -> Found:
    """Search for the poem and for related passages."""
    return Found(await temple.poem(deity_id, fortune_number), await temple.passages(question))


@step(phase="RAG")
async def poem(found: Found) -> Poem:
    """Give out the poem."""
    return found.poem


@step(phase="LLM", label="Writing the interpretation", timeout_s=ANSWER_TIMEOUT_S)
async def interpretation(
    model: Model, found: Found, question: str, spoken: Language
) -> dict[str, str]:
    """Write all sections in one call."""
    request = whole_request(found.poem, question, spoken, found.passages)
    return split(await write(model, request, section="Interpretation"), spoken)


async def _without_the_wrong(poem: Poem, spoken: Language, interpretation: dict[str, str]) -> str:
    return give_out_the_rest(poem, spoken, interpretation)


@step(phase="Validation", label="Checking the interpretation", fallback=_without_the_wrong)
async def report(
    temple: Temple, poem: Poem, spoken: Language, interpretation: dict[str, str]
) -> str:
    """Put the report together; a section that is missing or does not pass is left out of it."""
    texts = {section.name: interpretation.get(section.name) for section in SECTIONS}
    return await give_out(temple, poem, spoken, texts)


GRAPH = Graph(
    "fortune.baseline",
    [queued, found, poem, spoken, interpretation, report],
    inputs=FortuneInputs,
    outputs=("poem", "report"),
    resources={"model": Model, "temple": Temple},
)
