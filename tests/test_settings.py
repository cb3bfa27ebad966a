"""Settings: where each comes from, and what a wrong one gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hasten.errors import SettingsError
from hasten.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start in an empty folder with none of our variables set."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HASTEN_{name.upper()}", raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults_need_nothing() -> None:
    """Without any source the server is local, on SQLite and simulated."""
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.is_simulated
    assert settings.runs_url == "sqlite:///.hasten/hasten.db"


def test_sources_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag beats the environment, that ``.env``, that ``hasten.toml``, that the default."""
    (tmp_path / "hasten.toml").write_text("port = 1\n")
    assert load_settings().port == 1
    (tmp_path / ".env").write_text("HASTEN_PORT=2\nOTHER=x\n")
    assert load_settings().port == 2
    monkeypatch.setenv("HASTEN_PORT", "3")
    assert load_settings().port == 3
    assert load_settings(port=4).port == 4
    assert load_settings(port=None).port == 3


def test_everybodys_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names the field uses are read as they are; ours win."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/one")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    settings = load_settings()
    assert settings.runs_url == "postgresql://db/one"
    assert settings.log_level == "debug"
    assert settings.openai_base_url == "http://localhost:1/v1"
    assert settings.openai_api_key.get_secret_value() == "sk-secret"
    assert "sk-secret" not in repr(settings)
    monkeypatch.setenv("HASTEN_DATABASE_URL", "postgresql://db/two")
    assert load_settings().runs_url == "postgresql://db/two"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a.example", ("a.example",)),
        ("a.example, b.example,", ("a.example", "b.example")),
        ("", ()),
    ],
)
def test_hosts_in_one_line(
    written: str, read: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable holds them with commas between, a file as a list."""
    monkeypatch.setenv("HASTEN_ALLOWED_HOSTS", written)
    assert load_settings().allowed_hosts == read
    monkeypatch.delenv("HASTEN_ALLOWED_HOSTS")
    (tmp_path / "hasten.toml").write_text(f"allowed_hosts = {list(read)}\n")
    assert load_settings().allowed_hosts == read


def test_a_speed_needs_the_simulated_model() -> None:
    """Nobody can hurry a real one."""
    assert load_settings(speed=4).speed == 4
    with pytest.raises(SettingsError, match="speed 4 needs the simulated model; 'm' is real"):
        load_settings(speed=4, model="m")


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", 99_999), ("speed", 0), ("log_level", "loud"), ("max_body_bytes", 1)],
)
def test_a_wrong_value_is_named(name: str, value: object) -> None:
    """The message has the setting, its value and what would do."""
    with pytest.raises(SettingsError, match=name) as raised:
        load_settings(**{name: value})
    assert str(value) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("prot = 1\n", "prot"), ("port = \n", "hasten.toml"), ("\x00", "hasten.toml")],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A typo or broken TOML is told, not passed over."""
    (tmp_path / "hasten.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_every_setting_is_described() -> None:
    """Each has a sentence for the table."""
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undescribed == []


def test_an_alert_is_posted_signed_or_not_at_all() -> None:
    """A webhook without its secret is refused by name."""
    with pytest.raises(SettingsError, match="needs alert_webhook_secret"):
        load_settings(alert_webhook_url="http://127.0.0.1:9/hook")
    given = {"alert_webhook_url": "http://127.0.0.1:9/hook", "alert_webhook_secret": "s"}
    assert load_settings(**given).alert_webhook_url == given["alert_webhook_url"]


def test_prices_in_the_file(tmp_path: Path) -> None:
    """A table a model; a word that is no price's is refused by name."""
    (tmp_path / "hasten.toml").write_text(
        '[prices."our-model"]\nin_usd = 2\nout_usd = 8\ncached_in_usd = 0.2\n'
    )
    price = load_settings().prices["our-model"]
    assert (price.in_usd, price.out_usd, price.cached_in_usd, price.write_in_usd) == (
        2,
        8,
        0.2,
        None,
    )
    (tmp_path / "hasten.toml").write_text('[prices."our-model"]\nin = 2\nout_usd = 8\n')
    with pytest.raises(SettingsError, match=r"prices\.our-model\.in"):
        load_settings()
