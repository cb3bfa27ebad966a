"""A runtime of the toy's, on a real database, at a high speed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hasten.settings import Settings
from hasten.wire import Runtime
from tests.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

WITHIN_S = 30


@pytest.fixture
def on_runtime(tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs a test's coroutine on a fresh runtime, and closes that."""

    def run(test: Callable[[Runtime], Awaitable[Any]], **settings: Any) -> Any:
        given: dict[str, Any] = {"home": tmp_path / "state", "speed": 500.0, **settings}

        async def main() -> Any:
            runtime = await Runtime.open(Settings(**given), {"toy": toy_app()})
            try:
                return await asyncio.wait_for(test(runtime), WITHIN_S)
            finally:
                await runtime.close()

        return asyncio.run(main())

    return run
