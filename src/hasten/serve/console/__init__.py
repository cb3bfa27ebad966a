"""The console: one page at ``/`` that runs an application and shows it arriving.

Owns the page and the headers it is served with. The page is native ES modules
under ``static/``, no build step; it speaks to the same public routes as anyone
else. ``serve/app`` adds it with ``add_console``.
"""

from hasten.serve.console.console import add_console

__all__ = ["add_console"]
