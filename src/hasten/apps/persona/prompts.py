"""What the model is asked about a persona: short, and as its plan found it.

Owns both forms of the three prompts with their budgets (persona plan 2 and 3). The
*short* form is bullets, a story and a context cut to size, and no schema; the *long*
one is prose with everything that is known and the schema spelt out. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hasten import Request
from hasten.apps.persona.answers import CustomerJourney, Messaging, NeedsAndPains

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hasten.apps.persona.board import Persona

STORY_CHARS = 300
CONTEXT_CHARS = 500
LONG_CONTEXT_CHARS = 4_000
ANSWERS = 10
LONG_ANSWERS = 20


@dataclass(frozen=True, slots=True)
class Task:
    """One of the three answers: its form, its budget, its temperature now and before."""

    name: str
    form: type[BaseModel]
    order: str
    max_tokens: int
    temperature: float
    long_max_tokens: int
    long_temperature: float


JOURNEY = Task(
    "journey",
    CustomerJourney,
    "Generate their journey in 4 stages.",
    2_000,
    0.2,
    6_000,
    0.3,
)
NEEDS = Task(
    "needs",
    NeedsAndPains,
    "Derive their jobs to be done, pains and outcomes.",
    2_000,
    0.25,
    6_000,
    0.35,
)
MESSAGING = Task(
    "messaging",
    Messaging,
    "Write how to speak to them.",
    1_500,
    0.7,
    4_096,
    0.7,
)

_LONG_RULES = """\
You are a senior strategist for software firms with twenty years of practice in research, \
product marketing and sales. Please read everything below with great care before you begin. \
Your task is described at the end. Use the data provided and nothing else; it is very \
important that you do not invent demographic values, and that you do not contradict the \
interviews. Please do not use clichés. Please write so that a product manager who has never \
met this person can use what you write tomorrow morning. Every statement should follow from \
something below; if you are not sure, prefer the interviews to the profile, and the profile \
to the market context. Do not repeat yourself. Do not apologise. Do not explain your method. \
The answer must be one JSON object and nothing else: no introduction, no code fence, no \
remark at the end. All strings must be in double quotes and there must be no trailing \
commas, since the answer is read by a program that cannot guess what you meant."""


def short_request(task: Task, persona: Persona, context: str, said: tuple[str, ...]) -> Request:
    """Ask for a task's answer in few words; its form goes with the request, not in the prompt."""
    lines = [
        f"- {persona.age}y, {persona.gender}, {persona.location}",
        f"- {persona.education_level}, {persona.income_bracket}",
        f"- {persona.occupation}",
        f"Story: {_cut(persona.background, STORY_CHARS)}",
        f"Market: {_cut(context, CONTEXT_CHARS)}",
        *(f"- said: {one}" for one in said[:ANSWERS]),
        task.order,
    ]
    return Request.ask(
        "\n".join(lines),
        system="B2B SaaS strategist. Use only these facts.",
        task=task.name,
        max_tokens=task.max_tokens,
        temperature=task.temperature,
    )


def long_request(task: Task, persona: Persona, context: str, said: tuple[str, ...]) -> Request:
    """Ask the same as the plan found it: prose, all that is known, the schema in words."""
    schema = task.form.model_json_schema()
    lines = [
        f"Full name: {persona.full_name}",
        f"Age: {persona.age}",
        f"Gender: {persona.gender}",
        f"Location: {persona.location}",
        f"Education level: {persona.education_level}",
        f"Income bracket: {persona.income_bracket}",
        f"Occupation: {persona.occupation}",
        f"Background story: {persona.background}",
        f"Market context from research: {context[:LONG_CONTEXT_CHARS]}",
        "Interviews, in full:",
        *(f'- To question {number} they said: "{one}"' for number, one in enumerate(said, 1)),
        f"The JSON object must satisfy this JSON Schema:\n{json.dumps(schema, indent=2)}",
        task.order,
    ]
    return Request.ask(
        "\n".join(lines),
        system=_LONG_RULES,
        task=task.name,
        max_tokens=task.long_max_tokens,
        temperature=task.long_temperature,
        schema=schema,
    )


def _cut(text: str, chars: int) -> str:
    """Return ``text`` in one line, cut at a word."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: line.rfind(" ", 0, chars)]
