"""Replies of a streamer to a producer: acknowledgements, errors, and the delay before the next attempt. No I/O."""

from __future__ import annotations

import email.utils
import math
import random
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from streamer.producer.publishing.connection import Answer

_LONGEST_RETRY_AFTER: Final = 60.0


class Backoff:
    """Delays after failures in a row: doubled each time between `first` and `longest` seconds, and jittered by half."""

    def __init__(self, rng: random.Random, first: float = 0.1, longest: float = 5.0) -> None:
        self._rng = rng
        self._first = first
        self._longest = longest
        self._failures = 0

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        delay: float = min(self._first * 2.0 ** min(self._failures, 30), self._longest)
        self._failures += 1
        return delay * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again: something succeeded."""
        self._failures = 0


class Acknowledgement(Struct):
    """The answer to a batch: the last number that is stored, and what the streamer asks of the producer."""

    acknowledged: int
    requests: list[str] = []


_decoder: Final = msgspec.json.Decoder(Acknowledgement)


def read_acknowledgement(content: bytes) -> Acknowledgement:
    """Read the answer to a batch. Raises one of `NO_JSON` when it is not a streamer's."""
    return _decoder.decode(content)


#: Raised by an answer that is not a streamer's; its sender may be anybody.
NO_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def error_of(response: Answer) -> tuple[str, str, dict[str, Any]]:
    """Return code, message and details of a streamer's error; empty when somebody else answered."""
    try:
        error = msgspec.json.decode(response.content)["error"]
        details = error.get("details")
        return str(error["code"]), str(error.get("message", "")), details if isinstance(details, dict) else {}
    except (*NO_JSON, KeyError, TypeError, AttributeError):
        return "", "", {}


def retry_after(response: Answer) -> float | None:
    """Return the seconds a server asks to wait, at most a minute; None when it does not say.

    Args:
        response: The answer.

    Returns:
        Seconds, 0 to 60.

    """
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None
