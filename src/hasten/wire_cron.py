"""Cron on a runtime: what manifests want done at set times, and when data has changed.

Owns ``RuntimeCron``. Every process that does jobs keeps time; the key of a job names what
is due and when, so that it is one job however many of them there are. Leaves when to
``jobs/cron`` and the jobs to ``wire_jobs``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from hasten.caller import LOCAL
from hasten.errors import HastenError, StoreError
from hasten.jobs.cron import Cron, keep_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from hasten.caller import Caller
    from hasten.jobs.job import JobOrigin, JobRecord
    from hasten.wire import Runtime

_log = logging.getLogger(__name__)

AGAIN_S = 30.0
"""What is due while the database is gone is asked of it again after this time."""


class RuntimeCron:
    """The crons of a runtime's applications, by ``<app>.<cron>``. ``start`` it, ``close`` it."""

    def __init__(self, runtime: Runtime, submit: Callable[..., Awaitable[JobRecord]]) -> None:
        self.crons: dict[str, Cron] = {
            f"{app.name}.{cron.name}": cron for app in runtime.apps.values() for cron in app.cron
        }
        self._runtime = runtime
        self._submit_job = submit
        self._clock = runtime.queue.clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep time from now on."""
        if self.crons:
            work = keep_time(self.crons, self._do, self._clock)
            self._task = asyncio.create_task(work, name="cron")

    async def close(self) -> None:
        """Keep time no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def upcoming(self) -> list[dict[str, Any]]:
        """Return a line for each, the next one due first."""
        now_s = self._clock.now()
        lines = [
            {
                "name": name,
                "app": self._app_of(name),
                "at": cron.at,
                "tags": list(cron.tags),
                "due_s": cron.due_after(now_s),
            }
            for name, cron in self.crons.items()
        ]
        return sorted(lines, key=lambda line: line["due_s"])

    async def data_changed(self, tags: Iterable[str], tenant: str, epoch: int) -> list[JobRecord]:
        """Submit what a tenant wants done when a tag changes; ``epoch`` numbers the changes."""
        changed = set(tags)
        return [
            job
            for name, cron in self.crons.items()
            if changed & set(cron.tags)
            for job in await self._submit(name, "data-changed", str(epoch), tenant)
        ]

    async def _do(self, name: str, due_s: float) -> None:
        """Submit what is due; nothing that is wrong with one keeps the others from their time."""
        due = datetime.fromtimestamp(due_s, UTC).isoformat()
        while True:
            try:
                jobs = await self._submit(name, "cron", due)
            except StoreError as error:
                _log.warning("cron %s waits for the database: %s", name, error)
                await self._clock.sleep(AGAIN_S)
            except Exception:  # noqa: BLE001 - a manifest's own function may raise anything
                _log.exception("cron %s is left out at %s", name, due)
                return
            else:
                _log.info("cron %s of %s: %d jobs", name, due, len(jobs))
                return

    async def _submit(
        self, name: str, origin: JobOrigin, mark: str, tenant: str = ""
    ) -> list[JobRecord]:
        """Submit a job for each of its inputs, unless another process has; return them.

        With ``tenant``, of that one only.
        """
        cron, jobs = self.crons[name], []
        submit = partial(self._submit_job, self._app_of(name), origin=origin)
        for caller, inputs in await self._wanted(name):
            if tenant not in ("", caller.tenant):
                continue
            key = f"{origin} {name} {mark} {_digest(inputs)}"
            try:
                job = await submit(inputs, caller, mode=cron.mode, priority=cron.priority, key=key)
            except StoreError:
                raise
            except HastenError as error:
                _log.warning("cron %s leaves out %s: %s", name, dict(inputs), error)
            else:
                jobs.append(job)
        return jobs

    async def _wanted(self, name: str) -> Iterable[tuple[Caller, Mapping[str, Any]]]:
        inputs = self.crons[name].inputs
        if callable(inputs):
            return await inputs(self._runtime.tables.get(name.partition(".")[0]))
        return [(LOCAL, inputs)]

    def _app_of(self, name: str) -> str:
        """Return the name of the application, or of its operation."""
        family, operation = name.partition(".")[0], self.crons[name].operation
        return f"{family}.{operation}" if operation else family


def _digest(inputs: Mapping[str, Any]) -> str:
    """Return what tells inputs apart within a key."""
    plain = orjson.dumps(dict(inputs), option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(plain).hexdigest()[:16]
