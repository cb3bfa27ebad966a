"""A job: a run to be done later, and what decides on its next attempt.

Owns ``JobRecord``, what is asked for (``JobRequest``, ``JobPolicy``), and the pure
decision about a failure. Leaves keeping jobs to ``table`` and running them to ``worker``.

A job's states: ``queued`` until a worker takes it, ``running`` while one has it under a
lease, then ``done`` (its run is complete or degraded), ``cancelled``, or ``dead``: it
failed as often as it may, and waits to be looked at.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten import errors
from hasten.caller import Caller, Role
from hasten.errors import InvalidInput

if TYPE_CHECKING:
    from hasten.errors import HastenError

JobStatus = Literal["queued", "running", "done", "cancelled", "dead"]
JobOrigin = Literal["api", "cron", "data-changed"]

ATTEMPTS = 3
"""A job that fails is tried so often in all, unless its request says otherwise."""

MAX_ATTEMPTS = 100
BACKOFF_S = 1.0
BACKOFF_FACTOR = 4.0
MAX_BACKOFF_S = 600.0

INTERRUPTIONS = 100
"""A job whose workers died so often is dead: it may be what kills them."""

LOW, NORMAL = -10, 0
"""The priorities of what nobody waits for, and of what somebody does."""

MAX_PRIORITY = 1_000_000

_FINAL = (errors.InvalidInput, errors.NotFound, errors.GraphError, errors.RunCancelled)
"""Errors that another attempt would meet again."""


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be done, for whom. ``due_s`` is when it may start, seconds since the epoch.

    A second request of the same person with the same ``key`` is the first one's job.
    """

    app: str
    inputs: dict[str, Any]
    caller: Caller
    mode: str = ""
    speed: float = 1.0
    priority: int = NORMAL
    due_s: float = 0.0
    attempts: int = ATTEMPTS
    key: str | None = None
    origin: JobOrigin = "api"


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job's line. ``run_id`` is known before it starts, and stays over its attempts.

    ``attempt`` counts how often a worker took it: what an older one makes is refused.
    ``attempts`` is how often it may fail, ``failures`` and ``interruptions`` how often it did
    and how often its worker died. The latest attempt is or was ``worker``'s, who holds it
    until ``lease_s`` unless it says that it goes on.
    """

    job_id: str
    run_id: str
    app: str
    mode: str
    inputs: dict[str, Any]
    speed: float
    tenant: str
    user: str
    role: Role
    origin: JobOrigin
    key: str | None
    status: JobStatus
    priority: int
    created_s: float
    due_s: float
    started_s: float | None = None
    ended_s: float | None = None
    attempt: int = 0
    attempts: int = ATTEMPTS
    failures: int = 0
    interruptions: int = 0
    worker: str = ""
    lease_s: float | None = None
    error: dict[str, str] | None = None

    @property
    def caller(self) -> Caller:
        """In whose name it runs."""
        return Caller(self.tenant, self.user, self.role)

    @property
    def waited_s(self) -> float | None:
        """How long it waited once it was due; ``None`` while it waits."""
        if self.started_s is None:
            return None
        return max(0.0, self.started_s - max(self.created_s, self.due_s))


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs to list; ``None`` means any. Newest first, at most ``limit``."""

    tenant: str | None = None
    user: str | None = None
    app: str | None = None
    status: str | None = None
    limit: int = 100


def new_job(asked: JobRequest, run_id: str, now_s: float) -> JobRecord:
    """Return the job of a request, still to be kept."""
    return JobRecord(
        job_id=f"job_{int(now_s * 1e3):012x}{secrets.token_hex(5)}",
        run_id=run_id,
        app=asked.app,
        mode=asked.mode,
        inputs=asked.inputs,
        speed=asked.speed,
        tenant=asked.caller.tenant,
        user=asked.caller.user,
        role=asked.caller.role,
        origin=asked.origin,
        key=asked.key,
        status="queued",
        priority=asked.priority,
        created_s=now_s,
        due_s=max(asked.due_s, now_s),
        attempts=asked.attempts,
    )


def check_request(asked: JobRequest) -> None:
    """Check the numbers of a request. Raises ``InvalidInput`` naming the field."""
    _check_range("attempts", asked.attempts, 1, MAX_ATTEMPTS)
    _check_range("priority", asked.priority, -MAX_PRIORITY, MAX_PRIORITY)


def again_s(error: HastenError, failures: int, attempts: int) -> float | None:
    """Return in how many seconds to try again after the failure, the ``failures``-th; or ``None``.

    The wait grows fourfold with each failure; what an endpoint asks for (429) is heeded.
    """
    if failures >= attempts or isinstance(_root(error), _FINAL):
        return None
    wait_s = min(BACKOFF_S * BACKOFF_FACTOR ** (failures - 1), MAX_BACKOFF_S)
    asked_s = getattr(_root(error), "retry_after_s", None) or 0.0
    return max(wait_s, min(asked_s, MAX_BACKOFF_S))


def _root(error: BaseException) -> BaseException:
    while isinstance(error, errors.StepFailed) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _check_range(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        message = f"{field} is from {low} to {high}, not {value}"
        raise InvalidInput(message, field=field, value=value)
