"""The chain between caller and wire, built in one visible function.

Owns the order of the wrappers and the reason for each. Leaves what they do to
their own files. ``hasten.wire`` builds every model with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hasten.model.cached import CachedModel, ResponsePolicy
from hasten.model.limited import LimitedModel
from hasten.model.price import PRICES, PriceTable
from hasten.model.retrying import RetryingModel, RetryPolicy
from hasten.model.traced import TracedModel

if TYPE_CHECKING:
    from hasten.cache.cache import Cache
    from hasten.model.base import Model
    from hasten.model.limit import LimitPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPolicy:
    """What surrounds a wire.

    ``cache`` says which answers are reused (``None``: none), ``retry`` how patient to
    be. ``limit`` follows what the endpoint bears, ``concurrency`` is how many calls may
    run at once in any case; ``None`` means no limit. ``prices`` are what tokens cost.
    """

    cache: ResponsePolicy | None = None
    retry: RetryPolicy | None = field(default_factory=RetryPolicy)
    limit: LimitPolicy | None = None
    concurrency: int | None = None
    prices: PriceTable = field(default_factory=lambda: PRICES)


def build_chain(
    wire: Model, policy: ChainPolicy | None = None, *, cache: Cache | None = None
) -> Model:
    """Return ``wire`` inside its wrappers, innermost first; answers are reused from ``cache``."""
    policy = policy or ChainPolicy()
    model: Model = TracedModel(wire, policy.prices)  # at the wire: each call counted, no waiting
    if policy.limit is not None or policy.concurrency is not None:
        # a turn is one call under way
        model = LimitedModel(model, policy.concurrency, policy.limit)
    if policy.retry is not None:
        model = RetryingModel(model, policy.retry)  # outside the limit: waiting holds no slot
    if policy.cache is not None and cache is not None:
        model = CachedModel(model, cache, policy.cache)  # outermost: a hit passes nothing else
    return model
