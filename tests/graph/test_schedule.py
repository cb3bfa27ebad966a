"""The schedule: examples of each decision, and random graphs against what must hold."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from math import inf
from random import Random

import pytest

from hasten.graph.schedule import Node, Result, Schedule, Skip, Start


def test_what_needs_nothing_starts_at_once_and_the_rest_when_it_is_ready() -> None:
    """A reader of two starts with the later of them."""
    schedule = Schedule([Node("a"), Node("b"), Node("c", hard=(0, 1))])
    assert schedule.start(0) == [Start(0), Start(1)]
    assert schedule.settle(0, "ok", 1) == []
    assert schedule.settle(1, "ok", 2) == [Start(2)]
    assert [schedule.result(one) for one in range(3)] == ["ok", "ok", None]


def test_a_step_without_a_value_skips_all_that_need_it() -> None:
    """Each is skipped once, because of the input it lacks."""
    nodes = [Node("a"), Node("b"), Node("c", hard=(0, 1)), Node("d", hard=(2,)), Node("e", (0, 3))]
    schedule = Schedule(nodes)
    schedule.start(0)
    assert schedule.settle(0, "none", 1) == [Skip(2, 0), Skip(4, 0), Skip(3, 2)]
    assert schedule.settle(1, "none", 2) == []
    assert [schedule.result(one) for one in (2, 3, 4)] == ["none"] * 3


def test_a_soft_input_that_settles_in_time_is_taken() -> None:
    """And one that has no value is missed at once: there is nothing to wait for."""
    nodes = [Node("a"), Node("b"), Node("c", soft=((0, 5.0), (1, 5.0)))]
    schedule = Schedule(nodes)
    schedule.start(0)
    assert schedule.settle(0, "none", 1) == []
    assert schedule.next_wake_s() == 5
    assert schedule.settle(1, "ok", 2) == [Start(2, missed=(0,))]
    assert schedule.next_wake_s() is None
    assert schedule.settle(2, "ok", 3) == []
    assert schedule.result(2) == "tainted"


def test_the_wait_for_soft_inputs_counts_from_the_last_hard_one() -> None:
    """Each soft input has its own wait; the longest that is still open decides."""
    nodes = [Node("hard"), Node("x"), Node("y"), Node("z", (0,), ((1, 1.0), (2, 3.0)))]
    schedule = Schedule(nodes)
    schedule.start(0)
    assert schedule.next_wake_s() is None
    assert schedule.settle(0, "ok", 10) == []
    assert schedule.next_wake_s() == 11
    assert schedule.tick(10.999) == []
    assert schedule.tick(11) == []
    assert schedule.next_wake_s() == 13
    assert schedule.tick(13) == [Start(3, missed=(1, 2))]
    assert schedule.settle(1, "ok", 14) == []
    assert schedule.tick(99) == []


def test_a_soft_input_may_be_waited_for_without_end() -> None:
    """Then no wake is set, and the step starts when it settles."""
    schedule = Schedule([Node("a"), Node("b", soft=((0, inf),))])
    assert schedule.start(0) == [Start(0)]
    assert schedule.next_wake_s() is None
    assert schedule.settle(0, "ok", 100) == [Start(1)]


def test_no_wait_means_take_it_if_it_is_there() -> None:
    """A soft input that has settled before is taken, another is missed."""
    nodes = [Node("hard"), Node("a"), Node("b"), Node("c", (0,), ((1, 0.0), (2, 0.0)))]
    schedule = Schedule(nodes)
    schedule.start(0)
    schedule.settle(1, "ok", 1)
    assert schedule.settle(0, "ok", 2) == [Start(3, missed=(2,))]


def test_a_limit_starts_first_come_first_served() -> None:
    """Also when a step that settles frees a place and readies another for it."""
    nodes = [Node("a", limit="g"), Node("b", limit="g"), Node("c", (0,), limit="g"), Node("d")]
    schedule = Schedule(nodes, {"g": 1})
    assert schedule.start(0) == [Start(0), Start(3)]
    assert schedule.settle(0, "ok", 1) == [Start(1)]
    assert schedule.settle(3, "ok", 1) == []
    assert schedule.settle(1, "none", 2) == [Start(2)]


def test_what_settles_while_a_step_queues_is_taken_after_all() -> None:
    """What it misses is fixed when it starts, not when its wait is over."""
    nodes = [Node("a", limit="g"), Node("soft"), Node("b", soft=((1, 1.0),), limit="g")]
    schedule = Schedule(nodes, {"g": 1})
    assert schedule.start(0) == [Start(0), Start(1)]
    assert schedule.tick(1) == []
    assert schedule.settle(1, "tainted", 2) == []
    assert schedule.settle(0, "ok", 3) == [Start(2, is_tainted=True)]
    schedule.settle(2, "ok", 4)
    assert schedule.result(2) == "tainted"


@pytest.mark.parametrize(("hard", "soft"), [((0,), ()), ((), ((0, inf),))])
def test_taint_is_handed_on(hard: tuple[int, ...], soft: tuple[tuple[int, float], ...]) -> None:
    """Over hard and soft edges alike, and from step to step."""
    schedule = Schedule([Node("a"), Node("b", hard, soft), Node("c", (1,)), Node("d")])
    schedule.start(0)
    schedule.settle(0, "tainted", 1)
    schedule.settle(1, "ok", 2)
    schedule.settle(2, "ok", 3)
    schedule.settle(3, "ok", 3)
    assert [schedule.result(one) for one in range(4)] == ["tainted"] * 3 + ["ok"]


NODES = [Node("a"), Node("b"), Node("c", (0,), ((1, 2.0),)), Node("d", (2,))]
USUAL_S = {"a": 3.0, "b": 10.0, "c": 4.0, "d": 1.0}


def test_the_remaining_time_is_the_longest_path_that_is_left() -> None:
    """``c`` is ready at 3, waits 2 for ``b`` in vain, takes 4; ``d`` takes 1."""
    schedule = Schedule(NODES)
    assert schedule.remaining_s([3], USUAL_S, 0) == 10
    schedule.start(0)
    assert schedule.remaining_s([3], USUAL_S, 0) == 10
    assert schedule.remaining_s([0, 1], USUAL_S, 1) == 9
    schedule.settle(0, "ok", 2)
    assert schedule.remaining_s([3], USUAL_S, 2.5) == 6.5
    schedule.settle(1, "ok", 3)
    assert schedule.remaining_s([3], USUAL_S, 3) == 5
    assert schedule.remaining_s([3], USUAL_S, 9) == 1
    schedule.settle(2, "ok", 9)
    schedule.settle(3, "ok", 9.5)
    assert schedule.remaining_s([3], USUAL_S, 9.5) == 0
    assert schedule.remaining_s([], {}, 9.5) == 0


def test_the_remaining_time_is_unknown_where_history_has_a_gap_that_matters() -> None:
    """A soft input's wait bounds what it can cost, so its own duration may be unknown."""
    schedule = Schedule(NODES)
    schedule.start(0)
    assert schedule.remaining_s([3], {"a": 3, "c": 4, "d": 1}, 0) == 10
    assert schedule.remaining_s([3], {"b": 3, "c": 4, "d": 1}, 0) is None
    assert schedule.remaining_s([0], {"a": 3}, 0) == 3
    endless = Schedule([Node("a"), Node("b", soft=((0, inf),))])
    assert endless.remaining_s([1], {"b": 1}, 0) is None
    assert endless.remaining_s([1], {"a": 2, "b": 1}, 0) == 3


