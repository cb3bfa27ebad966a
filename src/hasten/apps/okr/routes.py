"""The coach over HTTP and WebSocket: talk, sessions, the board, the knowledge base.

Owns the routes below ``/apps/okr``. The chat speaks the plan's protocol, a JSON object a
frame: ``{"event": "sendMessage", "data": {"sessionId", "message"}}`` is answered by
``messageChunk`` {chunk}, then ``messageComplete`` or ``messageError``. Leaves running to
the context each is given.
"""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, WebSocket, WebSocketDisconnect
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hasten import AppContext, HastenError
from hasten.apps.okr.board import MAX_ITEM_CHARS, tidied
from hasten.apps.okr.inputs import MessageText, SessionId, Team
from hasten.apps.okr.knowledge import Knowledge, Piece
from hasten.apps.okr.scoring import overall, score_board
from hasten.apps.okr.storage import (
    Session,
    board_of,
    change_item,
    find_session,
    keep_session,
    list_sessions,
    messages_of,
    remove_item,
)

Here = Annotated[AppContext, Depends(AppContext.of)]
InPath = Annotated[SessionId, Path()]
ItemPath = Annotated[str, Path(pattern=r"^o\d{1,4}(-k\d{1,4})?$")]
MAX_FRAME_CHARS = 20_000

_NAMES = {"sessionId": "session_id", "teamSize": "team_size"}
"""The inputs that a frame calls otherwise."""

router = APIRouter()


class NewMessage(BaseModel):
    """What the team says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: MessageText


class NewWording(BaseModel):
    """What an item shall say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[
        str,
        Field(max_length=MAX_ITEM_CHARS, pattern=r"^[^\x00]*$"),
        AfterValidator(tidied),
        Field(min_length=1),
    ]


@router.get("/sessions")
async def list_all(here: Here, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Any]:
    """Return the caller's sessions, the last used first."""
    return await list_sessions(here.tables, limit)


@router.post("/sessions", status_code=201)
async def begin(team: Team, here: Here) -> dict[str, Any]:
    """Begin a session of this team; ``okr.warm`` has answers ready for a team of its kind."""
    session = Session(session_id=f"s{secrets.token_hex(8)}", team=team)
    await keep_session(here.tables, session)
    return await _shown(here, session.session_id)


@router.get("/sessions/{session_id}")
async def show(session_id: InPath, here: Here) -> dict[str, Any]:
    """Return a session with its newest messages and its scored board."""
    return await _shown(here, session_id)


@router.post("/sessions/{session_id}/messages", status_code=202)
async def say(session_id: InPath, said: NewMessage, here: Here) -> dict[str, str]:
    """Say something; the answer is read as server-sent events."""
    run = await here.start({"session_id": session_id, "message": said.text})
    return {"run_id": run.run_id, "events": f"/api/runs/{run.run_id}/events"}


@router.patch("/sessions/{session_id}/okrs/{item_id}")
async def change(
    session_id: InPath, item_id: ItemPath, new: NewWording, here: Here
) -> dict[str, Any]:
    """Change the wording of an objective or a key result; the session's answers are dropped."""
    if not await change_item(here.tables, session_id, item_id, new.text):
        raise _nothing(session_id, item_id)
    await _drop_answers(here, session_id)
    return await _shown(here, session_id)


@router.delete("/sessions/{session_id}/okrs/{item_id}")
async def remove(session_id: InPath, item_id: ItemPath, here: Here) -> dict[str, Any]:
    """Remove an objective with its key results, or one key result."""
    if not await remove_item(here.tables, session_id, item_id):
        raise _nothing(session_id, item_id)
    await _drop_answers(here, session_id)
    return await _shown(here, session_id)


@router.get("/knowledge")
async def look_up(
    q: Annotated[str, Query(min_length=2, max_length=200)],
    limit: Annotated[int, Query(ge=1, le=20)] = 5,
) -> tuple[Piece, ...]:
    """Search the knowledge base."""
    return await Knowledge().search(q, limit)


@router.websocket("/chat")
async def chat(socket: WebSocket, here: Here) -> None:
    """Answer each message as it is written, until the client goes."""
    await socket.accept()
    try:
        while True:
            frame = await _frame(socket)
            try:
                await _answer(socket, here, _asked(frame))
            except HastenError as error:
                await _send(socket, "messageError", **_told(error))
            except ValueError as error:
                message = str(error)
                await _send(socket, "messageError", code="invalid_input", message=message)
    except WebSocketDisconnect:
        return  # the run goes on; its answer is in the session


async def _answer(socket: WebSocket, here: AppContext, asked: dict[str, Any]) -> None:
    run = await here.start(asked)
    async for event in run.follow():
        if event.type == "text":
            await _send(socket, "messageChunk", chunk=event.data["text"])
        elif event.type == "text.replaced":
            await _send(socket, "messageReplaced", text=event.data["text"])
    outcome = await run.outcome()
    if outcome.error is not None:
        raise outcome.error
    answer = outcome.outputs["answer"].model_dump(mode="json")
    cached = outcome.record.llm_calls == 0
    told = {"sessionId": asked["session_id"], "runId": run.run_id, "cached": cached}
    await _send(socket, "messageComplete", **told, **answer)


async def _frame(socket: WebSocket) -> str:
    """Return the next frame, bytes as the text they may be. Raises ``WebSocketDisconnect``."""
    heard = await socket.receive()
    if heard["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(heard["code"])
    return heard.get("text") or (heard.get("bytes") or b"").decode(errors="replace")


def _asked(frame: str) -> dict[str, Any]:
    """Return what a frame asks for. Raises ``ValueError`` that says what it should be."""
    if len(frame) > MAX_FRAME_CHARS:
        message = f"a frame has at most {MAX_FRAME_CHARS} characters, not {len(frame)}"
        raise ValueError(message)
    try:
        told = json.loads(frame)
    except (ValueError, RecursionError) as error:
        message = f"a frame is a JSON object: {error}"
        raise ValueError(message) from None
    if not isinstance(told, dict) or told.get("event") != "sendMessage":
        message = "the only event is sendMessage, with data {sessionId, message}"
        raise ValueError(message)
    data = told.get("data")
    if not isinstance(data, dict):
        message = "data must be an object with sessionId and message"
        raise ValueError(message)  # noqa: TRY004 - a frame of the wrong form, like the others
    return {_NAMES.get(str(name), str(name)): value for name, value in data.items()}


async def _send(socket: WebSocket, event: str, **data: Any) -> None:
    await socket.send_json({"event": event, "data": data})


def _told(error: HastenError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if field := getattr(error, "field", ""):
        told["field"] = next((said for said, name in _NAMES.items() if name == field), field)
    return told


async def _shown(here: AppContext, session_id: str) -> dict[str, Any]:
    session = await find_session(here.tables, session_id)
    if session is None:
        raise HTTPException(404, f"there is no session {session_id!r}")
    scored = score_board(await board_of(here.tables, session_id))
    return {
        **session.model_dump(exclude={"is_new"}),
        "messages": await messages_of(here.tables, session_id),
        "okrs": scored,
        "score": overall(scored),
    }


async def _drop_answers(here: AppContext, session_id: str) -> None:
    """Drop the answers of a session whose objectives have changed (okr plan 1)."""
    await here.cache.invalidate(f"tag=session:{session_id}", why="an objective has changed")


def _nothing(session_id: str, item_id: str) -> HTTPException:
    return HTTPException(404, f"session {session_id!r} has no item {item_id!r}")
