"""A small application with all a manifest can have: tables, routes, a page, an operation, lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, WebSocket
from pydantic import BaseModel, Field

from hasten import (
    App,
    AppContext,
    Graph,
    Model,
    Operation,
    Request,
    SimProfile,
    Tables,
    current_clock,
    step,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent / "notebook"

metadata = sa.MetaData()
notes = sa.Table(
    "notebook_notes",
    metadata,
    sa.Column("note_id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("at_s", sa.Double, nullable=False),
    sa.Index("notebook_notes_by_user", "user", "at_s"),
)


class NoteInputs(BaseModel):
    """What is noted."""

    note_id: str = Field(max_length=20)
    said: str = Field(max_length=200)


class CountInputs(BaseModel):
    """What is counted: notes that begin so."""

    begins: str = ""


@step(phase="keep")
async def kept(note_id: str, said: str, tables: Tables) -> str:
    """Keep the note."""
    at_s = current_clock().now()
    row = {"note_id": note_id, "tenant": "local", "user": "local", "said": said, "at_s": at_s}
    await tables.put_many(notes, [row])
    return said


@step(phase="answer")
async def answer(kept: str, model: Model) -> str:
    """Answer it."""
    return await write(model, Request.ask(f"Answer: {kept}"), section="Answer")


@step(phase="keep")
async def count(begins: str, tables: Tables) -> int:
    """Count the notes."""
    which = notes.c.note_id.startswith(begins, autoescape=True)
    return len(await tables.rows(sa.select(notes.c.note_id).where(which)))


router = APIRouter()
Here = Annotated[AppContext, Depends(AppContext.of)]


@router.get("/notes/{note_id}")
async def show_note(note_id: str, here: Here) -> dict[str, Any]:
    """Return a note and who asked."""
    found = await here.tables.row(sa.select(notes).where(notes.c.note_id == note_id))
    return {"said": found and found["said"], "user": here.caller.user}


@router.websocket("/chat")
async def chat(socket: WebSocket, here: Here) -> None:
    """Answer each message, piece by piece."""
    await socket.accept()
    async for message in socket.iter_json():
        run = await here.start(message)
        async for event in run.follow():
            if event.type == "text":
                await socket.send_json({"messageChunk": event.data["text"]})
        await socket.send_json({"messageComplete": run.run_id})


async def seed(tables: Tables) -> None:
    """Keep the note that is always there."""
    row = {"note_id": "first", "tenant": "-", "user": "-", "said": "Hello.", "at_s": 0.0}
    await tables.put_many(notes, [row])


def lines(event: Any) -> Iterable[str]:
    """Say when a note was kept."""
    if event.type == "span.finished" and event.data["name"] == "kept":
        yield f"[EVENT] Note kept in run {event.run_id}"


def notebook_app(**changes: Any) -> App:
    """Return the application; ``changes`` replace parts of its manifest."""
    given = {"model": Model, "tables": Tables}
    manifest: dict[str, Any] = {
        "name": "notebook",
        "title": "Notebook",
        "about": "Keeps what you note and answers it.",
        "inputs": NoteInputs,
        "graphs": {
            "hasten": Graph(
                "notebook", [kept, answer], inputs=NoteInputs, outputs=["answer"], resources=given
            )
        },
        "phases": {"keep": "Keeping", "answer": "Answer"},
        "samples": {"tea": {"note_id": "tea", "said": "Buy tea."}},
        "profile": SimProfile(),
        "operations": {
            "count": Operation(
                title="Count",
                about="Counts notes.",
                inputs=CountInputs,
                graphs={
                    "hasten": Graph(
                        "count", [count], inputs=CountInputs, outputs=["count"], resources=given
                    )
                },
                phases={"keep": "Counting"},
                samples={"all": {}},
                rerun=None,
            )
        },
        "rerun": None,
        "tables": metadata,
        "migrations": HERE / "migrations",
        "queries": {
            "notebook_notes_by_user": sa.select(notes)
            .where(notes.c.user == "ann")
            .order_by(notes.c.at_s)
            .limit(20)
        },
        "seed": seed,
        "storage_s": 0.05,
        "routes": lambda: router,
        "page": HERE / "page",
        "log": lines,
    }
    return App(**{**manifest, **changes})