@dataclass
class Drive:
    """Drives a schedule with fixed durations, as a run and the planner do, and notes all."""

    nodes: list[Node]
    limits: dict[str, int]
    took_s: list[float]
    results: list[Result]
    starts: dict[int, tuple[float, tuple[int, ...]]] = field(default_factory=dict)
    skips: dict[int, int] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)

    def run(self) -> Schedule:
        """Run to the end and return the schedule as it then is."""
        schedule = Schedule(self.nodes, self.limits)
        ending: list[tuple[float, int]] = []
        now_s = 0.0
        decisions = schedule.start(now_s)
        while True:
            for decision in decisions:
                if isinstance(decision, Skip):
                    assert decision.node not in self.skips
                    self.skips[decision.node] = decision.because
                    self.ends[decision.node] = now_s
                else:
                    assert decision.node not in self.starts
                    self.starts[decision.node] = (now_s, decision.missed)
                    heapq.heappush(ending, (now_s + self.took_s[decision.node], decision.node))
            wake_s = schedule.next_wake_s()
            if ending and (wake_s is None or ending[0][0] <= wake_s):
                now_s, node = heapq.heappop(ending)
                self.ends[node] = now_s
                decisions = schedule.settle(node, self.results[node], now_s)
            elif wake_s is not None:
                now_s = wake_s
                decisions = schedule.tick(now_s)
            else:
                return schedule


