"""How sure a figure is: confidence intervals for a ratio of means and for a share.

Pure: the seed is given. ``ratio_interval`` is a paired percentile bootstrap
(Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13);
``share_interval`` is Wilson's score interval (1927).
"""

from __future__ import annotations

import math
import random
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 2_000
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate and the bounds it lies between with ``CONFIDENCE``."""

    estimate: float
    low: float
    high: float


def ratio_interval(
    pairs: Sequence[tuple[float, float]], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return mean of the second over mean of the first of each pair, with its interval.

    A mean of nothing but zeros makes the ratio 1 if the other is zero, too, else infinite.
    """
    draw = random.Random(seed)  # noqa: S311 - reproducible on purpose
    found = sorted(_ratio(draw.choices(pairs, k=len(pairs))) for _ in range(resamples))
    tail = (1 - CONFIDENCE) / 2
    low, high = math.floor(tail * resamples), math.ceil((1 - tail) * resamples) - 1
    return Interval(_ratio(pairs), found[low], found[high])


def share_interval(hits: float, of: int) -> Interval:
    """Return ``hits / of`` with its interval; a draw is half a hit."""
    if of == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, whole = hits / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / whole
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / whole
    return Interval(share, max(0.0, middle - spread), min(1.0, middle + spread))


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    first, second = fmean(one for one, _ in pairs), fmean(two for _, two in pairs)
    if first == 0:
        return 1.0 if second == 0 else math.inf
    return second / first
