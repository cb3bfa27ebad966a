"""Bring a database's tables up to date: one Alembic history, shipped with the package.

Owns how the history in ``migrations`` is applied, and with it the branches of
the applications that are installed (``App.migrations``); there is no ``env.py``
and no ``alembic.ini``, because the store brings the connection. Each store calls
``migrate`` when it opens, inside one transaction and under the database's own
lock, so that of two servers that start at once one waits for the other.

Alembic takes longer to load than all else a start does, so it is left alone as long as it
has nothing to do: a database that ``is_current``, which is read from the history's files as
they lie there, and a new one of SQLite, which ``new.sql`` makes as the history would leave it.

A branch that the database has and nobody brings any more, as when an
application was uninstalled, is left as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasten.errors import InvalidInput
from hasten.store.base import first_epoch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

HISTORY = Path(__file__).parent / "migrations"
NEW = Path(__file__).with_name("new.sql")

_NAMED = re.compile(r"^(revision|down_revision)\b[^=\n]*=\s*(.+)$", re.MULTILINE)
_QUOTED = re.compile(r"""["']([^"']*)["']""")


def is_current(found: Iterable[str], branches: Sequence[Path] = ()) -> bool:
    """Whether nothing is missing where ``found`` are the revisions that a database is at."""
    wanted = _heads([HISTORY, *branches])
    return bool(wanted) and wanted <= set(found)


def make_new(raw: sqlite3.Connection) -> list[str]:
    """Make our tables in a SQLite database that has none; return the revisions they stand for.

    The caller's transaction must hold the lock and commit.
    """
    for statement in NEW.read_text(encoding="utf-8").split(";\n"):
        raw.execute(statement)
    start = first_epoch()
    raw.execute("INSERT INTO cache_generation VALUES (1, ?, ?)", (start, start))
    return sorted(_revisions(HISTORY))


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


def downgrade(
    connection: Connection, app: str, branches: Sequence[Path], to: str = ""
) -> list[str]:
    """Undo what was applied of an application's branch, down to the revision ``to`` or all of it.

    Returns the revisions undone, last to first. The caller's transaction must hold the lock and
    commit. Raises ``InvalidInput`` for a revision that the branch does not have, or that says
    of no way down.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep

    script = history(branches)
    own = {one.revision: one for one in script.walk_revisions() if app in one.branch_labels}
    if to and to not in own:
        message = f"the branch of {app!r} has no revision {to!r}"
        raise InvalidInput(message, field="to", value=to, allowed=sorted(own))
    undone: list[str] = []

    def steps(heads: Any, _context: Any) -> Iterable[RevisionStep]:
        found = [
            own[one.revision]
            for head in heads
            if head in own
            for one in script.iterate_revisions(head, to or "base")
        ]
        for one in found:
            if not hasattr(one.module, "downgrade"):
                message = f"revision {one.revision} says of no way down: it has no downgrade()"
                raise InvalidInput(message, field="to", value=to)
        undone.extend(one.revision for one in found)
        return [MigrationStep.downgrade_from_script(script.revision_map, one) for one in found]

    context = MigrationContext.configure(connection, opts={"fn": steps})
    with Operations.context(context):
        context.run_migrations()
    return undone


def history(branches: Sequence[Path] = ()) -> ScriptDirectory:
    """Return the history: ours, and a branch for each folder in ``branches``."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(HISTORY), version_locations=[str(HISTORY), *map(str, branches)])


def _heads(folders: Sequence[Path]) -> set[str]:
    """Return the revisions that no other follows; none at all if one cannot be told."""
    try:
        revisions = {name: after for one in folders for name, after in _revisions(one).items()}
    except (KeyError, ValueError):  # written in another way: Alembic runs it
        return set()
    return set(revisions) - {name for after in revisions.values() for name in after}


def _revisions(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the revisions in a folder and those each follows, as their files say."""
    found: dict[str, tuple[str, ...]] = {}
    for path in folder.glob("*.py"):
        said = {
            name: tuple(_QUOTED.findall(value))
            for name, value in _NAMED.findall(path.read_text(encoding="utf-8"))
        }
        if said:
            (revision,) = said["revision"]
            found[revision] = said["down_revision"]
    return found
