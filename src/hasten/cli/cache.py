"""``hasten cache``: what the cache of this state folder holds and did, and dropping it.

Owns the verbs. They work on the state folder and Redis, whether a server runs on
them or not: a server hears of what was dropped within a second. Leaves listing,
explaining and dropping to ``cache``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from rich.table import Table

from hasten.app import pick_app
from hasten.cache.recorded import RecordedUses
from hasten.cache.shown import (
    EntryFilter,
    clean_tenant,
    entries_for,
    entry_for,
    entry_shown,
    value_of,
)
from hasten.caller import LOCAL, Caller, set_caller
from hasten.cli.run import read_inputs
from hasten.cli.terminal import AsJson, err, out, seconds, with_runtime, write_json
from hasten.clock import current_clock
from hasten.errors import InvalidInput
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hasten.cache.browse import StoredEntry
    from hasten.graph.outcome import Outcome
    from hasten.graph.run import Run
    from hasten.wire import Runtime

T = TypeVar("T")

DAY_S = 86_400.0
FAILED = 1
_RESULTS = ("hit", "stale", "collapsed", "miss")

Tenant = Annotated[str, typer.Option(help="Whose entries: the tenant.")]
User = Annotated[str, typer.Option(help="In whose name.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def add(command: typer.Typer, what: str) -> None:
    """Add the verbs."""
    cache = typer.Typer(help=what, no_args_is_help=True)
    for verb, help_ in (
        (stats, "Show what it holds, and what it did in the latest runs, per use."),
        (ls, "List entries, newest first."),
        (show, "Show one entry with the beginning of its value."),
        (explain, "Say what a run would get from it now, and why."),
        (invalidate, "Drop what is selected and what was built from it."),
        (warm, "Run an application's samples once, so that their answers are there."),
        (clean, "Delete what was computed long ago, reruns included."),
        (flush, "Delete everything, of every tenant."),
    ):
        cache.command(verb.__name__, help=help_)(verb)
    command.add_typer(cache, name="cache")


def stats(
    tenant: Tenant = LOCAL.tenant,
    runs: Annotated[int, typer.Option(min=1, max=1000, help="Over so many runs.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show tiers, and each use with its entries and its latest hits and misses."""

    async def work(runtime: Runtime) -> tuple[list[StoredEntry], RecordedUses, list[Any]]:
        entries = await entries_for(runtime.cache, _admin(tenant), EntryFilter())
        recorded = RecordedUses()
        for run in await runtime.runs(RunFilter(tenant=tenant, limit=runs)):
            recorded.add(await runtime.sink.spans(run.run_id))
        tiers = [tier.status() for tier in runtime.cache.all_tiers()]
        return entries, recorded, tiers

    entries, recorded, tiers = with_runtime(work)
    rows = [_use_row(use, entries, recorded) for use in _uses(entries, recorded)]
    if as_json:
        write_json({"tiers": msgspec.to_builtins(tiers), "uses": rows})
        return
    for tier in tiers:
        err.print(f"{tier.tier}: {'available' if tier.is_available else tier.last_error}")
    table = Table("use", "hits", "stale", "collapsed", "misses", "saved", "entries", "kB", box=None)
    for row in rows:
        counts = [str(row[name]) for name in _RESULTS]
        saved = f"{seconds(row['saved_s'])} ${row['saved_usd']:.4f}"
        table.add_row(row["use"], *counts, saved, str(row["entries"]), f"{row['bytes'] / 1e3:.1f}")
    out.print(table)


