"""The users of a load test: a process of its own, in which Locust plays them.

Owns what a user does: ask, wait a while, ask again, as the application's ``load`` says, and
which answers are failures. Runs apart from the command
because Locust changes Python's own sockets. Reads one JSON object on standard input
and writes what it measured to the file named there. ``loadtest`` starts it.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.app import App, Visit

THINK_S = (1.0, 3.0)
"""A user waits so long between an answer and the next request, drawn evenly."""

MAIN_SHARE = {"burst": 0.9}
"""How much of an application's requests are for its main operation; else all are as likely."""

SHARES = (0.5, 0.95, 0.99)

_ID = re.compile(r"(?<=/)(?!v\d+/)(?=[^/]*\d)[^/]+")
"""A part of a path that names one thing of many: it has a digit, and is no version."""


class User:
    """What somebody asks, visit after visit of the application's ``load``."""

    def __init__(self, app: App, profile: str, draws: random.Random) -> None:
        self._begin = partial(app.load or partial(run_samples, app), profile, draws)
        self.start_over()

    def start_over(self) -> None:
        """Begin another visit: the last answer was none that this one could go on with."""
        self._visit, self._answer = self._begin(), None

    def hear(self, answer: Any) -> None:
        """Take the answer to what was asked last."""
        self._answer = answer

    def ask(self) -> tuple[str, str, Mapping[str, Any] | None]:
        """Return the next request; one visit after its end is followed by another."""
        try:
            return self._visit.send(self._answer)
        except StopIteration:
            self.start_over()
            return next(self._visit)


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
    keys = itertools.cycle(plan["keys"] or [""])
    seeds = itertools.count(plan["seed"])

    class Asking(FastHttpUser):
        """Somebody who uses the application."""

        host = plan["host"]
        wait_time = between(*THINK_S)
        network_timeout = connection_timeout = plan["timeout_s"]

        def on_start(self) -> None:
            """Take the next key."""
            key = next(keys)
            self.headers = {"Authorization": f"Bearer {key}"} if key else {}
            draws = random.Random(next(seeds))  # noqa: S311 - reproducible on purpose
            self.asking = User(app, profile, draws)

        @task
        def ask(self) -> None:
            """Ask once."""
            method, path, body = self.asking.ask()
            request = partial(self.client.request, method, path, json=body, headers=self.headers)
            with request(name=name_of(path), catch_response=True) as response:
                kind = (response.headers or {}).get("content-type", "")
                told = response.content or str(response.error).encode()
                try:
                    self.asking.hear(answer_of(response.status_code, kind, told))
                except ValueError as error:
                    response.failure(str(error))
                    self.asking.start_over()

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


def run_samples(app: App, profile: str, draws: random.Random) -> Visit:
    """Run samples of the application and its operations, drawn one at a time."""
    others = [app.operation(name) for name in app.operations]
    main_share = MAIN_SHARE.get(profile, 1 / (1 + len(others)))
    while True:
        is_main = not others or draws.random() < main_share
        chosen = app if is_main else draws.choice(others)
        inputs = draws.choice(list(chosen.samples.values()))
        yield "POST", "/api/run", {"app": chosen.name, "inputs": dict(inputs)}


def name_of(path: str) -> str:
    """Return the row a request is counted in: its path without query and ids."""
    return _ID.sub("{id}", path.partition("?")[0])


def answer_of(status: int, kind: str, content: bytes) -> Any:
    """Return what a user goes on with: JSON, of an event stream its last message, else nothing.

    Raises ``ValueError`` for an answer that is a failure: a status that says so, or a stream
    without a run's good end, whose status was sent before that was known.
    """
    if status // 100 not in {2, 3}:
        message = f"{status}: {content[:200].decode(errors='replace')}"
        raise ValueError(message)
    if kind.startswith("application/json"):
        return orjson.loads(content)
    if not kind.startswith("text/event-stream"):
        return None
    messages = re.findall(rb"^data: ?(.+)$", content, re.MULTILINE)
    last = orjson.loads(messages[-1]) if messages else {}
    if last.get("status") not in {"complete", "degraded"}:
        message = f"the stream ended with {last}"
        raise ValueError(message)
    return last


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
