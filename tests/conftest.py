"""What every test gets: no network but this machine's, and property tests that repeat."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def _is_local(address: Any) -> bool:
    """Tell whether ``address``, as ``socket.connect`` takes it, stays on this machine."""
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = address[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine() -> Any:
    """Refuse every connection that would leave this machine."""
    patch = pytest.MonkeyPatch()

    def guarded(name: str) -> None:
        real = getattr(socket.socket, name)

        def refuse_others(self: socket.socket, address: Any) -> Any:
            if not _is_local(address):
                message = f"tests do not use the network: refused to connect to {address}"
                raise PermissionError(message)
            return real(self, address)

        patch.setattr(socket.socket, name, refuse_others)

    guarded("connect")
    guarded("connect_ex")
    yield
    patch.undo()
