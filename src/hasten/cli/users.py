"""The users of a load test: a process of its own, in which Locust plays them.

Owns what a user does: ask, wait a while, ask again. Runs apart from the command
because Locust changes Python's own sockets. Reads one JSON object on standard input
and writes what it measured to the file named there. ``loadtest`` starts it.
"""

from __future__ import annotations

import itertools
import random
import sys
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.app import App

THINK_S = (1.0, 3.0)
"""A user waits so long between an answer and the next request, drawn evenly."""

MAIN_SHARE = {"burst": 0.9}
"""How much of an application's requests are for its main operation; else all are as likely."""

SHARES = (0.5, 0.95, 0.99)


def main() -> None:
    """Play the users that standard input describes."""
    plan = orjson.loads(sys.stdin.buffer.read())
    found = play(plan)
    with open(plan["results"], "wb") as file:  # noqa: PTH123 - a path from our own parent
        file.write(orjson.dumps(found))


def play(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Play ``plan`` to its end, write Locust's report, return the figures in seconds."""
    import gevent  # type: ignore[import-untyped]  # it ships none
    from locust import FastHttpUser, between, task
    from locust.env import Environment
    from locust.html import get_html_report
    from locust.stats import stats_history

    from hasten.app import find_apps, pick_app

    app, profile = pick_app(find_apps(), plan["app"]), plan["profile"]
    draws = random.Random(plan["seed"])  # noqa: S311 - reproducible on purpose
    keys = itertools.cycle(plan["keys"] or [""])

    class Asking(FastHttpUser):
        """Somebody who uses the application."""

        host = plan["host"]
        wait_time = between(*THINK_S)
        network_timeout = connection_timeout = plan["timeout_s"]

        def on_start(self) -> None:
            """Take the next key."""
            key = next(keys)
            self.headers = {"Authorization": f"Bearer {key}"} if key else {}

        @task
        def ask(self) -> None:
            """Ask once."""
            method, path, body = request_of(app, profile, draws)
            name = path.partition("?")[0]
            self.client.request(method, path, json=body, name=name, headers=self.headers)

    environment = Environment(user_classes=[Asking], host=plan["host"])
    runner = environment.create_local_runner()
    runner.start(plan["users"], spawn_rate=plan["spawn_rate"])
    gevent.spawn(stats_history, runner)  # what the report's charts draw
    gevent.spawn_later(plan["run_time_s"], runner.quit)
    runner.greenlet.join()
    with open(plan["report"], "w", encoding="utf-8") as file:  # noqa: PTH123 - as above
        file.write(get_html_report(environment))  # type: ignore[no-untyped-call]
    stats = environment.stats
    return {
        **figures_of(stats.total),
        "by_request": {
            f"{method} {name}": figures_of(entry) for (name, method), entry in stats.entries.items()
        },
        "errors": [str(error.error)[:300] for error in stats.errors.values()][:20],
    }


def request_of(
    app: App, profile: str, draws: random.Random
) -> tuple[str, str, Mapping[str, Any] | None]:
    """Return one request: what the application's ``load`` says, or a sample of an operation."""
    if app.load is not None:
        return app.load(profile, draws)
    others = [app.operation(name) for name in app.operations]
    is_main = not others or draws.random() < MAIN_SHARE.get(profile, 1 / (1 + len(others)))
    chosen = app if is_main else draws.choice(others)
    inputs = draws.choice(list(chosen.samples.values()))
    return "POST", "/api/run", {"app": chosen.name, "inputs": dict(inputs)}


def figures_of(entry: Any) -> dict[str, Any]:
    """Return the figures of one of Locust's rows."""
    p50_s, p95_s, p99_s = (entry.get_response_time_percentile(share) / 1e3 for share in SHARES)
    return {
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        "requests_per_s": entry.total_rps,
        "p50_s": p50_s,
        "p95_s": p95_s,
        "p99_s": p99_s,
        "mean_s": entry.avg_response_time / 1e3,
        "most_s": entry.max_response_time / 1e3,
        "bytes_out": entry.total_content_length,
    }


if __name__ == "__main__":
    main()
