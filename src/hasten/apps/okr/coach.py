"""The stages of one message, under the plan's names; both graphs are made of them.

Owns what each stage does. Leaves their order, and what waits for what, to ``chat`` and
``baseline``.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from hasten import HastenError, Tables, step, tool
from hasten.apps.okr.board import Board, Phase, drafted, phase_of, proposed
from hasten.apps.okr.inputs import Team
from hasten.apps.okr.knowledge import Knowledge, Piece
from hasten.apps.okr.scoring import Scored, overall, score_board
from hasten.apps.okr.storage import Said, Session, board_of, find_session, messages_of

MODEL_TIMEOUT_S = 30.0  # SQL has deadlines of its own


class Assessment(NamedTuple):
    """The board as it is with this message, every item with its score."""

    board: Board
    scored: tuple[Scored, ...]


class CoachAnswer(BaseModel):
    """What comes of a message.

    ``score`` is the board's, 0 to 100; ``proposals`` are wordings of the coach's that
    can be put on the board by saying them.
    """

    model_config = ConfigDict(frozen=True)

    reply: str
    phase: Phase
    score: int
    okrs: tuple[Scored, ...]
    proposals: tuple[str, ...]
    suggestions: tuple[Piece, ...]


@step(name="step_1_load_session", phase="storage")
async def load_session(
    tables: Tables, session_id: str, role: str, department: str, team_size: int
) -> Session:
    """Load the session, or begin it."""
    found = await find_session(tables, session_id)
    if found is not None:
        return found
    team = Team.model_validate({"role": role, "department": department, "team_size": team_size})
    return Session(session_id=session_id, team=team, is_new=True)


@step(name="step_2_load_messages", phase="storage")
async def load_messages(tables: Tables, session_id: str) -> tuple[Said, ...]:
    """Load what was said before."""
    return await messages_of(tables, session_id)


@step(name="step_3_load_okrs", phase="storage")
async def load_okrs(tables: Tables, session_id: str) -> Board:
    """Load the board."""
    return await board_of(tables, session_id)


@step(name="step_4_quality_assessment", phase="assessment", needs=("step_3_load_okrs",))
async def assess(message: str, **loaded: Board) -> Assessment:
    """Take in what the message adds to the board, and score all of it."""
    board = loaded["step_3_load_okrs"]
    whole = (*board, *drafted(board, message))
    return Assessment(whole, score_board(whole))


@step(name="step_5_choose_phase", phase="assessment", needs=("step_4_quality_assessment",))
async def choose_phase(**assessed: Assessment) -> Phase:
    """Say which phase the conversation is in now."""
    board, scored = assessed["step_4_quality_assessment"]
    return phase_of(board, {one.item_id: one.score for one in scored})


@tool(name="step_7_5_knowledge_suggestions", phase="knowledge")
async def suggest(knowledge: Knowledge, message: str) -> tuple[Piece, ...]:
    """Look up what is known to the message; faster than asking a cache what was found before."""
    return await knowledge.search(message)


def answer_of(
    reply: str, assessed: Assessment, phase: Phase, known: tuple[Piece, ...] | None
) -> CoachAnswer:
    """Return the whole answer. Raises ``HastenError`` for a reply without a word."""
    if not reply.strip():
        message = "the model wrote nothing"
        raise HastenError(message)
    return CoachAnswer(
        reply=reply,
        phase=phase,
        score=overall(assessed.scored),
        okrs=assessed.scored,
        proposals=proposed(reply),
        suggestions=known or (),
    )
