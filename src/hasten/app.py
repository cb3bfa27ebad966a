"""An App: the manifest that tells Hasten everything about one application.

Owns the manifest and how manifests are found (entry points of the group
``hasten.apps``, the user's own beside ours). Leaves what the graphs do to the
application and putting it to work to ``wire``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from hasten.errors import InvalidInput, NotFound
from hasten.graph.rerun import RERUN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from hasten.cache.policy import CachePolicy
    from hasten.graph.graph import Graph
    from hasten.model.base import Model
    from hasten.model.simulated import SimProfile

ENTRY_POINTS = "hasten.apps"
"""The entry-point group; each entry names a module attribute that holds an ``App``."""


def _model_only(model: Model, *, is_simulated: bool) -> Mapping[str, Any]:  # noqa: ARG001 - the interface's
    return {"model": model}


@dataclass(frozen=True, kw_only=True)
class App:
    """One application.

    ``graphs`` maps a mode (``baseline``, ``hasten``) to its graph; all take
    ``inputs`` and give the same outputs. ``phases`` names the parts of a run in
    the order people read them, with a title each. ``samples`` are inputs to try.
    The modes in ``reusing`` may use the cache, whole answers by ``rerun``; the others
    compute everything. ``profile`` says how the simulated model behaves for it. ``resources`` makes
    what its graphs take besides inputs, from the model in use.
    """

    name: str
    title: str
    about: str
    inputs: type[BaseModel]
    graphs: Mapping[str, Graph]
    phases: Mapping[str, str]
    samples: Mapping[str, Mapping[str, Any]]
    profile: SimProfile
    default_mode: str = "hasten"
    reusing: frozenset[str] = frozenset({"hasten"})
    rerun: CachePolicy | None = RERUN
    resources: Callable[..., Mapping[str, Any]] = field(default=_model_only)

    def graph(self, mode: str | None = None) -> Graph:
        """Return the graph of ``mode``, by default ``default_mode``. Raises ``InvalidInput``."""
        wanted = mode or self.default_mode
        if wanted not in self.graphs:
            modes = sorted(self.graphs)
            message = f"app {self.name!r} has no mode {wanted!r}; it has {', '.join(modes)}"
            raise InvalidInput(message, field="mode", value=wanted, allowed=modes)
        return self.graphs[wanted]


def find_apps() -> dict[str, App]:
    """Load every installed application's manifest, by name."""
    apps = [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    return {app.name: app for app in sorted(apps, key=lambda app: app.name)}


def pick_app(apps: Mapping[str, App], name: str) -> App:
    """Return the application called ``name``. Raises ``NotFound`` naming those there are."""
    try:
        return apps[name]
    except KeyError:
        message = f"no app {name!r}; there are: {', '.join(apps) or 'none'}"
        raise NotFound(message) from None
