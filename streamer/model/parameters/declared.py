"""The parameters that a pipeline declares and JSON can carry: their kinds, which ones are watched, setting them.

Setting parameters runs the class's own watchers. Everything else runs nothing of the class.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import param

from streamer.model.parameters.kinds import Kind, filled_kind_of, kind_of
from streamer.model.parameters.values import same
from streamer.model.pipeline import Pipeline

Kinds = dict[str, tuple[param.Parameter[Any], Kind]]
#: As Panel orders a form: a parameter without precedence comes after those of 0, before all the others.
_DEFAULT_PRECEDENCE: Final = 1e-8


def kinds_of(pipeline: type[Pipeline], made: Pipeline | None = None) -> Kinds:
    """Return the parameters that JSON can carry, in the order of a form.

    Args:
        pipeline: The class.
        made: A pipeline of the class, with choices and bounds of its own; None: those of the class.

    """
    existing = pipeline.param.objects("existing") if made is None else made.param.objects("existing")
    declared = {
        name: existing[name] for base in reversed(pipeline.__mro__) for name in vars(base) if name in existing
    }
    found = {}
    for name, parameter in declared.items():
        hidden = parameter.precedence is not None and parameter.precedence < 0
        if name == "name" or name.startswith("_") or hidden or parameter.constant or parameter.readonly:
            continue
        kind = kind_of(parameter)
        if kind is not None:
            found[name] = (parameter, kind)
    if made is not None:
        # A start may leave out what the class lets it leave out, also when choices have been filled in since.
        for name, (of_class, kind) in kinds_of(pipeline).items():
            if name in found:
                parameter, now = found[name]
                now = filled_kind_of(parameter, of_class) or now
                found[name] = (parameter, dataclasses.replace(now, nullable=now.nullable or kind.nullable))

    def precedence(item: tuple[str, tuple[param.Parameter[Any], Kind]]) -> float:
        value = item[1][0].precedence
        return _DEFAULT_PRECEDENCE if value is None else float(value)

    return dict(sorted(found.items(), key=precedence))


def read_value(parameter: param.Parameter[Any], kind: Kind, value: Any) -> Any:
    """Return the Python value of a JSON value.

    Args:
        parameter: The parameter, of a class or of a pipeline.
        kind: Its kind.
        value: The value, as JSON.

    Raises:
        Exception: `Refused`, or whatever `param` raises for a value that it refuses.

    """
    if value is None and kind.nullable:
        return None
    converted = kind.read(value)
    if kind.checked:
        # Why not by setting it on an instance: that would run the class's watchers before it is whole.
        validate: Callable[[Any], None] = parameter._validate
        validate(converted)
    return converted


def is_required(parameter: param.Parameter[Any], kind: Kind) -> bool:
    """Tell whether a start must give a value.

    Args:
        parameter: The parameter.
        kind: Its kind.

    """
    return not (parameter.default is not None or kind.nullable or has_factory(parameter))


def has_factory(parameter: param.Parameter[Any]) -> bool:
    """Tell whether the default is made for each pipeline."""
    return getattr(parameter, "default_factory", None) is not None


def watched_names(pipeline: type[Pipeline]) -> frozenset[str]:
    """Return the names of the parameters after whose change a method of the class is called.

    Args:
        pipeline: The class; its methods have ``@param.depends(…, watch=True)``.

    """
    found = set()
    for name in dir(pipeline):
        # param has no public way to ask whether a method watches; without the mark none does.
        marked = getattr(inspect.getattr_static(pipeline, name, None), "_dinfo", None)
        if not (isinstance(marked, Mapping) and marked.get("watch")):
            continue
        with suppress(AttributeError, TypeError, ValueError):
            found |= {one.name for one in pipeline.param.method_dependencies(name) if one.what == "value"}
    return frozenset(found & pipeline.param.objects("existing").keys())


def fill(made: Pipeline, values: Mapping[str, Any], last: Iterable[str] = ()) -> dict[str, Exception]:
    """Set parameters one after another, as a person fills in a form. Watched ones come before the others.

    The watchers of every watched parameter run, also where its value is the default: choices are those that hold.

    Args:
        made: The pipeline. Its watchers run.
        values: The values, as JSON; names that are no parameters are passed over.
        last: The names of those that are set after all others.

    Returns:
        By name why a value was refused: it does not fit the choices or bounds that hold at the end.

    Raises:
        Exception: Whatever a watcher raises.

    """
    pipeline, late = type(made), set(last)
    watched = watched_names(pipeline)
    names = [name for name in kinds_of(pipeline) if name in values]
    for name in watched - values.keys():
        made.param.trigger(name)
    refused = _set_all(made, values, [name for name in names if name not in late and name in watched])
    refused |= _set_all(made, values, [name for name in names if name not in late and name not in watched])
    with _told_of(made, list(refused)) as told:
        last_refused = _set_all(made, values, [name for name in names if name in late])
    # A watcher has replaced what did not fit.
    return {name: error for name, error in refused.items() if name not in told} | last_refused


def _set_all(made: Pipeline, values: Mapping[str, Any], names: list[str]) -> dict[str, Exception]:
    watched = watched_names(type(made))
    left = names
    while left:
        refused = {
            name: error
            for name in left
            if (error := _set(made, name, values[name], tell=name in watched)) is not None
        }
        # A value may fit only after another one was set.
        if len(refused) == len(left):
            return refused
        left = list(refused)
    return {}


@contextmanager
def _told_of(made: Pipeline, names: list[str]) -> Iterator[set[str]]:
    """Collect the names of those parameters that are set meanwhile, to the same value, too."""
    told: set[str] = set()
    watcher = made.param.watch(
        lambda *events: told.update(event.name for event in events), names, onlychanged=False
    )
    try:
        yield told
    finally:
        made.param.unwatch(watcher)


def _set(made: Pipeline, name: str, value: Any, *, tell: bool) -> Exception | None:
    """Set a parameter; `tell` runs its watchers also where it has the value already. Return why it is refused."""
    parameter, kind = kinds_of(type(made), made)[name]
    try:
        new = read_value(parameter, kind, value)
    except Exception as error:  # noqa: BLE001 - param has more than one type for "refused", and users add parameters
        return error
    before = _present(made, name)
    if new is not None or before is not None:
        # param itself may refuse a None that is the default.
        setattr(made, name, new)
    if tell and same(before, _present(made, name)):
        made.param.trigger(name)
    return None


def _present(made: Pipeline, name: str) -> Any:
    try:
        return getattr(made, name)
    except OSError:
        # A path that has vanished since.
        return None
