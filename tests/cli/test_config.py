"""``hasten config``: what is in force, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Said


def test_every_setting_is_there(hasten: Callable[..., Said], tmp_path: Path) -> None:
    """With its value, its default and what it is."""
    (tmp_path / "hasten.toml").write_text("port = 8123\n")
    rows = {row["name"]: row for row in hasten("config", "--json").json}
    assert list(rows) == list(Settings.model_fields)
    assert (rows["port"]["value"], rows["port"]["default"]) == ("8123", "8000")
    assert rows["home"]["what"] == "Folder that holds all state."
    shown = hasten("config").out
    assert "8123 (default 8000)" in shown
    assert ".hasten (default" not in shown


def test_secrets_are_masked(hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is set or not; a URL is shown without its password."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:p%40ss@db.local/runs")
    for words in (("config",), ("config", "--json")):
        said = hasten(*words)
        assert "sk-secret" not in said.out
        assert "p%40ss" not in said.out
        assert "me:***@db.local/runs" in said.out


def test_a_wrong_setting_is_named(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its value and what would do."""
    monkeypatch.setenv("HASTEN_PORT", "many")
    said = hasten("config")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("hasten: setting 'port' is 'many'")
