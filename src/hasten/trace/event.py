"""What happened in a run, one record at a time; and the record of the run itself.

Owns ``RunEvent``, the only thing logs, streams, console, metrics and reports
are made from, and ``RunRecord``, the run's own line. Leaves producing them to
``recorder`` and keeping them to a ``Sink``.

Event types and their ``data``:

``run.started``    app, graph, mode, tenant, user, clock, speed, simulated
``span.started``   kind, name, parent_id, start_s, and the attributes known by then
``span.finished``  the whole span: kind, name, parent_id, start_s, end_s, status, attributes
``text``           section, text: a piece of an answer as it is written
``text.replaced``  section, text: drop what was written of the section, this is all of it
``output``         name, phase, value: one output of the run is ready
``progress``       progress (0 to 1), eta_ms (``None`` when unknown), current_step, phase
``degraded``       step, reason: something went on without what it wanted
``model.hedged``   model, after_s, second_won: a second call was made beside a slow one
``model.escalated``  model, to, reason: the small model's answer would not do
``model.repaired``  model, repairs, tokens_in, tokens_out: an answer was brought into its form
``run.interrupted``  error, again_s: an attempt ended, the run goes on in so many seconds
``run.finished``   status, degraded_by, error, duration_ms, reuse
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hasten.clock import ClockKind

RunStatus = Literal["queued", "running", "complete", "degraded", "failed", "cancelled"]


class RunEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened. ``seq`` counts from 1 within its run and is set once it is stored.

    ``at_s`` is seconds since the Unix epoch on the run's clock; ``span_id`` names
    the span it happened in.
    """

    run_id: str
    type: str
    at_s: float
    span_id: int = 0
    data: dict[str, Any] = {}
    seq: int | None = None


class RunRecord(msgspec.Struct, kw_only=True):
    """The run's own line: who ran what, on which clock, and how it ended.

    ``simulated`` is true when a simulated model answered any of it. Runs of
    different ``clock``, ``speed`` or ``simulated`` are never averaged together.
    ``worker`` names the process it runs in or ended in. ``reuse`` says what of the
    answer was computed before, under these names: ``cached`` (a rerun: all of it),
    ``cached_at_s``, ``source_run_id``, ``collapsed`` (that run was still under way when
    this one began), ``fresh_share`` (0 to 1, by characters),
    ``cached_components`` and ``fresh_components`` (name to age in seconds).
    """

    run_id: str
    app: str
    graph: str
    mode: str
    tenant: str
    user: str
    clock: ClockKind
    speed: float
    simulated: bool
    started_s: float
    ended_s: float | None = None
    status: RunStatus = "running"
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    degraded_by: list[str] = msgspec.field(default_factory=list)
    error: dict[str, str] | None = None
    llm_calls: int = 0
    tool_calls: int = 0
    cache_hits: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    first_text_s: float | None = None
    worker: str = ""
    reuse: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Seconds from start to end; 0 while it runs."""
        return 0.0 if self.ended_s is None else self.ended_s - self.started_s
