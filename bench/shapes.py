"""The graphs of the benchmark, in nobody's terms: who needs whom, and who sleeps how long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MODULUS = 1_000_003
"""Values are kept below this, so that sums stay small numbers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A graph: step ``i`` is ``s{i}``, sleeps, and returns one more than the sum of its inputs.

    ``needs`` are positions before its own; the last step is the only one nobody needs.
    """

    needs: tuple[tuple[int, ...], ...]
    sleeps_s: tuple[float, ...]

    @property
    def critical_path_s(self) -> float:
        """Return the seconds the longest way through takes if nothing but sleeping took time."""
        ends_s: list[float] = []
        for needs, sleep_s in zip(self.needs, self.sleeps_s, strict=True):
            ends_s.append(sleep_s + max((ends_s[one] for one in needs), default=0.0))
        return ends_s[-1]

    @property
    def answer(self) -> int:
        """Return the value of the last step."""
        values: list[int] = []
        for needs in self.needs:
            values.append((1 + sum(values[one] for one in needs)) % MODULUS)
        return values[-1]

    def functions(self) -> list[Callable[..., Coroutine[Any, Any, int]]]:
        """Return the steps as a user would write them: async, parameters named after steps."""
        scope: dict[str, Any] = {"sleep": asyncio.sleep}
        for position, (needs, sleep_s) in enumerate(zip(self.needs, self.sleeps_s, strict=True)):
            parameters = ", ".join(f"s{one}: int" for one in needs)
            total = " + ".join(("1", *(f"s{one}" for one in needs)))
            nap = f"    await sleep({sleep_s})\n" if sleep_s else ""
            head = f"async def s{position}({parameters}) -> int:\n"
            tail = f"    return ({total}) % {MODULUS}"
            exec(head + nap + tail, scope)  # noqa: S102 - the source is written just above
        return [scope[f"s{position}"] for position in range(len(self.needs))]


def chain(length: int) -> Shape:
    """Return steps one after the other, without sleep."""
    needs = ((), *((one,) for one in range(length - 1)))
    return Shape(needs, (0.0,) * length)


def fan(width: int, sleep_s: float = 0.0) -> Shape:
    """Return one step, then ``width`` side by side that sleep, then one that takes them all."""
    middle = tuple(range(1, width + 1))
    return Shape(((), *((0,) for _ in middle), middle), (0.0, *(sleep_s for _ in middle), 0.0))


def diamond() -> Shape:
    """Return 200 ms, then 350 ms beside 400 ms, then their join."""
    return Shape(((), (0,), (0,), (1, 2)), (0.2, 0.35, 0.4, 0.0))


def lanes() -> Shape:
    """Return five lanes of five steps of 100 ms, in each lane another one of 200 ms; their join."""
    needs: list[tuple[int, ...]] = [()]
    sleeps_s = [0.0]
    ends = []
    for lane in range(5):
        before = 0
        for number in range(5):
            needs.append((before,))
            sleeps_s.append(0.2 if number == lane else 0.1)
            before = len(needs) - 1
        ends.append(before)
    return Shape((*needs, tuple(ends)), (*sleeps_s, 0.0))


def random_dag(size: int, *, sleeps: bool) -> Shape:
    """Return ``size`` steps that need up to three of the forty before them; 2 to 30 ms of sleep."""
    random = Random(size)
    needs = [
        tuple(sorted(random.sample(near, min(len(near), random.randint(1, 3)))))
        for position in range(size - 1)
        for near in [range(max(0, position - 40), position)]
    ]
    taken = {one for found in needs for one in found}
    needs.append(tuple(one for one in range(size - 1) if one not in taken))
    sleeps_s = [random.uniform(0.002, 0.03) if sleeps else 0.0 for _ in range(size - 1)]
    return Shape(tuple(needs), (*sleeps_s, 0.0))
