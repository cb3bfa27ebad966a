"""What the gateway tells of itself: its latest calls, what they came to, how upstreams are.

Owns choosing calls, and the JSON. A call is shown to its user and to the admins of its
tenant; one that showed no known key belongs to nobody and is shown to admins. No key and
no text of anybody's is in it. Leaves counting to ``calls``. ``serve/calls`` and the
gateway's own process answer with it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from hasten.model.figures import limit_of
from hasten.serve.gateway.calls import BUCKETS_S, REMEMBERED, CallResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasten.caller import Caller
    from hasten.model.limited import LimitNow
    from hasten.serve.gateway.calls import GatewayCall
    from hasten.serve.gateway.gateway import Gateway
    from hasten.serve.gateway.upstreams import Upstream

SHOWN = 100

RouteName = Literal["chat", "responses", "messages", "count_tokens", "embeddings", "other"]
"""The routes that calls are told apart by; a test holds it to ``routes.ROUTES``."""


class CallQuery(BaseModel):
    """Which of the latest calls to show."""

    model_config = ConfigDict(extra="forbid")

    result: CallResult | None = Field(None, description="Only with this result.")
    route: RouteName | None = Field(None, description="Only of this route.")
    model: str = Field("*", max_length=200, description="Only to models like this: * and ?.")
    limit: int = Field(SHOWN, ge=1, le=REMEMBERED, description="At most this many.")

    def takes(self, call: GatewayCall) -> bool:
        """Whether ``call`` is one of these."""
        return (
            self.result in (None, call.result)
            and self.route in (None, call.route)
            and fnmatchcase(call.model, self.model)
        )


def calls_shown(gateway: Gateway, caller: Caller, which: CallQuery) -> dict[str, Any]:
    """Return the latest calls that ``caller`` may see and ``which`` takes, newest first."""
    found = (one for one in reversed(gateway.calls.latest) if _may_see(caller, one))
    taken = islice(filter(which.takes, found), which.limit)
    return {"calls": [msgspec.to_builtins(one) for one in taken], **_place(gateway)}


def gateway_shown(gateway: Gateway) -> dict[str, Any]:
    """Return what all calls of this process came to, and how the upstreams are."""
    done = gateway.calls
    return {
        "results": dict(_by_result(gateway)),
        "buckets_s": list(BUCKETS_S),
        "cost_usd": sum(done.cost_usd.values()),
        "saved_usd": sum(done.saved_usd.values()),
        "saved_s": sum(done.saved_s.values()),
        "prompt_cache": {
            "saved_usd": _of_kind(done.prompt_usd, "saved"),
            "spent_usd": _of_kind(done.prompt_usd, "spent"),
            "read_tokens": _of_kind(done.prompt_tokens, "read"),
            "written_tokens": _of_kind(done.prompt_tokens, "written"),
        },
        "upstreams": [_upstream(one) for one in gateway.upstreams.all],
        **_place(gateway),
    }


def _may_see(caller: Caller, call: GatewayCall) -> bool:
    if not call.tenant:
        return caller.role == "admin"
    return caller.may_see(call.tenant, call.user)


def _place(gateway: Gateway) -> dict[str, Any]:
    """Say whose calls these are: every worker remembers its own."""
    return {
        "remembered": REMEMBERED,
        "worker": gateway.worker,
        "workers": gateway.workers,
        "since_s": gateway.began_s,
    }


def _by_result(gateway: Gateway) -> Iterator[tuple[str, dict[str, Any]]]:
    done = gateway.calls
    for result, counts in done.buckets.items():
        yield result, {"calls": sum(counts), "total_s": done.total_s[result], "buckets": counts}


def _of_kind(rows: Any, kind: str) -> float:
    found: float = sum(value for row, value in rows.items() if row[-1] == kind)
    return found


def _upstream(one: Upstream) -> dict[str, Any]:
    """Return an upstream's line; ``key`` is the variable that holds its key, never the key.

    ``limit`` is there once a call was translated for it: what goes through untouched is
    not held back.
    """
    settings = one.settings
    limit = None if one.model is None else limit_of(one.model)
    rests_s = max(one.rests_until_s - asyncio.get_running_loop().time(), 0.0)
    return {
        "name": one.name,
        "protocol": one.protocol,
        "base_url": settings.base_url,
        "models": list(settings.models),
        "weight": settings.weight,
        "key": settings.api_key_env if one.api_key else "",
        "calls": dict(one.calls),
        "rests_s": rests_s,
        "limit": None if limit is None else _limit(limit),
    }


def _limit(now: LimitNow) -> dict[str, Any]:
    """Return how a limit stands; what has no bound is ``None``."""
    told = asdict(now)
    return {name: None if math.isinf(value) else value for name, value in told.items()}
