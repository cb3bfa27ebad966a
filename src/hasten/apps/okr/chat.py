"""A message to the coach in the ``hasten`` mode: loaded side by side, streamed, kept beside.

Owns the graph. What is loaded is loaded at once, the knowledge base is a soft input,
what the team said is kept while the model writes, and an answer to the same question in
the same situation comes from the response cache.
"""

from __future__ import annotations

from typing import Any

from hasten import Graph, Model, Request, Tables, step, write
from hasten.apps.okr.coach import (
    MODEL_TIMEOUT_S,
    Assessment,
    CoachAnswer,
    answer_of,
    assess,
    choose_phase,
    load_messages,
    load_okrs,
    load_session,
    suggest,
)
from hasten.apps.okr.inputs import MessageInputs
from hasten.apps.okr.knowledge import Knowledge
from hasten.apps.okr.prompts import Situation, short_request
from hasten.apps.okr.storage import Session, keep_message, keep_reply

KNOWLEDGE_WAIT_S = 0.1
"""How long the prompt waits for the knowledge base; a usual search takes 0.9 ms."""

SECTION = "Coach"

SESSION, MESSAGES, ASSESSED, PHASE, PROMPT, CALL, KNOWN = (
    "step_1_load_session",
    "step_2_load_messages",
    "step_4_quality_assessment",
    "step_5_choose_phase",
    "step_6_build_prompt",
    "step_7_claude_api_call",
    "step_7_5_knowledge_suggestions",
)


@step(
    name=PROMPT,
    phase="prompt",
    needs=(SESSION, MESSAGES, ASSESSED, PHASE),
    soft_needs=(KNOWN,),
    soft_wait_s=KNOWLEDGE_WAIT_S,
)
async def build_prompt(message: str, **given: Any) -> Request:
    """Write the short prompt."""
    return short_request(situation(message, given), given[KNOWN] or ())


@step(
    name=CALL,
    phase="model",
    label="The coach is writing",
    timeout_s=MODEL_TIMEOUT_S,
    section=SECTION,
    needs=(PROMPT,),
)
async def call_model(model: Model, **given: Request) -> str:
    """Ask the model; the answer is read as it is written."""
    return await write(model, given[PROMPT], section=SECTION)


@step(
    name="step_8_save_message",
    phase="storage",
    needs=(SESSION, PHASE),
)
async def save_message(tables: Tables, message: str, **given: Any) -> None:
    """Keep what the team said, while the model writes."""
    await keep_message(tables, given[SESSION], message, given[PHASE])


@step(
    name="step_9_save_reply",
    phase="storage",
    needs=("step_8_save_message", CALL),
)
async def save_reply(tables: Tables, session_id: str, **given: Any) -> None:
    """Keep what the coach answered."""
    await keep_reply(tables, session_id, given[CALL])


@step(
    phase="assessment",
    needs=(ASSESSED, PHASE, CALL),
    soft_needs=(KNOWN,),
    soft_wait_s=KNOWLEDGE_WAIT_S,
)
async def answer(**given: Any) -> CoachAnswer:
    """Put the answer together."""
    return answer_of(given[CALL], given[ASSESSED], given[PHASE], given[KNOWN])


def situation(message: str, given: dict[str, Any]) -> Situation:
    """Return all that the answer may depend on, out of what the stages gave."""
    session: Session = given[SESSION]
    assessed: Assessment = given[ASSESSED]
    loaded = (assessed.board, assessed.scored, given[MESSAGES])
    return Situation(session.team, given[PHASE], *loaded, message)


GRAPH = Graph(
    "okr.hasten",
    [
        load_session,
        load_messages,
        load_okrs,
        assess,
        choose_phase,
        suggest,
        build_prompt,
        call_model,
        save_message,
        save_reply,
        answer,
    ],
    inputs=MessageInputs,
    outputs=("answer",),
    effects=("step_8_save_message", "step_9_save_reply"),
    resources={"model": Model, "tables": Tables, "knowledge": Knowledge},
    session="session_id",
)
