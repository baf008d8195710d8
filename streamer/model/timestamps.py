"""Times as text: RFC 3339 in UTC, from POSIX seconds and back. Reads no clock."""

from __future__ import annotations

import calendar
import functools
import re
import time as _time
from typing import Final

# Events come many to the second, and in its order: caches of whole seconds spare what dates cost.

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
#: 9999-12-31T23:59:59.999Z, the last time RFC 3339 can write.
_LAST_TIME: Final = 253_402_300_799.999
#: How a time that we write ends, by its milliseconds, and the other way round.
_FRACTIONS: Final = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))
_MILLISECONDS: Final = {fraction: milliseconds for milliseconds, fraction in enumerate(_FRACTIONS)}


def format_time(time: float) -> str:
    """Write POSIX seconds as RFC 3339 in UTC with milliseconds, for example ``2026-01-31T09:41:32.118Z``."""
    if not 0.0 <= time <= _LAST_TIME:
        time = min(max(time, 0.0), _LAST_TIME)
    milliseconds = round(time * 1000)
    return _format_second(milliseconds // 1000) + _FRACTIONS[milliseconds % 1000]


@functools.lru_cache(256)
def _format_second(seconds: int) -> str:
    return _time.strftime("%Y-%m-%dT%H:%M:%S", _time.gmtime(seconds))


@functools.lru_cache(256)
def _parse_second(text: str) -> int:
    return int(_parse_time(f"{text}Z"))


def parse_time(text: str) -> float:
    """Read an RFC 3339 time as POSIX seconds, to the millisecond. Raises `ValueError` naming what was received."""
    milliseconds = _MILLISECONDS.get(text[19:])
    if milliseconds is not None:
        # As we write it ourselves.
        try:
            return (_parse_second(text[:19]) * 1000 + milliseconds) / 1000
        except ValueError:
            # Said with the whole text.
            return _parse_time(text)
    return _parse_time(text)


def _parse_time(text: str) -> float:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(
            f"expected an RFC 3339 time such as 2026-01-31T09:41:32.118Z, received {text[:60]!r}"
        )
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    zone = match[8]
    if not (
        1970 <= year
        and 1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and hour < 24
        and minute < 60
        and second <= 60
        and (zone in "Zz" or (int(zone[1:3]) < 24 and int(zone[4:6]) < 60))
    ):
        raise ValueError(f"expected a time from 1970 on with valid date and hour, received {text[:60]!r}")
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    if zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    milliseconds = int((match[7] or "0").ljust(3, "0")[:3])
    # One division: the sum of two fractions need not be the float nearest to the milliseconds.
    return (max(seconds, 0) * 1000 + milliseconds) / 1000
