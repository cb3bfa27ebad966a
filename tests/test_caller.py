"""Who may see what."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from hasten import virtual
from hasten.caller import LOCAL, Caller, current_caller, set_caller

ANN = Caller("acme", "ann")
BOSS = Caller("acme", "boss", "admin")


@pytest.mark.parametrize(
    ("caller", "tenant", "user", "sees"),
    [
        (ANN, "acme", "ann", True),
        (ANN, "acme", "bob", False),
        (ANN, "other", "ann", False),
        (BOSS, "acme", "ann", True),
        (BOSS, "acme", "boss", True),
        (BOSS, "other", "boss", False),
        (LOCAL, "local", "local", True),
    ],
)
def test_may_see(caller: Caller, tenant: str, user: str, *, sees: bool) -> None:
    """A person sees their own, an admin their tenant's, nobody another tenant's."""
    assert caller.may_see(tenant, user) is sees


def test_a_caller_cannot_be_changed() -> None:
    """Nothing on the way can give a caller another role."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        ANN.role = "admin"  # type: ignore[misc]


def test_the_caller_goes_with_the_task() -> None:
    """A task works in its own caller's name, and so do the tasks it starts."""

    async def whoami(caller: Caller) -> tuple[Caller, Caller]:
        set_caller(caller)

        async def below() -> Caller:
            return current_caller()

        inner = await asyncio.create_task(below())
        return current_caller(), inner

    async def main() -> None:
        ann, boss = await asyncio.gather(whoami(ANN), whoami(BOSS))
        assert (ann, boss) == ((ANN, ANN), (BOSS, BOSS))
        assert current_caller() == LOCAL

    virtual.run(main())
