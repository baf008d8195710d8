"""A pipeline's parameters as JSON: their schema, reading, writing. Runs nothing of a pipeline but its constructor.

Two kinds of parameters do not appear, and stay at their defaults: those that JSON cannot carry (callables, arrays,
other Parameterized objects), and those that users do not set (constant, read-only, private, of negative precedence,
`name`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
import param

from streamer.model.bounds import cut
from streamer.model.parameters.declared import (
    Kinds,
    fill,
    has_factory,
    is_required,
    kinds_of,
    read_value,
    watched_names,
)
from streamer.model.parameters.interrupt import is_interrupt
from streamer.model.parameters.kinds import Kind, or_null
from streamer.model.parameters.secret import is_secret, texts_of
from streamer.model.parameters.values import Refused, plain, same, type_name
from streamer.model.pipeline import Pipeline, doc_of, title_of
from streamer.model.text.cutting import text_or_nothing
from streamer.model.text.secrets import HIDDEN

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
#: Most problems that are listed of one set of values, not counting those of parameters that are missing.
PROBLEMS_LIMIT: Final = 100
_TEXT_LIMIT: Final = 200


class Problem(msgspec.Struct, frozen=True):
    """Why a parameter is refused.

    `field` is its name, or empty when the problem lies in the parameters together. `received` is what came, as
    bounded Python text; `expected` says in words what would be accepted (empty when that is not known).
    """

    field: str
    message: str
    received: str = ""
    expected: str = ""


class ParametersRefused(ValueError):
    """Values are not what a pipeline's parameters take; `problems` has a `Problem` for each thing that is wrong."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{p.field}: {p.message}" if p.field else p.message for p in problems))