def ls(
    tenant: Tenant = LOCAL.tenant,
    use: Annotated[str, typer.Option(help="Only of this use.")] = "",
    tag: Annotated[str, typer.Option(help="Only with this tag.")] = "",
    field: Annotated[str, typer.Option(help="Only with this field: name=value.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List entries."""
    which = EntryFilter(use=use, tag=tag, field=field)
    found = with_runtime(lambda runtime: entries_for(runtime.cache, _admin(tenant), which))
    shown = [entry_shown(one) for one in found[:limit]]
    if as_json:
        write_json(shown)
        return
    table = Table("key", "entry", "whose", "tiers", "age", "expires in", "kB", box=None)
    for one in shown:
        left = "never" if one["expires_s"] is None else seconds(_left_s(one))
        size, tiers = f"{one['size_bytes'] / 1e3:.1f}", ", ".join(one["tiers"])
        whose = one["user"] or one["scope"]
        row = (one["key"][:12], one["label"], whose, tiers, seconds(one["age_s"]), left, size)
        table.add_row(*row)
    out.print(table)


def show(
    key: Annotated[str, typer.Argument(help="Its key, hexadecimal; a beginning will do.")],
    tenant: Tenant = LOCAL.tenant,
    as_json: AsJson = False,
) -> None:
    """Show one entry."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        whole = await _whole_key(runtime, _admin(tenant), key)
        found = await entry_for(runtime.cache, _admin(tenant), whole)
        return {**entry_shown(found), "value": await value_of(runtime.cache, found)}

    shown = with_runtime(work)
    if as_json:
        write_json(shown)
        return
    for name, value in shown.items():
        out.print(f"{name:<12}{value}", markup=False, soft_wrap=True)


def explain(
    app: Annotated[str, typer.Argument(help="The application.")],
    sample: Annotated[str | None, typer.Option(help="A sample of its inputs.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", help="Change one input.")] = None,
    mode: Annotated[str | None, typer.Option(help="A mode.")] = None,
    tenant: Tenant = LOCAL.tenant,
    user: User = LOCAL.user,
    as_json: AsJson = False,
) -> None:
    """Explain the whole answer of one run."""
    caller = Caller(tenant, user, "admin")

    async def work(runtime: Runtime) -> Any:
        inputs = read_inputs(pick_app(runtime.apps, app), None, sample, assign or [])
        return await runtime.explain(app, inputs, caller, mode=mode)

    told = _as(caller, work)
    if as_json:
        write_json({**msgspec.to_builtins(told), "reason": told.reason})
        return
    out.print(told.label, markup=False, soft_wrap=True)
    out.print(told.reason, markup=False, soft_wrap=True)
    for near in told.near:
        out.print(f"near: {near.label}, {seconds(near.age_s)} old", markup=False, soft_wrap=True)
        for one in near.differences:
            out.print(f"  {one.part}: asked {one.asked}, stored {one.stored}", markup=False)


def invalidate(
    selector: Annotated[
        str, typer.Argument(help="key=… tag=… field=NAME=VALUE use=… session=… user=… pattern=…")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Draw what would go.")] = False,
    tenant: Tenant = LOCAL.tenant,
    as_json: AsJson = False,
) -> None:
    """Drop, or only look; draw what goes as a tree: what was built from an entry hangs below."""
    done = _as(
        _admin(tenant),
        lambda runtime: runtime.cache.invalidate(selector, is_dry_run=dry_run, is_listed=True),
    )
    if as_json:
        entries = [entry_shown(one) for one in done.dropped]
        write_json({"selector": done.selector, "dry_run": dry_run, "entries": entries})
        return
    for line in done.tree():
        out.print(line, markup=False, soft_wrap=True)
    if dry_run:
        err.print(f"{len(done.dropped)} entries would go; nothing was dropped")
    else:
        err.print(f"dropped: {done.selector}, {len(done.dropped)} entries", markup=False)


def warm(
    app: Annotated[str, typer.Argument(help="The application.")],
    samples: Annotated[
        list[str] | None, typer.Argument(help="Samples, most wanted first; by default all.")
    ] = None,
    tenant: Tenant = LOCAL.tenant,
    user: User = LOCAL.user,
    speed: Annotated[float | None, typer.Option(help="Pace of simulated runs.")] = None,
    max_usd: Annotated[float | None, typer.Option(min=0, help="Spend no more than this.")] = None,
    max_s: Annotated[float | None, typer.Option(min=0, help="Take no longer than this.")] = None,
) -> None:
    """Run each sample in turn, so that it takes no more than one run's share of the machine."""
    caller = Caller(tenant, user, "admin")

    async def work(runtime: Runtime) -> bool:
        known = pick_app(runtime.apps, app).samples
        names = samples or list(known)
        if unknown := [name for name in names if name not in known]:
            message = f"app {app!r} has no sample {unknown[0]!r}"
            raise InvalidInput(message, field="samples", value=unknown[0], allowed=list(known))
        budget = _WarmBudget(max_usd, max_s)
        for place, name in enumerate(names):
            if limit := budget.limit():
                err.print(f"stopped at {limit}; left out: {', '.join(names[place:])}")
                break
            run = await runtime.start(app, known[name], caller=caller, speed=speed)
            outcome = await budget.outcome(run)
            reused = "was there" if outcome.record.reuse.get("cached") else outcome.status
            err.print(f"{name}: {reused}, {seconds(outcome.record.duration_s)}")
            if outcome.error is not None and not budget.limit():
                return False
        return True

    if not with_runtime(work):
        raise typer.Exit(FAILED)


class _WarmBudget:
    """What warming may cost: money, and seconds on the wall."""

    def __init__(self, max_usd: float | None, max_s: float | None) -> None:
        self._max_usd = max_usd
        self._max_s = max_s
        self._clock = current_clock()
        self._began_s = self._clock.monotonic()
        self._spent_usd = self._dearest_usd = 0.0

    def limit(self) -> str:
        """Say which limit forbids another run, if one does: one like the dearest so far."""
        if self._max_s is not None and self._left_s(self._max_s) <= 0:
            return f"{self._max_s:g} s"
        if self._max_usd is None:
            return ""
        is_over = self._spent_usd + self._dearest_usd > self._max_usd
        if is_over or self._spent_usd >= self._max_usd:
            return f"${self._max_usd:g} (spent: ${self._spent_usd:.4f})"
        return ""

    async def outcome(self, run: Run) -> Outcome:
        """Return how a run ended; it is cancelled when the time is over."""
        left_s = None if self._max_s is None else self._left_s(self._max_s)
        try:
            async with self._clock.timeout(left_s):
                outcome = await run.outcome()
        except TimeoutError:
            run.cancel()
            outcome = await run.outcome()
        cost_usd = 0.0 if outcome.record.reuse.get("cached") else outcome.record.cost_usd
        self._spent_usd += cost_usd
        self._dearest_usd = max(self._dearest_usd, cost_usd)
        return outcome

    def _left_s(self, max_s: float) -> float:
        return max_s - (self._clock.monotonic() - self._began_s)


def clean(
    older_than_days: Annotated[float, typer.Option(min=0, help="Only what is older.")] = 365.0,
    tenant: Tenant = LOCAL.tenant,
) -> None:
    """Delete old entries of a tenant."""
    older_than_s = older_than_days * DAY_S
    count = with_runtime(lambda runtime: clean_tenant(runtime.cache, tenant, older_than_s))
    err.print(f"deleted {count} entries older than {older_than_days:g} days")


def flush(yes: Yes = False) -> None:
    """Delete everything."""
    if not yes:
        typer.confirm("Delete every entry of every tenant?", abort=True, err=True)
    count = with_runtime(lambda runtime: runtime.cache.flush())
    err.print(f"deleted {count} copies of entries")


def _admin(tenant: str) -> Caller:
    """Return whoever sits at this machine, as an admin of the tenant."""
    return Caller(tenant, LOCAL.user, "admin")


def _as(caller: Caller, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do ``work`` in the name of ``caller``."""

    async def acting(runtime: Runtime) -> T:
        set_caller(caller)
        return await work(runtime)

    return with_runtime(acting)


async def _whole_key(runtime: Runtime, caller: Caller, key: str) -> str:
    """Return the key that begins with ``key``. Raises ``InvalidInput`` if several do."""
    found = await entries_for(runtime.cache, caller, EntryFilter())
    keys = [digest for one in found if (digest := one.entry.digest.hex()).startswith(key.lower())]
    if len(keys) > 1:
        message = f"{len(keys)} keys begin with {key!r}; give more of it"
        raise InvalidInput(message, field="key", value=key)
    return keys[0] if keys else key


def _uses(entries: Sequence[StoredEntry], recorded: RecordedUses) -> list[str]:
    return sorted({*recorded.by_use, *(one.entry.use for one in entries)})


def _use_row(use: str, entries: Sequence[StoredEntry], recorded: RecordedUses) -> dict[str, Any]:
    mine = [one for one in entries if one.entry.use == use]
    did = recorded.by_use.get(use)
    counts = {name: did.results[name] if did else 0 for name in _RESULTS}
    return {
        "use": use,
        **counts,
        "saved_s": did.saved_s if did else 0.0,
        "saved_usd": did.saved_usd if did else 0.0,
        "entries": len(mine),
        "bytes": sum(one.size_bytes for one in mine),
    }


def _left_s(shown: dict[str, Any]) -> float:
    left_s: float = shown["expires_s"] - shown["created_s"] - shown["age_s"]
    return max(left_s, 0.0)
