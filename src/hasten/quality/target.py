"""A figure an application states, and whether a measurement holds it.

Owns ``Target``, ``Reading`` and the verdict. Leaves making what a target
measures to ``hasten.trial``. Applications state targets in their manifest;
``hasten check`` and ``hasten race`` measure them. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

TargetClock = Literal["virtual", "real", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure: what it is, how it is measured, what it must not pass.

    ``measure`` gets a ``Trial`` and returns the figure in ``unit`` (``s`` is shown as
    people read durations, ``%`` is in percent). On the clock ``virtual`` it runs in
    simulated seconds, on ``real`` in seconds on the wall. A target on the clock ``load``
    has ``load`` in its place: the profile and the figure of the newest whole load test, such
    as ``normal.p95_s``. Exactly one of ``at_most``
    and ``at_least`` bounds it. ``plan`` is what the application's plan wanted, in its words.

    The baseline's figure is measured in the mode ``baseline`` by ``baseline``, always on
    the virtual clock; by default by ``measure`` itself, unless that needs the real one.
    ``has_baseline`` is false where there is nothing to compare with. ``changes``
    replace parts of the manifest for this figure, such as a profile with faults.
    ``is_raced`` says whether it is a cell of ``hasten race``, or of ``hasten check`` only.
    """

    name: str
    about: str
    measure: Callable[[Any], Awaitable[float]] | None = None
    load: str = ""
    at_most: float | None = None
    at_least: float | None = None
    unit: str = "s"
    clock: TargetClock = "virtual"
    plan: str = ""
    baseline: Callable[[Any], Awaitable[float]] | None = None
    has_baseline: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_raced: bool = True

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for a target without a bound, or with two."""
        if (self.at_most is None) == (self.at_least is None):
            message = f"target {self.name!r} needs one bound: at_most or at_least"
            raise SettingsError(message)
        if (self.clock == "load") != bool(self.load) or (self.measure is None) != bool(self.load):
            message = f"target {self.name!r} needs measure, or clock='load' and load"
            raise SettingsError(message)

    def holds(self, value: float) -> bool:
        """Whether ``value`` keeps to the bound; what is no number does not."""
        if math.isnan(value):
            return False
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is not None and value >= self.at_least

    @property
    def how_baseline(self) -> Callable[[Any], Awaitable[float]] | None:
        """How the baseline's figure is measured, if it is."""
        if not self.has_baseline:
            return None
        return self.baseline or (self.measure if self.clock == "virtual" else None)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What came of measuring a target; ``value`` is ``None`` when it could not be, for ``why``.

    ``at_s`` is when a load test was made, ``None`` for what was measured just now.
    """

    app: str
    name: str
    about: str
    unit: str
    clock: str
    plan: str
    at_most: float | None
    at_least: float | None
    value: float | None
    baseline: float | None
    is_held: bool
    why: str = ""
    at_s: float | None = None

    @property
    def is_missed(self) -> bool:
        """Whether it falls short; a load that was never put on says nothing yet."""
        return not self.is_held and (self.clock != "load" or self.at_s is not None)


def reading(
    app: str,
    target: Target,
    value: float | None,
    baseline: float | None = None,
    why: str = "",
    at_s: float | None = None,
) -> Reading:
    """Return the reading of a measured value, or of none and ``why``."""
    return Reading(
        app=app,
        name=target.name,
        about=target.about,
        unit=target.unit,
        clock=target.clock,
        plan=target.plan,
        at_most=target.at_most,
        at_least=target.at_least,
        value=value,
        baseline=baseline,
        is_held=value is not None and target.holds(value),
        why=why,
        at_s=at_s,
    )
