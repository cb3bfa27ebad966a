"""The benchmark of the database: each contestant finds its rows, and the index comes back."""

from __future__ import annotations

from functools import partial

from bench import db
from hasten.apps.consultant.tables import metadata
from hasten.store.sql.indexes import missing

ROWS = 5_000


def test_every_contestant_finds_its_rows() -> None:
    """A wrong number of rows would raise; on SQLite, as PostgreSQL differs in its URL alone."""
    cases = [case for case in db.cases(ROWS) if case.name.endswith("sqlite")]
    assert [case.name.partition(",")[0] for case in cases] == list(db.GOALS)
    for case in cases:
        for runner in case.runners.values():
            assert not isinstance(runner, str)
            assert runner() > 0
    bench = db._bench("sqlite", ROWS)
    assert bench.run(bench.store.read(partial(missing, metadata=metadata))) == []
