"""Bring a database's tables up to date: one Alembic history, shipped with the package.

Owns how the history in ``migrations`` is applied, and with it the branches of
the applications that are installed (``App.migrations``); there is no ``env.py``
and no ``alembic.ini``, because the store brings the connection. Each store calls
``migrate`` when it opens, inside one transaction and under the database's own
lock, so that of two servers that start at once one waits for the other.

A branch that the database has and nobody brings any more, as when an
application was uninstalled, is left as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

HISTORY = Path(__file__).parent / "migrations"


def migrate(connection: Connection, branches: Sequence[Path] = ()) -> list[str]:
    """Apply what is missing of ours and of ``branches``; return the revisions, first to last.

    The caller's transaction must hold the lock and commit.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep

    script = history(branches)
    known = {revision.revision for revision in script.walk_revisions()}
    applied: list[str] = []

    def steps(heads: Any, _context: Any) -> Iterable[RevisionStep]:
        ours = tuple(head for head in heads if head in known)
        missing = list(script.iterate_revisions("heads", ours, implicit_base=True))
        applied.extend(revision.revision for revision in reversed(missing))
        return [
            MigrationStep.upgrade_from_script(script.revision_map, revision)
            for revision in reversed(missing)
        ]

    context = MigrationContext.configure(connection, opts={"fn": steps})
    with Operations.context(context):
        context.run_migrations()
    return applied


def history(branches: Sequence[Path] = ()) -> ScriptDirectory:
    """Return the history: ours, and a branch for each folder in ``branches``."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(HISTORY), version_locations=[str(HISTORY), *map(str, branches)])
