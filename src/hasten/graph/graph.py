"""A graph: a set of steps, checked when it is built.

Owns a graph's declaration, what the schedule and a run need to know of it, and
reading its inputs. Leaves what is a mistake to ``check``, order to ``schedule``
and execution to ``run``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hasten.errors import GraphError, InvalidInput
from hasten.graph.check import checked
from hasten.graph.run import Run
from hasten.graph.schedule import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.graph.freshness import Freshness
    from hasten.graph.outcome import Outcome, RunOptions
    from hasten.graph.step import Step


class Graph:
    """Steps joined by the names of their parameters.

    A parameter is named after a step, a field of ``inputs`` (a pydantic model),
    or a resource: a value given when the run starts, such as a model, declared
    here with its type. ``outputs`` are the steps whose values are the answer; a
    run that lacks one fails, unless it is also in ``optional``. ``effects`` are
    steps run for what they do, such as saving the answer: the run waits for
    them, their values are no part of it, and one that fails degrades it.
    ``limits`` caps how many steps of a limit group run at once. ``deadline_s``
    bounds a run. ``freshness`` says how much of the answer must be made by the run.
    ``session`` names the input that says which session a run is of: models' answers
    made in it carry the tag ``session:<value>``.

    Raises ``GraphError`` for a duplicate or unknown name, a cycle, a type that
    does not fit, or a step that leads to no output or effect.
    """

    def __init__(  # noqa: PLR0913 - a graph's whole declaration in one place
        self,
        name: str,
        steps: Sequence[Step[..., Any]],
        *,
        inputs: type[BaseModel],
        outputs: Sequence[str],
        optional: Sequence[str] = (),
        effects: Sequence[str] = (),
        resources: Mapping[str, type] | None = None,
        limits: Mapping[str, int] | None = None,
        deadline_s: float | None = None,
        freshness: Freshness | None = None,
        session: str = "",
    ) -> None:  # waiver: ten keywords are a graph's declaration; all but one have defaults
        self.name = name
        self.inputs = inputs
        self.outputs = tuple(outputs)
        self.optional = frozenset(optional)
        self.effects = frozenset(effects)
        self.resources = dict(resources or {})
        self.limits = dict(limits or {})
        self.deadline_s = deadline_s
        self.freshness = freshness
        self.session = session
        self.steps = checked(self, steps)
        self.position = {step.name: place for place, step in enumerate(self.steps)}
        self.nodes = tuple(self._node(step) for step in self.steps)
        self.takes = tuple(self._takes(step) for step in self.steps)
        self.is_output = tuple(step.name in self.outputs for step in self.steps)
        self.after = tuple(self._after(step) for step in self.steps)
        if freshness is not None:
            freshness.check(self)
        if session and session not in inputs.model_fields:
            message = f"graph {name!r}: its session {session!r} is none of its inputs"
            raise GraphError(message)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.steps)} steps>"

    def parse(self, given: Mapping[str, Any] | BaseModel) -> BaseModel:
        """Return ``given`` as this graph's inputs.

        Raises ``InvalidInput`` for the first field that is wrong; the rest are in ``others``.
        """
        if isinstance(given, self.inputs):
            return given
        try:
            parsed = self.inputs.model_validate(given)
        except ValidationError as error:
            problems = [_problem(self.inputs, found) for found in error.errors()]
            problems[0].others = tuple(problems[1:])
            raise problems[0] from None
        _check_text(given)
        return parsed

    def start(
        self,
        inputs: Mapping[str, Any] | BaseModel,
        *,
        options: RunOptions | None = None,
        **resources: Any,
    ) -> Run:
        """Start a run in the background of the running loop and return it.

        ``resources`` are the values of the declared resources; others are left
        aside, so that the graphs of one application can share them. Raises
        ``InvalidInput`` for wrong inputs and ``GraphError`` for a missing resource.
        """
        missing = sorted(set(self.resources) - set(resources))
        if missing:
            message = f"graph {self.name!r} needs {missing}: pass them by name when it starts"
            raise GraphError(message)
        taken = {name: resources[name] for name in self.resources}
        return Run(self, self.parse(inputs), taken, options)

    async def run(
        self,
        inputs: Mapping[str, Any] | BaseModel,
        *,
        options: RunOptions | None = None,
        **resources: Any,
    ) -> Outcome:
        """Run to the end and return the outcome; cancelling the caller cancels the run."""
        run = self.start(inputs, options=options, **resources)
        try:
            return await run.outcome()
        except asyncio.CancelledError:
            run.cancel()
            await run.outcome()
            raise

    def _takes(self, step: Step[..., Any]) -> tuple[str, ...]:
        """Return the names a run must pass to ``step``; a default nobody fills is left alone."""
        known = {*self.position, *self.inputs.model_fields, *self.resources}
        return tuple(name for name in step.wants if name in known)

    def _after(self, step: Step[..., Any]) -> tuple[str, ...]:
        """Return the names of the steps that ``step`` comes after."""
        return tuple(name for name in step.wants if name in self.position)

    def _node(self, step: Step[..., Any]) -> Node:
        wants = [(name, want) for name, want in step.wants.items() if name in self.position]
        return Node(
            step.name,
            tuple(self.position[name] for name, want in wants if not want.is_soft),
            tuple(
                (self.position[name], step.soft_wait_s(name))
                for name, want in wants
                if want.is_soft
            ),
            step.policy.limit,
        )


def _check_text(given: Mapping[str, Any] | BaseModel) -> None:
    """Raise ``InvalidInput`` for a field with a character that PostgreSQL keeps in no text."""
    for field, value in dict(given).items():
        left = [value]
        while left:
            one = left.pop()
            if isinstance(one, str):
                if "\0" in one:
                    message = f"{field!r} holds the character U+0000, which is no text"
                    raise InvalidInput(message, field=field, value=value)
            elif isinstance(one, Mapping):
                left += one.values()
            elif isinstance(one, (list, tuple)):
                left += one


def _problem(inputs: type[BaseModel], found: Any) -> InvalidInput:
    """Turn one of pydantic's findings into an ``InvalidInput`` that says what would do."""
    field = ".".join(str(part) for part in found["loc"]) or "inputs"
    top = inputs.model_fields.get(str(found["loc"][0])) if found["loc"] else None
    allowed = list(found.get("ctx", {}).get("allowed", ()))
    value = found["input"]
    message = f"{field!r}: {found['msg'].removeprefix('Value error, ')}"
    if found["type"] == "missing":
        message, value = f"{field!r} is missing", None
    elif found["type"] == "extra_forbidden" and top is None:
        allowed = sorted(inputs.model_fields)
        message = f"unknown field {field!r}; the fields are {', '.join(allowed)}"
    elif found["type"] in {"literal_error", "enum"} and top is not None:
        allowed = _choices(top.annotation)
        message = f"{field!r} must be one of: {', '.join(allowed)}"
    return InvalidInput(message, field=field, value=value, allowed=allowed)


def _choices(annotation: Any) -> list[str]:
    """Return the vocabulary an annotation allows, as text: enum members, ``Literal`` values."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [found for part in get_args(annotation) for found in _choices(part)]
