"""What teams do in a load test: begin a session, talk to the coach, look at the board.

Owns the mix; what is said is the ``workload``'s. The manifest gives it as ``App.load``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.apps.okr.workload import common, own

if TYPE_CHECKING:
    from collections.abc import Generator
    from random import Random

AT = "/apps/okr"

COMMON = 0.6
"""The share of conversations that many teams have: the middle one of the plan's workloads."""

TEAMS = 1_000_000
"""So many other conversations there are to draw from."""


def visit(profile: str, chance: Random) -> Generator[tuple[str, str, Any], Any, None]:
    """Have one conversation; unless in a burst, look things up between and read it at its end."""
    session = yield "POST", f"{AT}/sessions", {}
    at = f"{AT}/sessions/{session['session_id']}"
    talk = chance.choice(common()) if chance.random() < COMMON else own(chance.randrange(TEAMS))
    for text in talk:
        said = yield "POST", f"{at}/messages", {"text": text}
        yield "GET", said["events"], None
        if profile != "burst" and chance.random() < 1 / len(talk):
            yield "GET", f"{AT}/knowledge?q=measures", None
    if profile != "burst":
        yield "GET", at, None
        yield "GET", f"{AT}/sessions", None
