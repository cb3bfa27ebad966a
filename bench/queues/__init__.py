"""Queues of others, doing the same nothing: who takes part, and a module for each.

A module runs in an environment of the peer's own and imports nothing of Hasten. It has
``submitting(url)``, an async context that gives a call which submits a job of a number, and
``working(url)``, one that works meanwhile; a worker that must have a process to itself
has ``work_for_ever(url, is_ready)`` instead.
"""

from __future__ import annotations

from dataclasses import dataclass

SQLITE, REDIS, POSTGRES = "sqlite", "redis", "postgres"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a peer keeps its jobs, the environment it is in, and how much of it is measured.

    A peer that looks for jobs every ``polls_s`` seconds is given them at random moments.
    ``is_program``: its worker is no part of another program.
    """

    stores: tuple[str, ...]
    environment: str = "queues"
    jobs: int = 3_000
    polls_s: float = 0.0
    is_program: bool = False

    @property
    def pick_ups(self) -> int:
        """How many pick-ups are measured: of one that polls, what ten seconds or more allow."""
        return max(20, int(10 / self.polls_s)) if self.polls_s else 300


PEERS = {
    "huey": Peer((SQLITE,), polls_s=0.1),
    "dbos": Peer((SQLITE, POSTGRES), jobs=500, polls_s=1.0),
    "arq": Peer((REDIS,), environment="arq", polls_s=0.5),
    "taskiq": Peer((REDIS,)),
    "celery": Peer((REDIS,), is_program=True),
    "procrastinate": Peer((POSTGRES,)),
    "pgqueuer": Peer((POSTGRES,)),
}
