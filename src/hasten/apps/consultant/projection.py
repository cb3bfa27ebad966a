"""The statistics of a forecast: a series of years in, the years to come out.

Owns the model: an ARIMA with drift from statsmodels, its order chosen by the corrected Akaike
criterion (Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, section 9.6).
Yearly figures of firms are close to a random walk with drift (Ball and Watts, *Journal of
Finance* 1972), and its intervals widen with the years. On the wall's clock it works in a
process of its own, whose import of statsmodels alone would hold up a server for seconds; it
begins with the first forecast, and ends with the server.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_process
from anyio.lowlevel import RunVar

from hasten import current_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

Projected = tuple[str, list[tuple[float, float, float]]]
"""The form chosen, and for each year ahead the likely value and its interval."""

_FORMS = {"random walk with drift": (0, 1, 0), "random walk with drift and momentum": (1, 1, 0)}
"""ARIMA orders by name: what ten yearly figures can tell apart."""

_one: RunVar[CapacityLimiter] = RunVar("hasten_projection")


async def projected(past: Sequence[float], years: int, confidence: float) -> Projected:
    """Return what ``project`` does; in virtual time, which has no processes, on the loop."""
    if current_clock().kind == "virtual":
        return project(past, years, confidence)
    return await to_process.run_sync(project, past, years, confidence, limiter=_limiter())


def project(past: Sequence[float], years: int, confidence: float) -> Projected:
    """Project a series; what is always above zero by its logarithm.

    Such a series grows by shares and stays above zero.
    """
    from statsmodels.tsa.arima.model import ARIMA

    in_logs = min(past) > 0
    series = [math.log(value) if in_logs else value for value in past]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that did not converge has no better criterion
        fits = {name: ARIMA(series, order=order, trend="t").fit() for name, order in _FORMS.items()}
        chosen = min(fits, key=lambda name: float(fits[name].aicc))
        told = fits[chosen].get_forecast(years)
        intervals = told.conf_int(alpha=1 - confidence)
    back = math.exp if in_logs else float
    rows = zip(told.predicted_mean, intervals, strict=True)
    return chosen, [
        (round(back(likely), 1), round(back(low), 1), round(back(high), 1))
        for likely, (low, high) in rows
    ]


def _limiter() -> CapacityLimiter:
    """Return what lets one series at a time be projected on this loop: one process is enough."""
    try:
        return _one.get()
    except LookupError:
        limiter = CapacityLimiter(1)
        _one.set(limiter)
        return limiter
