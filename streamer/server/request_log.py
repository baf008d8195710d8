"""The log of requests: one line a request, as text or JSON, without tokens.

Our own programs call `configure`. Inside another program (`panel serve`) the records go to its handlers; records of
requests have no tokens there either.
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
#: Bound, in characters, of each part of a request in its line.
_LONGEST: Final = 500


def _spelled(letter: str) -> str:
    """Return a pattern of a letter in a URL, plain or percent-encoded any number of times."""
    codes = {f"{ord(each):02x}" for each in (letter.lower(), letter.upper())}
    return f"(?:{re.escape(letter)}|%(?:25)*(?:{'|'.join(sorted(codes))}))"


#: `token=…` in a query, also within a URL that is itself an argument; and the header. A token may hold any printable
#: character: the patterns rather remove too much than leave a part of a token.
_IN_URL: Final = re.compile(f"({''.join(map(_spelled, 'token='))})[^&\\s]+", re.IGNORECASE)
_IN_HEADER: Final = re.compile(r"(\b(?:bearer|basic)(?:\s|%(?:25)*20|\+)+)\S+", re.IGNORECASE)


def scrubbed(text: str) -> str:
    """Return a text without the values after `token=` (in any encoding), `Bearer` and `Basic`."""
    return _IN_HEADER.sub(r"\1…", _IN_URL.sub(r"\1…", text))


def _shown(text: str) -> str:
    """Return a part of a request for the log: without tokens, on one line, within bounds."""
    text = scrubbed(text)[:_LONGEST]
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Request(Struct, frozen=True):
    """The parts of a request for its line. It is made when the request comes: the connection may outlive the rest."""

    method: str
    uri: str
    remote: str = ""
    referer: str = ""
    agent: str = ""

    @classmethod
    def of(cls, method: str, uri: str, remote: str, headers: Mapping[str, str]) -> Request:
        """Return the parts of a request, without tokens.

        Args:
            method: Its method.
            uri: Its path and query.
            remote: Address of the client.
            headers: Its headers.
        """
        return cls(
            _shown(method),
            _shown(uri),
            remote,
            _shown(headers.get("Referer", "")),
            _shown(headers.get("User-Agent", "")),
        )


def is_logged(status: int) -> bool:
    """Return whether an answer of this status gets a line."""
    return access.isEnabledFor(_level(status))


def _level(status: int) -> int:
    return logging.WARNING if status >= 500 else logging.INFO


def log_request(request: Request, *, status: int, seconds: float, sent: int, end: str = "") -> None:
    """Write the line of an answered request.

    Args:
        request: The request.
        status: Status of the answer.
        seconds: Time from the request to the end of the answer.
        sent: Bytes of the answer.
        end: How its stream ended; empty for an answer that is no stream.
    """
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
    """One JSON object a line, in ASCII: the record, its `exception`, and the fields of a request."""

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
    """Write all records to the standard error.

    Args:
        format_: One of `settings.LOG_FORMATS`.
        level: The least level.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
