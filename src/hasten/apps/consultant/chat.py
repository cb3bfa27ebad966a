"""A talk about an analysis: what was said before is remembered, what is answered is cited.

Owns the graphs of the operation ``chat``. ``baseline`` tells the model the whole analysis and
the whole talk and has all of the answer written in one call; in ``hasten`` the sections that a
question is about are found first, and the answer and the questions it leads to are written
side by side.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from math import log
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hasten import (
    Graph,
    HastenError,
    Model,
    Request,
    Tables,
    current_caller,
    current_clock,
    step,
    write,
)
from hasten.apps.consultant.archive import (
    Analysis,
    SectionText,
    list_analyses,
    newest_analysis,
    read_analysis,
)
from hasten.apps.consultant.prompts import body, flat
from hasten.apps.consultant.tables import messages, messages_of, next_place

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGE_CHARS = 2_000
SECTIONS_READ = 3
MESSAGES_READ = 6
ANSWER_WORDS = 66
QUESTIONS_WORDS = 40
TURN_CHARS = 240

_RULES = "You answer questions about a company's analysis. Use only what you are told."
_NOTHING_YET = "there is no analysis to talk about yet: make one first"
_WORD = re.compile(r"\w{3,}")

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ChatInputs(BaseModel):
    """A message about an analysis, by default the caller's latest; the talk goes by its id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_MESSAGE_CHARS)
    ] = Field(title="Your question")
    conversation_id: Id = Field("main", title="Talk")
    analysis_id: Id | None = Field(None, title="Analysis")


class Reply(BaseModel):
    """An answer with what it cites: ids and titles of the analysis' sections."""

    model_config = ConfigDict(frozen=True)

    text: str
    next_questions: str
    cites: dict[str, str]
    analysis_id: str
    conversation_id: str


Turns = tuple[tuple[str, str], ...]


@step(phase="storage", label="Loading the analysis")
async def analysis(tables: Tables, analysis_id: str | None) -> Analysis:
    """Load what is talked about."""
    if analysis_id is not None:
        return await read_analysis(tables, analysis_id)
    newest = await newest_analysis(tables)
    if newest is None:
        raise HastenError(_NOTHING_YET)
    return newest


@step(name="analysis", phase="storage", label="Loading the analysis")
async def found_analysis(tables: Tables, analysis_id: str | None) -> Analysis:
    """Find out what is talked about, then load it."""
    if analysis_id is None:
        latest = await list_analyses(tables, limit=1)
        if not latest:
            raise HastenError(_NOTHING_YET)
        analysis_id = latest[0].analysis_id
    return await read_analysis(tables, analysis_id)


@step(phase="storage", label="Loading the talk")
async def talk(tables: Tables, conversation_id: str) -> Turns:
    """Load what was last said, oldest first."""
    return await _said(tables, conversation_id, MESSAGES_READ)


@step(phase="storage", label="Loading the talk")
async def whole_talk(
    tables: Tables,
    conversation_id: str,
    analysis: Analysis,  # noqa: ARG001 - the analysis comes first
) -> Turns:
    """Load all that was said."""
    return await _said(tables, conversation_id, 500)


@step(phase="reply", label="Answering", timeout_s=30.0)
async def answer(
    model: Model, message: str, conversation_id: str, analysis: Analysis, talk: Turns
) -> Reply:
    """Answer from the sections the question is about."""
    about = relevant(analysis.sections, " ".join([message, *(text for _, text in talk[-2:])]))
    told = [f"Company: {analysis.company_name}"]
    told += [f"{one.title}: {flat(one.text)}" for one in about]
    told += [f"{who}: {flat(text)[:TURN_CHARS]}" for who, text in talk]
    asked = [*told, f"Question: {flat(message)}"]
    request, lead = (
        Request.ask("\n".join([*asked, order]), system=_RULES, task="chat", max_tokens=600)
        for order in _ORDERS
    )
    try:
        async with asyncio.TaskGroup() as group:  # one that fails ends the other's call, too
            text = group.create_task(write(model, request, section="Answer"))
            questions = group.create_task(write(model, lead, section="Next questions"))
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    found = body(text.result()), body(questions.result())
    return _reply(analysis, conversation_id, *found, about)


@step(phase="reply", label="Answering", timeout_s=30.0)
async def long_answer(
    model: Model, message: str, conversation_id: str, analysis: Analysis, whole_talk: Turns
) -> Reply:
    """Answer from all that there is, in one call."""
    told = [f"Company: {analysis.company_name}"]
    told += [f"{one.title}: {flat(one.text)}" for one in analysis.sections]
    told += [f"{who}: {flat(text)}" for who, text in whole_talk]
    asked = "\n".join([*told, f"Question: {flat(message)}", *_ORDERS])
    response = await model.complete(
        Request.ask(asked, system=_RULES, task="chat", max_tokens=1_200)
    )
    text, _, questions = response.text.partition("## Next questions")
    about = relevant(analysis.sections, message)
    return _reply(analysis, conversation_id, body(text), questions.strip(), about)


