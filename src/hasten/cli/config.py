"""``hasten config``: every setting, its value and its default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr
from rich.table import Table

from hasten.cli.terminal import AsJson, out, write_json
from hasten.settings import Settings, load_settings

if TYPE_CHECKING:
    import typer


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("config", help=what)(config)


def config(as_json: AsJson = False) -> None:
    """Show the settings in force; secrets are masked."""
    settings = load_settings()
    rows = [
        {
            "name": name,
            "value": _shown(getattr(settings, name)),
            "default": _shown(field.default),
            "what": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        write_json(rows)
        return
    table = Table("setting", "value", "default", "what", box=None, pad_edge=False)
    for row in rows:
        mark = "" if row["value"] == row["default"] else "bold"
        table.add_row(*row.values(), style=mark)
    out.print(table)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
