"""The reference is complete and right: what the code says of itself is what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import SecretStr

import hasten
from hasten import errors, virtual
from hasten.cli import build, exit_code
from hasten.graph.outcome import RunOptions
from hasten.serve import create_app
from hasten.serve.problems import status_of
from hasten.serve.stream.hasten import HastenEncoder
from hasten.settings import Settings
from hasten.trace import event
from hasten.trace.event import RunEvent
from hasten.trace.log import MemorySink
from hasten.trace.textlog import TextLog
from hasten.wire_models import simulated_model
from tests.architecture.sources import ROOT
from tests.docs.pages import DOCS
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hasten.serve.stream.message import Message


def rows_under(heading: str) -> list[str]:
    """Return the rows of the table under a heading of the reference, its head left out."""
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def row(*cells: object) -> str:
    """Return a table's row."""
    return f"| {' | '.join(map(str, cells))} |"


def first_line(text: str | None) -> str:
    """Return a docstring's first line, in Markdown."""
    return (text or "").partition("\n")[0].replace("``", "`")


def test_public_names() -> None:
    """Each public name has its row, in order, and no other name has one."""
    names = [line.split("`")[1] for line in rows_under("Public names")]
    assert names == sorted(hasten.__all__)


def test_settings() -> None:
    """Each setting has its row: name, default, what it is."""

    def shown(value: Any) -> str:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return f"`{text}`" if text or text == 0 else ""

    assert rows_under("Settings") == [
        row(f"`{name}`", shown(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]


def verbs(command: Any, name: str) -> Iterator[str]:
    """Yield a row for each command that can be called."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield row(f"`{name}`", command.help)
    for verb, found in (inner or {}).items():
        yield from verbs(found, f"{name} {verb}")


def test_commands() -> None:
    """Each verb of ``hasten`` has its row, in the words of its own help."""
    assert rows_under("Commands") == list(verbs(typer.main.get_command(build()), "hasten"))


def flags(command: Any, name: str) -> Iterator[str]:
    """Yield a row for each argument and option of each command."""
    for verb, found in getattr(command, "commands", {}).items():
        yield from flags(found, f"{name} {verb}")
    if hasattr(command, "commands"):
        return
    for one in command.params:
        is_option = one.param_type_name == "option"
        called = ", ".join(one.opts) if is_option else one.name.upper()
        default = f"`{one.default}`" if str(one.default) not in {"None", "False", ""} else ""
        yield row(f"`{name} {called}`", default, one.help)


def test_flags() -> None:
    """Each argument and option of each verb has its row, in the words of its own help."""
    assert rows_under("Flags") == list(flags(typer.main.get_command(build()), "hasten"))


def test_routes() -> None:
    """Each route of the API has its row, in the words of its own docstring."""
    paths = create_app(Settings(home=Path(".hasten")), {}).app.openapi()["paths"]
    assert sorted(rows_under("Routes")) == sorted(
        row(f"`{method.upper()} {path}`", first_line(found["description"]))
        for path, methods in paths.items()
        for method, found in methods.items()
    )


def events_described() -> dict[str, str]:
    """Return each event type and its data, as the module that owns them says."""
    listed = re.findall(r"^``([\w.]+)``\s{2,}(.*)$", event.__doc__ or "", re.MULTILINE)
    return {type_: data.replace("``", "`") for type_, data in listed}


def test_events() -> None:
    """Each type has its row, in the words of its module."""
    assert rows_under("Events") == [
        row(f"`{type_}`", data) for type_, data in events_described().items()
    ]


def quoted(text: str) -> set[str]:
    """Return the words in backticks."""
    return set(re.findall(r"`([^`]+)`", text))


def toy_events(write: Callable[[str], object]) -> list[RunEvent]:
    """Run the toy with a tool that fails, in virtual time; return its events, write its lines."""
    app, sink = toy_app(), MemorySink()
    options = RunOptions(app="toy", sink=sink, listeners=(TextLog(write),))

    async def main() -> list[RunEvent]:
        inputs = {"topic": "tea", "trouble": "tool"}
        run = app.graph().start(inputs, options=options, model=simulated_model(app))
        return [event async for event in run.follow()]

    return virtual.run(main())


def messages(events: list[RunEvent]) -> list[Message]:
    """Return what a stream of these events sends, one of them gone."""
    encoder = HastenEncoder()
    sent = [message for one in events for message in encoder.encode(one)]
    return [*sent, *encoder.gap(100, 101)]


def test_messages() -> None:
    """Each kind of message a stream sends has its row, with every field it carries."""
    events = toy_events(lambda _: None)
    replaced = {"section": "Draft", "text": "Tea."}
    events.append(RunEvent(events[0].run_id, "text.replaced", 0.0, data=replaced, seq=99))
    cut_off = {"error": {"code": "interrupted", "message": ""}, "again_s": None}
    events.append(RunEvent(events[0].run_id, "run.interrupted", 0.0, data=cut_off, seq=100))
    described = {one for one in events_described() if not one.startswith("model.")}  # trace only
    assert {one.type for one in events} == described
    rows = [line.split(" | ", 1) for line in rows_under("Messages")]
    named = {name.strip("| `"): quoted(data) for name, data in rows if "`" in name}
    plain = [quoted(data) for name, data in rows if "`" not in name]
    seen = set()
    for message in messages(events):
        seen.add(message.name)
        fields = set(message.data)
        if not message.name:
            assert any(fields <= row for row in plain), fields
        else:
            assert fields <= named[message.name], (message.name, fields)
    assert seen == {"", *named}


def test_log_lines() -> None:
    """Each line has its row, with every field it carries, and no field that none has."""
    lines: list[str] = []
    toy_events(lines.append)
    rows = [line.split(" | ", 1) for line in rows_under("Log lines")]
    fields = [quoted(data) - {"tool_call"} for _, data in rows]
    tool, phase, summary = ({key for key in row if "`" not in key} for row in fields[:3])
    told: dict[str, set[str]] = {}
    for line in (one for one in lines if one.startswith("{")):
        found = json.loads(line)
        kind = "tool" if found.get("phase") == "tool_call" else found["event"]
        told[kind] = told.get(kind, set()) | set(found)
    assert told == {"tool": tool, "toy_timing": phase, "toy_timing_summary": summary}
    marks = {line.partition(" ")[0] for line in lines if not line.startswith("{")}
    assert marks <= {f"[{mark}]" for row in rows[3:] for mark in re.findall(r"\[(\w+)\]", row[0])}
    assert lines[-1].startswith("[PERF_SUMMARY]")


def tree(error: type[errors.HastenError]) -> Iterator[type[errors.HastenError]]:
    """Yield an error and those below it, as the tree is drawn."""
    yield error
    for below in error.__subclasses__():
        yield from tree(below)


def test_errors() -> None:
    """Each error has its row: code, HTTP status, exit code, whether to try again."""
    wanted = []
    for kind in tree(errors.HastenError):
        if kind.__module__ == errors.__name__:
            one = kind.__new__(kind)
            retry = "yes" if kind.retryable else ""
            name, code = f"`{kind.__name__}`", f"`{kind.code}`"
            wanted.append(row(name, code, status_of(one), exit_code(one), retry))
    assert rows_under("Errors") == wanted


def test_targets_of_make() -> None:
    """Each target has its row, in the words of ``make help``."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## (.*)", makefile, re.MULTILINE)
    assert rows_under("Targets of make") == [
        row(f"`make {target}`", what) for target, what in targets
    ]
