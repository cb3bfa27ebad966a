"""THE SERVER: graphs as endpoints, streams of their runs, and the console.

Owns everything that speaks HTTP; leaves the work to ``wire.Runtime``.
``create_app`` builds it, ``hasten serve`` runs it.
"""

from hasten.serve.app import create_app

__all__ = ["create_app"]
