"""``hasten prompts``: what prompts are made of, and the same prompts with fewer tokens.

Owns where prompts come from, recorded calls or template files, and showing. Leaves
the figures to ``model/prompt_report`` and the rules to ``model/prompt``.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import orjson
import typer
from rich.markup import escape
from rich.table import Table

from hasten.cli.terminal import AsJson, err, out, with_runtime, write_file, write_json
from hasten.errors import InvalidInput, NotFound
from hasten.model.base import count_tokens
from hasten.model.prompt import Compaction, CompactPolicy, compact
from hasten.model.prompt_report import CACHED_FROM_TOKENS, Prompt, PromptReport, report
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.wire import Runtime

TOP = 12

NEWEST_RUNS = 100
"""How many runs are looked at, unless told otherwise."""

Files = Annotated[
    list[Path] | None,
    typer.Argument(help="Template files; without one, the calls recorded."),
]
AppName = Annotated[str | None, typer.Option("--app", help="Only calls of this application.")]
RunCount = Annotated[int, typer.Option("--runs", min=1, help="Over so many runs.")]
ContextTokens = Annotated[
    int | None, typer.Option(min=1, help="Trim each marked context to so many tokens.")
]


def add(command: typer.Typer, what: str) -> None:
    """Add the verb and what it does to prompts."""
    prompts = typer.Typer(help=what, no_args_is_help=True)
    prompts.command("analyze", help="Say what prompts are made of, repeat and could save.")(analyze)
    prompts.command("compact", help="Show prompts with fewer tokens; write them if asked.")(
        compact_prompts
    )
    command.add_typer(prompts, name="prompts")


def analyze(
    files: Files = None,
    app: AppName = None,
    runs: RunCount = NEWEST_RUNS,
    context_tokens: ContextTokens = None,
    as_json: AsJson = False,
) -> None:
    """Say what prompts are made of, what they repeat, and what they could save."""
    policy = CompactPolicy(context_tokens=context_tokens)
    prompts = _templates(files) if files else _recorded(app, runs)
    found = report(prompts, policy=policy, is_template=bool(files))
    if as_json:
        write_json(msgspec.to_builtins(found))
        return
    _draw(found, is_template=bool(files))


def compact_prompts(
    files: Files = None,
    app: AppName = None,
    context_tokens: ContextTokens = None,
    schema: Annotated[
        Path | None, typer.Option(help="JSON Schema that requests carry: the text drops it.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Change the files.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the result of one file here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show prompts before and after the rules that shorten them, and what that saves."""
    if (write or output is not None) and not files:
        message = "--write and --output need template files: recorded calls are not changed"
        raise InvalidInput(message, field="--write")
    if output is not None and len(files or ()) != 1:
        message = "--output takes the result of one file; several are changed with --write"
        raise InvalidInput(message, field="--output")
    policy = CompactPolicy(context_tokens=context_tokens)
    carried = None if schema is None else _schema(schema)
    prompts = _templates(files) if files else _one_a_name(_recorded(app, NEWEST_RUNS))
    made = [(prompt, _compacted(prompt, policy, carried)) for prompt in prompts]
    if as_json:
        write_json([_as_plain(prompt, turns) for prompt, turns in made])
    else:
        for prompt, turns in made:
            _draw_compaction(prompt, turns)
    for path, (_, turns) in zip(files or (), made, strict=False):
        if write or output is not None:
            write_file(output or path, _ending_as(path, turns[0].text).encode())


def _templates(files: Sequence[Path]) -> list[Prompt]:
    found = []
    for path in files:
        try:
            found.append(Prompt(str(path), (("system", path.read_text(encoding="utf-8")),)))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            message = f"{path} cannot be read: {reason}"
            raise InvalidInput(message, field="FILES", value=str(path)) from None
    return found


