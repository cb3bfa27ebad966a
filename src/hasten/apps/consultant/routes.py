"""The consultant over HTTP: analyse, talk, forecast, look back, watch, take along.

Owns the routes below ``/apps/consultant``. Leaves running to the context each is given.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from hasten import AppContext
from hasten.apps.consultant import archive, chat, monitors
from hasten.apps.consultant.archive import Analysis, AnalysisSummary, SectionText
from hasten.apps.consultant.chapters import AGENTS, FRAMEWORK_CHAPTERS, SYNTHESIS
from hasten.apps.consultant.chat import ChatInputs, Reply
from hasten.apps.consultant.exports import EXPORTS
from hasten.apps.consultant.forecast import ForecastInputs  # noqa: TC001 - FastAPI reads it
from hasten.apps.consultant.inputs import AnalyzeInputs  # noqa: TC001 - FastAPI reads it
from hasten.apps.consultant.monitors import Alert, Monitor, MonitorAsked
from hasten.apps.consultant.sources import companies

Here = Annotated[AppContext, Depends(AppContext.of)]
NAME = r"^[A-Za-z0-9_-]{1,64}$"
Name = Annotated[str, Field(pattern=NAME)]
Id = Annotated[str, Path(pattern=NAME)]
Limit = Annotated[int, Query(ge=1, le=100)]
BATCH = 500

router = APIRouter()


class Batch(BaseModel):
    """Ids of analyses."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Name] = Field(min_length=1, max_length=BATCH)


class MonitorBatch(BaseModel):
    """Several companies to look at."""

    model_config = ConfigDict(extra="forbid")

    monitors: list[MonitorAsked] = Field(min_length=1, max_length=BATCH)


@router.get("/companies")
async def list_companies() -> list[dict[str, str]]:
    """Return the bundled companies."""
    wanted = ("id", "name", "industry", "country", "about")
    return [{name: one[name] for name in wanted} for one in companies().values()]


@router.get("/chapters")
async def list_chapters() -> list[dict[str, Any]]:
    """Return what an analysis may be made of, in the order it is read."""
    chapters = (SYNTHESIS, *AGENTS, *FRAMEWORK_CHAPTERS.values())
    return [
        {
            "name": one.name,
            "title": one.title,
            "sections": [section.title for section in one.sections],
        }
        for one in chapters
    ]


@router.post("/analyze")
async def analyze(asked: AnalyzeInputs, here: Here) -> dict[str, Any]:
    """Analyse at once and return the whole analysis."""
    return await _answer(here, asked)


@router.post("/analyze/jobs", status_code=202)
async def analyze_later(asked: AnalyzeInputs, here: Here) -> dict[str, str]:
    """Keep a job that analyses; follow its run as any."""
    job = await here.submit(asked.model_dump(mode="json"))
    events = f"/api/runs/{job.run_id}/events"
    return {"job_id": job.job_id, "run_id": job.run_id, "events": events}


@router.post("/conversational/chat")
async def talk(asked: ChatInputs, here: Here) -> Reply:
    """Answer a question about an analysis."""
    if asked.analysis_id is not None:
        await archive.find_analysis(here.tables, asked.analysis_id)
    elif not await archive.list_analyses(here.tables, limit=1):
        raise HTTPException(404, "there is no analysis to talk about yet: POST …/analyze first")
    outcome = await here.run(asked.model_dump(mode="json"), operation="chat")
    return Reply.model_validate(outcome.outputs["answer"])


@router.get("/conversational/{conversation_id}")
async def talked(conversation_id: Id, here: Here, limit: Limit = 50) -> list[dict[str, Any]]:
    """Return what was said in one of the caller's talks."""
    return await chat.history(here.tables, conversation_id, limit)


@router.post("/forecasting/generate")
async def forecast(asked: ForecastInputs, here: Here) -> dict[str, Any]:
    """Project a figure and write its scenarios."""
    return await _answer(here, asked, operation="forecast")


