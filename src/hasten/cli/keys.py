"""``hasten keys``: make, list and revoke the keys that callers show."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hasten.caller import Caller, Role
from hasten.cli.terminal import AsJson, err, out, with_runtime, write_json


def add(command: typer.Typer, what: str) -> None:
    """Add the verbs."""
    keys = typer.Typer(help=what, no_args_is_help=True)
    keys.command("create", help="Make a key; its secret is shown this once.")(create)
    keys.command("list", help="List the keys; secrets are not kept.")(list_keys)
    keys.command("revoke", help="Revoke a key; servers notice within 5 seconds.")(revoke)
    command.add_typer(keys, name="keys")


def create(
    tenant: Annotated[str, typer.Option(help="The tenant it belongs to.")],
    user: Annotated[str, typer.Option(help="The person or program that shows it.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = "user",
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key."""
    key_id, secret = with_runtime(
        lambda runtime: runtime.keys.create(Caller(tenant, user, role), label)
    )
    if as_json:
        write_json({"key_id": key_id, "secret": secret})
        return
    err.print(f"key {key_id} for {user} of {tenant} ({role}); keep it, it is not shown again:")
    out.print(secret)


def list_keys(as_json: AsJson = False) -> None:
    """List the keys."""
    found: list[Any] = with_runtime(lambda runtime: runtime.keys.all())
    if as_json:
        write_json(found)
        return
    for key in found:
        out.print(key)


def revoke(key_id: str) -> None:
    """Revoke a key."""
    with_runtime(lambda runtime: runtime.keys.revoke(key_id))
    err.print(f"revoked {key_id}")