def _schema(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        message = f"{path} is no JSON Schema: {error}"
        raise InvalidInput(message, field="--schema", value=str(path)) from None
    if not isinstance(found, dict):
        message = f"{path} is no JSON Schema: it holds no object"
        raise InvalidInput(message, field="--schema", value=str(path))
    return found


def _recorded(app: str | None, runs: int) -> list[Prompt]:
    """Return the model calls of the newest runs. Raises ``NotFound`` when there are none."""

    async def found(runtime: Runtime) -> list[Prompt]:
        listed = await runtime.runs(RunFilter(app=app, limit=runs))
        prompts = []
        for run in listed:
            for span in await runtime.sink.spans(run.run_id):
                if span.kind == "model":
                    prompts.append(_prompt_of(run.app, span.attributes))  # noqa: PERF401 - awaited
        return prompts

    prompts = with_runtime(found)
    if not prompts:
        message = "no model calls are recorded: hasten run APP, or name template files"
        raise NotFound(message)
    if not any(prompt.turns for prompt in prompts):
        err.print(
            "the text of prompts is not recorded: run again with HASTEN_RECORD_PROMPTS=true to see"
            " parts, repetitions and prefixes",
            soft_wrap=True,
        )
    return prompts


def _prompt_of(app: str, said: dict[str, Any]) -> Prompt:
    task = said.get("task") or said.get("section") or "call"
    return Prompt(
        name=f"{app}: {task}",
        turns=tuple((turn["role"], turn["text"]) for turn in said.get("prompt", ())),
        model=said.get("model", ""),
        tokens_in=said.get("tokens_in", 0),
        cached_tokens_in=said.get("cached_tokens_in", 0),
    )


def _one_a_name(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return the newest prompt with a text of each name."""
    newest: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.turns:
            newest.setdefault(prompt.name, prompt)
    return list(newest.values())


def _compacted(
    prompt: Prompt, policy: CompactPolicy, schema: dict[str, Any] | None
) -> list[Compaction]:
    said: set[str] = set()
    return [
        compact(text, policy, role=role, schema=schema, said=said) for role, text in prompt.turns
    ]


def _ending_as(path: Path, text: str) -> str:
    """Return ``text`` with the line end at its end that the file has."""
    return text + "\n" if path.read_text(encoding="utf-8").endswith("\n") else text


def _as_plain(prompt: Prompt, turns: Sequence[Compaction]) -> dict[str, Any]:
    return {
        "name": prompt.name,
        "tokens_before": sum(count_tokens(text) for _, text in prompt.turns),
        "tokens_after": sum(count_tokens(one.text) for one in turns),
        "turns": [
            {
                "role": role,
                "before": before,
                "after": after.text,
                "rules": {one.rule: one.tokens_before - one.tokens_after for one in after.effects},
            }
            for (role, before), after in zip(prompt.turns, turns, strict=True)
        ],
    }


def _draw_compaction(prompt: Prompt, turns: Sequence[Compaction]) -> None:
    before = sum(count_tokens(text) for _, text in prompt.turns)
    saved = sum(one.tokens_saved for one in turns)
    out.print(f"[bold]{escape(prompt.name)}[/]: {before:,} → {before - saved:,} tokens", end="")
    out.print(f" ({saved / before:.0%} fewer)" if saved else ", nothing to save")
    for (role, text), made in zip(prompt.turns, turns, strict=True):
        for one in made.effects:
            out.print(f"  {role}: {one.rule} saves {one.tokens_before - one.tokens_after:,}")
        for line in difflib.unified_diff(
            text.splitlines(), made.text.splitlines(), "before", "after", lineterm="", n=1
        ):
            colour = {"+": "green", "-": "red"}.get(line[:1], "dim")
            out.print(f"  {line}", style=colour, markup=False, soft_wrap=True)


def _draw(found: PromptReport, *, is_template: bool) -> None:
    calls = "templates" if is_template else "calls"
    kinds = Table(
        title=f"{found.calls:,} {calls if found.calls > 1 else calls[:-1]}",
        title_justify="left",
        box=None,
    )
    kinds.add_column("prompt")
    for name in (calls, "tokens", "shared start", "never changes", "after compact"):
        kinds.add_column(name, justify="right")
    for one in found.kinds[:TOP]:
        figures = (one.calls, one.tokens, one.prefix_tokens, one.constant_tokens)
        kinds.add_row(
            escape(one.name),
            *(f"{figure:,.0f}" if figure else "–" for figure in figures),
            f"{one.compacted_tokens:,.0f}",
        )
    out.print(kinds)
    if not found.has_text:
        return
    _draw_parts(found)
    _draw_repeated(found)
    _draw_prefixes(found, is_template=is_template)


def _draw_parts(found: PromptReport) -> None:
    parts = Table(title="\nTokens by part", title_justify="left", box=None)
    parts.add_column("part")
    parts.add_column("tokens", justify="right")
    parts.add_column("changes")
    for one in found.kinds[:TOP]:
        parts.add_row(f"[bold]{escape(one.name)}[/]", f"{one.tokens:,.0f}", "")
        for part in sorted(one.parts, key=lambda part: -part.tokens):
            changes = "yes" if part.changes else ""
            parts.add_row(f"  {escape(part.part)}", f"{part.tokens:,.0f}", changes)
    out.print(parts)


def _draw_repeated(found: PromptReport) -> None:
    if not found.repeated:
        return
    table = Table(title="\nRepeated across prompts", title_justify="left", box=None)
    table.add_column("paragraph")
    for name in ("times", "prompts", "tokens each", "tokens again"):
        table.add_column(name, justify="right")
    for one in found.repeated[:TOP]:
        figures = (one.times, len(one.names), one.tokens, one.tokens_again)
        table.add_row(escape(one.text), *(f"{figure:,}" for figure in figures))
    out.print(table)


def _draw_prefixes(found: PromptReport, *, is_template: bool) -> None:
    out.print(f"\nThe provider's prompt cache (from {CACHED_FROM_TOKENS:,} tokens)")
    for one in found.kinds[:TOP]:
        if not one.broken_by:
            continue
        line = f"  {one.name}: ends after {one.prefix_tokens:,} tokens, by {one.broken_by}"
        out.print(line, markup=False, soft_wrap=True)
        if one.saved_tokens:
            out.print(
                f"    with what stays first: {one.saved_tokens:,} more tokens at the cached price,"
                f" ${one.saved_usd:.4f} over these calls",
                soft_wrap=True,
            )
        elif is_template and one.constant_tokens >= CACHED_FROM_TOKENS > one.prefix_tokens:
            out.print(f"    with what stays first: {one.constant_tokens:,} tokens could be cached")
