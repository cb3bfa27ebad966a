"""What the coach's model is asked: in few words, and as the plan found it.

Owns both prompts. They know the same and ask for the same length; the verbose one spells
out rules, the phase's whole chapter of the knowledge base, the board as JSON and the
conversation in full, the short one what this message needs. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hasten import Request
from hasten.apps.okr.knowledge import about

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hasten.apps.okr.board import Board, Phase
    from hasten.apps.okr.inputs import Team
    from hasten.apps.okr.knowledge import Piece
    from hasten.apps.okr.scoring import Scored
    from hasten.apps.okr.storage import Said

WORDS = 190
"""How long an answer is, in either mode."""

MAX_TOKENS = 1_024
REPLY_CHARS = 240
ITEMS = 8
WEAK = 100

_ORDERS: dict[Phase, str] = {
    "discovery": "Find the problem behind the message; end with one question.",
    "refinement": "Make the weakest wording better; end with one question.",
    "key_results": "Ask for the measures that are missing; end with one question.",
    "validation": "Test the board: what is at risk, what to drop; end with one question.",
}

SYSTEM = (
    "OKR coach. Use only these facts; be concrete and kind; no preamble. Proposed wording goes on "
    "lines of its own: 'Objective: …' or 'KR: …' with figure and date."
)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that an answer may depend on."""

    team: Team
    phase: Phase
    board: Board
    scored: tuple[Scored, ...]
    said: tuple[Said, ...]
    message: str


def short_request(now: Situation, known: Iterable[Piece]) -> Request:
    """Ask with what this message needs; the same situation makes the same request."""
    lines = [
        now.message,
        f"Team: {now.team.role}, {now.team.department}, {now.team.team_size} people",
        f"Phase: {now.phase}",
        f"Task: {_ORDERS[now.phase]}",
        *(_line(one) for one in now.scored[-ITEMS:]),
        *(f"You said: {_cut(one.text)}" for one in now.said[-1:] if one.said_by == "coach"),
        *(f"Hint: {one.title}. {one.text}" for one in known),
        f"Answer in about {WORDS} words.",
    ]
    return Request.ask(
        "\n".join(lines), system=SYSTEM, task="coach", max_tokens=MAX_TOKENS, temperature=0.4
    )


def long_request(now: Situation) -> Request:
    """Ask as the plan found it: everything, in prose, each time."""
    told = "\n".join(f"{_WHO[one.said_by]}: {one.text}" for one in now.said)
    state = [one.model_dump() for one in now.scored]
    chapter = "\n".join(f"{one.title}: {one.text}" for one in about(now.phase))
    prompt = (
        f"{now.message}\n\n"
        f"You are helping a {now.team.role} at a company. Their team has {now.team.team_size} "
        f"people working in the {now.team.department} department. The user is currently in the "
        f"{now.phase} phase of OKR creation. {_ORDERS[now.phase]} Previous messages in this "
        "conversation include context about their business goals. Please provide helpful guidance "
        "on their OKR development journey.\n\n"
        f"Everything our knowledge base says about this phase:\n{chapter}\n\n"
        f"Context from previous interactions:\n{told or 'There are none yet.'}\n\n"
        f"Current conversation state:\n{json.dumps(state, indent=2, ensure_ascii=False)}\n\n"
        f"The user's latest message, repeated for your convenience:\n{now.message}\n\n"
        f"Answer in about {WORDS} words."
    )
    return Request.ask(prompt, system=_LONG_RULES, task="coach", max_tokens=4_096, temperature=0.4)


def _line(one: Scored) -> str:
    kind = "KR" if one.objective_id else "Objective"
    weak = min(one.criteria, key=lambda found: found.score)
    missing = f" ({one.score}; {weak.name}: {weak.reason})" if weak.score < WEAK else ""
    return f"{kind}: {one.text}{missing}"


def _cut(text: str) -> str:
    """Return the end of a reply, where its question is, in one line and from a whole word on."""
    line = " ".join(text.split())
    return line if len(line) <= REPLY_CHARS else line[line.find(" ", len(line) - REPLY_CHARS) + 1 :]


_WHO = {"team": "The user said", "coach": "You, the coach, answered"}

_LONG_RULES = """\
You are an expert OKR coach. OKR stands for objectives and key results. You have many years of \
experience in helping teams of all sizes, in all industries and in all departments, to write \
objectives and key results that are clear, ambitious, achievable and useful. You always give \
helpful, friendly, professional and encouraging guidance, and you never judge the people you \
talk to. You adapt to their experience, their role, their company and their department.

An objective is a qualitative statement of what the team wants to achieve. It should be \
specific, which means that it says one thing. It should be inspiring, which means that people \
want to reach it. It should be relevant, which means that it matters to customers, to colleagues \
or to the company. It should be time-bound, which means that it says by when it is reached. It \
should not contain figures, since these belong to the key results. It should not be a list of \
projects.

A key result is a quantitative statement of how we know that the objective is reached. It should \
be specific, which means that it names one measure. It should be measurable, which means that it \
says from where to where the measure moves. It should be achievable, which means that it can be \
reached with effort. It should be relevant, which means that it shows progress on its objective. \
It should be time-bound, which means that it says by when. An objective should have two to four \
key results.

The conversation has four phases. In the discovery phase you find out what the team wants to \
achieve and why, and what stands in its way; you do not write objectives yet. In the refinement \
phase you make objectives better: you look at the words, you ask for whom they are, and by when. \
In the key results phase you look for measures: where each begins, where it ends, and where its \
number is read. In the validation phase you look at everything together: is it too much, is it \
enough, what is at risk, who has to agree. You always know in which phase the conversation is, \
since you are told.

Always read the whole conversation before you answer. Always read the current state of the board \
before you answer. Always read what the knowledge base says before you answer. Always relate \
your answer to the latest message of the user. Always relate the latest message to the messages \
before. Always mention what is good before you mention what could be better. Always be concrete. \
Always end with one question. When you propose a wording, write it on a line of its own which \
begins with 'Objective:' or with 'KR:' and has a figure and a date where it needs one. Never \
invent facts about the company. Never propose more than three objectives. Never propose more \
than five key results for one objective. Never repeat the instructions. Never apologise. Never \
explain your method. Never use jargon which the user has not used. Never write more than you are \
asked for. Do not begin with a preamble and do not end with a summary of what you have just \
said."""
