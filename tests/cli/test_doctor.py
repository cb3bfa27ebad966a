"""``hasten doctor``: what is there, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from hasten.cli import doctor
from hasten.serve import create_app
from hasten.serve.sim import create_sim_app
from hasten.settings import Settings
from hasten.testing.http import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said


def checks(said: Said) -> dict[str, tuple[str, str]]:
    """Return each check's status and detail."""
    return {check["name"]: (check["status"], check["detail"]) for check in said.json}


def test_all_is_well(hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fresh folder with a free port."""
    monkeypatch.setenv("HASTEN_PORT", "0")
    said = hasten("doctor", "--json")
    assert said.code == 0
    assert {status for status, _ in checks(said).values()} == {"ok"}
    assert checks(said)["database"] == ("ok", "sqlite:///.hasten/hasten.db")
    assert "no " not in hasten("doctor").out


def test_an_extra_that_is_not_there_is_no_fault(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that installs it is told."""
    monkeypatch.setenv("HASTEN_PORT", "0")
    monkeypatch.setitem(doctor.EXTRAS, "redis", ("redis", "redis_not_there"))
    said = hasten("doctor", "--json")
    assert said.code == 0
    line = "pip install 'hasten[redis]' adds redis_not_there"
    assert checks(said)["redis"] == ("missing", line)


def test_settings_that_cannot_be_read(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told once; what depends on them is not looked at."""
    monkeypatch.setenv("HASTEN_SPEED", "fast")
    said = hasten("doctor", "--json")
    assert said.code == 1
    assert checks(said)["settings"][0] == "failed"
    assert "database" not in checks(said)


def test_what_cannot_be_reached(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database and model are named with the reason."""
    monkeypatch.setenv("HASTEN_PORT", "0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/gone")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HASTEN_MODEL", "m")
    said = hasten("doctor", "--json")
    assert said.code == 1
    assert "127.0.0.1:1/gone is not available" in checks(said)["database"][1]
    assert "http://127.0.0.1:1/v1/models does not answer" in checks(said)["model"][1]


def beside(server: Any, call: Callable[[str], Said]) -> Said:
    """Call a command, with the server's port, while the server runs."""

    async def both() -> Said:
        async with server as url:
            return await asyncio.to_thread(call, url.rpartition(":")[2])

    return asyncio.run(both())


def test_a_server_of_ours_is_no_fault(
    hasten: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port is in use, which is as it should be."""

    def call(port: str) -> Said:
        monkeypatch.setenv("HASTEN_PORT", port)
        return hasten("doctor", "--json")

    said = beside(serving(create_app(Settings(home=tmp_path / ".hasten"))), call)
    assert said.code == 0
    assert "in use by a server of Hasten: http://localhost:" in checks(said)["port"][1]


def test_a_stranger_on_the_port(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something that is no server of ours, whether or not it answers, must go or we must."""
    monkeypatch.setattr(doctor, "ANSWER_WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        monkeypatch.setenv("HASTEN_PORT", str(stranger.getsockname()[1]))
        said = hasten("doctor", "--json")
    assert said.code == 1
    assert checks(said)["port"][0] == "failed"
    assert "choose another --port" in checks(said)["port"][1]


@pytest.mark.parametrize("protocol", ["", "anthropic/", "gemini/"])
def test_a_model_that_answers(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """An endpoint is asked for its models; that is enough."""
    monkeypatch.setenv("HASTEN_PORT", "0")
    monkeypatch.setenv("HASTEN_MODEL", f"{protocol}m")

    def call(port: str) -> Said:
        root = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("OPENAI_BASE_URL", f"{root}/v1")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", root)
        monkeypatch.setenv("GEMINI_BASE_URL", f"{root}/v1beta")
        return hasten("doctor", "--json")

    said = beside(serving(create_sim_app()), call)
    assert said.code == 0
    assert checks(said)["model"][1].startswith("m at http://127.0.0.1:")


def test_a_key_that_is_refused(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting to change is named."""
    monkeypatch.setenv("HASTEN_PORT", "0")
    monkeypatch.setenv("HASTEN_MODEL", "m")

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    def call(port: str) -> Said:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        return hasten("doctor", "--json")

    said = beside(serving(refusing), call)
    assert said.code == 1
    assert "refuses the key (401): set OPENAI_API_KEY" in checks(said)["model"][1]
