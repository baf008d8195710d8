"""`Redaction`: takes known secrets out of a run's events before they are sent. It knows no names, only the values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from streamer.model.bounds import bounded
from streamer.model.events import Event, encode_event
from streamer.model.text.secrets import HIDDEN, LEAST

#: Fields of events whose values are words of ours, or tell parts of a run apart.
_KEPT: Final = frozenset(
    {
        *("event", "how", "id", "key", "level", "owner", "parent", "phase", "phaseStatus", "retryItems"),
        *("retryOf", "status", "step", "timestamp", "type", "unit"),
    }
)
#: The shortest line of a secret of several lines that is looked for by itself.
_LINE: Final = 8


class Redaction:
    """Replaces secrets in events by an ellipsis. Any thread may call it.

    Args:
        secrets: The values; those below `LEAST` characters are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {value for value in secrets if len(value) >= LEAST}
        # A key file is often printed line by line.
        lines = {line.strip() for value in known if "\n" in value for line in value.splitlines()}
        known |= {line for line in lines if len(line) >= _LINE}
        known |= {quote(value, safe="") for value in known}
        # The longest first: one may be a part of another.
        self.secrets: Final = sorted(known, key=lambda value: (-len(value), value))
        self._encoded = [msgspec.json.encode(value)[1:-1] for value in self.secrets]

    def __bool__(self) -> bool:
        """Tell whether there is anything to replace."""
        return bool(self.secrets)

    def __call__(self, event: Event) -> Event:
        """Return the event without the secrets; the same or an equal one when it holds none."""
        event = bounded(event)
        data = encode_event(event)
        if not any(secret in data for secret in self._encoded):
            return event
        fields: dict[str, Any] = msgspec.to_builtins(event)
        cleaned = {name: value if name in _KEPT else self._cleaned(value) for name, value in fields.items()}
        redacted: Event = msgspec.convert(cleaned, Event)
        return redacted

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self._cleaned(one) for one in value]
        if isinstance(value, dict):
            return {
                self.text(name) if isinstance(name, str) else name: one
                if name in _KEPT
                else self._cleaned(one)
                for name, one in value.items()
            }
        return value
