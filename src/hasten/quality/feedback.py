"""What people say of answers: a rating of the whole or of a block, or that it be made anew.

Owns the rows and adding them up, split by what was cached and what was fresh.
Leaves who may say something of a run to ``wire`` and the routes to ``serve``.
A run's feedback goes when the run goes.
"""

from __future__ import annotations

import secrets
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import Double, cast, delete, func, select

from hasten.clock import current_clock
from hasten.store.sql.batch import fetch, insert_new
from hasten.store.sql.schema import feedback

if TYPE_CHECKING:
    from hasten.store.sql import SqlStore
    from hasten.trace.event import RunRecord

FeedbackKind = Literal["rating", "regenerate"]

BEST = 10
"""Ratings go from 1 to this, as in the persona plan's blind test."""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said of a run, or of one block of it; ``block`` is empty for the whole.

    ``rating`` is 1 to 10, ``None`` for a wish to have it made anew. ``is_cached``: what
    it speaks of had been computed before.
    """

    feedback_id: str
    run_id: str
    app: str
    mode: str
    tenant: str
    user: str
    block: str
    kind: FeedbackKind
    rating: int | None
    comment: str
    is_cached: bool
    at_s: float


class FeedbackTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What people said of one application and mode; cached and fresh apart."""

    app: str
    mode: str
    is_cached: bool
    ratings: int
    mean_rating: float | None
    regenerations: int


class FeedbackStore:
    """Feedback in a database; ``counts`` and ``rating_sums`` are what this process heard.

    Both are by app and ``cached`` or ``fresh``, ``counts`` by kind, too.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.rating_sums: Counter[tuple[str, str]] = Counter()

    async def add(
        self,
        run: RunRecord,
        who: tuple[str, str],
        *,
        block: str = "",
        rating: int | None = None,
        comment: str = "",
        is_cached: bool = False,
    ) -> Feedback:
        """Keep what ``who`` (tenant, user) says; without a rating: that it be made anew."""
        said = Feedback(
            feedback_id=f"fb_{secrets.token_hex(8)}",
            run_id=run.run_id,
            app=run.app,
            mode=run.mode,
            tenant=who[0],
            user=who[1],
            block=block,
            kind="regenerate" if rating is None else "rating",
            rating=rating,
            comment=comment,
            is_cached=is_cached,
            at_s=current_clock().now(),
        )
        row = msgspec.structs.asdict(said)
        await self._store.write(partial(insert_new, table=feedback, rows=[row]))
        reuse = "cached" if is_cached else "fresh"
        self.counts[run.app, said.kind, reuse] += 1
        self.rating_sums[run.app, reuse] += rating or 0
        return said

    async def of_run(self, run_id: str) -> list[Feedback]:
        """Return what was said of a run, oldest first."""
        query = select(feedback).where(feedback.c.run_id == run_id).order_by(feedback.c.at_s)
        return [Feedback(**row) for row in await self._rows(query)]

    async def totals(self, tenant: str, app: str | None = None) -> list[FeedbackTotals]:
        """Return what the people of a tenant said, per application, mode and reuse."""
        group = (feedback.c.app, feedback.c.mode, feedback.c.is_cached)
        ratings = func.count(feedback.c.rating)
        query = (
            select(
                *group,
                ratings.label("ratings"),
                cast(func.avg(feedback.c.rating), Double).label("mean_rating"),
                (func.count() - ratings).label("regenerations"),
            )
            .where(feedback.c.tenant == tenant)
            .group_by(*group)
            .order_by(*group)
        )
        if app is not None:
            query = query.where(feedback.c.app == app)
        rows = await self._rows(query)
        return [FeedbackTotals(**row) for row in rows]

    async def erase(self, tenant: str, user: str) -> None:
        """Delete what one person said."""
        theirs = (feedback.c.tenant == tenant) & (feedback.c.user == user)
        await self._store.write(
            lambda connection: connection.execute(delete(feedback).where(theirs))
        )

    async def _rows(self, query: Any) -> list[dict[str, Any]]:
        return await self._store.read(partial(fetch, query=query))
