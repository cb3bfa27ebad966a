"""What holds for every verb: help, one line for an error and its exit code, quick to start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hasten import errors
from hasten.cli import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Said

HASTEN = Path(sys.executable).with_name("hasten")


def test_help_tells_every_verb(hasten: Callable[..., Said]) -> None:
    """Each has its line."""
    said = hasten("--help")
    assert said.code == 0
    for verb, what in VERBS.items():
        assert verb in said.out
        assert what in said.out


def test_without_a_verb_there_is_help(hasten: Callable[..., Said]) -> None:
    """Nothing was asked, which is no use of it."""
    said = hasten()
    assert said.code == 2
    assert "analyze" in said.out


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "bench"])
def test_each_verb_has_help(verb: str, hasten: Callable[..., Said]) -> None:
    """It says how it is used."""
    said = hasten(verb, "--help")
    assert said.code == 0
    assert f"Usage: hasten {verb}" in said.out


def test_an_unknown_verb_is_named(hasten: Callable[..., Said]) -> None:
    """With the one that was meant."""
    said = hasten("analyse")
    assert said.code == 2
    assert "analyze" in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("no such thing", field="x"), 2),
        (errors.StoreUnavailable("gone"), 3),
        (errors.ModelUnavailable("gone"), 3),
        (errors.Forbidden("no"), 4),
        (errors.HastenError("it broke"), 1),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: errors.HastenError,
    code: int,
    hasten: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a traceback, on standard error."""

    def config() -> None:
        raise error

    monkeypatch.setattr("hasten.cli.config.config", config)
    assert hasten("config") == (code, "", f"hasten: {error}\n")


def test_an_interrupt_is_130(hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells expect, and without a traceback."""

    def config() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hasten.cli.config.config", config)
    assert hasten("config") == (130, "", "")


def test_help_loads_nothing_heavy() -> None:
    """Database, web and HTTP libraries are for the verbs that use them."""
    heavy = "{'sqlalchemy', 'fastapi', 'aiohttp', 'granian', 'pydantic_settings'}"
    code = f"import sys, hasten.cli as cli; cli.build(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"set()\n"


def test_a_reader_that_left_is_no_error(tmp_path: Path) -> None:
    """Into ``head``, output ends in silence."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [HASTEN, "config"], stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("no_colour", "shown"), [({}, b"\x1b[32mok\x1b[0m\n"), ({"NO_COLOR": "1"}, b"ok\n")]
)
def test_no_color_is_honoured(no_colour: dict[str, str], shown: bytes) -> None:
    """On a terminal there are colours, unless they are not wanted."""
    code = "from hasten.cli.terminal import out; out.print('[green]ok')"
    where = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm", **no_colour}
    done = subprocess.run([sys.executable, "-c", code], stdout=-1, env=where, check=True)
    assert done.stdout == shown
