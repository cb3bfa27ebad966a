"""The chain between caller and wire, built in one visible function.

Owns the order of the wrappers and the reason for each. Leaves what they do to
their own files. ``hasten.wire`` builds every model with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hasten.model.limited import LimitedModel
from hasten.model.price import PRICES, PriceTable
from hasten.model.retrying import RetryingModel, RetryPolicy
from hasten.model.traced import TracedModel

if TYPE_CHECKING:
    from hasten.model.base import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPolicy:
    """What surrounds a wire.

    ``retry`` is how patient to be, ``concurrency`` how many calls may run at
    once (``None``: any number), ``prices`` what tokens cost.
    """

    retry: RetryPolicy | None = field(default_factory=RetryPolicy)
    concurrency: int | None = None
    prices: PriceTable = field(default_factory=lambda: PRICES)


def build_chain(wire: Model, policy: ChainPolicy | None = None) -> Model:
    """Return ``wire`` inside its wrappers, innermost first."""
    policy = policy or ChainPolicy()
    model: Model = TracedModel(wire, policy.prices)  # at the wire: each call counted, no waiting
    if policy.concurrency is not None:
        model = LimitedModel(model, policy.concurrency)  # a slot is one call under way
    if policy.retry is not None:
        model = RetryingModel(model, policy.retry)  # outside the limit: waiting holds no slot
    return model
