"""The cache over HTTP: what it holds and did, why a call hits or misses, dropping.

Owns the routes under ``/api/cache``, the event by which a source says that it
changed, and erasing a person. An admin sees and drops what their tenant and the
public have; anybody else only what is their own. What a caller may not see is a
404; what they may not do is a 403. The tenant is the credential's, never the
body's. Leaves what dropping means to ``cache``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hasten.cache.invalidate import CacheSelector, Invalidation
from hasten.cache.key import text_of
from hasten.cache.shown import (
    EntryFilter,
    clean_tenant,
    entries_for,
    entry_for,
    entry_shown,
    stats_shown,
    value_of,
)
from hasten.caller import Caller
from hasten.errors import Forbidden, InvalidInput
from hasten.serve.auth import ActingOf, AdminOf, RuntimeOf
from hasten.serve.jobs import JobsOf
from hasten.store.base import NOTES_KEPT
from hasten.wire import Runtime

router = APIRouter(tags=["cache"])

PAGE = 100
DAY_S = 86_400.0


class InvalidateRequest(BaseModel):
    """What ``POST /api/cache/invalidate`` takes: one thing to drop by."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(None, description="An entry's key, hexadecimal.")
    use: str | None = Field(None, description="A use's name.")
    tag: str | None = Field(None, description="A tag.")
    field: str | None = Field(None, description="A declared field: name=value.")
    session: str | None = Field(None, description="A session.")
    user: str | None = Field(None, description="A person.")
    pattern: str | None = Field(None, description="A pattern over labels: * and ?.")
    dry_run: bool = Field(default=False, description="Say what would go, and drop nothing.")
    listed: bool = Field(
        default=True, description="Say what went; without it an invalidation looks at no entry."
    )

    def selector(self) -> CacheSelector:
        """Return what to drop. Raises ``InvalidInput`` unless it is one thing."""
        given = self.model_dump(exclude={"dry_run", "listed"}, exclude_none=True)
        kinds = tuple(type(self).model_fields)[:-2]
        if len(given) != 1:
            message = f"name one thing to drop by, not {len(given)}"
            raise InvalidInput(message, field="selector", value=sorted(given), allowed=kinds)
        ((kind, word),) = given.items()
        return CacheSelector.parse(f"{kind}={word}")


class ExplainRequest(BaseModel):
    """What ``POST /api/cache/explain`` takes."""

    model_config = ConfigDict(extra="forbid")

    app: str = Field(description="The application's name.")
    inputs: dict[str, Any] = Field(description="Its inputs; of a step, the step's own.")
    mode: str | None = Field(None, description="One of its modes; by default its own choice.")
    step: str = Field("", description="One of its cached steps; by default the whole answer.")


class CleanRequest(BaseModel):
    """What ``POST /api/cache/clean`` takes."""

    model_config = ConfigDict(extra="forbid")

    older_than_days: float = Field(365.0, ge=0, description="Only what is older than this.")


class EntryQuery(BaseModel):
    """What ``GET /api/cache/entries`` takes."""

    use: str = Field("", description="Only of this use.")
    tag: str = Field("", description="Only with this tag.")
    field: str = Field("", description="Only with this field: name=value.")
    pattern: str = Field("*", description="Only with a label like this: * and ?.")
    offset: int = Field(0, ge=0, description="How many to pass over.")
    limit: int = Field(PAGE, ge=1, le=1000, description="At most this many.")


class DataChanged(BaseModel):
    """What ``POST /api/events/data-changed`` takes."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(min_length=1, max_length=200, description="Who says so; audited.")
    fields: dict[str, str | int | bool] = Field(
        default_factory=dict, max_length=100, description="Fields whose values changed meaning."
    )
    tags: list[str] = Field(default_factory=list, max_length=100, description="Tags that changed.")


@router.get("/api/cache/stats")
async def cache_stats(runtime: RuntimeOf, _admin: AdminOf) -> dict[str, Any]:
    """Return what the cache did since the server started, per use and tier; each tier's state."""
    return stats_shown(runtime.cache)


@router.get("/api/cache/entries")
async def list_entries(
    runtime: RuntimeOf,
    caller: ActingOf,
    which: Annotated[EntryQuery, Query()],
) -> dict[str, Any]:
    """Return the entries the caller may see, newest first, without their values."""
    asked = EntryFilter(use=which.use, tag=which.tag, field=which.field, pattern=which.pattern)
    found = await entries_for(runtime.cache, caller, asked)
    page = found[which.offset : which.offset + which.limit]
    return {"total": len(found), "entries": [entry_shown(one) for one in page]}


