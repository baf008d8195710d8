"""`cleaned`: an event without colours, control characters and bidi overrides in its texts. Producers call it.

The streamer itself keeps texts as they were sent.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streamer.model.events import Logged, Progressed
from streamer.model.text.plain import plain_name, plain_text

E = TypeVar("E", bound=Struct)
#: Texts of several lines.
_TEXTS: Final = frozenset(("message", "traceback"))
#: Data of the user's, and names that are compared and not shown.
_LEFT: Final = frozenset(("result", "parameters", "fields", "key", "id", "parent"))


def cleaned(event: E) -> E:
    """Return the event with plain texts; the same object when nothing had to change.

    Args:
        event: An event, or a part of one.
    """
    if _is_plain(event):
        return event
    changes = {}
    for name in event.__struct_fields__:
        if name not in _LEFT:
            value = getattr(event, name)
            plain = _plain(name, value)
            if plain is not value:
                changes[name] = plain
    return replace(event, **changes) if changes else event


def _is_plain(event: Struct) -> bool:
    """Say whether an event is, as nearly all are, a log line or progress without a control character."""
    match event:
        case Logged(message=message, logger=logger, phase=phase, item=item):
            return message.isprintable() and f"{logger}{phase}{item}".isprintable()
        case Progressed(message=message, unit=unit, phase=phase, bars=()):
            return message.isprintable() and f"{unit}{phase}".isprintable()
    return False


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str):
        text = plain_text(value) if name in _TEXTS else plain_name(value)
        return value if text == value else text
    if isinstance(value, Struct):
        return cleaned(value)
    if isinstance(value, tuple):
        parts = tuple(_plain(name, part) for part in value)
        return value if all(map(_is, parts, value)) else parts
    return value


def _is(one: object, other: object) -> bool:
    return one is other
