"""What the wrappers of chains did, and how they stand: read when somebody asks.

Owns going through chains and adding up. Each wrapper counts what it does itself; by the
name of the model that it stands before. ``serve/figures`` and the console show it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hasten.model.batched import BatchedModel
from hasten.model.fallback import FallbackModel
from hasten.model.hedged import HedgedModel
from hasten.model.limited import LimitedModel
from hasten.model.retrying import RetryingModel
from hasten.model.traced import TracedModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hasten.model.base import Model
    from hasten.model.limited import LimitNow

Row = tuple[str, ...]


@dataclass(slots=True)
class ChainFigures:
    """Counts by model and, where there is one, a further word.

    ``hedges`` were ``won`` or ``lost`` by the second call, ``stopped`` are calls that were
    cancelled because the other one had begun. ``retries`` were ``made``, or ``refused`` by
    the budget of all calls; ``retries_left`` is what that would give now. ``repairs`` are
    calls for the form of an answer, with their tokens ``in`` and ``out``. Calls that found
    no room made ``waits`` of ``wait_s`` seconds together. ``fallbacks`` name who answered.
    """

    hedges: Counter[Row] = field(default_factory=Counter)
    stopped: Counter[Row] = field(default_factory=Counter)
    repairs: Counter[Row] = field(default_factory=Counter)
    repair_tokens: Counter[Row] = field(default_factory=Counter)
    retries: Counter[Row] = field(default_factory=Counter)
    retries_left: Counter[Row] = field(default_factory=Counter)
    waits: Counter[Row] = field(default_factory=Counter)
    wait_s: dict[Row, float] = field(default_factory=dict)
    limits: dict[Row, LimitNow] = field(default_factory=dict)
    groups: Counter[Row] = field(default_factory=Counter)
    grouped: Counter[Row] = field(default_factory=Counter)
    fallbacks: Counter[Row] = field(default_factory=Counter)


def chain_figures(chains: Iterable[Model]) -> ChainFigures:
    """Return the figures of ``chains``; what several of them share counts once."""
    found = ChainFigures()
    for model in _all_of(chains):
        row = (model.name,)
        match model:
            case HedgedModel():
                found.hedges[*row, "won"] += model.won
                found.hedges[*row, "lost"] += model.hedges - model.won
                found.stopped[row] += model.stopped
            case RetryingModel():
                found.retries[*row, "made"] += model.retries
                found.retries[*row, "refused"] += model.refused
                found.retries_left[row] += model.retries_left()
            case LimitedModel():
                found.waits[row] += model.waits
                found.wait_s[row] = found.wait_s.get(row, 0.0) + model.wait_s
                found.limits[row] = model.now() + found.limits.get(row)
            case BatchedModel():
                found.groups[row] += model.groups
                found.grouped[row] += model.grouped
            case FallbackModel():
                for to, count in model.answered.items():
                    found.fallbacks[*row, to] += count
            case TracedModel():
                found.repairs[row] += model.repairs
                found.repair_tokens[*row, "in"] += model.repair_usage.tokens_in
                found.repair_tokens[*row, "out"] += model.repair_usage.tokens_out
    return found


def limit_of(model: Model) -> LimitNow | None:
    """Return how the limit in a chain stands, if it has one."""
    return next((one.now() for one in _all_of([model]) if isinstance(one, LimitedModel)), None)


def _all_of(chains: Iterable[Model]) -> Iterator[Model]:
    """Yield every model of ``chains``, from the outside in, each once."""
    pending, seen = list(chains), set[int]()
    while pending:
        model = pending.pop(0)
        if id(model) not in seen:
            seen.add(id(model))
            yield model
            pending += model.inside
