"""What people say of answers: ratings, and having an answer or a block of it made anew.

Owns ``POST /api/runs/{run_id}/feedback`` and ``…/regenerate`` and the totals.
Leaves keeping to ``quality/feedback`` and running to ``wire``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from hasten.cache.policy import PLAIN, Directives
from hasten.errors import InvalidInput
from hasten.quality.feedback import BEST
from hasten.serve.auth import CallerOf, RuntimeOf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span

router = APIRouter(tags=["runs"])

Block = Annotated[
    str, Field(max_length=200, description="An output or a step of the run; empty for the whole.")
]


class RatingRequest(BaseModel):
    """What ``POST /api/runs/{run_id}/feedback`` takes."""

    model_config = ConfigDict(extra="forbid")

    rating: int = Field(ge=1, le=BEST, description="From 1 to 10.")
    block: Block = ""
    comment: str = Field(
        "", max_length=2_000, pattern=r"^[^\x00]*$", description="In words, if any."
    )


class AnewRequest(BaseModel):
    """What ``POST /api/runs/{run_id}/regenerate`` takes."""

    model_config = ConfigDict(extra="forbid")

    block: Block = ""


@router.post("/api/runs/{run_id}/feedback", status_code=201)
async def rate(
    run_id: str, said: RatingRequest, runtime: RuntimeOf, caller: CallerOf
) -> dict[str, Any]:
    """Rate an answer, or a block of it, from 1 to 10."""
    record, spans = await runtime.trace(run_id, caller)
    is_cached = _is_cached(record, spans, said.block)
    kept = await runtime.feedback.add(
        record,
        (caller.tenant, caller.user),
        block=said.block,
        rating=said.rating,
        comment=said.comment,
        is_cached=is_cached,
    )
    shown: dict[str, Any] = msgspec.to_builtins(kept)
    return shown


@router.get("/api/runs/{run_id}/feedback")
async def show_feedback(run_id: str, runtime: RuntimeOf, caller: CallerOf) -> list[dict[str, Any]]:
    """Return what was said of a run, oldest first."""
    await runtime.record(run_id, caller)
    return [msgspec.to_builtins(one) for one in await runtime.feedback.of_run(run_id)]


@router.post("/api/runs/{run_id}/regenerate", status_code=202)
async def regenerate(
    run_id: str, asked: AnewRequest, runtime: RuntimeOf, caller: CallerOf, response: Response
) -> dict[str, Any]:
    """Start a run of the same inputs that takes nothing, or all but one block, from the cache."""
    record, spans = await runtime.trace(run_id, caller)
    is_cached = _is_cached(record, spans, asked.block)
    run = await runtime.start(
        record.app,
        record.inputs,
        mode=record.mode,
        caller=caller,
        speed=record.speed if record.clock == "real" else None,
        directives=PLAIN if asked.block else Directives(no_cache=True),
        anew=frozenset({asked.block} - {""}),
    )
    who = (caller.tenant, caller.user)
    await runtime.feedback.add(record, who, block=asked.block, is_cached=is_cached)
    response.headers["Hasten-Run-Id"] = run.run_id
    return {"run_id": run.run_id, "of_run_id": run_id, "block": asked.block, "mode": record.mode}


@router.get("/api/feedback")
async def feedback_totals(
    runtime: RuntimeOf, caller: CallerOf, app: str | None = None
) -> list[dict[str, Any]]:
    """Return what the tenant's people said, per application and mode, cached and fresh apart."""
    return [msgspec.to_builtins(one) for one in await runtime.feedback.totals(caller.tenant, app)]


def _is_cached(record: RunRecord, spans: Sequence[Span], block: str) -> bool:
    """Return whether what is spoken of was computed before. Raises ``InvalidInput`` for no block.

    A rerun's blocks have no spans: they are its outputs and what it says of its parts.
    """
    reuse = record.reuse
    parts = {*reuse.get("cached_components", ()), *reuse.get("fresh_components", ())}
    steps = {span.name: span for span in spans if span.kind in {"step", "tool"}}
    known = {*record.outputs, *parts, *steps}
    if block and block not in known:
        message = f"run {record.run_id!r} has no block {block!r}"
        raise InvalidInput(message, field="block", value=block, allowed=sorted(known))
    if reuse.get("cached"):
        return True
    span = steps.get(block)
    return block in reuse.get("cached_components", ()) or bool(
        span is not None and span.attributes.get("cache_hit")
    )
