"""What the streamer writes about itself: one line a request, as text or as JSON, with every token taken out.

`configure` is for programs of ours; inside somebody else's (`panel serve`) records go where that one sends them, and
those about requests have lost their tokens before.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

access: Final = logging.getLogger("streamer.access")

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Bound, in characters, of what is repeated of a request.
_LONGEST: Final = 500


def _spelled(letter: str) -> str:
    """Return a pattern of a letter as it stands in a URL, percent-encoded any number of times or not."""
    codes = {f"{ord(each):02x}" for each in (letter.lower(), letter.upper())}
    return f"(?:{re.escape(letter)}|%(?:25)*(?:{'|'.join(sorted(codes))}))"


#: `token=…` as a query has it, also within a URL that is itself an argument; and the header. A token may hold any
#: printable character: rather too much is taken out than a part of one left.
_IN_URL: Final = re.compile(f"({''.join(map(_spelled, 'token='))})[^&\\s]+", re.IGNORECASE)
_IN_HEADER: Final = re.compile(r"(\b(?:bearer|basic)(?:\s|%(?:25)*20|\+)+)\S+", re.IGNORECASE)


def scrubbed(text: str) -> str:
    """Return `text` without what follows `token=`, however that is encoded, `Bearer` and `Basic`."""
    return _IN_HEADER.sub(r"\1…", _IN_URL.sub(r"\1…", text))


def _shown(text: str) -> str:
    """Return what somebody sent as it may stand in a log: without tokens, on one line, within bounds."""
    text = scrubbed(text)[:_LONGEST]
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Request(Struct, frozen=True):
    """What is written of a request. Made when it comes, as its connection may outlive everything else of it."""

    method: str
    uri: str
    remote: str = ""
    referer: str = ""
    agent: str = ""

    @classmethod
    def of(cls, method: str, uri: str, remote: str, headers: Mapping[str, str]) -> Request:
        """Take from a request what is written of it, without its tokens."""
        return cls(
            _shown(method),
            _shown(uri),
            remote,
            _shown(headers.get("Referer", "")),
            _shown(headers.get("User-Agent", "")),
        )


def is_logged(status: int) -> bool:
    """Say whether a request that was answered so gets a line."""
    return access.isEnabledFor(_level(status))


def _level(status: int) -> int:
    return logging.WARNING if status >= 500 else logging.INFO


def log_request(request: Request, *, status: int, seconds: float, sent: int, end: str = "") -> None:
    """Write the line of a request that was answered, with the bytes of the answer; `end`: how its stream ended."""
    if not is_logged(status):
        return
    fields = {
        **msgspec.structs.asdict(request),
        "status": status,
        "seconds": round(seconds, 6),
        "bytes": sent,
        **({"end": end} if end else {}),
    }
    taken = f"{seconds:.1f} s" if end else f"{1000 * seconds:.1f} ms"
    message = f"{request.method} {request.uri} {status} {taken} {sent} bytes{end and f', {end}'}"
    access.log(_level(status), "%s", message, extra={"request": fields})


class TextFormatter(logging.Formatter):
    """One line a record, and its traceback below."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: what every record has, `exception`, and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": scrubbed(record.getMessage()),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            line["exception"] = scrubbed(self.formatException(record.exc_info))
        return json.dumps(line)


def configure(format_: str, level: str) -> None:
    """Write all records of at least a level to the standard error; `format_` is one of `settings.LOG_FORMATS`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