def draw(random: Random) -> Drive:
    """Draw a graph of up to 12 steps, their durations and their ends."""
    nodes = []
    for position in range(random.randint(1, 12)):
        before = [one for one in range(position) if random.random() < 0.3]
        soft = [one for one in before if random.random() < 0.4]
        hard = tuple(one for one in before if one not in soft)
        waits = tuple((one, random.choice((0.0, random.random(), inf))) for one in soft)
        nodes.append(Node(f"s{position}", hard, waits, random.choice(("", "", "x", "y"))))
    results: list[Result] = ["ok", "ok", "ok", "tainted", "none"]
    return Drive(
        nodes,
        {"x": random.randint(1, 3), "y": 1},
        [random.random() for _ in nodes],
        [random.choice(results) for _ in nodes],
    )


@pytest.mark.parametrize("block", range(4))
def test_any_graph(block: int) -> None:
    """A thousand random graphs a block: each step ends once, in order, in time."""
    for seed in range(block * 1000, block * 1000 + 1000):
        drive = draw(Random(seed))
        schedule = drive.run()
        try:
            check_all_end(drive, schedule)
            check_times(drive)
            check_limits(drive)
            check_taint(drive, schedule)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def check_all_end(drive: Drive, schedule: Schedule) -> None:
    """Check that each step has settled, by an end or a skip, and skips have their reason."""
    everyone = set(range(len(drive.nodes)))
    assert set(drive.starts) | set(drive.skips) == everyone == set(drive.ends)
    assert not set(drive.starts) & set(drive.skips)
    for node, because in drive.skips.items():
        assert because in drive.nodes[node].hard
        assert schedule.result(because) == "none"
    for node in drive.starts:
        assert all(schedule.result(one) != "none" for one in drive.nodes[node].hard)


def check_times(drive: Drive) -> None:
    """Check when each step starts: no sooner than it may, and no later unless a limit holds it."""
    for node, (began_s, missed) in drive.starts.items():
        may_s = may_begin_s(drive, node)
        assert began_s == may_s or (began_s > may_s and drive.nodes[node].limit)
        for soft, _ in drive.nodes[node].soft:
            assert soft in missed or drive.ends[soft] <= began_s


def may_begin_s(drive: Drive, node: int) -> float:
    """Return when a step may begin: its hard inputs are there, its waits are over."""
    ready_s = max((drive.ends[one] for one in drive.nodes[node].hard), default=0.0)
    waits_s = (min(drive.ends[x], ready_s + wait_s) for x, wait_s in drive.nodes[node].soft)
    return max(ready_s, *waits_s, 0.0)


def check_limits(drive: Drive) -> None:
    """Check that a limit is never passed, and that nobody waits while there is room."""
    for group, most in drive.limits.items():
        members = [one for one in drive.starts if drive.nodes[one].limit == group]
        for one in members:
            began_s, may_s = drive.starts[one][0], may_begin_s(drive, one)
            for when_s in (began_s, may_s):
                beside = [x for x in members if drive.starts[x][0] <= when_s < drive.ends[x]]
                assert len(beside) <= most
            assert began_s == may_s or len(beside) == most


def check_taint(drive: Drive, schedule: Schedule) -> None:
    """Check each result: tainted by itself, by what it missed, or by what it was made from."""
    for node, (_, missed) in drive.starts.items():
        there = [
            *drive.nodes[node].hard,
            *(x for x, _ in drive.nodes[node].soft if x not in missed),
        ]
        is_tainted = bool(missed) or any(schedule.result(one) == "tainted" for one in there)
        want = drive.results[node]
        if want == "ok" and is_tainted:
            want = "tainted"
        assert schedule.result(node) == want
        for one in missed:
            assert schedule.result(one) == "none" or drive.ends[one] >= drive.starts[node][0]
