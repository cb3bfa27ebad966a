"""Warming the response cache: the common conversations of a team, asked ahead of time.

Owns the operation ``okr.warm``. It plays each conversation of ``patterns.toml`` forward
without keeping anything in SQL and asks what the chat would ask, so that the first team
to begin that way is answered at once.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict

from hasten import Graph, Model, step
from hasten.apps.okr.board import Board, drafted, phase_of
from hasten.apps.okr.coach import suggest
from hasten.apps.okr.inputs import Team
from hasten.apps.okr.knowledge import Knowledge
from hasten.apps.okr.prompts import Situation, short_request
from hasten.apps.okr.scoring import score_board
from hasten.apps.okr.storage import Said
from hasten.apps.okr.workload import Conversation, common

TIMEOUT_S = 120.0


class Warmed(BaseModel):
    """How many answers are there now for a team of this kind."""

    model_config = ConfigDict(frozen=True)

    conversations: int
    answers: int


@step(phase="model", label="Asking what many ask", timeout_s=TIMEOUT_S)
async def warmed(
    model: Model, knowledge: Knowledge, role: str, department: str, team_size: int
) -> Warmed:
    """Ask every message of every common conversation."""
    team = Team.model_validate({"role": role, "department": department, "team_size": team_size})
    async with asyncio.TaskGroup() as group:
        for talk in common():
            group.create_task(_play(talk, team, model, knowledge))
    return Warmed(conversations=len(common()), answers=sum(map(len, common())))


async def _play(talk: Conversation, team: Team, model: Model, knowledge: Knowledge) -> None:
    board: Board = ()
    said: tuple[Said, ...] = ()
    for message in talk:
        board = (*board, *drafted(board, message))
        scored = score_board(board)
        phase = phase_of(board, {one.item_id: one.score for one in scored})
        now = Situation(team, phase, board, scored, said, message)
        known = await suggest(knowledge, message)
        reply = (await model.complete(short_request(now, known))).text
        said = (*said, Said(said_by="team", text=message), Said(said_by="coach", text=reply))


GRAPH = Graph(
    "okr.warm",
    [warmed],
    inputs=Team,
    outputs=("warmed",),
    resources={"model": Model, "knowledge": Knowledge},
)
