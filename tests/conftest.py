"""What every test gets: this machine alone, nobody's settings, property tests that repeat."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

OURS = re.compile(
    r"(HASTEN|OPENAI|ANTHROPIC|GEMINI)_.*|(REDIS|DATABASE)_URL|LOG_LEVEL|.*_PROXY", re.IGNORECASE
)
"""Variables that would change what is tested."""


def is_local(address: Any) -> bool:
    """Tell whether ``address``, as ``socket.connect`` takes it, stays on this machine."""
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    if address[0] == "localhost":
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def only_this_machine() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if not is_local(address):
            message = f"tests do not use the network: refused to connect to {address}"
            raise PermissionError(message)
        return connect(self, address)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def nobodys_settings() -> Iterator[None]:
    """Hide the variables by which a developer's own machine would change the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(OURS.fullmatch, list(os.environ)):
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a Chromium; without one the test is skipped, in CI it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI"):
        pytest.fail("CI demands the browser tests: there is no Chromium on PATH")
    pytest.skip("there is no Chromium on PATH; scripts/chromium.sh says why")
