"""A step: an async function with declared inputs and a policy.

Owns ``Step``, the ``@step`` and ``@tool`` decorators, and what a signature
says: a parameter named after a step is a hard dependency, one annotated
``Soft[...]`` is taken only if it is ready in time. Leaves fitting steps
together to ``graph`` and running one to ``attempt``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from hasten.errors import GraphError
from hasten.trace.recorder import span

P = ParamSpec("P")
T = TypeVar("T")


class SoftMark:
    """Marks a parameter as a soft dependency; ``Soft[T]`` writes it."""


Soft: TypeAlias = Annotated[T | None, SoftMark()]
"""``Soft[str]``: the value of that step if it is ready in time, else ``None``."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again on errors: ``attempts`` in all, ``backoff_s`` before the second, doubling.

    ``on`` says which errors are worth it; by default those that call themselves retryable.
    """

    attempts: int = 1
    backoff_s: float = 0.5
    on: Callable[[Exception], bool] = lambda error: bool(getattr(error, "retryable", False))


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How a step is run.

    ``timeout_s`` bounds all its attempts together, and its fallback again.
    ``fallback`` answers when it fails or is late; it takes a subset of its
    parameters, and what it returns is tainted. ``soft_wait_s`` is how long to
    wait for soft inputs once everything else is there: one number, or one per
    name (``math.inf``: for as long as that step runs). ``phase`` is what the
    application calls this part of the work, ``label`` what a person is told
    while it runs. ``limit`` names a concurrency limit of the graph.
    ``log_fields`` are the parameters that may be logged.
    ``needs`` and ``soft_needs`` name dependencies of a function that takes
    ``**inputs``. Raise ``version`` when the same inputs give another answer.
    """

    timeout_s: float | None = None
    retry: Retry = field(default_factory=Retry)
    fallback: Callable[..., Awaitable[Any]] | None = None
    soft_wait_s: float | Mapping[str, float] = 0.0
    phase: str = ""
    label: str = ""
    limit: str = ""
    log_fields: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    soft_needs: tuple[str, ...] = ()
    version: int = 1


class Step(Generic[P, T]):
    """An async function with a name and a policy; called directly it runs as a measured call."""

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        policy: StepPolicy,
        *,
        kind: Literal["step", "tool"] = "step",
        name: str = "",
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.policy = policy
        self.kind: Literal["step", "tool"] = kind
        self.name: str = name or getattr(function, "__name__", type(function).__name__)
        if not inspect.iscoroutinefunction(function):
            message = f"{kind} {self.name!r} must be an async function"
            raise GraphError(message)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function, recorded as a span of the current run if there is one."""
        attributes: dict[str, Any] = {"phase": self.policy.phase} if self.policy.phase else {}
        if self.policy.log_fields:
            given = inspect.signature(self.function).bind(*args, **kwargs).arguments
            attributes["params"] = self.logged(given)
        with span(self.kind, self.name, **attributes):
            return await self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def logged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the declared log fields among ``values``."""
        return {name: values[name] for name in self.policy.log_fields if name in values}

    @functools.cached_property
    def wants(self) -> dict[str, Want]:
        """What it takes, by parameter name, as its signature and ``needs`` declare."""
        found: dict[str, Want] = {}
        hints = _hints(self)
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                for name in (*self.policy.needs, *self.policy.soft_needs):
                    found[name] = Want(Any, is_soft=name in self.policy.soft_needs)
            else:
                has_default = parameter.default is not inspect.Parameter.empty
                found[parameter.name] = _want(hints.get(parameter.name, Any), has_default)
        return found

    @functools.cached_property
    def returns(self) -> Any:
        """The annotation of what it returns; ``Any`` when there is none."""
        return _hints(self).get("return", Any)

    @functools.cached_property
    def fallback_takes(self) -> tuple[str, ...]:
        """The names of its parameters that its fallback wants, too."""
        if self.policy.fallback is None:
            return ()
        parameters = inspect.signature(self.policy.fallback).parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return tuple(self.wants)
        return tuple(parameter.name for parameter in parameters)

    def soft_wait_s(self, name: str) -> float:
        """Return how long to wait for the soft input ``name``, in seconds."""
        wait = self.policy.soft_wait_s
        return wait.get(name, 0.0) if isinstance(wait, Mapping) else wait


@dataclass(frozen=True, slots=True)
class Want:
    """One parameter: its type, and whether it is soft or may be left out."""

    annotation: Any
    is_soft: bool = False
    has_default: bool = False


@overload
def step(function: Callable[P, Coroutine[Any, Any, T]], /) -> Step[P, T]: ...
@overload
def step(
    *, name: str = "", **policy: Any
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Step[P, T]]: ...
def step(function: Any = None, /, *, name: str = "", **policy: Any) -> Any:
    """Make an async function a step; the keywords are the fields of ``StepPolicy``.

    Raises ``GraphError`` if the function is not async.
    """
    if function is not None:
        return Step(function, StepPolicy())
    return lambda function: Step(function, StepPolicy(**policy), name=name)


@overload
def tool(function: Callable[P, Coroutine[Any, Any, T]], /) -> Step[P, T]: ...
@overload
def tool(
    *, name: str = "", **policy: Any
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Step[P, T]]: ...
def tool(function: Any = None, /, *, name: str = "", **policy: Any) -> Any:
    """Make an async function a tool: a step that traces count as a tool call.

    Raises ``GraphError`` if the function is not async.
    """
    if function is not None:
        return Step(function, StepPolicy(), kind="tool")
    return lambda function: Step(function, StepPolicy(**policy), kind="tool", name=name)


def _want(annotation: Any, has_default: bool) -> Want:  # noqa: FBT001 - two facts of one parameter
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        if any(isinstance(mark, SoftMark) for mark in marks):
            return Want(inner, is_soft=True, has_default=has_default)
        annotation = inner
    return Want(annotation, has_default=has_default)


def _hints(step: Step[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(step.function, include_extras=True)
    except NameError as error:
        message = (
            f"{step.kind} {step.name!r}: an annotation cannot be resolved ({error}); "
            "import its name at run time, not under TYPE_CHECKING"
        )
        raise GraphError(message) from error
