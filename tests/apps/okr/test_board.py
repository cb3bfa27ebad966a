"""What a message adds to the board, how its items are scored, and which phase follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.apps.okr.board import MAX_ITEMS, Board, Item, drafted, phase_of, proposed
from hasten.apps.okr.knowledge import pieces
from hasten.apps.okr.scoring import Scored, overall, score_board
from hasten.apps.okr.workload import common

OBJECTIVE = Item(item_id="o1", text="New customers find value in their first week by the end of Q3")


def kr(text: str) -> Scored:
    """Score one key result of OBJECTIVE."""
    item = Item(item_id="o1-k1", objective_id="o1", text=text)
    return score_board((OBJECTIVE, item))[1]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Objective: Be trusted", [("o1", "Be trusted")]),
        ("**Objective 1:** be trusted.", [("o1", "Be trusted")]),
        ("We want to be trusted. What next?", [("o1", "Be trusted")]),
        ("Our goal is to be trusted by nurses", [("o1", "Be trusted by nurses")]),
        (
            "Objective: Be trusted\nKR: Raise use from 1 to 2\n- KR2: cut errors by 5 %",
            [
                ("o1", "Be trusted"),
                ("o1-k1", "Raise use from 1 to 2"),
                ("o1-k2", "Cut errors by 5 %"),
            ],
        ),
        ("Raise use from 1 to 2", []),
        ("Should we raise use from 1 to 2?", []),
        ("Where do we start?", []),
        ("KR:", []),
    ],
)
def test_what_is_said_becomes_items(said: str, found: list[tuple[str, str]]) -> None:
    """Titled lines, wishes and changes with a figure; questions and the rest are talk."""
    assert [(one.item_id, one.text) for one in drafted((), said)] == found


def test_nothing_is_added_twice() -> None:
    """A wording that is on the board already, in any case, and more than fits."""
    board = drafted((), "Objective: Be trusted\nKR: Raise use from 1 to 2")
    assert drafted(board, "objective: be TRUSTED") == ()
    assert drafted(board, "We want to raise use from 2 to 3")[0].item_id == "o1-k2"
    many = drafted((), "\n".join(f"Objective: Aim number {n}" for n in range(2 * MAX_ITEMS)))
    assert len(many) == MAX_ITEMS


@given(st.text(max_size=400))
def test_any_text_is_taken(said: str) -> None:
    """Items have ids of their own and words; scores are within bounds and reasons are given."""
    board: Board = (OBJECTIVE, *drafted((OBJECTIVE,), said))
    assert len({one.item_id for one in board}) == len(board)
    scored = score_board(board)
    assert all(one.text for one in board)
    assert all(0 <= found.score <= 100 and found.reason for one in scored for found in one.criteria)
    assert 0 <= overall(scored) <= 100
    phase_of(board, {one.item_id: one.score for one in scored})
    proposed(said)


@pytest.mark.parametrize(
    ("text", "name", "score"),
    [
        ("Raise active customers from 42 % to 60 % by June", "measurable", 100),
        ("Raise active customers to 60 % by June", "measurable", 70),
        ("Raise active customers by June", "measurable", 10),
        ("Raise active customers from 42 % to 60 %", "time-bound", 20),
        ("Raise active customers from 40 to 400 by June", "achievable", 40),
        ("Raise active customers from 40 to 120 by June", "achievable", 70),
        ("Raise active customers from 40 % to 100 % by June", "achievable", 40),
        ("Raise revenue from 40 to 60 by June", "relevant", 60),
        ("Make everything better by June", "specific", 40),
    ],
)
def test_each_rule_says_what_is_missing(text: str, name: str, score: int) -> None:
    """One criterion falls, with its reason."""
    found = next(one for one in kr(text).criteria if one.name == name)
    assert found.score == score, found


def test_a_good_board_scores_well_and_a_bad_one_does_not() -> None:
    """Of the same team."""
    good = drafted((), "\n".join(common()[0][1:]))
    bad = drafted((), "Objective: Be the best\nKR: Improve things 1\nKR: Always win 100 %")
    assert overall(score_board(good)) >= 90
    assert overall(score_board(bad)) <= 60


def test_the_phases_follow_each_other() -> None:
    """As the board grows: discovery, refinement, key results, validation."""
    board: Board = ()
    phases = []
    for message in common()[0]:
        board = (*board, *drafted(board, message))
        scores = {one.item_id: one.score for one in score_board(board)}
        phases.append(phase_of(board, scores))
    assert phases == ["discovery", "refinement", "key_results", "validation"]
    poor = (*board[:2], Item(item_id="o1-k2", objective_id="o1", text="Better things"))
    scores = {one.item_id: one.score for one in score_board(poor)}
    assert phase_of(poor, scores) == "refinement"


def test_the_coachs_wordings_are_found() -> None:
    """Lines that say what they are, without their marks."""
    reply = "How about this?\n\n- **Objective:** Be trusted\nKR: Raise use from 1 to 2\nGood luck."
    assert len(proposed(reply)) == 2


def test_the_knowledge_base_has_something_for_each_phase() -> None:
    """Four pieces at least, each titled once."""
    assert len({one.title for one in pieces()}) == len(pieces()) >= 20
    assert {one.phase for one in pieces()} == {
        "discovery",
        "refinement",
        "key_results",
        "validation",
    }
