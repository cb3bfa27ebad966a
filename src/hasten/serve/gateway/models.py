"""The list of models a key may ask, in OpenAI's form or Anthropic's.

Owns putting it together: what the settings name, and what an upstream that takes any
model says of itself. Leaves connections to ``forward``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import orjson

from hasten.clock import current_clock
from hasten.errors import HastenError, NotFound
from hasten.model.anthropic_wire import model_out as anthropic_model_out
from hasten.model.openai_wire import model_out as openai_model_out

if TYPE_CHECKING:
    from hasten.serve.gateway.upstreams import Upstream, Upstreams
    from hasten.store.keys import KeyRecord

KEEP_S = 60.0
"""What an upstream said of its models is believed so long."""

SIMULATED = "sim-standard"


async def listing(upstreams: Upstreams, key: KeyRecord, path: str, *, is_anthropic: bool) -> bytes:
    """Return the body for ``/v1/models`` or one of them. Raises ``NotFound``."""
    found: dict[str, dict[str, Any]] = {}
    for upstream in upstreams.all:
        for told in await _models_of(upstream):
            found.setdefault(told["id"], told)
    allowed = key.limits.models
    if allowed:
        found = {
            name: one
            for name, one in found.items()
            if any(fnmatchcase(name, pattern) for pattern in allowed)
        }
    shown = {name: _shown(one, is_anthropic=is_anthropic) for name, one in found.items()}
    name = path.removeprefix("/v1/models").removeprefix("/")
    if not name:
        return orjson.dumps(_all(list(shown.values()), is_anthropic=is_anthropic))
    if name not in shown:
        message = f"no model {name[:200]!r}"
        raise NotFound(message)
    return orjson.dumps(shown[name])


def _all(models: list[dict[str, Any]], *, is_anthropic: bool) -> dict[str, Any]:
    if not is_anthropic:
        return {"object": "list", "data": models}
    ids = [one["id"] for one in models]
    ends = {"first_id": ids[0], "last_id": ids[-1]} if ids else {"first_id": None, "last_id": None}
    return {"data": models, "has_more": False, **ends}


def _shown(told: dict[str, Any], *, is_anthropic: bool) -> dict[str, Any]:
    name, created_s = told["id"], told.get("created")
    at_s = created_s if isinstance(created_s, int) else 0
    if is_anthropic:
        made = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return anthropic_model_out(name, told.get("created_at") or made)
    return told if told.get("object") == "model" else openai_model_out(name, at_s)


async def _models_of(upstream: Upstream) -> list[dict[str, Any]]:
    """Return what an upstream has: what the settings name, else what it says itself."""
    named = [{"id": name} for name in upstream.settings.models if not set(name) & set("*?[")]
    if upstream.protocol == "simulated":
        return named or [{"id": SIMULATED}]
    if upstream.settings.models or upstream.protocol == "gemini":
        return named
    now_s = current_clock().monotonic()
    if upstream.listed and now_s < upstream.listed_until_s:
        return upstream.listed
    try:
        reply = await upstream.forwarder.send(upstream.head("GET", "/models", b"", 0))
        told = orjson.loads(await reply.read())
        data = told.get("data") if isinstance(told, dict) else None
        found = [
            one for one in data or () if isinstance(one, dict) and isinstance(one.get("id"), str)
        ]
    except (HastenError, orjson.JSONDecodeError):
        return upstream.listed
    upstream.listed, upstream.listed_until_s = found, now_s + KEEP_S
    return found
