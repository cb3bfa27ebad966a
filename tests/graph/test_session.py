"""A run is a request of its own, and of the session that one of its inputs names."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from hasten import CachePolicy, Graph, cached, step, virtual
from hasten.cache.cache import Cache
from hasten.cache.request import current_session
from hasten.errors import GraphError
from hasten.graph.outcome import RunOptions

counted: list[str] = []


class Asked(BaseModel):
    """One input, which is the session."""

    session_id: str


@cached(CachePolicy(use="looked_up", scope="request"))
async def look_up(word: str) -> str:
    """Count how often it is asked."""
    counted.append(word)
    return word


@step
async def one(session_id: str) -> str:
    """Look it up, and say whose session it is."""
    return f"{await look_up(session_id)} {current_session()}"


@step
async def two(session_id: str) -> str:
    """Look the same up."""
    return await look_up(session_id)


GRAPH = Graph("sessions", [one, two], inputs=Asked, outputs=("one", "two"), session="session_id")


def test_a_run_is_a_request_of_its_session() -> None:
    """What is read in it is read once, and again in the next run."""

    async def main() -> None:
        async with Cache() as cache:
            for _ in range(2):
                outcome = await GRAPH.run({"session_id": "s1"}, options=RunOptions(cache=cache))
                assert outcome.outputs == {"one": "s1 s1", "two": "s1"}

    counted.clear()
    virtual.run(main())
    assert counted == ["s1", "s1"]


def test_a_session_that_is_no_input_is_refused() -> None:
    """When the graph is built, by name."""
    with pytest.raises(GraphError, match="'user_id' is none of its inputs"):
        Graph("sessions", [two], inputs=Asked, outputs=("two",), session="user_id")
