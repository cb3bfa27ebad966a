"""A small application for tests: two facts, a draft by the model, an answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hasten.app import App
from hasten.clock import current_clock
from hasten.errors import ModelUnavailable
from hasten.graph.graph import Graph
from hasten.graph.step import Soft, step, tool
from hasten.model.base import Model, Request
from hasten.model.simulated import SimProfile
from hasten.model.text import write


class ToyInputs(BaseModel):
    """What the toy takes: ``trouble`` says what should go wrong."""

    model_config = ConfigDict(extra="forbid")

    topic: Literal["tea", "coffee"]
    note: str = Field("", max_length=100)
    trouble: Literal["", "tool", "answer", "hang"] = ""


async def _no_facts(topic: str) -> str:
    return f"no facts about {topic}"


@tool(phase="research", label="Looking up facts", fallback=_no_facts, log_fields=("topic",))
async def facts(topic: str, trouble: str) -> str:
    """Look something up for two seconds."""
    await current_clock().sleep(2.0)
    if trouble == "tool":
        message = "the source is down"
        raise ModelUnavailable(message)
    return f"facts about {topic}"


@tool(phase="research", log_fields=("topic",))
async def prices(topic: str) -> str:
    """Look up prices for three seconds."""
    await current_clock().sleep(3.0)
    return f"prices of {topic}"


@step(phase="draft", timeout_s=60)
async def draft(topic: str, note: str, model: Model) -> str:
    """Let the model write the first section."""
    prompt = f"Topic: {topic}\nNote: {note}\nWrite the section 'Draft' in about 60 words."
    return await write(model, Request.ask(prompt, task="draft"), section="Draft")


@step(phase="answer", soft_wait_s=60)
async def answer(facts: str, prices: str, draft: Soft[str], trouble: str) -> str:
    """Put it together, or fail as told."""
    if trouble == "answer":
        message = "the answer broke"
        raise ValueError(message)
    if trouble == "hang":
        await current_clock().sleep(3_600)
    return f"# {facts}\n\n{prices}\n\n{draft}"


@step(phase="answer", name="answer")
async def slow_answer(topic: str, note: str, trouble: str, model: Model) -> str:
    """Do the same, one thing after the other."""
    found, priced = await facts(topic, trouble), await prices(topic)
    return f"# {found}\n\n{priced}\n\n{await draft(topic, note, model)}"


def toy_app(**changes: Any) -> App:
    """Return the toy; ``changes`` replace parts of its manifest."""
    shared: dict[str, Any] = {
        "inputs": ToyInputs,
        "outputs": ["answer"],
        "resources": {"model": Model},
        "deadline_s": 600,
    }
    manifest: dict[str, Any] = {
        "name": "toy",
        "title": "Toy",
        "about": "Tells something about a topic.",
        "inputs": ToyInputs,
        "graphs": {
            "baseline": Graph("toy_baseline", [slow_answer], **shared),
            "hasten": Graph("toy", [facts, prices, draft, answer], **shared),
        },
        "phases": {"research": "Research", "draft": "Draft", "answer": "Answer"},
        "samples": {"tea": {"topic": "tea", "note": "with milk"}},
        "profile": SimProfile(),
    }
    return App(**{**manifest, **changes})
