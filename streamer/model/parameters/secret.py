"""`Secret`, a parameter that is kept from log and pages; and parameters divided into what is shown and what is not."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

import param

from streamer.model.text.secrets import HIDDEN, is_secret_name, secret_parts, without_url_passwords

#: Parameters that hold a secret if their name says so. A number, a switch, a choice or a path is none.
_HOLDERS: Final = (param.String, param.Dict, param.List, param.Tuple)
_OTHERS: Final = (param.Color, param.DateRange, param.NumericTuple)


class Secret(param.String):  # type: ignore[type-arg]  # param's classes are generic for type checkers alone
    """A text that is kept from the log and from pages: ``password = streamer.Secret(doc="…")``."""


def is_secret(name: str, parameter: param.Parameter[Any]) -> bool:
    """Return whether a parameter holds a secret: a `Secret`, or a text, list or mapping whose name says so.

    Args:
        name: The parameter's name.
        parameter: The parameter.

    """
    if isinstance(parameter, Secret):
        return True
    holds = isinstance(parameter, _HOLDERS) or type(parameter) is param.Parameter
    return (
        holds
        and not isinstance(parameter, param.Color | param.NumericTuple | param.DateRange)
        and is_secret_name(name)
    )


def divide(values: Mapping[str, Any], secrets: Container[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide parameters.

    Args:
        values: The parameters, as JSON.
        secrets: The names of those that are secrets.

    Returns:
        All parameters as they are shown, and the values of those that are not shown as they are: secrets, and URLs
        with a password.

    """
    shown: dict[str, Any] = {}
    hidden: dict[str, Any] = {}
    for name, value in values.items():
        shown[name] = _shown(value, is_secret=name in secrets)
        if shown[name] != value:
            hidden[name] = value
    return shown, hidden


def shown_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of somebody else's run as they are shown; their names alone say which are secrets.

    Args:
        values: The parameters, as JSON.

    """
    secrets = {
        name
        for name, value in values.items()
        if isinstance(value, str | list | dict) and is_secret_name(str(name))
    }
    return divide(values, secrets)[0]


def is_hidden(value: Any, *, is_secret: bool) -> bool:
    """Return whether a parameter's value, as it is shown, is not the whole value.

    Args:
        value: A value that `divide` returned as shown.
        is_secret: Whether the parameter holds a secret; else its URL may.

    """
    return bool(value == HIDDEN) if is_secret else isinstance(value, str) and f":{HIDDEN}@" in value


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts of a hidden value that must not appear elsewhere.

    Args:
        value: The value, as JSON: a text, or lists and mappings of texts.

    """
    if isinstance(value, str):
        yield from secret_parts(value, without_url_passwords(value)) or (value,)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)


def _shown(value: Any, *, is_secret: bool) -> Any:
    if is_secret:
        return value if value in (None, "", [], {}) else HIDDEN
    return without_url_passwords(value) if isinstance(value, str) else value
