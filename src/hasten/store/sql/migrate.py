"""Bring a database's tables up to date: one Alembic history, shipped with the package.

Owns how the history in ``migrations`` is applied; there is no ``env.py`` and no
``alembic.ini``, because the store brings the connection. Each store calls
``migrate`` when it opens, inside one transaction and under the database's own
lock, so that of two servers that start at once one waits for the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

HISTORY = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Apply what is missing. The caller's transaction must hold the lock and commit."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(HISTORY, version_locations=[HISTORY])

    def steps(heads: Any, _context: Any) -> Iterable[RevisionStep]:
        missing = script.iterate_revisions("heads", heads, implicit_base=True)
        return [
            MigrationStep.upgrade_from_script(script.revision_map, revision)
            for revision in reversed(list(missing))
        ]

    context = MigrationContext.configure(connection, opts={"fn": steps})
    with Operations.context(context):
        context.run_migrations()
