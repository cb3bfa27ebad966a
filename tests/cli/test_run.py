"""``hasten run``: answers, races, inputs, clocks, and what wrong ones get."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import pytest

from hasten.cli import INTERRUPTED
from tests.cli.processes import HASTEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said

pytestmark = pytest.mark.usefixtures("with_toy")

NUMBER, TEXT, COUNT = {"type": "number"}, {"type": "string"}, {"type": "integer"}


def record(**fields: Any) -> dict[str, Any]:
    """Return the schema of an object that has all of these."""
    return {"type": "object", "required": [*fields], "properties": fields}


RACE = record(
    schema={"const": "hasten.race/1"},
    app=TEXT,
    clock={"enum": ["virtual", "real"]},
    runs={
        "type": "array",
        "items": record(
            mode=TEXT,
            outcome={"enum": ["complete", "degraded", "failed", "cancelled"]},
            duration_s=NUMBER,
            first_text_s={"type": ["number", "null"]},
            llm_calls=COUNT,
            tool_calls=COUNT,
            tokens_in=COUNT,
            tokens_out=COUNT,
            cost_usd=NUMBER,
            critical_path={
                "type": "array",
                "items": record(name=TEXT, kind=TEXT, start_s=NUMBER, duration_s=NUMBER),
            },
            phases={
                "type": "array",
                "items": record(phase=TEXT, start_s=NUMBER, duration_s=NUMBER, critical_s=NUMBER),
            },
        ),
    },
    speedup={"type": ["number", "null"]},
)


def test_one_run_prints_its_answer(hasten: Callable[..., Said]) -> None:
    """Standard output is the Markdown and nothing else; how it went is told beside it."""
    said = hasten("run", "toy")
    assert said.code == 0
    assert said.out.startswith("# facts about tea\n\nprices of tea\n\n")
    assert "━" not in said.out
    assert "toy hasten  complete" in said.err
    assert "━" in said.err
    assert "model calls" in said.err


def test_a_race_is_drawn(hasten: Callable[..., Said]) -> None:
    """Two waterfalls, the figures, how many times faster; nothing on standard error."""
    said = hasten("run", "toy", "--mode", "both")
    assert (said.code, said.err) == (0, "")
    assert "toy baseline  complete" in said.out
    assert "toy hasten  complete" in said.out
    assert "× as fast (simulated seconds, virtual clock)" in said.out


def test_the_race_as_json(hasten: Callable[..., Said]) -> None:
    """It has the documented shape, and its figures agree with each other."""
    said = hasten("run", "toy", "--mode", "both", "--json")
    assert (said.code, said.err) == (0, "")
    race = said.json
    jsonschema.validate(race, RACE)
    baseline, fast = race["runs"]
    assert (baseline["mode"], fast["mode"]) == ("baseline", "hasten")
    assert race["simulated"] is True
    speedup = baseline["duration_s"] / fast["duration_s"]
    assert race["speedup"] == pytest.approx(speedup, abs=0.01)
    assert baseline["duration_s"] > 5
    assert fast["duration_s"] < 5
    for run in race["runs"]:
        waited_s = sum(part["duration_s"] for part in run["critical_path"])
        assert waited_s == pytest.approx(run["duration_s"], abs=0.01)
        assert (run["llm_calls"], run["tool_calls"]) == (1, 2)


def test_a_seed_fixes_the_race(hasten: Callable[..., Said]) -> None:
    """The same seed gives the same figures, under new ids."""

    def figures(seed: str) -> tuple[set[str], list[dict[str, Any]]]:
        runs = hasten("run", "toy", "--mode", "both", "--json", "--seed", seed).json["runs"]
        return {run.pop("run_id") for run in runs}, runs

    (ids, first), (other_ids, again) = figures("1"), figures("1")
    assert first == again
    assert len(ids | other_ids) == 4


def test_runs_are_kept(hasten: Callable[..., Said]) -> None:
    """Both runs of a race are there afterwards, whole."""
    race = hasten("run", "toy", "--mode", "both", "--json").json
    kept = hasten("runs", "--json").json
    assert {run["run_id"] for run in kept} == {run["run_id"] for run in race["runs"]}
    shown = hasten("runs", race["runs"][1]["run_id"], "--json").json
    assert shown["outputs"] == race["runs"][1]["outputs"]
    assert {span["name"] for span in shown["spans"]} >= {"facts", "prices", "draft", "answer"}


def test_inputs_from_a_file_and_changed(hasten: Callable[..., Said], tmp_path: Path) -> None:
    """A file replaces the sample, ``--set`` changes one field of it."""
    (tmp_path / "in.json").write_bytes(orjson.dumps({"topic": "tea", "note": "green"}))
    race = hasten("run", "toy", "--json", "--input", "in.json", "--set", "topic=coffee").json
    assert race["inputs"] == {"topic": "coffee", "note": "green", "trouble": ""}
    assert race["speedup"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "no app 'nope'; there are: toy"),
        (["toy", "--mode", "fast"], "no mode 'fast'; it has baseline, hasten"),
        (["toy", "--sample", "milk"], "no sample 'milk'; it has tea"),
        (["toy", "--set", "topic=milk"], "'topic' must be one of: tea, coffee"),
        (["toy", "--set", "tpoic=tea"], "unknown field 'tpoic'"),
        (["toy", "--set", "topic"], "--set takes key=value, not 'topic'"),
        (["toy", "--input", "gone.json"], "gone.json cannot be read: No such file"),
        (["toy", "--input", "broken.json"], "broken.json is not JSON"),
        (["toy", "--input", "list.json"], "a JSON object of inputs is wanted, not a list"),
        (["toy", "--input", "list.json", "--sample", "tea"], "give one of them"),
        (["toy", "--clock", "virtual", "--speed", "4"], "use --clock real"),
        (["toy", "--clock", "virtual", "--model", "m"], "use --clock real"),
        (["toy", "--speed", "0"], "'speed' is 0.0"),
        (["toy", "--speed", "4", "--model", "m"], "needs the simulated model"),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], said: str, hasten: Callable[..., Said], tmp_path: Path
) -> None:
    """It says what was wrong and what would do, and exits 2."""
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    found = hasten("run", *words)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1


def test_real_time_at_a_speed(hasten: Callable[..., Said]) -> None:
    """A simulated run on the real clock is kept as such."""
    assert hasten("run", "toy", "--speed", "500").code == 0
    (run,) = hasten("runs", "--json").json
    assert (run["clock"], run["speed"], run["simulated"]) == ("real", 500, True)
    assert run["status"] == "complete"
    assert "real ×500" in hasten("runs").out


def test_an_answer_is_reused_unless_asked(hasten: Callable[..., Said]) -> None:
    """Who ran it first is told; ``--fresh`` computes it anew, and so does a race."""
    fast = ("run", "toy", "--speed", "500")
    first = hasten(*fast)
    (run,) = hasten("runs", "--json").json
    again = hasten(*fast)
    assert again.out == first.out
    assert f"reused from {run['run_id']}" in again.err
    assert "reused" not in hasten(*fast, "--fresh").err
    race = hasten(*fast, "--mode", "both", "--json").json
    assert [one["llm_calls"] for one in race["runs"]] == [1, 1]
    assert not any(one["reuse"].get("cached") for one in race["runs"])


def test_a_race_in_real_time(hasten: Callable[..., Said]) -> None:
    """Both modes run side by side."""
    race = hasten("run", "toy", "--mode", "both", "--clock", "real", "--speed", "500", "--json")
    jsonschema.validate(race.json, RACE)
    assert race.json["clock"] == "real"
    assert race.json["speedup"] > 0


def test_a_failed_run_exits_1(hasten: Callable[..., Said]) -> None:
    """The error is told beside, and JSON has it."""
    said = hasten("run", "toy", "--set", "trouble=answer")
    assert (said.code, said.out) == (1, "")
    assert "toy hasten  failed" in said.err
    assert "the answer broke" in said.err
    race = hasten("run", "toy", "--mode", "both", "--set", "trouble=answer", "--json")
    assert race.code == 1
    jsonschema.validate(race.json, RACE)
    assert race.json["speedup"] is None
    assert [run["outcome"] for run in race.json["runs"]] == ["complete", "failed"]


def test_a_degraded_run_says_by_what(hasten: Callable[..., Said]) -> None:
    """It is an answer, so it exits 0."""
    said = hasten("run", "toy", "--set", "trouble=tool")
    assert said.code == 0
    assert "no facts about tea" in said.out
    assert "degraded: facts: " in said.err


def test_a_lost_database_loses_no_answer(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In virtual time the run is over by then: it is shown, then 3 says it was not kept."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/gone")
    said = hasten("run", "toy", "--json")
    assert said.code == 3
    jsonschema.validate(said.json, RACE)
    assert said.err.startswith("hasten: postgresql://")
    assert hasten("run", "toy", "--clock", "real").code == 3


def test_a_model_nobody_answers_for_exits_3(
    hasten: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application answers without it; whoever typed the command is told why."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setattr("hasten.model.retrying.RetryPolicy.wait_s", lambda *_: 0.0)
    said = hasten("run", "toy", "--model", "m")
    assert said.code == 3
    assert "facts about tea" in said.out
    assert "no call of hasten came through: no answer from m at http://127.0.0.1:1" in said.err


def test_sigterm_is_an_interrupt(tmp_path: Path, hasten: Callable[..., Said]) -> None:
    """A run told to end is stored as cancelled; told twice, and put in the background, too."""
    command = [HASTEN, "run", "--clock", "real", "--speed", "2"]
    as_shells_do = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, **as_shells_do
    ) as process:
        while not (runs := hasten("runs", "--json").json):
            assert process.poll() is None
        assert [run["status"] for run in runs] == ["running"]
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == INTERRUPTED
    assert [run["status"] for run in hasten("runs", "--json").json] == ["cancelled"]


def test_a_killed_run_is_told_apart(tmp_path: Path, hasten: Callable[..., Said]) -> None:
    """Its process could say nothing more; the next one to look says that it was interrupted."""
    command = [HASTEN, "run", "--clock", "real", "--speed", "2"]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        while not hasten("runs", "--json").json:
            assert process.poll() is None
        process.kill()
    (run,) = hasten("runs", "--json").json
    assert (run["status"], run["error"]["code"]) == ("failed", "interrupted")
    assert " interrupted " in hasten("runs").out
