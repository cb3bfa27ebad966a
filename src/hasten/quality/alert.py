"""Alert rules: figures of recent runs that must not pass a bound, and who is told.

Owns ``AlertRule`` (an application declares them), the figures, and which rules fire.
Leaves telling to whoever it is given, and showing to ``serve``. The thresholds
of the persona plan ("Monitoring & Alerting") are the model. ``wire.Runtime``
adds each run at its end; a rule is looked at then and whenever somebody asks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from hasten.clock import current_clock
from hasten.errors import InvalidOutput, SettingsError
from hasten.trace.report import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span

AlertFigure = Literal["p95_s", "hit_rate", "parse_errors", "failures"]
AlertLevel = Literal["warning", "critical"]

WINDOW_S = 3_600.0
WINDOW_RUNS = 500
"""What counts as recent: runs of the last hour, at most so many."""

LEAST_RUNS = 20
"""A rule is silent until there are so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """A bound on a figure of one application's recent runs.

    ``p95_s`` is the 95th percentile of their seconds, ``hit_rate`` the share answered
    without asking a model, ``parse_errors`` the share in which a model's answer stayed
    without the form that was asked for, ``failures`` the share that failed. It fires
    ``above`` or ``below`` the bound, once there were ``least_runs``. ``operation`` is the
    application's own, by default its main one.
    """

    figure: AlertFigure
    level: AlertLevel
    above: float | None = None
    below: float | None = None
    operation: str = ""
    least_runs: int = LEAST_RUNS

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for a rule without a bound, or with two."""
        if (self.above is None) == (self.below is None):
            message = f"an alert rule on {self.figure} needs one bound: above or below"
            raise SettingsError(message)

    def fires(self, value: float) -> bool:
        """Whether the figure is past the bound."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that fires, or has just ceased to; ``since_s`` is when it began."""

    app: str
    figure: AlertFigure
    level: AlertLevel
    value: float
    bound: float
    runs: int
    is_firing: bool
    since_s: float


class _Seen(NamedTuple):
    at_s: float
    duration_s: float
    is_hit: bool
    is_unparsed: bool
    is_failed: bool


Key = tuple[str, AlertRule]


class AlertWatch:
    """The rules of every application, by its name and what its runs are called.

    ``tell`` is told of an alert that begins, and of one that ends.
    """

    def __init__(
        self,
        rules: Mapping[str, Sequence[AlertRule]],
        tell: Callable[[Alert], object] = lambda _: None,
    ) -> None:
        self._rules: dict[str, list[AlertRule]] = {}
        for app, some in rules.items():
            for rule in some:
                name = f"{app}.{rule.operation}" if rule.operation else app
                self._rules.setdefault(name, []).append(rule)
        self._tell = tell
        self._seen: dict[str, deque[_Seen]] = {
            name: deque(maxlen=WINDOW_RUNS) for name in self._rules
        }
        self._firing: dict[Key, Alert] = {}

    def add(self, run: RunRecord, spans: Iterable[Span]) -> None:
        """Take in a run that has ended, of the mode that is watched, and look at its rules."""
        if run.app not in self._rules or run.status == "cancelled":
            return
        said = (span.attributes.get("error") or {} for span in spans)
        is_unparsed = any(error.get("code") == InvalidOutput.code for error in said)
        seen = _Seen(
            current_clock().now(),
            run.duration_s,
            run.llm_calls == 0,
            is_unparsed,
            run.status == "failed",
        )
        self._seen[run.app].append(seen)
        self._look(run.app)

    def firing(self) -> list[Alert]:
        """Return the alerts in force now, the critical ones first."""
        for name in self._rules:
            self._look(name)
        return sorted(self._firing.values(), key=lambda one: (one.level != "critical", one.app))

    def _look(self, name: str) -> None:
        seen, now_s = self._seen[name], current_clock().now()
        while seen and seen[0].at_s < now_s - WINDOW_S:
            seen.popleft()
        for rule in self._rules[name]:
            self._judge(name, rule, seen, now_s)

    def _judge(self, name: str, rule: AlertRule, seen: deque[_Seen], now_s: float) -> None:
        before = self._firing.get((name, rule))
        value = figure_of(rule.figure, seen) if len(seen) >= rule.least_runs else None
        bound = rule.below if rule.above is None else rule.above
        is_firing = value is not None and rule.fires(value)
        if not is_firing and before is None:
            return
        alert = Alert(
            app=name,
            figure=rule.figure,
            level=rule.level,
            value=0.0 if value is None else value,
            bound=bound or 0.0,
            runs=len(seen),
            is_firing=is_firing,
            since_s=now_s if before is None else before.since_s,
        )
        if is_firing:
            self._firing[name, rule] = alert
        else:
            del self._firing[name, rule]
        if is_firing != (before is not None):
            self._tell(alert)


def figure_of(figure: AlertFigure, seen: Sequence[_Seen]) -> float:
    """Return a figure of at least one run."""
    if figure == "p95_s":
        return percentile([one.duration_s for one in seen], 0.95)
    if figure == "hit_rate":
        return fmean(one.is_hit for one in seen)
    if figure == "parse_errors":
        return fmean(one.is_unparsed for one in seen)
    return fmean(one.is_failed for one in seen)
