"""A run that takes several attempts: what each needs to go on where the last one ended.

Owns ``RunAttempt`` and ``StepRecord``, what they mean for a run as it begins, and which
text is void. Leaves keeping steps and events, and deciding on another attempt, to who
makes the runs: ``jobs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hasten.trace.recorder import INTERRUPTED
from hasten.trace.span import ROOT_SPAN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hasten.errors import HastenError
    from hasten.graph.attempt import Settled
    from hasten.graph.step import Step
    from hasten.trace.event import RunEvent
    from hasten.trace.recorder import Recorder
    from hasten.trace.span import Span


class StepRecord(Protocol):
    """Keeps what a run's own steps came to. Neither method fails."""

    def find(self, step: Step[..., Any]) -> Settled | None:
        """Return what ``step`` came to in an earlier attempt, if it gave a value."""
        ...

    async def keep(self, step: Step[..., Any], settled: Settled) -> None:
        """Keep what ``step`` came to, for attempts to come, before anybody is told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAttempt:
    """One attempt at a run. ``earlier`` are the stored events of those before, in order.

    ``again_s`` says in how many seconds a run that fails with an error is tried again;
    ``None`` is never, and then it has failed.
    """

    steps: StepRecord
    earlier: Sequence[RunEvent] = ()
    again_s: Callable[[HastenError], float | None] = lambda _error: None

    @property
    def has_told(self) -> bool:
        """Whether an earlier attempt has shown any of the answer."""
        return any(event.type == "output" for event in self.earlier)

    def resume(self, recorder: Recorder, steps: Sequence[Step[..., Any]]) -> None:
        """Let ``recorder`` go on after what was told, and take back text nobody will finish."""
        recorder.resume(self.earlier)
        root = recorder.root.span_id
        if self.earlier[-1].type != "run.interrupted":
            recorder.emit("run.interrupted", root, {"error": INTERRUPTED, "again_s": None})
        done = {step.name for step in steps if self.steps.find(step) is not None}
        for section in _void_sections(self.earlier, recorder.spans, done):
            recorder.emit("text.replaced", root, {"section": section, "text": ""})


def _void_sections(earlier: Sequence[RunEvent], spans: Sequence[Span], done: set[str]) -> list[str]:
    """Return the sections with text by a step that will run again."""
    found = {
        event.data["section"]: bool(event.data["text"])
        for event in earlier
        if event.type in {"text", "text.replaced"} and _step_of(event, spans) not in done
    }
    return [section for section, has_text in found.items() if has_text]


def _step_of(event: RunEvent, spans: Sequence[Span]) -> str:
    """Return the name of the node of the graph inside which an event happened."""
    span = spans[event.span_id - 1]
    while span.parent_id not in {None, ROOT_SPAN_ID}:
        span = spans[(span.parent_id or ROOT_SPAN_ID) - 1]
    return span.name
