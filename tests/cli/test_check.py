"""``hasten check`` and ``hasten race``: figures, verdicts, exit codes; what is kept of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest

from hasten import Experiment, Target, Trial
from hasten.cli.readings import figure
from hasten.errors import NotFound
from hasten.settings import load_settings
from hasten.wire import Runtime
from tests.cli.test_cache import call
from tests.toy import toy_app

if TYPE_CHECKING:
    from pathlib import Path


async def cold(trial: Trial) -> float:
    """Return how long a run takes."""
    return await trial.duration_s({"topic": "tea"})


async def broken(trial: Trial) -> float:
    """Fail."""
    return await trial.duration_s({"topic": "tea", "trouble": "answer"})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder, and two applications that state something."""
    monkeypatch.chdir(tmp_path)
    held = Target(name="cold", about="a cold run", measure=cold, at_most=5.0, plan="< 9 s")
    missed = Target(name="broken", about="a broken run", measure=broken, at_most=5.0)
    only_checked = replace(missed, name="quiet", is_raced=False)
    same = Experiment(name="same", about="the same", inputs=["tea"], variant={"mode": "hasten"})
    apps = {
        "toy": replace(toy_app(), targets=(held, only_checked), experiments=(same,)),
        "bad": replace(toy_app(name="bad"), targets=(held, missed)),
        "mute": toy_app(name="mute"),
    }
    for verb in ("check", "race"):
        monkeypatch.setattr(f"hasten.cli.{verb}.find_apps", lambda: apps)
    return tmp_path


@pytest.mark.usefixtures("home")
def test_a_missed_figure_ends_with_1_and_says_why() -> None:
    """The others are shown all the same."""
    done = call("check", "toy")
    assert done.exit_code == 1
    assert "1 of 2 figures held" in done.stdout
    assert "toy quiet: StepFailed" in done.stdout
    assert "quality 100.0% of the baseline's" in done.stdout


@pytest.mark.usefixtures("home")
def test_what_was_found_is_kept() -> None:
    """Readings and experiments, to be listed later."""
    call("check", "toy")

    async def kept() -> list[tuple[str, str, bool]]:
        runtime = await Runtime.open(load_settings(), {})
        found = await runtime.results.newest()
        assert await runtime.results.newest("experiment", "toy") == found[:1]
        await runtime.close()
        return sorted((one.kind, one.name, one.is_held) for one in found)

    assert asyncio.run(kept()) == [("check", "targets", False), ("experiment", "same", True)]


@pytest.mark.usefixtures("home")
def test_what_was_found_last_is_shown_again() -> None:
    """Without measuring; with nothing kept there is nothing to show."""
    assert isinstance(call("check", "toy", "--last").exception, NotFound)
    call("check", "toy")
    again = call("check", "toy", "--last")
    assert again.exit_code == 1
    assert "1 of 2 figures held" in again.stdout
    assert "quality 100.0% of the baseline's" in again.stdout


@pytest.mark.usefixtures("home")
def test_the_race_shows_every_application() -> None:
    """What is only checked is left out; the JSON has both modes."""
    done = call("race")
    assert done.exit_code == 1
    assert "2 of 3 figures held" in done.stdout
    found = orjson.loads(call("race", "--json").stdout)
    assert (found["held"], [one["name"] for one in found["readings"]]) == (
        False,
        ["cold", "cold", "broken"],
    )
    assert found["readings"][0]["baseline"] > found["readings"][0]["value"]


@pytest.mark.usefixtures("home")
def test_an_application_without_figures_is_a_wrong_question() -> None:
    """So is one that is not there."""
    for name in ("mute", "nope"):
        assert isinstance(call("check", name).exception, NotFound)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "s", "–"),
        (93.21, "s", "93.2 s"),
        (3.0, "ms", "3 ms"),
        (41.5, "requests/s", "41.5 requests/s"),
        (5_412.4, "tokens", "5,412 tokens"),
        (70.0, "%", "70 %"),
        (0.0, "", "0"),
    ],
)
def test_figures_are_shown_as_people_read_them(value: float | None, unit: str, shown: str) -> None:
    """By their unit."""
    assert figure(value, unit) == shown
