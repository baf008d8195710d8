"""The `-p NAME=VALUE` of the command line, read by a pipeline's schema. Asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamer.cli.errors import UsageError
from streamer.cli.output import json_line

if TYPE_CHECKING:
    from streamer.client.client import Offer


def read_parameters(offer: Offer, given: Sequence[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts by the schema of a pipeline's parameters.

    Args:
        offer: The pipeline.
        given: The texts. A value is text where the parameter takes text, else JSON. The streamer gets a value that
            is not JSON as text, and says what is wrong with it.

    Returns:
        The parameters by name.

    Raises:
        UsageError: A text has no name, or the name is unknown or given twice.
    """
    properties = offer.schema.get("properties", {})
    parameters: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"-p {text}: expected NAME=VALUE")
        if name not in properties:
            raise UsageError(
                f"-p {name}: {offer.name} has no such parameter; it has: {', '.join(properties) or 'none'}"
            )
        if name in parameters:
            raise UsageError(f"-p {name}: given twice")
        parameters[name] = read_value(properties[name], value)
    return parameters


def read_value(schema: dict[str, Any], text: str) -> Any:
    """Read one value by the JSON schema of its parameter; see `read_parameters`.

    Args:
        schema: The JSON schema of the parameter.
        text: The text from the command line.

    """
    import msgspec

    for choice in schema.get("enum", ()):
        if text == (choice if isinstance(choice, str) else json_line(choice)):
            return choice
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if text == "null" and "null" in types:
        return None
    if "string" in types:
        return text
    if "boolean" in types and text.lower() in ("true", "yes", "on", "false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