@step(phase="storage", label="Keeping what was said")
async def kept(tables: Tables, message: str, conversation_id: str, answer: Reply) -> None:
    """Keep question and answer; the database finds their places as it writes them."""
    caller = current_caller()
    first = next_place(caller.tenant, caller.user, conversation_id)
    await _keep(tables, first, message, answer)


@step(name="kept", phase="storage", label="Keeping what was said")
async def kept_after(tables: Tables, message: str, conversation_id: str, answer: Reply) -> None:
    """Keep question and answer after the last message there is."""
    caller = current_caller()
    last = await tables.row(messages_of(caller.tenant, caller.user, conversation_id))
    await _keep(tables, 0 if last is None else last["place"] + 1, message, answer)


@step(name="answer", phase="reply")
async def given(long_answer: Reply) -> Reply:
    """Give the answer out."""
    return long_answer


def relevant(
    sections: Sequence[SectionText], question: str, limit: int = SECTIONS_READ
) -> list[SectionText]:
    """Return the sections that share the most telling words with a question, the closest first.

    A word counts by how few sections have it (inverse document frequency), once a section,
    twice in its title; when none is shared the summary is what there is to say.
    """
    found = [Counter(_words(one.text)) for one in sections]
    asked = set(_words(question))
    rare = {
        word: log(1 + len(sections) / (1 + sum(word in one for one in found))) for word in asked
    }

    def score(place: int) -> float:
        one = sections[place]
        titled = set(_words(f"{one.title} {one.chapter_title}"))
        return sum(rare[word] * ((word in found[place]) + 2 * (word in titled)) for word in asked)

    places = sorted(range(len(sections)), key=lambda place: -score(place))
    best = [sections[place] for place in places[:limit] if score(place) > 0]
    return best or list(sections[:1])


async def history(tables: Tables, conversation_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Return the latest messages of one of the caller's talks, oldest first."""
    caller = current_caller()
    which = messages_of(caller.tenant, caller.user, conversation_id).limit(limit)
    rows = await tables.rows(which)
    return [
        {name: row[name] for name in ("said_by", "text", "cites", "at_s")} for row in reversed(rows)
    ]


async def _keep(
    tables: Tables, first: int | sa.ColumnElement[int], message: str, answer: Reply
) -> None:
    caller, now_s = current_caller(), current_clock().now()
    rows = [
        {
            "message_id": uuid.uuid4().hex,
            "conversation_id": answer.conversation_id,
            "place": first + number,
            "said_by": who,
            "text": text,
            "cites": cites,
            "at_s": now_s,
            "tenant": caller.tenant,
            "user": caller.user,
        }
        for number, (who, text, cites) in enumerate(
            [("You", message, {}), ("Consultant", answer.text, answer.cites)]
        )
    ]
    await tables.execute(sa.insert(messages).values(rows))


async def _said(tables: Tables, conversation_id: str, limit: int) -> Turns:
    told = await history(tables, conversation_id, limit)
    return tuple((one["said_by"], one["text"]) for one in told)


def _reply(
    analysis: Analysis,
    conversation_id: str,
    text: str,
    questions: str,
    about: Sequence[SectionText],
) -> Reply:
    if not text:
        message = "the model answered nothing"
        raise HastenError(message)
    return Reply(
        text=text,
        next_questions=questions,
        cites={one.section_id: f"{one.chapter_title}: {one.title}" for one in about},
        analysis_id=analysis.analysis_id,
        conversation_id=conversation_id,
    )


_ORDERS = (
    f"Write 'Answer' in about {ANSWER_WORDS} words: an answer to the question.",
    f"Write 'Next questions' in about {QUESTIONS_WORDS} words: three that it leads to.",
)


def _words(text: str) -> list[str]:
    """Return the words of a text, without the endings of plurals."""
    return [word.rstrip("s") for word in _WORD.findall(text.casefold())]


_RESOURCES = {"model": Model, "tables": Tables}
GRAPHS = {
    "baseline": Graph(
        "consultant.chat.baseline",
        [found_analysis, whole_talk, long_answer, given, kept_after],
        inputs=ChatInputs,
        outputs=("answer",),
        effects=("kept",),
        resources=_RESOURCES,
    ),
    "hasten": Graph(
        "consultant.chat.hasten",
        [analysis, talk, answer, kept],
        inputs=ChatInputs,
        outputs=("answer",),
        effects=("kept",),
        resources=_RESOURCES,
    ),
}
SAMPLES = {
    "rivals": {"message": "Who are its rivals, and how do they win customers?"},
    "debt": {"message": "Can the company bear more debt?"},
}
