"""What a graph must satisfy before it may run; every refusal names the steps.

Owns the checks: names, types, fallbacks, limits, outputs, cycles, steps that
lead nowhere. Leaves what a signature says to ``step``. ``Graph`` calls
``checked`` when it is built, so that a mistake shows when the program starts.
"""

from __future__ import annotations

import types
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from hasten.errors import GraphError
from hasten.graph.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.graph.graph import Graph

Steps = dict[str, Step[..., Any]]


def checked(graph: Graph, steps: Sequence[Step[..., Any]]) -> tuple[Step[..., Any], ...]:
    """Return ``steps`` so that each comes after what it takes. Raises ``GraphError``."""
    _check_bounds(graph)
    by_name = _by_name(graph, steps)
    _check_outputs(graph, by_name)
    inputs = {name: found.annotation for name, found in graph.inputs.model_fields.items()}
    given = {**{step.name: step.returns for step in steps}, **inputs, **graph.resources}
    for step in steps:
        _check_policy(graph, step)
        _check_wants(graph, step, by_name, given)
        _check_reuse(graph, step, by_name)
        _check_fallback(graph, step, {name for name in step.wants if name in given})
    _check_reach(graph, by_name)
    return _in_order(graph, by_name)


def _refuse(graph: Graph, why: str) -> NoReturn:
    message = f"graph {graph.name!r}: {why}"
    raise GraphError(message)


def _check_reuse(graph: Graph, step: Step[..., Any], by_name: Steps) -> None:
    """Refuse a cached step that an input reaches around its fields.

    A shared value sees its key and nothing else.
    """
    if step.policy.cache is None:
        return
    fields = set(step.policy.cache.fields or step.wants) - set(step.policy.cache.ignore)
    beyond = sorted(_inputs_of(graph, step, by_name, fields))
    if beyond:
        _refuse(
            graph,
            f"step {step.name!r} is cached by {sorted(fields)} but depends on {beyond}; "
            "add them to its cache's fields, or take what needs them out of it",
        )


def _inputs_of(graph: Graph, step: Step[..., Any], by_name: Steps, but: set[str]) -> set[str]:
    """Return the inputs that reach ``step`` other than through the names in ``but``."""
    found: set[str] = set()
    for name in set(step.wants) - but:
        if name in by_name:
            found |= _inputs_of(graph, by_name[name], by_name, but)
        elif name in graph.inputs.model_fields:
            found.add(name)
    return found


def _check_bounds(graph: Graph) -> None:
    for group, count in graph.limits.items():
        if count < 1:
            _refuse(graph, f"limit {group!r} lets {count} steps run; it must be at least 1")
    if graph.deadline_s is not None and graph.deadline_s <= 0:
        _refuse(graph, f"deadline_s must be above 0, not {graph.deadline_s:g}")


def _by_name(graph: Graph, steps: Sequence[Step[..., Any]]) -> Steps:
    both = sorted(set(graph.inputs.model_fields) & set(graph.resources))
    if both:
        _refuse(graph, f"{both} are inputs and resources at once")
    by_name: Steps = {}
    for step in steps:
        if not isinstance(step, Step):
            _refuse(graph, f"{step!r} is not a step; decorate it with @step")
        if step.name in by_name:
            _refuse(graph, f"two steps are named {step.name!r}")
        for kind, names in (
            ("an input", graph.inputs.model_fields),
            ("a resource", graph.resources),
        ):
            if step.name in names:
                _refuse(graph, f"{step.name!r} is both a step and {kind}")
        by_name[step.name] = step
    return by_name


def _check_outputs(graph: Graph, by_name: Steps) -> None:
    names = graph.outputs
    unknown = [name for name in names if name not in by_name]
    if unknown:
        _refuse(graph, f"outputs {unknown} name no step; its steps are {sorted(by_name)}")
    if not names:
        _refuse(graph, f"there is no output; its steps are {sorted(by_name)}")
    if len(set(names)) < len(names):
        _refuse(graph, f"an output is named twice: {list(names)}")
    lost = sorted(name for name in graph.effects if name not in by_name or name in names)
    if lost:
        _refuse(graph, f"effects {lost} name no step, or one that is an output")
    stray = sorted(graph.optional - set(names))
    if stray:
        _refuse(graph, f"optional {stray} are not among the outputs {list(names)}")


def _check_policy(graph: Graph, step: Step[..., Any]) -> None:
    policy = step.policy
    if policy.limit and policy.limit not in graph.limits:
        _refuse(
            graph,
            f"step {step.name!r} is under limit {policy.limit!r}, "
            f"which is not among {sorted(graph.limits)}",
        )
    soft = [name for name, want in step.wants.items() if want.is_soft]
    waits = () if isinstance(policy.soft_wait_s, float | int) else tuple(policy.soft_wait_s)
    for what, names, known in (
        ("log_fields", policy.log_fields, list(step.wants)),
        ("soft_wait_s", waits, soft),
    ):
        unknown = [name for name in names if name not in known]
        if unknown:
            _refuse(graph, f"step {step.name!r}: {what} names {unknown}, not among {known}")


