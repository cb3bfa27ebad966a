"""Every figure of a server in the text format of Prometheus, read from plain counters.

Owns the names of the figures. Nothing is measured here: calls of the gateway, runs and
the cache are counted by their own rooms. Labels are names that the server or an
application declares, never a caller's words. A hit rate is left to whoever divides: a
gauge of one could not be added up. ``metrics`` and the gateway's own process show them.
"""

from __future__ import annotations

from importlib.metadata import version
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from hasten.errors import StoreError
from hasten.model.figures import chain_figures
from hasten.serve.gateway.calls import BUCKETS_S
from hasten.trace.stats import RUN_BUCKETS_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from hasten.cache.cache import Cache
    from hasten.cache.stats import UseStats
    from hasten.model.base import Model
    from hasten.serve.gateway.gateway import Gateway
    from hasten.wire import Runtime
    from hasten.wire_stores import Stores

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"

Rows = dict[tuple[str, ...], float]

_RESULTS = ("stale", "collapsed", "misses", "errors")
_RESULT_WORDS = {"misses": "miss", "errors": "error"}


async def exposition(
    runtime: Runtime, gateway: Gateway, requests: Mapping[tuple[str, ...], float]
) -> bytes:
    """Return every figure; ``requests`` are those that the application answered."""
    route = ("method", "route", "status")
    answered = _counter("hasten_requests", "HTTP requests answered.", route, requests)
    found = [
        answered,
        *_runs(runtime),
        *_chains(runtime.models.all(), gateway),
        *_feedback(runtime),
        _alerts(runtime),
        *_cache(runtime.cache),
        *await _jobs(runtime),
        *_gateway(gateway),
        *await _storage(runtime),
        _build(runtime),
    ]
    return _text(found)


async def gateway_exposition(stores: Stores, gateway: Gateway) -> bytes:
    """Return the figures of a gateway by itself: it has no runs of applications, and no jobs."""
    found = [
        *_chains((), gateway),
        *_cache(stores.cache),
        *_gateway(gateway),
        *await _storage(stores),
        _build(stores),
    ]
    return _text(found)


def _text(found: Sequence[Metric]) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Read(found))
    return generate_latest(registry)


def _gateway(gateway: Gateway) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    done = gateway.calls
    call = ("route", "result", "status")
    yield _counter("hasten_gateway_requests", "Calls of the gateway.", call, done.requests)
    took = HistogramMetricFamily(
        "hasten_gateway_duration_seconds", "How long they took.", labels=("result",)
    )
    for result, counts in done.buckets.items():
        upto = _buckets(BUCKETS_S, list(accumulate(counts)))
        took.add_metric([result], upto, done.total_s[result])
    yield took
    token = ("route", "direction")
    yield _counter("hasten_gateway_tokens", "Tokens upstream.", token, done.tokens)
    cost: Rows = {(route,): usd for route, usd in done.cost_usd.items()}
    yield _counter("hasten_gateway_cost_usd", "What upstreams cost.", ("route",), cost)
    kind = ("route", "kind")
    yield _prompt_tokens("hasten_gateway_prompt_cache_tokens", kind, done.prompt_tokens)
    yield _prompt_usd("hasten_gateway_prompt_cache_usd", kind, done.prompt_usd)
    saved: Rows = {(route,): usd for route, usd in done.saved_usd.items()}
    yield _counter("hasten_gateway_saved_usd", "What hits saved.", ("route",), saved)
    saved_s: Rows = {(route,): taken_s for route, taken_s in done.saved_s.items()}
    what = "Time that hits saved their callers."
    yield _counter("hasten_gateway_saved_seconds", what, ("route",), saved_s)
    asked: Rows = {
        (one.name, status): count
        for one in gateway.upstreams.all
        for status, count in one.calls.items()
    }
    place = ("upstream", "status")
    yield _counter("hasten_gateway_upstream_calls", "Calls of upstreams.", place, asked)
    unwritten: Rows = {(): done.unwritten}
    yield _counter("hasten_gateway_unstored", "Calls that left no row.", (), unwritten)


class _Read:
    """Metrics that were read already, as a collector."""

    def __init__(self, found: Sequence[Metric]) -> None:
        self._found = found

    def collect(self) -> Sequence[Metric]:
        """Return them."""
        return self._found


