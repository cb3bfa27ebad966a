"""From settings and manifests to models, each inside its chain.

Owns which model answers, and keeping those of applications open. Leaves the chain itself
to ``model/chain`` and the gateway's upstreams to ``serve/gateway``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hasten.model.chain import ChainPolicy, build_chain, limited, surround
from hasten.model.limit import LimitPolicy
from hasten.model.price import PRICES, Price, bare
from hasten.model.providers import named, provider_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.app import App
    from hasten.cache.cache import Cache
    from hasten.model.base import Model
    from hasten.model.http import WireModel
    from hasten.model.price import PriceTable
    from hasten.settings import Settings, UpstreamSettings


def chain_policy(app: App, mode: str | None) -> ChainPolicy:
    """Return what surrounds the model of ``app``: its own policy where the mode may reuse."""
    return app.chain if (mode or app.default_mode) in app.reusing else ChainPolicy()


def simulated_model(
    app: App,
    mode: str | None = None,
    cache: Cache | None = None,
    *,
    records_prompts: bool = False,
) -> Model:
    """Return the simulated model as ``app``'s profile wants it, inside its chain."""
    from hasten.model.simulated import SimulatedModel

    policy = dataclasses.replace(chain_policy(app, mode), records_prompts=records_prompts)
    return build_chain(SimulatedModel(app.profile), policy, cache=cache)


def real_wire(settings: Settings) -> WireModel:
    """Return what asks the provider that the settings name."""
    protocol, model = named(settings.model)
    providers = {
        "openai": (settings.openai_base_url, settings.openai_api_key),
        "responses": (settings.openai_base_url, settings.openai_api_key),
        "anthropic": (settings.anthropic_base_url, settings.anthropic_api_key),
        "gemini": (settings.gemini_base_url, settings.gemini_api_key),
    }
    base_url, key = providers[protocol]
    return provider_model(protocol, base_url=base_url, model=model, api_key=key.get_secret_value())


def prices_of(settings: Settings) -> PriceTable:
    """Return what tokens cost: the listed prices, and those the settings name over them."""
    named = {
        bare(name): Price(
            one.in_usd,
            one.in_usd if one.cached_in_usd is None else one.cached_in_usd,
            one.out_usd,
            one.write_in_usd,
            one.long_write_in_usd,
        )
        for name, one in settings.prices.items()
    }
    return {**PRICES, **named}


def real_endpoint(settings: Settings, policy: ChainPolicy) -> Model:
    """Return what asks the provider, with the limits that all who ask it share."""
    policy = dataclasses.replace(
        policy,
        concurrency=settings.model_concurrency,
        prices=prices_of(settings),
        records_prompts=settings.record_prompts,
    )
    return limited(real_wire(settings), policy)


def real_model(settings: Settings) -> Model:
    """Return the model that the settings name, inside its chain."""
    return surround(real_endpoint(settings, ChainPolicy()), ChainPolicy())


def upstream_model(
    upstream: UpstreamSettings, api_key: str, *, speed: float = 1.0, prices: PriceTable = PRICES
) -> Model:
    """Return the model that asks one of the gateway's upstreams, inside its chain.

    It waits for what the upstream bears; what goes through untouched is not held back.

    A simulated one is ``speed`` times as quick; the gateway's own clock is the real one.
    """
    policy = ChainPolicy(prices=prices, limit=LimitPolicy())
    if upstream.protocol == "simulated":
        from hasten.model.simulated import SimProfile, SimulatedModel

        usual = SimProfile()
        paced = dataclasses.replace(
            usual,
            ttft_s=usual.ttft_s / speed,
            prefill_tokens_per_s=usual.prefill_tokens_per_s * speed,
            decode_tokens_per_s=usual.decode_tokens_per_s * speed,
        )
        return build_chain(SimulatedModel(paced), ChainPolicy(prices=prices))
    from hasten.model.http import Deadlines, Endpoint

    within = Deadlines(
        connect_s=upstream.connect_s, read_s=upstream.read_s, total_s=upstream.total_s
    )
    wire = provider_model(
        upstream.protocol,
        base_url=upstream.base_url,
        model=upstream.name,
        api_key=api_key,
        endpoint=Endpoint(deadlines=within),
    )
    return build_chain(wire, policy)


class AppModels:
    """The models that applications ask, each made when it is first asked for."""

    def __init__(self, settings: Settings, apps: Mapping[str, App], cache: Cache) -> None:
        self._settings = settings
        self._limits = [app.chain.limit for app in apps.values() if app.chain.limit is not None]
        self._cache = cache
        self._made: dict[tuple[str, bool], Model] = {}
        self._endpoint: Model | None = None

    def of(self, app: App, mode: str | None = None) -> Model:
        """Return the model ``app`` runs on: the one the settings name, or its simulated one.

        Applications that ask the same real endpoint share its connections and its limit.
        """
        settings, policy = self._settings, chain_policy(app, mode)
        name = (app.family, policy is app.chain)
        if name in self._made:
            return self._made[name]
        if settings.is_simulated:
            records_prompts = settings.record_prompts
            made = simulated_model(app, mode, self._cache, records_prompts=records_prompts)
        else:
            if self._endpoint is None:
                shared = ChainPolicy(limit=next(iter(self._limits), None))
                self._endpoint = real_endpoint(settings, shared)
            made = surround(self._endpoint, policy, cache=self._cache)
        self._made[name] = made
        return made

    def all(self) -> list[Model]:
        """Return those that were made, each inside its chain."""
        return list(self._made.values())

    async def close(self) -> None:
        """Close those that were made."""
        for model in self._made.values():
            await model.close()
