"""A graph: a set of steps, checked when it is built.

Owns what fits together: names, types, cycles, what leads to no output. Every
mistake is a ``GraphError`` that names the steps. Leaves order to ``schedule``
and execution to ``run``.
"""

from __future__ import annotations

import asyncio
import types
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hasten.errors import GraphError, InvalidInput
from hasten.graph.run import Outcome, Run, RunOptions
from hasten.graph.schedule import Node
from hasten.graph.step import Step

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


class Graph:
    """Steps joined by the names of their parameters.

    A parameter is named after a step, a field of ``inputs`` (a pydantic model),
    or a resource: a value given when the run starts, such as a model, declared
    here with its type. ``outputs`` are the steps whose values are the answer; a
    run that lacks one fails, unless it is also in ``optional``. ``limits`` caps
    how many steps of a limit group run at once. ``deadline_s`` bounds a run.

    Raises ``GraphError`` for a duplicate or unknown name, a cycle, a type that
    does not fit, or a step that leads to no output.
    """

    def __init__(  # noqa: PLR0913 - a graph's whole declaration in one place
        self,
        name: str,
        steps: Sequence[Step[..., Any]],
        *,
        inputs: type[BaseModel],
        outputs: Sequence[str],
        optional: Sequence[str] = (),
        resources: Mapping[str, type] | None = None,
        limits: Mapping[str, int] | None = None,
        deadline_s: float | None = None,
    ) -> None:  # waiver: seven keywords are a graph's declaration; all but two have defaults
        self.name = name
        self.inputs = inputs
        self.outputs = tuple(outputs)
        self.optional = frozenset(optional)
        self.resources = dict(resources or {})
        self.limits = dict(limits or {})
        self.deadline_s = deadline_s
        by_name = self._by_name(steps)
        self._check_outputs(by_name)
        for step in steps:
            self._check_wants(step, by_name)
        self._check_reach(by_name)
        self.steps = tuple(by_name[found] for found in self._in_order(by_name))
        self.position = {step.name: place for place, step in enumerate(self.steps)}
        self.nodes = tuple(self._node(step) for step in self.steps)
        self.takes = tuple(self._takes(step) for step in self.steps)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.steps)} steps>"

    def parse(self, given: Mapping[str, Any] | BaseModel) -> BaseModel:
        """Return ``given`` as this graph's inputs.

        Raises ``InvalidInput`` for the first field that is wrong; the rest are in ``others``.
        """
        if isinstance(given, self.inputs):
            return given
        try:
            return self.inputs.model_validate(given)
        except ValidationError as error:
            problems = [_problem(self.inputs, found) for found in error.errors()]
            problems[0].others = tuple(problems[1:])
            raise problems[0] from None

    def start(
        self,
        inputs: Mapping[str, Any] | BaseModel,
        *,
        options: RunOptions | None = None,
        **resources: Any,
    ) -> Run:
        """Start a run in the background of the running loop and return it.

        ``resources`` are the values of the declared resources. Raises
        ``InvalidInput`` for wrong inputs and ``GraphError`` for a missing resource.
        """
        missing = sorted(set(self.resources) - set(resources))
        if missing:
            message = f"graph {self.name!r} needs {missing}: pass them by name when it starts"
            raise GraphError(message)
        return Run(self, self.parse(inputs), resources, options)

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

    def _by_name(self, steps: Sequence[Step[..., Any]]) -> dict[str, Step[..., Any]]:
        by_name: dict[str, Step[..., Any]] = {}
        for step in steps:
            if not isinstance(step, Step):
                message = f"graph {self.name!r}: {step!r} is not a step; decorate it with @step"
                raise GraphError(message)
            taken: Mapping[str, Collection[str]] = {
                "step": by_name,
                "input": self.inputs.model_fields,
                "resource": self.resources,
            }
            for what, names in taken.items():
                if step.name in names:
                    message = f"graph {self.name!r}: step {step.name!r} has the name of a {what}"
                    raise GraphError(message)
            if step.policy.limit and step.policy.limit not in self.limits:
                message = (
                    f"graph {self.name!r}: step {step.name!r} is under limit "
                    f"{step.policy.limit!r}, which is not among {sorted(self.limits)}"
                )
                raise GraphError(message)
            by_name[step.name] = step
        return by_name

    def _check_outputs(self, by_name: Mapping[str, Step[..., Any]]) -> None:
        unknown = [name for name in (*self.outputs, *self.optional) if name not in by_name]
        if unknown or not self.outputs:
            wrong = f"outputs {unknown} name no step" if unknown else "there is no output"
            message = f"graph {self.name!r}: {wrong}; its steps are {sorted(by_name)}"
            raise GraphError(message)

    def _check_wants(self, step: Step[..., Any], by_name: Mapping[str, Step[..., Any]]) -> None:
        for name, want in step.wants.items():
            given: Any
            if name in by_name:
                given = by_name[name].returns
            elif want.is_soft:
                message = (
                    f"graph {self.name!r}: step {step.name!r} takes Soft {name!r}: no such step"
                )
                raise GraphError(message)
            elif name in self.inputs.model_fields:
                given = self.inputs.model_fields[name].annotation
            elif name in self.resources:
                given = self.resources[name]
            elif want.has_default:
                continue
            else:
                known = sorted((*by_name, *self.inputs.model_fields, *self.resources))
                message = (
                    f"graph {self.name!r}: step {step.name!r} takes {name!r}, "
                    f"which is no step, input or resource; known: {known}"
                )
                raise GraphError(message)
            if not fits(given, want.annotation):
                message = (
                    f"graph {self.name!r}: step {step.name!r} takes {name!r} as "
                    f"{_show(want.annotation)}, but it is {_show(given)}"
                )
                raise GraphError(message)

    def _check_reach(self, by_name: Mapping[str, Step[..., Any]]) -> None:
        useful: set[str] = set()
        pending = list(self.outputs)
        while pending:
            name = pending.pop()
            if name not in useful:
                useful.add(name)
                pending.extend(found for found in by_name[name].wants if found in by_name)
        idle = sorted(set(by_name) - useful)
        if idle:
            message = f"graph {self.name!r}: {idle} lead to no output of {list(self.outputs)}"
            raise GraphError(message)

    def _in_order(self, by_name: Mapping[str, Step[..., Any]]) -> list[str]:
        """Return the names so that each comes after what it takes."""
        needs = {
            name: [found for found in step.wants if found in by_name]
            for name, step in by_name.items()
        }
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError as error:
            message = f"graph {self.name!r}: a cycle: {' -> '.join(error.args[1])}"
            raise GraphError(message) from None

    def _takes(self, step: Step[..., Any]) -> tuple[str, ...]:
        """Return the names a run must pass to ``step``; a default nobody fills is left alone."""
        known = {*self.position, *self.inputs.model_fields, *self.resources}
        return tuple(name for name in step.wants if name in known)

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


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value annotated ``given`` may be passed where ``wanted`` is declared.

    Checks what annotations can tell: ``Any``, unions, subclasses, and the
    arguments of generics where both sides name them.
    """
    if Any in (given, wanted) or given == wanted or wanted is object:
        return True
    if _is_union(given):
        return all(fits(part, wanted) for part in get_args(given))
    if _is_union(wanted):
        return any(fits(given, part) for part in get_args(wanted))
    given_class, wanted_class = get_origin(given) or given, get_origin(wanted) or wanted
    if (given_class, wanted_class) == (int, float):
        return True
    if isinstance(given_class, type) and isinstance(wanted_class, type):
        if not issubclass(given_class, wanted_class):
            return False
        pairs = zip(get_args(given), get_args(wanted), strict=False)
        return all(fits(one, other) for one, other in pairs)
    return True


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _show(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _problem(inputs: type[BaseModel], found: Any) -> InvalidInput:
    """Turn one of pydantic's findings into an ``InvalidInput`` that says what would do."""
    field = ".".join(str(part) for part in found["loc"]) or "inputs"
    allowed: list[str] = []
    if found["type"] == "extra_forbidden":
        allowed = sorted(inputs.model_fields)
        message = f"unknown field {field!r}; the fields are {', '.join(allowed)}"
    elif found["type"] in {"literal_error", "enum"}:
        allowed = _vocabulary(inputs, found)
        message = f"{field!r} must be one of: {', '.join(allowed)}"
    elif found["type"] == "missing":
        message = f"{field!r} is missing"
    else:
        message = f"{field!r}: {found['msg']}"
    return InvalidInput(message, field=field, value=found.get("input"), allowed=allowed)


def _vocabulary(inputs: type[BaseModel], found: Any) -> list[str]:
    top = inputs.model_fields.get(str(found["loc"][0]))
    annotation: Any = top.annotation if top is not None else None
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(choice.value) for choice in annotation]
    return [str(choice) for choice in get_args(annotation)]
