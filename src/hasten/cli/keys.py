"""``hasten keys``: make, list and revoke the keys that callers show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from hasten.caller import Caller, Role
from hasten.cli.terminal import AsJson, ago, err, out, with_stores, write_json
from hasten.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.store.keys import KeyLimits, KeyRecord


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
    role: Annotated[
        Role, typer.Option(help="user or admin, who sees all runs of the tenant.")
    ] = "user",
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model it may ask at the gateway, such as gpt-4o*; by default any."),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Gateway calls a minute at most.")] = None,
    budget: Annotated[float | None, typer.Option(help="US dollars a month at most.")] = None,
    cache_scope: Annotated[
        Literal["tenant", "user"],
        typer.Option(help="Who shares its answers at most: tenant or user."),
    ] = "tenant",
    as_json: AsJson = False,
) -> None:
    """Make a key; standard output is its secret and nothing else."""
    from hasten.store.keys import KeyLimits

    for field, value in (("--tenant", tenant), ("--user", user)):
        if not value.strip():
            message = f"{field} must not be empty"
            raise InvalidInput(message, field=field, value=value)
    for field, most in (("--rate", rate), ("--budget", budget)):
        if most is not None and not 0 < most < float("inf"):
            message = f"{field} must be above 0, not {most:g}"
            raise InvalidInput(message, field=field, value=most)
    limits = KeyLimits(
        models=tuple(model or ()), rate_per_min=rate, budget_usd=budget, cache_scope=cache_scope
    )
    key_id, secret = with_stores(
        lambda stores: stores.keys.create(Caller(tenant, user, role), label, limits)
    )
    if as_json:
        write_json({"key_id": key_id, "secret": secret})
        return
    err.print(f"key {key_id} for {user} of {tenant} ({role}); keep it, it is not shown again:")
    out.print(secret, markup=False, soft_wrap=True)


def list_keys(as_json: AsJson = False) -> None:
    """List the keys, oldest first."""
    found = with_stores(lambda stores: stores.keys.all())
    if as_json:
        write_json(found)
    elif found:
        _list(found)
    else:
        err.print("no keys yet: everyone on this machine is let in; hasten keys create makes one")


def _list(found: Sequence[KeyRecord]) -> None:
    heads = ("key", "tenant", "user", "role", "label", "limits", "spent", "made", "")
    table = Table(*heads, box=None, pad_edge=False)
    for key in found:
        caller = key.caller
        end = "" if key.revoked_s is None else f"revoked {ago(key.revoked_s)}"
        who = (caller.tenant, caller.user, caller.role, key.label)
        held_to = _limits(key.limits)
        spent = f"${key.spent_usd:.2f}" if key.spent_usd else ""
        made = ago(key.created_s)
        table.add_row(key.key_id, *who, held_to, spent, made, end, style="dim" if end else "")
    out.print(table)


def _limits(limits: KeyLimits) -> str:
    """Return what a key is held to, in words; nothing if it is not."""
    words = list(limits.models)
    if limits.rate_per_min is not None:
        words.append(f"{limits.rate_per_min:g}/min")
    if limits.budget_usd is not None:
        words.append(f"${limits.budget_usd:g}/month")
    if limits.cache_scope != "tenant":
        words.append(f"shared by its {limits.cache_scope}")
    return ", ".join(words)


def revoke(key_id: Annotated[str, typer.Argument(help="Its id, as listed.")]) -> None:
    """Revoke a key."""
    with_stores(lambda stores: stores.keys.revoke(key_id))
    err.print(f"revoked {key_id}")