def schema_of(pipeline: type[Pipeline]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the parameters; properties are in the order of a form.

    Besides the standard's keywords: ``x-step``, ``x-soft-minimum``, ``x-soft-maximum`` of a number; ``x-minimum`` and
    ``x-maximum`` of a date; ``x-path`` ("file", "folder" or "any") and ``x-exists`` of a path. Formats are date,
    date-time, path and color. A pattern that only Python understands is ``x-pattern``.
    ``x-watched``: a method of the class sets other parameters, or their choices, after this one changed.
    """
    return _schema(pipeline, kinds_of(pipeline))


def _schema(pipeline: type[Pipeline], kinds: Kinds) -> dict[str, Any]:
    properties = {}
    required = []
    watched = watched_names(pipeline)
    for name, (parameter, kind) in kinds.items():
        schema: dict[str, Any] = {"title": parameter.label or name}
        if parameter.doc:
            schema["description"] = _joined_lines(parameter.doc)
        schema.update(kind.schema)
        if kind.nullable:
            schema.update(or_null(kind.schema))
        hides = is_secret(name, parameter)
        if hides:
            schema["writeOnly"] = True
            if isinstance(parameter, param.String):
                schema["format"] = "password"
        if is_required(parameter, kind):
            required.append(name)
        elif not (has_factory(parameter) or (hides and parameter.default)):
            # A default that JSON cannot carry is used all the same when no value is given.
            with suppress(TypeError, ValueError):
                schema["default"] = kind.write(parameter.default)
        if name in watched:
            schema["x-watched"] = True
        properties[name] = schema
    return {
        "$schema": DIALECT,
        "title": title_of(pipeline),
        "description": doc_of(pipeline),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def build(pipeline: type[Pipeline], values: object) -> Pipeline:
    """Construct a pipeline from its parameters, a mapping as of JSON; those that are not given have their defaults.

    Raises `ParametersRefused` with everything that is wrong: names that are not known, values that `param` refuses,
    and whatever the constructor raises. A relative path counts from the current folder; ``~`` is the home folder.
    """
    if not isinstance(values, Mapping):
        message = f"must be an object, not {type_name(values)}"
        raise ParametersRefused((Problem("", message, _received(values), "a JSON object"),))
    kinds = kinds_of(pipeline)
    problems: dict[str, Problem] = {}
    arguments: dict[str, Any] = {}
    refused: dict[str, Exception] = {}
    for name, value in values.items():
        if len(problems) + len(refused) >= PROBLEMS_LIMIT:
            break
        if name not in kinds:
            problems[name] = _unknown(name, value, kinds)
            continue
        try:
            arguments[name] = read_value(*kinds[name], value)
        except Exception as error:  # noqa: BLE001 - param has more than one type for "refused", and users add parameters
            refused[name] = error
    missing = [
        Problem(name, "is required", "nothing", kind.expected)
        for name, (parameter, kind) in kinds.items()
        if name not in values and is_required(parameter, kind)
    ]
    built = None
    with _choices_kept(kinds):
        try:
            if refused and watched_names(pipeline):
                # Choices and bounds of the class are those of its defaults: watchers say which hold for these values.
                built = pipeline(**arguments)
                given = {name: value for name, value in values.items() if name in kinds}
                refused = fill(built, given)
            elif not (refused or problems or missing):
                built = pipeline(**arguments)
        except BaseException as error:
            if is_interrupt(error):
                raise
            problem = _hiding(_of_constructor(error, values, kinds), kinds, values)
            raise ParametersRefused((problem,)) from error
    problems |= {name: _refusal(name, error, values, kinds) for name, error in refused.items()}
    if built is None or problems or missing:
        raise ParametersRefused((*(problems[name] for name in values if name in problems), *missing))
    now = kinds_of(pipeline, built) if arguments.keys() != values.keys() else {}
    built._given = {
        name: arguments[name] if name in arguments else read_value(*now[name], values[name])
        for name in values
    }
    return built


def secret_names(pipeline: type[Pipeline]) -> frozenset[str]:
    """Return the names of the parameters that are kept from log and pages.

    Args:
        pipeline: The class.

    """
    return frozenset(
        name for name, (parameter, _) in kinds_of(pipeline).items() if is_secret(name, parameter)
    )


def secrets_of(pipeline: Pipeline) -> set[str]:
    """Return the texts that must not be reported of a pipeline, its own secret defaults included.

    Args:
        pipeline: A pipeline that was built.

    """
    names = secret_names(type(pipeline))
    return {text for name in names for text in texts_of(_plain(getattr(pipeline, name)))}


def _plain(value: Any) -> Any:
    try:
        return plain(value)
    except (TypeError, ValueError):
        return None


def values_of(pipeline: Pipeline) -> dict[str, Any]:
    """Return all parameters as JSON, defaults included. `build` makes the same pipeline of them in another process.

    A pipeline that was built answers the values as given and the defaults, whatever its constructor made of them. A
    value that JSON cannot carry, such as an infinite default, is left out.
    """
    values = {}
    given = pipeline._given or {}
    cls = type(pipeline)
    # Choices that depend on another value are the pipeline's own.
    kinds = kinds_of(cls, pipeline if watched_names(cls) else None)
    for name, (parameter, kind) in kinds.items():
        if name not in given and is_secret(name, parameter) and parameter.default:
            # The class has it; nothing else needs it.
            continue
        with suppress(TypeError, ValueError):
            value = kind.write(_value(pipeline, name, parameter))
            if value is not None:
                # Not every default is of its own parameter's kind; True is a number to param, and not to JSON.
                kind.read(value)
            values[name] = value
    return values


def changed(
    pipeline: type[Pipeline], values: Mapping[str, Any], names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any], tuple[Problem, ...]]:
    """Set parameters one after another, as a person fills in a form, and let the class's watchers answer.

    Args:
        pipeline: The class. Its watchers run in this process.
        values: The values so far, as JSON.
        names: The parameters that were changed last. They are set after the others.

    Returns:
        The values as JSON, without secrets; the schema with the choices and bounds that hold now; and why values do
        not fit these. A value that was refused is as it came.

    Raises:
        Exception: Whatever the class's constructor or a watcher raises.

    """
    made = pipeline()
    refused = fill(made, values, names)
    declared = kinds_of(pipeline)
    kinds = kinds_of(pipeline, made)
    now = {}
    for name, (parameter, kind) in kinds.items():
        if is_secret(name, parameter):
            continue
        if name in refused:
            now[name] = values[name]
            continue
        value = _present(made, name, kind)
        if value is _ABSENT:
            continue
        now[name] = value
        # A watcher may set choices that do not have the value.
        try:
            read_value(parameter, kind, value)
        except Exception as error:  # noqa: BLE001 - as in `build`
            refused[name] = error
    schema = _schema(pipeline, kinds)
    needed = {name for name, (parameter, kind) in declared.items() if is_required(parameter, kind)}
    schema["required"] = [name for name in schema["required"] if name in needed]
    problems = tuple(
        _refusal(name, error, {**values, **now}, kinds)
        for name, error in refused.items()
        if not _is_own_default(name, {**values, **now}[name], declared, kinds)
    )
    return now, schema, problems[:PROBLEMS_LIMIT]


# -- inside --------------------------------------------------------------------------------------------------


_ABSENT: Final = object()


def _present(made: Pipeline, name: str, kind: Kind) -> Any:
    """Return a parameter's value as JSON; `_ABSENT` for one that JSON cannot carry."""
    try:
        return kind.write(getattr(made, name))
    except (TypeError, ValueError, OSError):
        return _ABSENT


def _is_own_default(name: str, value: Any, declared: Kinds, kinds: Kinds) -> bool:
    """Tell whether a value is the class's default, which needs not be of its own parameter's kind."""
    if name not in declared or declared[name][1].schema != kinds[name][1].schema:
        return False
    try:
        return same(declared[name][1].write(declared[name][0].default), value)
    except (TypeError, ValueError):
        return False


def _refusal(name: str, error: Exception, values: Mapping[str, Any], kinds: Kinds) -> Problem:
    return _hiding(
        Problem(name, _clean(error), _received(values[name]), kinds[name][1].expected), kinds, values
    )


def _unknown(name: Any, value: Any, kinds: Kinds) -> Problem:
    known = f"one of {', '.join(kinds)}" if kinds else "no parameters: this pipeline has none"
    return Problem(_text(str(name)), "is not a parameter of this pipeline", _received(value), known)


def _hiding(problem: Problem, kinds: Kinds, values: Mapping[str, Any]) -> Problem:
    """Return a problem without the secrets that were received."""
    names = [name for name in values if name in kinds and is_secret(name, kinds[name][0])]
    message, received = problem.message, HIDDEN if problem.field in names else problem.received
    for name in names:
        for text in texts_of(values[name]):
            message = message.replace(text, HIDDEN) if text else message
            received = received.replace(text, HIDDEN) if text else received
    return Problem(problem.field, message, received, problem.expected)


def _of_constructor(error: BaseException, values: Mapping[str, Any], kinds: Kinds) -> Problem:
    """Return what a constructor raised; of one parameter when param's message names it, else of all together."""
    found = _FIELD.search(text_or_nothing(error))
    name = found[1] if found else ""
    if name in kinds and name in values:
        return Problem(name, _clean(error), _received(values[name]), kinds[name][1].expected)
    return Problem("", _clean(error), _received(dict(values)))


def _value(pipeline: Pipeline, name: str, parameter: param.Parameter[Any]) -> Any:
    # Why not the present value of one that was built: a constructor that changes it would change it once more.
    if pipeline._given is not None and name in pipeline._given:
        return pipeline._given[name]
    is_default = pipeline._given is not None and not has_factory(parameter)
    try:
        return getattr(type(pipeline) if is_default else pipeline, name)
    except OSError:
        # A path that has vanished since: what was asked for is still to be seen.
        return param.Parameter.__get__(parameter, None if is_default else pipeline, type(pipeline))


@contextmanager
def _choices_kept(kinds: Kinds) -> Iterator[None]:
    """Undo what setting an open selector does: param adds the value to the choices of the class, for good."""
    lists = [p._objects for p, kind in kinds.values() if isinstance(p, param.Selector) and not kind.checked]
    before = [list(objects) for objects in lists]
    try:
        yield
    finally:
        for objects, old in zip(lists, before, strict=True):
            objects[:] = old


# -- words ---------------------------------------------------------------------------------------------------

_PREFIX = re.compile(r"^(?:Attribute '[^']*' of )?\w+ parameter(?: '[^']*')?:?\s+(?:value )?")
_CLASS = re.compile(r"<class '(?:builtins\.)?([\w.]+)'>")
_FIELD = re.compile(r"\w+ parameter '(?:\w+\.)?(\w+)'")


def _clean(error: BaseException) -> str:
    """Return an exception's message without param's wording around it, within bounds."""
    if isinstance(error, Refused):
        return _text(str(error))
    text = text_or_nothing(error)
    cleaned = _CLASS.sub(r"\1", _PREFIX.sub("", text)).strip().rstrip(".")
    if isinstance(error, ValueError | OSError) or cleaned != text:
        return _text(cleaned or type(error).__name__)
    # Of another exception, a KeyError say, the message alone means nothing.
    return _text(f"{type(error).__name__}: {cleaned}" if cleaned else type(error).__name__)


def _received(value: Any) -> str:
    try:
        return _text(repr(value))
    except Exception as error:  # noqa: BLE001 - as may a value
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def _text(text: str) -> str:
    return cut(text, _TEXT_LIMIT)


def _joined_lines(doc: str) -> str:
    """Return a doc text with its lines joined; paragraphs stay apart."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.cleandoc(doc)))
