"""A step: an async function with declared inputs and a policy.

Owns ``Step``, the ``@step`` and ``@tool`` decorators, and what a signature
says: a parameter named after a step is a hard dependency, one annotated
``Soft[...]`` is taken only if it is ready in time. Leaves fitting steps
together to ``graph`` and running one to ``attempt``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from hasten.cache.cached import with_returns
from hasten.cache.policy import CachePolicy  # noqa: TC001 - a policy is checked at run time
from hasten.clock import current_clock
from hasten.codec import to_plain
from hasten.errors import CodecError, GraphError
from hasten.graph.alarm import AlarmClock
from hasten.graph.attempt import StepAttempt
from hasten.trace.recorder import current_recorder, degrade

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
    ``cache`` keeps its values, under the cache in force where it runs: its fields are
    parameters, and every other parameter is one it ignores. ``section`` is the title of
    the text it writes, parameters in braces: a text that comes from the cache is passed
    on under it, like one that is being written.
    ``needs`` and ``soft_needs`` name dependencies of a function that takes
    ``**inputs``. Raise ``version`` when the same inputs give another answer.
    """

    timeout_s: float | None = None
    retry: Retry = field(default_factory=Retry)
    fallback: Callable[..., Coroutine[Any, Any, Any]] | None = None
    soft_wait_s: float | Mapping[str, float] = 0.0
    phase: str = ""
    label: str = ""
    limit: str = ""
    log_fields: tuple[str, ...] = ()
    cache: CachePolicy | None = None
    section: str = ""
    needs: tuple[str, ...] = ()
    soft_needs: tuple[str, ...] = ()
    version: int = 1


class Step(Generic[P, T]):
    """An async function with a name and a policy; called inside a step it is part of it."""

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
        if not _is_async(function):
            self._refuse("must be an async function")
        if not (policy.fallback is None or _is_async(policy.fallback)):
            self._refuse("its fallback must be an async function")
        if policy.timeout_s is not None and policy.timeout_s <= 0:
            self._refuse(f"timeout_s must be above 0, not {policy.timeout_s:g}")
        if policy.retry.attempts < 1:
            self._refuse(f"retry must allow at least 1 attempt, not {policy.retry.attempts}")
        if policy.cache is not None:
            policy.cache.check_takes(self._parameters())

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run as part of the step that calls it: a span of the run, under its own policy.

        Its fallback degrades the run and taints the steps around it. Outside a
        run this is a plain call. Raises ``StepError`` when there is no value, and
        ``TypeError`` for arguments its function does not take.
        """
        if current_recorder() is None:
            return await self.function(*args, **kwargs)
        self.signature.bind(*args, **kwargs)
        values = {**dict(zip(self.signature.parameters, args, strict=False)), **kwargs}
        attributes: dict[str, Any] = {"phase": self.policy.phase} if self.policy.phase else {}
        if self.policy.log_fields:
            attributes["params"] = self.logged(values)
        with AlarmClock(current_clock()) as alarms:
            settled = await StepAttempt(self, values, alarms, attributes).run()
        if settled.error is not None:
            if settled.result == "none":
                raise settled.error
            degrade(self.name, settled.reason)
        value: T = settled.value
        return value

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def logged(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the declared log fields among ``values``, in plain form.

        A value that has none, such as a model, is shown as the name of its type.
        """
        return {name: _plain(values[name]) for name in self.policy.log_fields if name in values}

    @functools.cached_property
    def wants(self) -> dict[str, Want]:
        """What it takes, by parameter name, as its signature and ``needs`` declare.

        Raises ``GraphError`` for a parameter that cannot be given by name.
        """
        kinds = inspect.Parameter
        found: dict[str, Want] = {}
        named = {name: Want(Any) for name in self.policy.needs}
        named |= {name: Want(Any, is_soft=True) for name in self.policy.soft_needs}
        for parameter in self.signature.parameters.values():
            if parameter.kind in (kinds.POSITIONAL_ONLY, kinds.VAR_POSITIONAL):
                self._refuse(f"parameter {parameter.name!r} cannot be given by name")
            if parameter.kind is kinds.VAR_KEYWORD:
                found, named = {**named, **found}, {}
            else:
                has_default = parameter.default is not kinds.empty
                found[parameter.name] = _want(self._hints.get(parameter.name, Any), has_default)
        if named:
            self._refuse(f"needs {list(named)}, but its function takes no **inputs")
        return found

    @functools.cached_property
    def cache(self) -> CachePolicy | None:
        """Its cache policy with what it returns, its name and its version, if it has one.

        Raises ``InvalidInput`` for a type that no value can be made of stored bytes.
        """
        if self.policy.cache is None:
            return None
        kept = with_returns(self.policy.cache, self.function)
        # Its name, too: steps that share a use must not share their values.
        return replace(kept, version=f"{self.name}.{kept.version}.{self.policy.version}")

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """The values of the parameters that may be left out."""
        parameters = self.signature.parameters.values()
        empty = inspect.Parameter.empty
        return {one.name: one.default for one in parameters if one.default is not empty}

    @functools.cached_property
    def returns(self) -> Any:
        """The annotation of what it returns; ``Any`` when there is none."""
        return self._hints.get("return", Any)

    @functools.cached_property
    def fallback(self) -> Step[..., Any] | None:
        """Its fallback seen as a step, whose ``wants`` and ``returns`` must fit its own."""
        if self.policy.fallback is None or isinstance(self.policy.fallback, Step):
            return self.policy.fallback
        return Step(self.policy.fallback, StepPolicy(), name=f"fallback of {self.name}")

    @functools.cached_property
    def fallback_takes(self) -> tuple[str, ...]:
        """The names of its parameters that its fallback wants, too."""
        if self.fallback is None:
            return ()
        parameters = self.fallback.signature.parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return tuple(self.wants)
        return tuple(name for name in self.fallback.wants if name in self.wants)

    def soft_wait_s(self, name: str) -> float:
        """Return how long to wait for the soft input ``name``, in seconds."""
        wait = self.policy.soft_wait_s
        return wait.get(name, 0.0) if isinstance(wait, Mapping) else wait

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The signature of its function."""
        return inspect.signature(self.function)

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            function: Any = self.function
            if isinstance(function, functools.partial):
                function = function.func
            return get_type_hints(function, include_extras=True)
        except NameError as error:
            why = "its name must be there in the module at run time, not only under TYPE_CHECKING"
            self._refuse(f"an annotation cannot be resolved ({error}); {why}")

    def _parameters(self) -> tuple[str, ...]:
        """Return the names it takes; ``needs`` and ``soft_needs`` in place of ``**inputs``."""
        named = (*self.policy.needs, *self.policy.soft_needs)
        parameters = self.signature.parameters.values()
        several = inspect.Parameter.VAR_KEYWORD
        return tuple(
            name for one in parameters for name in (named if one.kind is several else (one.name,))
        )

    def _refuse(self, why: str) -> NoReturn:
        message = f"{self.kind} {self.name!r}: {why}"
        raise GraphError(message)


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


def _is_async(function: object) -> bool:
    return isinstance(function, Step) or inspect.iscoroutinefunction(function)


def _plain(value: object) -> Any:
    try:
        return to_plain(value)
    except CodecError:
        return type(value).__name__


def _want(annotation: Any, has_default: bool) -> Want:  # noqa: FBT001 - two facts of one parameter
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        if any(isinstance(mark, SoftMark) for mark in marks):
            return Want(inner, is_soft=True, has_default=has_default)
        annotation = inner
    return Want(annotation, has_default=has_default)
