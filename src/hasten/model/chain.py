"""The chain between caller and wire, built in one visible function.

Owns the order of the wrappers and the reason for each. Leaves what they do to
their own files. ``hasten.wire`` builds every model with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hasten.model.batched import BatchedModel, BatchPolicy
from hasten.model.cached import CachedModel, ResponsePolicy
from hasten.model.cascade import CascadeModel, CascadePolicy
from hasten.model.compacted import CompactedModel
from hasten.model.fallback import FallbackModel, Spare
from hasten.model.hedged import HedgedModel, HedgePolicy
from hasten.model.limited import LimitedModel
from hasten.model.pooled import PooledModel, PoolMember
from hasten.model.price import PRICES, PriceTable
from hasten.model.retrying import RetryingModel, RetryPolicy
from hasten.model.structured import StructuredModel
from hasten.model.tasked import TaskedModel, TaskPolicy
from hasten.model.traced import TracedModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.cache.cache import Cache
    from hasten.model.base import Model
    from hasten.model.limit import LimitPolicy
    from hasten.model.prompt import CompactPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPolicy:
    """What surrounds a wire; what is ``None`` or empty is left out.

    ``tasks`` are the model, length and temperature of each task. ``cache`` says which
    answers are reused. ``repair_tokens`` may be spent on bringing one answer into the
    form its request asks for. ``cascade`` names a small model to ask first, ``compact``
    the rules that shorten prompts, ``fallbacks`` the models of the same endpoint to ask
    when the first one fails. ``retry`` is how patient to be, ``hedge`` when a second
    call is worth it, ``batch`` how requests leave in groups. ``limit`` follows what the
    endpoint bears; ``concurrency`` is how many calls may run at once in any case.
    ``prices`` are what tokens cost. ``records_prompts`` keeps the text of prompts in the
    trace, for ``hasten prompts analyze``.
    """

    tasks: Mapping[str, TaskPolicy] = field(default_factory=dict)
    cache: ResponsePolicy | None = None
    repair_tokens: int | None = None
    cascade: CascadePolicy | None = None
    compact: CompactPolicy | None = None
    fallbacks: tuple[str, ...] = ()
    retry: RetryPolicy | None = field(default_factory=RetryPolicy)
    hedge: HedgePolicy | None = None
    batch: BatchPolicy | None = None
    limit: LimitPolicy | None = None
    concurrency: int | None = None
    prices: PriceTable = field(default_factory=lambda: PRICES)
    records_prompts: bool = False


def build_chain(
    wire: Model,
    policy: ChainPolicy | None = None,
    *,
    cache: Cache | None = None,
    keys: Sequence[PoolMember] = (),
    spares: Sequence[Spare] = (),
) -> Model:
    """Return ``wire`` inside its wrappers.

    Answers are reused from ``cache``. ``keys`` are wires with other keys for the same
    model, among which ``wire`` is one of weight 1; ``spares`` are wires to other endpoints.
    """
    policy = policy or ChainPolicy()
    others = [PoolMember(limited(one.model, policy), one.weight) for one in keys]
    elsewhere = [Spare(limited(one.model, policy), one.name) for one in spares]
    return surround(limited(wire, policy), policy, cache=cache, keys=others, spares=elsewhere)


def limited(wire: Model, policy: ChainPolicy) -> Model:
    """Return ``wire`` traced and limited: the part that all who use its key share."""
    # At the wire: each call counted, no waiting.
    model: Model = TracedModel(wire, policy.prices, records_prompts=policy.records_prompts)
    if policy.limit is not None or policy.concurrency is not None:
        model = LimitedModel(model, policy.concurrency, policy.limit)  # providers limit each key
    return model


def surround(
    model: Model,
    policy: ChainPolicy,
    *,
    cache: Cache | None = None,
    keys: Sequence[PoolMember] = (),
    spares: Sequence[Spare] = (),
) -> Model:
    """Return a limited wire inside the other wrappers, innermost first.

    ``keys`` and ``spares`` are limited wires, too.
    """
    if keys:
        model = PooledModel([PoolMember(model), *keys])  # a call that is refused goes on at once
    model = _patient(model, policy)
    others = [Spare(model, name) for name in policy.fallbacks]
    others += [Spare(_patient(spare.model, policy), spare.name) for spare in spares]
    if others:
        model = FallbackModel(model, others)  # outside the retries: they are of one model
    if policy.compact is not None:
        model = CompactedModel(model, policy.compact)  # once, whoever answers in the end
    if policy.cascade is not None:
        model = CascadeModel(model, policy.cascade)  # each size has fallbacks of its own
    if policy.repair_tokens is not None:
        model = StructuredModel(model, policy.repair_tokens)  # only valid answers are reused
    if policy.cache is not None and cache is not None:
        model = CachedModel(model, cache, policy.cache)  # a hit passes nothing of the above
    if policy.tasks:
        model = TaskedModel(model, policy.tasks)  # outermost: the key is of what is really asked
    return model


def _patient(model: Model, policy: ChainPolicy) -> Model:
    """Return one endpoint with what makes up for its delays and failures."""
    if policy.batch is not None:
        model = BatchedModel(model, policy.batch)  # before the limit: a group waits in one queue
    if policy.hedge is not None:
        model = HedgedModel(model, policy.hedge)  # both calls are limited, counted and traced
    if policy.retry is not None:
        model = RetryingModel(model, policy.retry)  # outside the limit: waiting holds no turn
    return model
