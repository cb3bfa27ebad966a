"""Runs over HTTP: start one and wait, look at those there were, cancel one.

Owns ``/api/run`` and the routes under ``/api/runs`` that answer whole; ``follow`` has those
that stream. A client that goes away leaves the run alone; only ``cancel`` ends it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import orjson
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from hasten.cache.policy import PLAIN, Directives, parse_cache_control
from hasten.caller import Caller
from hasten.graph.outcome import Outcome
from hasten.graph.run import Run
from hasten.serve.auth import CallerOf, RuntimeOf
from hasten.serve.problems import problem_of
from hasten.trace.critical import breakdown, critical_path
from hasten.trace.event import RunRecord, RunStatus
from hasten.trace.log import RunFilter
from hasten.trace.tree import Trace
from hasten.wire import Runtime

router = APIRouter(tags=["runs"])

LIST_LIMIT = 100
MAX_NAME_CHARS = 200


class RunRequest(BaseModel):
    """What ``POST /api/run`` takes."""

    model_config = ConfigDict(extra="forbid")

    app: str = Field(
        max_length=MAX_NAME_CHARS, description="The application's name; GET /api/apps lists them."
    )
    inputs: dict[str, Any] = Field(description="Its inputs, as its schema says.")
    mode: str | None = Field(
        None,
        max_length=MAX_NAME_CHARS,
        description="One of its modes; by default its own choice.",
    )
    speed: float | None = Field(
        None, gt=0, le=1000, description="Pace of the clock; simulated model only."
    )


async def directives_of(cache_control: Annotated[str, Header()] = "") -> Directives:
    """Return what ``Cache-Control`` asks of the cache, as RFC 9111 means it."""
    return parse_cache_control(cache_control)


DirectivesOf = Annotated[Directives, Depends(directives_of)]


async def start(
    runtime: Runtime, caller: Caller, asked: RunRequest, directives: Directives = PLAIN
) -> Run:
    """Start a run in the caller's name.

    For a route to call, not to depend on: FastAPI goes through all that a route depends on
    though another part of the request is wrong.
    """
    return await runtime.start(
        asked.app,
        asked.inputs,
        mode=asked.mode,
        caller=caller,
        speed=asked.speed,
        directives=directives,
    )


@router.post("/api/run", response_model=None)
async def run_and_wait(
    asked: RunRequest,
    runtime: RuntimeOf,
    caller: CallerOf,
    response: Response,
    directives: DirectivesOf,
) -> Response:
    """Run an application and return its whole answer.

    It is plain already: FastAPI's own look through it would take longer than a rerun.
    """
    run = await start(runtime, caller, asked, directives)
    outcome = await run.outcome()
    if outcome.error is not None:
        return problem_of(outcome.error, run_id=outcome.run_id, outcome=outcome.status)
    answer = _answer(outcome)
    response.headers["Hasten-Run-Id"] = run.run_id
    response.headers["Cache-Status"] = _cache_status(outcome.record)
    if "fresh_share" in outcome.record.reuse:
        response.headers["Hasten-Fresh-Share"] = f"{outcome.record.reuse['fresh_share']:.3f}"
    response.headers["Hasten-Cost-Usd"] = f"{outcome.record.cost_usd:.6f}"
    response.headers["Server-Timing"] = ", ".join(
        f"{phase};dur={milliseconds}"
        for phase, milliseconds in answer["timing"]["breakdown"].items()
    )
    headers = dict(response.headers)
    return Response(orjson.dumps(answer), media_type="application/json", headers=headers)


@router.get("/api/runs")
async def list_runs(
    runtime: RuntimeOf,
    caller: CallerOf,
    app: str | None = None,
    mode: str | None = None,
    status: RunStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = LIST_LIMIT,
) -> dict[str, Any]:
    """Return the caller's runs, newest first; an admin's whole tenant's."""
    which = RunFilter(
        tenant=caller.tenant,
        user=None if caller.role == "admin" else caller.user,
        app=app,
        mode=mode,
        status=status,
        limit=limit,
    )
    found = await runtime.runs(which)
    return {"runs": [shown(run, whole=False) for run in found]}


@router.get("/api/runs/{run_id}")
async def show_run(run_id: str, runtime: RuntimeOf, caller: CallerOf) -> dict[str, Any]:
    """Return one run: its inputs, its outputs, its spans and which of them were critical."""
    record, spans = await runtime.trace(run_id, caller)
    trace = Trace(record, spans)
    return {
        **shown(record, whole=True),
        "timing": _timing(trace),
        "critical_path": sorted({segment.span.span_id for segment in critical_path(trace)}),
        "spans": [msgspec.to_builtins(span) for span in spans],
    }


@router.post("/api/runs/{run_id}/cancel")
async def cancel_run(run_id: str, runtime: RuntimeOf, caller: CallerOf) -> dict[str, Any]:
    """Cancel a run; one that has ended stays as it is."""
    return shown(await runtime.cancel(run_id, caller), whole=False)


def shown(record: RunRecord, *, whole: bool) -> dict[str, Any]:
    """Return a run's line as people see it; ``whole`` adds its inputs and outputs.

    The process that executes it stays out: its name tells of the machine.
    """
    line: dict[str, Any] = msgspec.to_builtins(record)
    line["duration_s"] = record.duration_s
    del line["worker"]
    if not whole:
        del line["inputs"], line["outputs"]
    return line


def _timing(trace: Trace) -> dict[str, Any]:
    """Return where the time went; the parts of ``breakdown`` add up to the total."""
    record, parts = trace.run, breakdown(trace)
    first_text_s = record.first_text_s
    return {
        "total_duration_ms": parts.total_ms,
        "breakdown": parts.in_ms(),
        "first_text_ms": None if first_text_s is None else round(first_text_s * 1e3),
        "tool_calls_total": record.tool_calls,
        "llm_calls_total": record.llm_calls,
        "cache_hits": record.cache_hits,
        "tokens_in": record.tokens_in,
        "tokens_out": record.tokens_out,
        "cost_usd": record.cost_usd,
    }


def _cache_status(record: RunRecord) -> str:
    """Return the field of RFC 9211 for a whole answer."""
    if record.reuse.get("collapsed"):
        return "hasten; fwd=miss; collapsed; detail=rerun"
    if record.reuse.get("cached"):
        return "hasten; hit; detail=rerun"
    return "hasten; fwd=miss; stored" if record.status == "complete" else "hasten; fwd=miss"


def _reuse(record: RunRecord) -> dict[str, Any]:
    """Return what was reused, in the words of the discovery plan (4.3), and why, in a person's."""
    reuse = record.reuse
    if reuse.get("cached"):
        at = datetime.fromtimestamp(reuse["cached_at_s"], UTC).isoformat()
        why = "The same inputs as before: your earlier answer."
        if reuse.get("collapsed"):
            why = "The same inputs as a run of yours under way: its answer."
        return {**reuse, "cached_at": at, "why": why}
    based = reuse.get("cached_components")
    why = "Personalised for you, based on similar profiles." if based else "Personalised for you."
    return {"cached": False, **reuse, "why": why}


def _answer(outcome: Outcome) -> dict[str, Any]:
    record = outcome.record
    return {
        "success": True,
        "run_id": outcome.run_id,
        "app": record.app,
        "mode": record.mode,
        "status": outcome.status,
        "degraded_by": list(outcome.degraded_by),
        "inputs": record.inputs,
        "outputs": record.outputs,
        **_reuse(record),
        "timing": _timing(Trace(record, outcome.spans)),
        "clock": record.clock,
        "speed": record.speed,
        "simulated": record.simulated,
    }