@router.get("/api/cache/entries/{key}")
async def show_entry(key: str, runtime: RuntimeOf, caller: ActingOf) -> dict[str, Any]:
    """Return one entry with the beginning of its value."""
    found = await entry_for(runtime.cache, caller, key)
    return {**entry_shown(found), "value": await value_of(runtime.cache, found)}


@router.post("/api/cache/explain")
async def explain_call(
    asked: ExplainRequest, runtime: RuntimeOf, caller: ActingOf
) -> dict[str, Any]:
    """Say what a run, or one of its steps, would get from the cache now, and why."""
    told = await runtime.explain(asked.app, asked.inputs, caller, mode=asked.mode, step=asked.step)
    return {**msgspec.to_builtins(told, builtin_types=(bytes,)), "reason": told.reason}


@router.post("/api/cache/invalidate")
async def invalidate_entries(
    asked: InvalidateRequest, runtime: RuntimeOf, caller: ActingOf
) -> dict[str, Any]:
    """Drop what is selected and what was built from it, or say what would go."""
    selector = asked.selector()
    await _check_may_drop(runtime, caller, selector)
    done = await runtime.cache.invalidate(
        selector, is_dry_run=asked.dry_run, is_listed=asked.listed
    )
    return _shown(done, is_dry_run=asked.dry_run)


@router.post("/api/cache/clean")
async def clean_entries(asked: CleanRequest, runtime: RuntimeOf, admin: AdminOf) -> dict[str, int]:
    """Delete the tenant's entries that were computed longer ago, reruns included."""
    older_than_s = asked.older_than_days * DAY_S
    return {"deleted": await clean_tenant(runtime.cache, admin.tenant, older_than_s)}


@router.get("/api/cache/audit")
async def audit_trail(
    runtime: RuntimeOf, admin: AdminOf, limit: Annotated[int, Query(ge=1, le=1000)] = PAGE
) -> dict[str, Any]:
    """Return the tenant's newest invalidations: what, by whom, when, and why."""
    lines = await runtime.cache.audit(NOTES_KEPT)
    return {"audit": [line for line in lines if admin.tenant in line["tenants"]][:limit]}


@router.post("/api/events/data-changed")
async def data_changed(
    asked: DataChanged, runtime: RuntimeOf, jobs: JobsOf, admin: AdminOf
) -> dict[str, Any]:
    """Drop what was made from changed data, by its tags and fields; make declared parts anew."""
    selectors = [CacheSelector("tag", (tag,)) for tag in asked.tags]
    selectors += [
        CacheSelector("field", (name, text_of(one))) for name, one in asked.fields.items()
    ]
    if not selectors:
        message = "name the fields or tags that changed"
        raise InvalidInput(message, field="fields", allowed=("fields", "tags"))
    why = f"data changed: {asked.source}"
    done = [await runtime.cache.invalidate(one, why=why) for one in selectors]
    warmed = await jobs.cron.data_changed(asked.tags, admin.tenant, max(one.epoch for one in done))
    return {
        "by": admin.user,
        "invalidated": [_shown(one, is_dry_run=False) for one in done],
        "jobs": [job.job_id for job in warmed],
    }


@router.delete("/api/people/{user}")
async def erase_person(user: str, runtime: RuntimeOf, admin: AdminOf) -> dict[str, int]:
    """Delete everything of one person of the tenant: runs, events, spans, cache entries."""
    return await runtime.erase(admin.tenant, user)


async def _check_may_drop(runtime: Runtime, caller: Caller, selector: CacheSelector) -> None:
    """Let an admin drop what they like, anybody else one entry of theirs or all of them."""
    if selector.kind == "key":
        await entry_for(runtime.cache, caller, selector.words[0])
    elif caller.role != "admin" and (selector.kind, *selector.words) != ("user", caller.user):
        message = (
            f"only an admin drops by {selector.kind}; you may drop key=… or user={caller.user}"
        )
        raise Forbidden(message)


def _shown(done: Invalidation, *, is_dry_run: bool) -> dict[str, Any]:
    return {
        "selector": done.selector,
        "dry_run": is_dry_run,
        "by": done.by,
        "at_s": done.at_s,
        "epoch": done.epoch,
        "entries": [entry_shown(one) for one in done.dropped],
        "tree": done.tree(),
    }
