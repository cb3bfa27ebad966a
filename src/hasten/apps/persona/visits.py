"""What people do in a load test: read personas, compare them, change one of their own.

Owns the mix. The manifest gives it as ``App.load``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from random import Random

PERSONAS = "/apps/persona/personas"

MIXED = {"details": 6, "compare": 1, "similar": 1, "change": 1}
BURST = {"details": 9, "compare": 1}
READS = 10
"""How much is read before the list is looked at again."""


def visit(profile: str, chance: Random) -> Generator[tuple[str, str, Any], Any, None]:
    """See who is there and read about them; unless in a burst, change one's own copy of one."""
    mix = BURST if profile == "burst" else MIXED
    listed = yield "GET", PERSONAS, None
    ids = [one["persona_id"] for one in listed]
    own = ""
    for kind in chance.choices([*mix], [*mix.values()], k=READS):
        persona_id = chance.choice(ids)
        if kind == "compare":
            inputs = {"persona_ids": chance.sample(ids, 3)}
            yield "POST", "/api/run", {"app": "persona.compare", "inputs": inputs}
            continue
        if kind == "similar":
            yield "GET", f"{PERSONAS}/{persona_id}/similar", None
            continue
        if kind == "change":
            if not own:
                own = (yield "POST", f"{PERSONAS}/{persona_id}/copy", None)["persona_id"]
            persona_id = own
            yield "PATCH", f"{PERSONAS}/{own}", {"age": chance.randint(16, 100)}
        run = yield "POST", f"{PERSONAS}/{persona_id}/details", None
        yield "GET", run["events"], None
