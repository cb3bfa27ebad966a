"""Alert rules: what fires, when it ends, who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hasten import AlertRule, virtual
from hasten.clock import current_clock
from hasten.errors import SettingsError
from hasten.quality.alert import WINDOW_S, Alert, AlertWatch
from hasten.testing.sink_contract import run_record
from hasten.trace.span import Span

if TYPE_CHECKING:
    from hasten.trace.event import RunRecord

PERSONA = (
    AlertRule(figure="p95_s", level="warning", above=4.0),
    AlertRule(figure="p95_s", level="critical", above=6.0),
    AlertRule(figure="hit_rate", level="warning", below=0.5),
    AlertRule(figure="parse_errors", level="critical", above=0.01),
)
"""The persona plan's thresholds."""


def run(duration_s: float = 1.0, **changes: Any) -> RunRecord:
    """Return a run that took so long and asked no model."""
    given = {"app": "persona", "started_s": 0.0, "ended_s": duration_s, "llm_calls": 0}
    return msgspec.structs.replace(run_record("r"), **{**given, "status": "complete", **changes})


def watch(runs: list[RunRecord], spans: tuple[Span, ...] = ()) -> list[tuple[str, str]]:
    """Return which rules fire after these runs."""

    async def main() -> list[Alert]:
        one = AlertWatch({"persona": PERSONA})
        for record in runs:
            one.add(record, spans)
        return one.firing()

    return [(found.figure, found.level) for found in virtual.run(main())]


@pytest.mark.parametrize(
    ("runs", "firing"),
    [
        ([run(3.9)] * 30, []),
        ([run(4.1)] * 30, [("p95_s", "warning")]),
        ([run(6.1)] * 30, [("p95_s", "critical"), ("p95_s", "warning")]),
        ([run(9.0)] * 19, []),
        ([run(9.0)] * 2 + [run()] * 98, []),
        ([run(llm_calls=3)] * 11 + [run()] * 9, [("hit_rate", "warning")]),
        ([run(llm_calls=3)] * 10 + [run()] * 10, []),
        ([run(9.0, status="cancelled")] * 30, []),
        ([run(9.0, app="other")] * 30, []),
    ],
)
def test_thresholds_of_the_persona_plan(
    runs: list[RunRecord], firing: list[tuple[str, str]]
) -> None:
    """Past the bound, not at it, and only once there are enough runs."""
    assert watch(runs) == firing


def test_an_answer_that_stayed_without_form_is_a_parse_error() -> None:
    """Whatever step it happened in."""
    broken = {"code": "invalid_output", "message": "x"}
    span = Span(2, 1, "step", "journey", 0.0, 1.0, "failed", {"error": broken})
    assert watch([run()] * 20, (span,)) == [("parse_errors", "critical")]


def test_failures_have_a_rule_of_their_own() -> None:
    """For an operation, by its name."""
    rule = AlertRule(figure="failures", level="warning", above=0.1, operation="chat", least_runs=5)

    async def main() -> list[Alert]:
        one = AlertWatch({"persona": (rule,)})
        for status in ("failed", "complete", "complete", "complete", "complete"):
            one.add(run(app="persona.chat", status=status), ())
        return one.firing()

    (found,) = virtual.run(main())
    assert (found.app, found.value, found.bound, found.runs) == ("persona.chat", 0.2, 0.1, 5)


def test_it_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    """It ends when runs get better, and when the bad ones are an hour old."""

    async def main() -> tuple[list[bool], float]:
        told: list[Alert] = []
        one = AlertWatch({"persona": PERSONA[:1]}, told.append)
        for _ in range(40):
            one.add(run(9.0), ())
        began_s = current_clock().now()
        await current_clock().sleep(WINDOW_S + 1)
        assert one.firing() == []
        assert one.firing() == []
        return [alert.is_firing for alert in told], told[-1].since_s - began_s

    assert virtual.run(main()) == ([True, False], 0.0)


@pytest.mark.parametrize("bounds", [{}, {"above": 1.0, "below": 0.0}])
def test_one_bound_is_wanted(bounds: dict[str, float]) -> None:
    """A rule without one, or with two, is a mistake."""
    with pytest.raises(SettingsError, match="one bound"):
        AlertRule(figure="p95_s", level="warning", **bounds)
