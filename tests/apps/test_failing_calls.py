"""Every application while one model call in twenty fails: whoever asks hardly notices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hasten.app import find_apps
from hasten.model.simulated import SimulatedModel
from hasten.trial import try_virtually

if TYPE_CHECKING:
    from hasten.app import App
    from hasten.trial import Trial

APPS = ("discovery", "okr", "fortune", "persona", "consultant")
RUNS = 200


def shaky(app: App, seed: int) -> App:
    """Return an application whose model fails one call in twenty, by other dice each time."""
    return replace(app, profile=replace(app.profile, error_rate=0.05, seed=seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", APPS)
def test_fewer_than_one_run_in_a_hundred_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred cold runs each, over all samples; the calls did fail, one in twenty."""
    app, calls, ended = find_apps()[name], Counter[str](), Counter[str]()
    samples = list(app.samples)
    for method in ("_play", "_broken"):
        original = getattr(SimulatedModel, method)

        def counted(model: Any, request: Any, method: str = method, act: Any = original) -> Any:
            calls[method] += 1
            return act(model, request)

        monkeypatch.setattr(SimulatedModel, method, counted)

    for seed in range(RUNS):
        sample = samples[seed % len(samples)]

        async def once(trial: Trial, sample: str = sample) -> str:
            return (await trial.run(sample)).status

        ended[try_virtually(shaky(app, seed), once, "hasten", seed=seed)] += 1
    assert calls["_broken"] > 0.02 * calls["_play"] > 0
    assert ended["failed"] / RUNS < 0.01, ended
