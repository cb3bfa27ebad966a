"""``hasten db``: upgraded, indexes generated, made and verified, slow calls listed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.notebook import notebook_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said


@pytest.fixture(autouse=True)
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the notebook as the only application."""
    only = SimpleNamespace(load=notebook_app)
    monkeypatch.setattr("hasten.app.entry_points", lambda **_: [only])


def test_upgrade_says_what_it_applied(hasten: Callable[..., Said]) -> None:
    """Once; then everything is up to date."""
    assert "notebook_0001" in hasten("db", "upgrade", "--json").json["applied"]
    assert "up to date" in hasten("db", "upgrade").err


def test_a_branch_without_a_way_down_stays(hasten: Callable[..., Said]) -> None:
    """It says which revision has none, and what is not asked to go stays."""
    said = hasten("db", "downgrade", "notebook", "--yes")
    assert (said.code, "notebook_0001 says of no way down" in said.err) == (2, True)
    assert "no revision 'x'" in hasten("db", "downgrade", "notebook", "--to", "x", "--yes").err
    assert hasten("db", "downgrade", "notebook", "--to", "notebook_0001", "--yes").code == 0


def test_indexes_are_verified_made_and_verified_again(hasten: Callable[..., Said]) -> None:
    """Exit 1 while one is missing, and what to do about it."""
    said = hasten("db", "indexes", "verify")
    assert (said.code, "missing" in said.out) == (1, True)
    assert hasten("db", "indexes", "apply", "--json").json == {"made": ["notebook_notes_by_user"]}
    assert "every declared index is there" in hasten("db", "indexes", "apply").err
    said = hasten("db", "indexes", "verify", "--app", "notebook", "--json")
    assert (said.code, said.json[0]["is_served"]) == (0, True)


def test_a_migration_is_generated(hasten: Callable[..., Said], tmp_path: Path) -> None:
    """For what the history lacks, on the screen or in a file."""
    text = hasten("db", "indexes", "generate", "notebook").out
    assert 'revision = "notebook_0002"' in text
    file = tmp_path / "r0002.py"
    hasten("db", "indexes", "generate", "notebook", "-o", str(file))
    assert 'op.create_index("notebook_notes_by_user"' in file.read_text()


def test_slow_calls_are_those_of_recorded_runs(hasten: Callable[..., Said]) -> None:
    """On the real clock."""
    assert "no run has called a table" in hasten("db", "slow").err
    hasten("run", "notebook")
    assert hasten("db", "slow", "--json").json == []
    hasten("run", "notebook", "--clock", "real", "--speed", "500", "--set", "note_id=x")
    (found,) = hasten("db", "slow", "--json").json
    assert (found["app"], found["call"], found["times"]) == (
        "notebook",
        "put_many notebook_notes",
        1,
    )
    assert "put_many notebook_notes" in hasten("db", "slow").out


def test_an_application_without_tables_is_a_wrong_question(hasten: Callable[..., Said]) -> None:
    """So is an unknown one."""
    assert hasten("db", "indexes", "verify", "--app", "nope").code == 2
