"""A span: one timed piece of a run. A run's spans form a tree; the root is the run itself.

Owns the record of one piece of work; leaves opening and closing it to
``recorder`` and adding it up to ``report``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SpanKind = Literal["run", "step", "tool", "model", "cache", "queue", "storage"]
SpanStatus = Literal["running", "ok", "degraded", "failed", "timeout", "cancelled"]


ROOT_SPAN_ID = 1
"""The id of a run's own span; what hangs right below it are the nodes of its graph."""


class Span(msgspec.Struct):
    """One piece of work. Times are seconds since the Unix epoch on the run's clock.

    ``attributes`` hold what the kind needs, under these names:

    - any: ``phase`` (what the application calls this part), ``error`` (code and message),
      ``params`` (declared key fields only, never free text)
    - step, tool: ``after`` (names it waited for), ``missed`` (soft inputs it went without),
      ``attempts``, ``fallback`` (true when its fallback answered), ``degraded`` (true when a
      step called inside it fell back), ``cache_hit``
    - model: ``model``, ``task``, ``section``, ``tokens_in``, ``tokens_out``, ``cost_usd``,
      ``cost_unknown`` (true for a model without a price), ``first_token_s`` (seconds after
      start), ``simulated``; of the provider's prompt cache ``cached_tokens_in`` and
      ``prompt_saved_usd``, ``cache_write_tokens_in`` and ``prompt_written_usd``;
      ``prompt`` (each turn's role and text) only where recording prompts is switched on
    - cache: ``use``, ``tier``, ``result``, ``saved_ms``, ``saved_usd``; of a response, too,
      ``saved_tokens_in``, ``saved_tokens_out``
    """

    span_id: int
    parent_id: int | None
    kind: SpanKind
    name: str
    start_s: float
    end_s: float | None = None
    status: SpanStatus = "running"
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Seconds from start to end; 0 while it runs."""
        return 0.0 if self.end_s is None else self.end_s - self.start_s

    @property
    def duration_ms(self) -> float:
        """Milliseconds from start to end; 0 while it runs."""
        return self.duration_s * 1e3
