"""Hasten makes LLM-backed endpoints fast and cheap without making them worse.

The public names. Each lives in a room of its own and is loaded from there when
it is first used, so that ``import hasten`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hasten.app import App, Operation
    from hasten.cache.cached import cached
    from hasten.cache.policy import CachePolicy
    from hasten.caller import Caller, current_caller
    from hasten.client import Client
    from hasten.clock import Clock, current_clock
    from hasten.errors import HastenError
    from hasten.graph.freshness import Freshness
    from hasten.graph.graph import Graph
    from hasten.graph.run import Run
    from hasten.graph.step import Soft, Step, step, tool
    from hasten.jobs.cron import Cron
    from hasten.model.base import Chunk, Model, Request, Response
    from hasten.model.cached import ResponsePolicy
    from hasten.model.chain import ChainPolicy
    from hasten.model.limit import LimitPolicy
    from hasten.model.simulated import SimProfile
    from hasten.model.structured import parse
    from hasten.model.text import write
    from hasten.quality.alert import AlertRule
    from hasten.quality.experiment import Experiment
    from hasten.quality.target import Target
    from hasten.serve.context import AppContext
    from hasten.store.sql.tables import Tables
    from hasten.trace.event import RunEvent
    from hasten.trial import Trial

__all__ = [
    "AlertRule",
    "App",
    "AppContext",
    "CachePolicy",
    "Caller",
    "ChainPolicy",
    "Chunk",
    "Client",
    "Clock",
    "Cron",
    "Experiment",
    "Freshness",
    "Graph",
    "HastenError",
    "LimitPolicy",
    "Model",
    "Operation",
    "Request",
    "Response",
    "ResponsePolicy",
    "Run",
    "RunEvent",
    "SimProfile",
    "Soft",
    "Step",
    "Tables",
    "Target",
    "Trial",
    "cached",
    "current_caller",
    "current_clock",
    "parse",
    "step",
    "tool",
    "write",
]

_HOMES = {
    "AlertRule": "hasten.quality.alert",
    "App": "hasten.app",
    "AppContext": "hasten.serve.context",
    "CachePolicy": "hasten.cache.policy",
    "Caller": "hasten.caller",
    "ChainPolicy": "hasten.model.chain",
    "Chunk": "hasten.model.base",
    "Client": "hasten.client",
    "Clock": "hasten.clock",
    "Cron": "hasten.jobs.cron",
    "Experiment": "hasten.quality.experiment",
    "Freshness": "hasten.graph.freshness",
    "Graph": "hasten.graph.graph",
    "HastenError": "hasten.errors",
    "LimitPolicy": "hasten.model.limit",
    "Model": "hasten.model.base",
    "Operation": "hasten.app",
    "Request": "hasten.model.base",
    "Response": "hasten.model.base",
    "ResponsePolicy": "hasten.model.cached",
    "Run": "hasten.graph.run",
    "RunEvent": "hasten.trace.event",
    "SimProfile": "hasten.model.simulated",
    "Soft": "hasten.graph.step",
    "Step": "hasten.graph.step",
    "Tables": "hasten.store.sql.tables",
    "Target": "hasten.quality.target",
    "Trial": "hasten.trial",
    "cached": "hasten.cache.cached",
    "current_caller": "hasten.caller",
    "current_clock": "hasten.clock",
    "parse": "hasten.model.structured",
    "step": "hasten.graph.step",
    "tool": "hasten.graph.step",
    "write": "hasten.model.text",
}


def __getattr__(name: str) -> object:
    """Load a public name from its home; raise AttributeError for any other."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'hasten' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
