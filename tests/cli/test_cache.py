"""``hasten cache`` and ``hasten erase``: on a state folder that runs have filled."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from hasten.cache.policy import CachePolicy
from hasten.caller import LOCAL, Caller
from hasten.cli import build
from hasten.cli.serve import only_server
from hasten.errors import InvalidInput
from hasten.settings import Settings
from hasten.wire import Runtime
from tests.toy import toy_app

if TYPE_CHECKING:
    from pathlib import Path

    from hasten.app import App

ANN = Caller("acme", "annabelle")
FACTS = CachePolicy(use="facts")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state folder with the toy's sample run twice, and once by another tenant."""
    apps: dict[str, App] = {"toy": toy_app()}
    monkeypatch.setenv("HASTEN_HOME", str(tmp_path))
    monkeypatch.setattr("hasten.wire.find_apps", lambda: apps)

    async def fill() -> None:
        runtime = await Runtime.open(Settings(home=tmp_path, speed=500.0))
        for caller in (LOCAL, LOCAL, ANN):
            sample = apps["toy"].samples["tea"]
            await (await runtime.start("toy", sample, caller=caller)).outcome()
        await runtime.close()

    asyncio.run(fill())
    return tmp_path


def call(*words: str, **options: Any) -> Result:
    """Run ``hasten`` with these words; it must not raise what it does not say."""
    return CliRunner().invoke(build(), words, **options)


def answer(*words: str) -> Any:
    """Run ``hasten`` with these words and ``--json``; return what it answered."""
    done = call(*words, "--json")
    assert done.exit_code == 0, done.output
    return orjson.loads(done.stdout)


@pytest.mark.usefixtures("home")
def test_stats_tell_what_is_there_and_what_was_done() -> None:
    """The rerun that hit is counted from the stored runs; another tenant's is not."""
    found = answer("cache", "stats")
    (row,) = found["uses"]
    assert (row["use"], row["hit"], row["entries"]) == ("rerun", 1, 1)
    assert row["bytes"] > 0
    assert [tier["tier"] for tier in found["tiers"]] == ["disk", "sqlite"]
    assert "rerun" in call("cache", "stats").stdout


@pytest.mark.usefixtures("home")
def test_entries_are_listed_and_shown() -> None:
    """By the beginning of a key; one of another tenant is not found."""
    (entry,) = answer("cache", "ls", "--use", "rerun")
    assert entry["user"] == "local"
    assert answer("cache", "ls", "--use", "other") == []
    assert "facts about tea" in answer("cache", "show", entry["key"][:8])["value"]
    assert "facts about tea" in call("cache", "show", entry["key"]).stdout
    assert entry["key"][:12] in call("cache", "ls").stdout
    other = call("cache", "show", entry["key"], "--tenant", "acme")
    assert other.exit_code != 0


@pytest.mark.usefixtures("home")
def test_a_hit_and_a_miss_are_explained() -> None:
    """The sample is there; with another note the part that differs is named."""
    assert answer("cache", "explain", "toy")["reason"].startswith("hit in sqlite")
    asked = ("cache", "explain", "toy", "--set", "note=other")
    assert answer(*asked)["reason"].startswith("miss")
    assert "inputs: asked sha256:" in call(*asked).stdout


@pytest.mark.usefixtures("home")
def test_a_dry_run_draws_and_drops_nothing() -> None:
    """Then the same words without it do what was drawn."""
    drawn = call("cache", "invalidate", "use=rerun", "--dry-run")
    assert drawn.stdout.startswith("rerun app=toy")
    assert len(answer("cache", "ls")) == 1
    done = call("cache", "invalidate", "use=rerun")
    assert done.stdout == drawn.stdout
    assert "dropped: use=rerun, 1 entries" in done.stderr
    assert answer("cache", "ls") == []
    assert len(answer("cache", "ls", "--tenant", "acme")) == 1


def test_clean_and_flush(home: Path) -> None:
    """Clean goes by age and tenant, whatever the speed of the run; flush takes everything."""

    async def store() -> None:
        runtime = await Runtime.open(Settings(home=home))
        await runtime.cache.put(runtime.cache.key(FACTS, area="AI"), "facts", FACTS)
        await runtime.close()

    asyncio.run(store())
    assert "deleted 0" in call("cache", "clean").stderr
    assert "deleted 2" in call("cache", "clean", "--older-than-days", "0").stderr
    assert len(answer("cache", "ls", "--tenant", "acme")) == 1
    assert call("cache", "flush", input="n\n").exit_code == 1
    assert len(answer("cache", "ls", "--tenant", "acme")) == 1
    assert call("cache", "flush", "--yes").exit_code == 0
    assert answer("cache", "ls", "--tenant", "acme") == []


@pytest.mark.usefixtures("home")
def test_warm_runs_the_samples_that_are_missing() -> None:
    """What is there already is found; after a flush it is computed once more."""
    assert "was there" in call("cache", "warm", "toy").stderr
    call("cache", "flush", "--yes")
    done = call("cache", "warm", "toy", "--speed", "500")
    assert (done.exit_code, "complete" in done.stderr) == (0, True)
    assert len(answer("cache", "ls")) == 1


@pytest.mark.usefixtures("home")
def test_warming_keeps_to_its_budget_and_says_what_was_left_out() -> None:
    """Money: none is left for a run. Time: the run under way is cancelled. Neither is a failure."""
    call("cache", "flush", "--yes")
    done = call("cache", "warm", "toy", "tea", "tea", "--max-usd", "0")
    assert done.exit_code == 0
    assert "stopped at $0 (spent: $0.0000); left out: tea, tea" in done.stderr
    done = call("cache", "warm", "toy", "tea", "tea", "--speed", "0.01", "--max-s", "0.2")
    assert done.exit_code == 0
    assert "tea: cancelled" in done.stderr
    assert "stopped at 0.2 s; left out: tea" in done.stderr
    assert answer("cache", "ls") == []
    assert isinstance(call("cache", "warm", "toy", "milk").exception, InvalidInput)


def test_erasing_beside_a_server_says_what_it_could_not_do(home: Path) -> None:
    """Runs under way are the server's own: it is named, with what to do."""
    with only_server(home):
        done = call("erase", "--tenant", "acme", "--user", "annabelle", "--yes")
    assert done.exit_code == 0
    said = done.stderr.replace("\n", " ")
    assert f"a server (process {os.getpid()}) uses this state folder" in said
    done = call("erase", "--tenant", "acme", "--user", "annabelle", "--yes")
    assert "a server" not in done.stderr


def test_a_person_is_erased_from_every_file(home: Path) -> None:
    """Their runs and entries go and no file has a byte of them left; others stay."""
    before = [
        file.name for file in home.iterdir() if file.is_file() and b"annabelle" in file.read_bytes()
    ]
    assert "hasten.db" in before
    assert call("erase", "--tenant", "acme", "--user", "annabelle", input="n\n").exit_code == 1
    done = answer("erase", "--tenant", "acme", "--user", "annabelle", "--yes")
    assert done == {"runs": 1, "entries": 1, "rows": 0}
    assert answer("cache", "ls", "--tenant", "acme") == []
    assert len(answer("cache", "ls")) == 1
    assert [
        file.name for file in home.iterdir() if file.is_file() and b"annabelle" in file.read_bytes()
    ] == []
