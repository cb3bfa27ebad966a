"""Hamilton's async driver, the functions as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hamilton import ad_hoc_utils, async_driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.shapes import Shape


async def prepare(shape: Shape) -> Callable[[], Awaitable[int]]:
    """Build the driver from a module made of the functions."""
    module = ad_hoc_utils.create_temporary_module(*shape.functions())
    driver = await async_driver.Builder().with_modules(module).build()
    last = f"s{len(shape.needs) - 1}"

    async def call() -> int:
        found = await driver.execute([last])
        return int(found[last])

    return call
