"""The temple over HTTP: ask and follow, deities and poems, what was asked before.

Owns the routes below ``/apps/fortune``; those of asking have the plan's paths.
Leaves running to the context each is given.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from hasten import AppContext
from hasten.apps.fortune.inputs import POEMS_EACH, DeityId, FortuneInputs
from hasten.apps.fortune.temple import Deity, Poem, deities

Here = Annotated[AppContext, Depends(AppContext.of)]
Number = Annotated[int, Path(ge=1, le=POEMS_EACH)]
Limit = Annotated[int, Query(ge=1, le=100)]

router = APIRouter()
ASKING = "/api/v1/async-chat"


@router.post(f"{ASKING}/ask-question", status_code=202)
async def ask_question(asked: FortuneInputs, here: Here) -> dict[str, str]:
    """Take a question and return at once the id of the task that answers it, a run's id.

    It is kept as a job before this answers: it is done even if the server dies now.
    """
    job = await here.submit(asked.model_dump())
    return {
        "task_id": job.run_id,
        "task": f"/apps/{here.app.name}{ASKING}/tasks/{job.run_id}",
        "events": f"/api/runs/{job.run_id}/events",
    }


@router.get(f"{ASKING}/tasks/{{task_id}}")
async def show_task(task_id: str, here: Here) -> dict[str, Any]:
    """Return how far a task is, with its answer once there is one."""
    record = await here.record(task_id)
    return {
        "task_id": task_id,
        "status": record.status,
        "question": record.inputs["question"],
        "answer": record.outputs.get("report"),
        "cached": bool(record.reuse.get("cached")),
        "error": record.error,
    }


@router.get("/deities")
async def list_deities() -> list[dict[str, Any]]:
    """Return who can be asked, without their poems."""
    return [deity.model_dump(exclude={"poems"}) for deity in deities().values()]


@router.get("/deities/{deity_id}")
async def show_deity(deity_id: DeityId) -> Deity:
    """Return a deity with all their poems."""
    return deities()[deity_id]


@router.get("/deities/{deity_id}/poems/{number}")
async def show_poem(deity_id: DeityId, number: Number) -> Poem:
    """Return one poem."""
    return deities()[deity_id].poems[number - 1]


@router.get("/history")
async def history(here: Here, limit: Limit = 20) -> list[dict[str, Any]]:
    """Return what the caller asked, newest first."""
    return [
        {"task_id": record.run_id, "at_s": record.started_s, "status": record.status}
        | {name: record.inputs[name] for name in ("deity_id", "fortune_number", "question")}
        for record in await here.runs(limit=limit)
    ]
