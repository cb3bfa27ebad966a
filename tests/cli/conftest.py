"""The command line in this process: an empty folder, the toy installed, and what was said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest

from hasten import cli
from hasten.cli import terminal
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Said(NamedTuple):
    """What a command came to: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return orjson.loads(self.out)


@pytest.fixture
def with_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the toy as the only application."""
    toy = SimpleNamespace(load=toy_app)
    monkeypatch.setattr("hasten.app.entry_points", lambda **_: [toy])


@pytest.fixture
def hasten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Give a function that runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for console in (terminal.out, terminal.err):
        monkeypatch.setattr(console, "_width", 100)

    def call(*words: str) -> Said:
        monkeypatch.setattr("sys.argv", ["hasten", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def raced(with_toy: None, hasten: Callable[..., Said]) -> Callable[..., Said]:
    """Give ``hasten`` in a folder that holds the runs of one race of the toy."""
    assert hasten("run", "toy", "--mode", "both").code == 0
    return hasten
