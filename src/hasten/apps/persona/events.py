"""The persona plan's log events: what was made or served, for whom, how long it took.

Owns their names and fields (persona plan 6). One JSON object a line; nothing a persona
said or a model wrote is in them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasten import RunEvent

MADE = {
    "journey": "customer_journey_generated",
    "needs": "needs_analysis_generated",
    "messaging": "messaging_generated",
}
"""The event of each answer, by the name of its step."""

OPEN_RUNS = 2_000
"""So many runs are waited for to end: one that another process goes on with never does here."""


class PersonaLog:
    """Told every event of the runs; returns the lines."""

    def __init__(self) -> None:
        self._runs: dict[str, _Told] = defaultdict(_Told)

    def __call__(self, event: RunEvent) -> Iterator[str]:
        """Return the lines for one event."""
        if event.type == "span.finished":
            yield from self._runs[event.run_id].take(event.span_id, event.data)
            if len(self._runs) > OPEN_RUNS:
                del self._runs[next(iter(self._runs))]
        elif event.type == "run.finished":
            yield from self._runs.pop(event.run_id, _Told()).end(event.data)


class _Told:
    """What a run has told so far."""

    def __init__(self) -> None:
        self._persona_id = ""
        self._storage_ms = 0.0
        self._model: dict[int, str] = {}
        self._context: set[int] = set()
        self._answers: list[dict[str, Any]] = []

    def take(self, span_id: int, span: dict[str, Any]) -> Iterator[str]:
        """Take in a span that has ended; those inside it have ended before."""
        name, attributes = span["name"], span["attributes"]
        took_ms = round((span["end_s"] - span["start_s"]) * 1e3)
        match span["kind"], name:
            case "storage", _:
                self._storage_ms += took_ms
            case "model", _:
                self._model[span["parent_id"]] = attributes.get("model", "")
            case "cache", _:  # what was computed inside it is its step's
                self._model[span["parent_id"]] = self._model.get(span_id, "")
                if span_id in self._context:
                    self._context.add(span["parent_id"])
            case "tool", "market_context":
                self._context.add(span["parent_id"])
            case "tool", "kpi" if attributes.get("cache_hit"):
                yield self._line("kpi_snapshot_served_from_cache", duration_ms=took_ms)
            case "step", "persona":
                self._persona_id = (attributes.get("params") or {}).get("persona_id", "")
            case "step", _ if name in MADE and span["status"] == "ok":
                self._answers.append(span)
                if not attributes.get("cache_hit"):
                    yield self._line(
                        MADE[name],
                        duration_ms=took_ms,
                        model=self._model.get(span_id, ""),
                        rag_context_used=span_id in self._context,
                    )

    def end(self, run: dict[str, Any]) -> Iterator[str]:
        """Sum up a run that came through."""
        if run["status"] != "complete" or len(self._answers) < len(MADE):
            return
        begun_s = min(span["start_s"] for span in self._answers)
        ended_s = max(span["end_s"] for span in self._answers)
        is_cached = all(span["attributes"].get("cache_hit") for span in self._answers)
        name = "served_from_cache" if is_cached else "fetched_successfully"
        yield self._line(
            f"persona_details_{name}",
            duration_ms=round(run["duration_ms"]),
            storage_ms=round(self._storage_ms),
            parallel_fetch_ms=round((ended_s - begun_s) * 1e3),
        )

    def _line(self, event: str, **fields: Any) -> str:
        return json.dumps({"event": event, "persona_id": self._persona_id, **fields})
