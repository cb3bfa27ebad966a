"""The guards around every test: the network is refused, and no setting leaks in."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

ELSEWHERE = ("192.0.2.1", 9)
"""An address of the documentation network (RFC 5737): nobody is there."""


def test_the_network_is_refused() -> None:
    """A connection that would leave this machine fails at once, by address and by name."""
    for address in (ELSEWHERE, ("example.org", 443)):
        with socket.socket() as one, pytest.raises(PermissionError, match="refused to connect"):
            one.connect(address)


def test_the_network_is_refused_to_asyncio() -> None:
    """A stream of asyncio cannot leave this machine either."""
    with pytest.raises(PermissionError, match="refused to connect"):
        asyncio.run(asyncio.open_connection(*ELSEWHERE))


def test_this_machine_is_reached() -> None:
    """Loopback works, over IPv4 and by name."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port)).close()


def test_no_setting_of_the_machine_reaches_a_test() -> None:
    """Keys, addresses and our own variables are hidden."""
    prefixes = ("HASTEN_", "OPENAI_", "ANTHROPIC_", "GEMINI_")
    assert [name for name in os.environ if name.startswith(prefixes)] == []