def _check_wants(
    graph: Graph, step: Step[..., Any], by_name: Steps, given: Mapping[str, Any]
) -> None:
    for name, want in step.wants.items():
        if want.is_soft and name not in by_name:
            _refuse(graph, f"step {step.name!r} takes Soft {name!r}: no such step")
        if name in given:
            if not fits(given[name], want.annotation):
                _refuse(
                    graph,
                    f"step {step.name!r} takes {name!r} as {_show(want.annotation)}, "
                    f"but it is {_show(given[name])}",
                )
        elif not want.has_default:
            _refuse(
                graph,
                f"step {step.name!r} takes {name!r}, which is no step, input or resource; "
                f"known: {sorted(given)}",
            )


def _check_fallback(graph: Graph, step: Step[..., Any], has: set[str]) -> None:
    fallback = step.fallback
    if fallback is None:
        return
    for name, want in fallback.wants.items():
        if name in has:
            given = step.wants[name].annotation
            if not fits(given, want.annotation):
                _refuse(
                    graph,
                    f"the fallback of step {step.name!r} takes {name!r} as "
                    f"{_show(want.annotation)}, but the step as {_show(given)}",
                )
        elif not want.has_default:
            _refuse(
                graph,
                f"the fallback of step {step.name!r} takes {name!r}, "
                f"which the step is not given: {sorted(has)}",
            )
    if not fits(fallback.returns, step.returns):
        _refuse(
            graph,
            f"the fallback of step {step.name!r} returns {_show(fallback.returns)}, "
            f"but the step {_show(step.returns)}",
        )


def _check_reach(graph: Graph, by_name: Steps) -> None:
    useful: set[str] = set()
    pending = [*graph.outputs, *graph.effects]
    while pending:
        name = pending.pop()
        if name not in useful:
            useful.add(name)
            pending.extend(found for found in by_name[name].wants if found in by_name)
    idle = sorted(set(by_name) - useful)
    if idle:
        _refuse(graph, f"steps {idle} lead to no output of {list(graph.outputs)}, nor to an effect")


def _in_order(graph: Graph, by_name: Steps) -> tuple[Step[..., Any], ...]:
    needs = {
        name: [found for found in step.wants if found in by_name] for name, step in by_name.items()
    }
    try:
        return tuple(by_name[name] for name in TopologicalSorter(needs).static_order())
    except CycleError as error:
        _refuse(graph, f"steps wait for each other: {' -> '.join(error.args[1])}")


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value annotated ``given`` may be passed where ``wanted`` is declared.

    Checks what annotations can tell: ``Any``, unions, ``Literal``, subclasses,
    and the arguments of generics where both sides name them. What cannot be
    told from annotations fits.
    """
    given, wanted = _bare(given), _bare(wanted)
    if Any in (given, wanted) or given == wanted or wanted is object:
        return True
    if get_origin(given) in _UNIONS:
        return all(fits(part, wanted) for part in get_args(given))
    if get_origin(wanted) in _UNIONS:
        return any(fits(given, part) for part in get_args(wanted))
    if Literal in (get_origin(given), get_origin(wanted)):
        return _literal_fits(given, wanted)
    return _class_fits(given, wanted)


_UNIONS = (Union, types.UnionType)


def _bare(annotation: Any) -> Any:
    """Return an annotation without what ``Annotated`` adds to it."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _literal_fits(given: Any, wanted: Any) -> bool:
    if get_origin(given) is not Literal:
        return not isinstance(given, type)
    if get_origin(wanted) is Literal:
        return set(get_args(given)) <= set(get_args(wanted))
    return all(fits(type(value), wanted) for value in get_args(given))


def _class_fits(given: Any, wanted: Any) -> bool:
    given_class, wanted_class = get_origin(given) or given, get_origin(wanted) or wanted
    if not (isinstance(given_class, type) and isinstance(wanted_class, type)):
        return True
    try:
        is_subclass = issubclass(given_class, wanted_class)
    except TypeError:  # a Protocol or TypedDict, which only a type checker can compare
        return True
    if not is_subclass:
        return wanted_class is float and issubclass(given_class, int)
    if given_class is not wanted_class and given_class.__module__ != "builtins":
        return True  # its own arguments need not be those of the class it derives from
    pairs = zip(get_args(given), get_args(wanted), strict=False)
    return all(fits(one, other) for one, other in pairs)


def _show(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