def _counter(name: str, what: str, labels: Sequence[str], rows: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=labels)
    for row, value in rows.items():
        family.add_metric(list(row), value)
    return family


def _prompt_tokens(name: str, labels: Sequence[str], rows: Mapping[Any, float]) -> Metric:
    return _counter(name, "Tokens of the provider's prompt cache.", labels, rows)


def _prompt_usd(name: str, labels: Sequence[str], rows: Mapping[Any, float]) -> Metric:
    return _counter(name, "What the provider's prompt cache saved and took.", labels, rows)


def _gauge(name: str, what: str, labels: Sequence[str], rows: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=labels)
    for row, value in rows.items():
        family.add_metric(list(row), value)
    return family


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return each upper bound with the number up to it; the last count is of all."""
    return list(zip([*map(str, bounds), "+Inf"], counts, strict=True))


def _runs(runtime: Runtime) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    done = runtime.run_stats
    yield _counter("hasten_runs", "Runs that ended.", ("app", "mode", "status"), done.runs)
    took = HistogramMetricFamily(
        "hasten_run_duration_seconds",
        "How long runs took, on their own clock.",
        labels=("app", "mode"),
    )
    for row, durations in done.durations.items():
        took.add_metric(row, _buckets(RUN_BUCKETS_S, durations.upto()), durations.total_s)
    yield took
    yield _gauge("hasten_runs_live", "Runs under way.", (), {(): runtime.live_runs})
    step = ("app", "kind", "step", "status")
    yield _counter("hasten_steps", "Steps and tool calls that ended.", step, done.steps)
    call = ("app", "model", "status")
    yield _counter("hasten_model_calls", "Model calls that ended.", call, done.model_calls)
    token = ("app", "model", "direction")
    yield _counter("hasten_model_tokens", "Tokens sent and received.", token, done.tokens)
    cost = ("app", "model")
    yield _counter("hasten_model_cost_usd", "What model calls cost.", cost, done.cost_usd)
    row = (*cost, "kind")
    yield _prompt_tokens("hasten_model_prompt_cache_tokens", row, done.prompt_tokens)
    yield _prompt_usd("hasten_model_prompt_cache_usd", row, done.prompt_usd)


def _chains(models: Sequence[Model], gateway: Gateway) -> Iterator[Metric]:
    """Yield what lies between callers and endpoints: of applications and of the gateway."""
    upstreams = [one.model for one in gateway.upstreams.all if one.model is not None]
    found, model = chain_figures([*models, *upstreams]), ("model",)
    now = found.limits.items()
    what = "Second calls beside slow ones, by whether they were heard."
    yield _counter("hasten_model_hedges", what, ("model", "result"), found.hedges)
    what = "Calls cancelled because the other of the two was heard."
    yield _counter("hasten_model_hedges_stopped", what, model, found.stopped)
    yield _counter("hasten_model_repairs", "Calls for an answer's form.", model, found.repairs)
    token = ("model", "direction")
    yield _counter("hasten_model_repair_tokens", "Their tokens.", token, found.repair_tokens)
    what = "Retries made, and refused by the budget of all calls."
    yield _counter("hasten_model_retries", what, ("model", "result"), found.retries)
    what = "Retries that the budget would give now."
    yield _gauge("hasten_model_retry_budget", what, model, found.retries_left)
    what = "Calls that waited for the limit."
    yield _counter("hasten_model_waits", what, model, found.waits)
    yield _counter("hasten_model_wait_seconds", "How long they waited.", model, found.wait_s)
    what = "Calls that wait now."
    yield _gauge("hasten_model_waiting", what, model, {row: one.waiting for row, one in now})
    what = "Calls a second that the limit lets through; +Inf before the first complaint."
    rates = {row: one.rate_per_s for row, one in now}
    yield _gauge("hasten_model_limit_calls_per_second", what, model, rates)
    what = "Calls at once that the limit lets through."
    at_once = {row: one.concurrency for row, one in now}
    yield _gauge("hasten_model_limit_concurrency", what, model, at_once)
    what = "Calls of limited models under way."
    yield _gauge("hasten_model_under_way", what, model, {row: one.under_way for row, one in now})
    yield _counter("hasten_model_batches", "Groups of calls that left.", model, found.groups)
    yield _counter("hasten_model_batched_calls", "Calls in them.", model, found.grouped)
    what = "Calls that another model answered."
    yield _counter("hasten_model_fallbacks", what, ("model", "to"), found.fallbacks)


def _feedback(runtime: Runtime) -> Iterator[Metric]:
    heard, row = runtime.feedback, ("app", "kind", "reuse")
    yield _counter("hasten_feedback", "Ratings, and answers made anew.", row, heard.counts)
    sums = heard.rating_sums
    yield _counter("hasten_rating_points", "Ratings added up.", ("app", "reuse"), sums)


def _alerts(runtime: Runtime) -> Metric:
    firing = {(one.app, one.figure, one.level): 1.0 for one in runtime.alerts.firing()}
    labels = ("app", "figure", "level")
    return _gauge("hasten_alert_firing", "Alerts in force.", labels, firing)


def _cache(cache: Cache) -> Iterator[Metric]:
    rows = cache.stats.rows()
    place = ("use", "tier")
    yield _counter(
        "hasten_cache_requests",
        "What calls of the cache came to; a miss belongs to no tier.",
        (*place, "result"),
        _results(rows),
    )
    stored: Rows = {(row.use, row.tier): row.stored for row in rows if row.tier}
    yield _counter("hasten_cache_stored", "Entries stored.", place, stored)
    saved_s: Rows = {(row.use, row.tier): row.saved_s for row in rows if row.tier}
    yield _counter("hasten_cache_saved_seconds", "Computing saved by hits.", place, saved_s)
    saved_usd: Rows = {(row.use, row.tier): row.saved_usd for row in rows if row.tier}
    yield _counter("hasten_cache_saved_usd", "Money saved by hits.", place, saved_usd)
    yield _ages(rows)
    tiers = cache.all_tiers()
    available: Rows = {(tier.name,): tier.is_available for tier in tiers}
    yield _gauge("hasten_cache_tier_available", "Whether the tier answers.", ("tier",), available)
    errors: Rows = {(tier.name,): tier.errors for tier in tiers}
    yield _counter("hasten_cache_tier_errors", "Calls the tier failed.", ("tier",), errors)
    held = {(): cache.memory.queue.bytes}
    yield _gauge("hasten_cache_memory_bytes", "What memory holds.", (), held)


def _results(rows: Sequence[UseStats]) -> Rows:
    """Return how often each result came; a stale answer is no hit here."""
    found: Rows = {}
    for row in rows:
        if row.tier:
            found[row.use, row.tier, "hit"] = row.hits - row.stale
        for name in _RESULTS:
            if value := getattr(row, name):
                found[row.use, row.tier, _RESULT_WORDS.get(name, name)] = value
    return found


def _ages(rows: Sequence[UseStats]) -> Metric:
    """Return the ages of what was served, by use, in powers of two of seconds."""
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "hasten_cache_age_seconds", "How old values were when they were served.", labels=("use",)
    )
    by_use: dict[str, list[int]] = {}
    for row in rows:
        counts = by_use.setdefault(row.use, [0] * len(row.ages))
        by_use[row.use] = [one + more for one, more in zip(counts, row.ages, strict=True)]
    for use, counts in by_use.items():
        bounds = [float(2**place) for place in range(len(counts) - 1)]
        family.add_metric([use], _buckets(bounds, list(accumulate(counts))), sum_value=None)
    return family


async def _storage(stores: Stores) -> list[Metric]:
    try:
        held_bytes = await stores.sink.held_bytes()
    except StoreError:
        held_bytes = None
    is_available = {(): float(held_bytes is not None)}
    found = [_gauge("hasten_storage_available", "Whether the database answers.", (), is_available)]
    if held_bytes is not None:
        found.append(_gauge("hasten_storage_bytes", "What runs take.", (), {(): held_bytes}))
    return found


async def _jobs(runtime: Runtime) -> list[Metric]:
    try:
        counts = await runtime.queue.count()
    except StoreError:
        return []
    rows: Rows = {(status,): number for status, number in counts.items()}
    return [
        _gauge("hasten_jobs", "Jobs kept, by state; dead ones wait for you.", ("status",), rows)
    ]


def _build(stores: Stores) -> Metric:
    row = (version("hasten"), stores.settings.model or "simulated")
    return _gauge("hasten_build_info", "What runs here.", ("version", "model"), {row: 1.0})
