"""THE SERVER: graphs as endpoints, streams of their runs, the gateway, and the console.

Owns everything that speaks HTTP; leaves the work to ``wire.Runtime``.
``create_app`` builds it, ``hasten serve`` runs it. Its framework is loaded when
``create_app`` is first asked for: a process that is a gateway only has no use for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hasten.serve.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Load ``create_app`` when it is first used."""
    if name == "create_app":
        from hasten.serve.app import create_app

        return create_app
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
