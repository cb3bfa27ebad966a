"""Who asks: a frozen value set from the credential, never from a body.

Owns ``Caller`` and the context variable that carries it; leaves checking
credentials to ``serve/auth``. Runs, caches and stores read it.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "admin"]


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller: ``tenant`` is the wall nothing crosses, ``user`` is one person behind it."""

    tenant: str
    user: str
    role: Role = "user"

    def may_see(self, tenant: str, user: str) -> bool:
        """Whether this caller may see what belongs to ``user`` of ``tenant``.

        A person sees their own; an admin sees everything of their own tenant.
        """
        return self.tenant == tenant and (self.user == user or self.role == "admin")


LOCAL = Caller(tenant="local", user="local", role="admin")
"""Everyone, as long as no key was made and the server listens on loopback only."""

_current: ContextVar[Caller] = ContextVar("hasten_caller", default=LOCAL)


def current_caller() -> Caller:
    """Return the caller in whose name this task works."""
    return _current.get()


def set_caller(caller: Caller) -> None:
    """Let this task, and the tasks it starts, work in ``caller``'s name."""
    _current.set(caller)
