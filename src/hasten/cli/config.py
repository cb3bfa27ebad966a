"""``hasten config``: every setting, its value and its default."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from hasten.cli.terminal import AsJson, out, write_json

if TYPE_CHECKING:
    import typer

PASSWORD = re.compile(r"(//[^/@]*:)[^/@]*@")
"""The part of a URL that must not be shown."""


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("config", help=what)(config)


def config(as_json: AsJson = False) -> None:
    """Show the settings in force; secrets are masked."""
    rows = _rows()
    if as_json:
        write_json(rows)
        return
    table = Table("setting", "value", "what", box=None, pad_edge=False)
    for row in rows:
        value = escape(row["value"])
        if row["value"] != row["default"]:
            value = f"[bold]{value}[/bold] [dim](default {row['default'] or 'none'})[/dim]"
        table.add_row(row["name"], value, row["what"])
    out.print(table)


def _rows() -> list[dict[str, str]]:
    from hasten.settings import Settings, load_settings

    settings = load_settings()
    return [
        {
            "name": name,
            "value": _shown(getattr(settings, name)),
            "default": _shown(field.default),
            "what": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: object) -> str:
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return PASSWORD.sub(r"\1***@", text)
