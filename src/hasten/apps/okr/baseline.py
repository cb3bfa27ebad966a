"""A message as its plan found it: one stage after another, a long prompt, the answer whole.

Owns the graph of the ``baseline`` mode. The same stages, the same storage, the same
length of answer; nothing is reused and nothing is streamed.
"""

from __future__ import annotations

from typing import Any

from hasten import Graph, Model, Request, Tables, step
from hasten.apps.okr.board import Board
from hasten.apps.okr.chat import (
    ASSESSED,
    CALL,
    KNOWN,
    MESSAGES,
    PHASE,
    PROMPT,
    SESSION,
    situation,
)
from hasten.apps.okr.coach import (
    MODEL_TIMEOUT_S,
    CoachAnswer,
    answer_of,
    assess,
    choose_phase,
    load_session,
)
from hasten.apps.okr.inputs import MessageInputs
from hasten.apps.okr.knowledge import Knowledge, Piece
from hasten.apps.okr.prompts import long_request
from hasten.apps.okr.storage import Said, board_of, keep_message, keep_reply, messages_of

SAVED = "step_8_save_message"
REPLIED = "step_9_save_reply"


@step(name=MESSAGES, phase="storage", needs=(SESSION,))
async def load_messages(tables: Tables, session_id: str, **_before: Any) -> tuple[Said, ...]:
    """Load what was said before, once the session is there."""
    return await messages_of(tables, session_id)


@step(name="step_3_load_okrs", phase="storage", needs=(MESSAGES,))
async def load_okrs(tables: Tables, session_id: str, **_before: Any) -> Board:
    """Load the board, once the messages are there."""
    return await board_of(tables, session_id)


@step(name=SAVED, phase="storage", needs=(SESSION, PHASE))
async def save_message(tables: Tables, message: str, **given: Any) -> None:
    """Keep what the team said before anything is asked."""
    await keep_message(tables, given[SESSION], message, given[PHASE])


@step(name=PROMPT, phase="prompt", needs=(SESSION, MESSAGES, ASSESSED, PHASE, SAVED))
async def build_prompt(message: str, **given: Any) -> Request:
    """Write the long prompt."""
    return long_request(situation(message, given))


@step(name=CALL, phase="model", timeout_s=MODEL_TIMEOUT_S, needs=(PROMPT,))
async def call_model(model: Model, **given: Request) -> str:
    """Ask the model and wait for the whole answer."""
    return (await model.complete(given[PROMPT])).text


@step(name=KNOWN, phase="knowledge", needs=(CALL,))
async def suggest(knowledge: Knowledge, message: str, **_before: Any) -> tuple[Piece, ...]:
    """Look up what is known to the message, once it is answered."""
    return await knowledge.search(message)


@step(name=REPLIED, phase="storage", needs=(CALL, KNOWN))
async def save_reply(tables: Tables, session_id: str, **given: Any) -> None:
    """Keep what the coach answered."""
    await keep_reply(tables, session_id, given[CALL])


@step(phase="assessment", needs=(ASSESSED, PHASE, CALL, KNOWN, REPLIED))
async def answer(**given: Any) -> CoachAnswer:
    """Put the answer together, once all is kept."""
    return answer_of(given[CALL], given[ASSESSED], given[PHASE], given[KNOWN])


GRAPH = Graph(
    "okr.baseline",
    [
        load_session,
        load_messages,
        load_okrs,
        assess,
        choose_phase,
        save_message,
        build_prompt,
        call_model,
        suggest,
        save_reply,
        answer,
    ],
    inputs=MessageInputs,
    outputs=("answer",),
    resources={"model": Model, "tables": Tables, "knowledge": Knowledge},
    session="session_id",
)