@router.get("/analyses")
async def past(
    here: Here,
    company: Annotated[str, Query(max_length=80)] = "",
    limit: Limit = 20,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - the plan's own name for it
) -> list[AnalysisSummary]:
    """Return the caller's analyses, or the tenant's of one company, newest first."""
    return await archive.list_analyses(
        here.tables, company=company, limit=limit, use_cache=use_cache
    )


@router.post("/analyses/batch")
async def several(asked: Batch, here: Here) -> dict[str, AnalysisSummary | None]:
    """Return up to 500 analyses by id in one read; ``null`` where there is none."""
    return await archive.many_analyses(here.tables, asked.ids)


@router.get("/analyses/{analysis_id}")
async def show(analysis_id: Id, here: Here) -> dict[str, Any]:
    """Return what an analysis is and where its sections are; the text is loaded by section."""
    found = await archive.find_analysis(here.tables, analysis_id)
    texts = await archive.read_sections(here.tables, analysis_id)
    outline = [one.model_dump(exclude={"text"}) | {"chars": len(one.text)} for one in texts]
    return found.model_dump() | {"outline": outline}


@router.get("/analyses/{analysis_id}/sections")
async def texts_of(
    analysis_id: Id, here: Here, chapter: Annotated[str, Query(max_length=40)] = ""
) -> list[SectionText]:
    """Return the sections of one chapter, or of all."""
    await archive.find_analysis(here.tables, analysis_id)
    texts = await archive.read_sections(here.tables, analysis_id)
    return [one for one in texts if chapter in {"", one.chapter}]


@router.get("/analyses/{analysis_id}/export")
async def export(
    analysis_id: Id,
    here: Here,
    form: Annotated[Literal["md", "json", "pdf", "xlsx"], Query(alias="format")] = "pdf",
) -> Response:
    """Return an analysis as a file."""
    found = await archive.find_analysis(here.tables, analysis_id)
    texts = await archive.read_sections(here.tables, analysis_id)
    media_type, make = EXPORTS[form]
    made = await asyncio.to_thread(make, Analysis(**found.model_dump(), sections=texts))
    name = f"{found.company.replace(':', '-')}-{analysis_id[:8]}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(made, media_type=media_type, headers=headers)


@router.get("/monitors")
async def list_monitors(here: Here) -> list[Monitor]:
    """Return the caller's monitors."""
    return await monitors.list_monitors(here.tables)


@router.post("/monitors", status_code=201)
async def watch(asked: MonitorBatch, here: Here) -> list[Monitor]:
    """Look at companies from now on."""
    return await monitors.keep_monitors(here.tables, asked.monitors)


@router.post("/monitors/check")
async def check(here: Here) -> dict[str, Any]:
    """Look at those of the caller's monitors that are due, now."""
    outcome = await here.run({}, operation="check")
    return dict(outcome.outputs["checked"])


@router.delete("/monitors/{monitor_id}", status_code=204)
async def unwatch(monitor_id: Id, here: Here) -> None:
    """Look no more."""
    if not await monitors.stop_monitor(here.tables, monitor_id):
        raise HTTPException(404, f"there is no monitor {monitor_id!r}")


@router.get("/alerts")
async def list_alerts(here: Here, limit: Limit = 50) -> list[Alert]:
    """Return the caller's open alerts, newest first."""
    return await monitors.list_alerts(here.tables, limit=limit)


@router.post("/alerts/{alert_id}/dismiss", status_code=204)
async def dismiss(alert_id: Id, here: Here) -> None:
    """Put an alert away."""
    if not await monitors.dismiss_alert(here.tables, alert_id):
        raise HTTPException(404, f"there is no alert {alert_id!r}")


async def _answer(here: AppContext, asked: BaseModel, operation: str = "") -> dict[str, Any]:
    outcome = await here.run(asked.model_dump(mode="json"), operation=operation)
    record = outcome.record
    return {
        "run_id": record.run_id,
        "cached": bool(record.reuse.get("cached")),
        "degraded_by": list(outcome.degraded_by),
        **outcome.outputs,
    }
