"""Numbers and durations as text, the same on pages and in terminals. Pure; knows no runs and no time zones.

Each surface writes times of day itself, in its reader's zone.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

_BYTES = frozenset({"b", "byte", "bytes"})
_SCALE = ("B", "kB", "MB", "GB", "TB", "PB")
NOT_KNOWN = "—"
#: Colours and cursor movements of terminals (ECMA-48), which the output of commands is full of.
_TERMINAL_CODES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def plural(number: float, noun: str) -> str:
    """Return the noun for a number of things: ``warning`` for 1, ``warnings`` for any other."""
    return noun if number == 1 else f"{noun}s"


def count(value: float | None) -> str:
    """Write a count with thousands separated; fractions with as many digits as matter."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    if float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 1 else f"{value:,.1f}"


def in_bytes(unit: str) -> bool:
    """Return whether a unit is bytes, which are scaled."""
    return unit.strip().casefold() in _BYTES


def _scaled(value: float, power: int) -> str:
    number = value / 1000**power
    return f"{number:,.0f}" if power == 0 or number >= 100 else f"{number:,.1f}"


def _power(value: float) -> int:
    return 0 if value < 1000 else min(int(math.log10(value) // 3), len(_SCALE) - 1)


def amount(value: float | None, unit: str = "") -> str:
    """Write a count and its unit: ``3,664 rows``, ``1.2 MB``.

    Args:
        value: The count, in `unit`; None: not known.
        unit: "rows", "bytes", …; bytes are written as kB, MB, GB.

    """
    if value is not None and in_bytes(unit):
        power = _power(value)
        return f"{_scaled(value, power)} {_SCALE[power]}"
    return f"{count(value)} {unit}".rstrip()


def done_of(done: float | None, total: float | None, unit: str = "") -> str:
    """Write how much is done of how much: ``3,664 of 4,812 rows``; ``3,664 rows`` when the total is not known.

    Args:
        done: The count so far, in `unit`; None: not known.
        total: The count at the end; None: not known, and so is one below `done`.
        unit: The unit of both.

    """
    if done is None:
        return ""
    if total is None or done > total:
        return amount(done, unit)
    if in_bytes(unit):
        power = _power(total)
        return f"{_scaled(done, power)} of {_scaled(total, power)} {_SCALE[power]}"
    return f"{count(done)} of {count(total)} {unit}".rstrip()


def rate(value: float | None, unit: str = "") -> str:
    """Write a rate, given in units per second: ``128 rows/s``; slow ones per minute or hour. Empty when not known.

    Args:
        value: Units per second; None: not known.
        unit: The unit.

    """
    if value is None or not math.isfinite(value) or value < 0:
        return ""
    if in_bytes(unit):
        return f"{amount(value, unit)}/s"
    for factor, per in ((1, "s"), (60, "min"), (3600, "h")):
        if value * factor >= 1 or per == "h" or value == 0:
            number = value * factor
            text = f"{number:,.0f}" if number >= 10 else f"{number:,.1f}".removesuffix(".0")
            return f"{text} {unit}/{per}" if unit else f"{text}/{per}"
    return ""


def clock(seconds: float | None) -> str:
    """Write a duration as a clock shows it: ``0:28``, ``1:12:09``, ``2 d 3:04:05``; ``0.4 s`` below a second."""
    if seconds is None:
        return NOT_KNOWN
    if 0 < seconds < 1:
        return took(seconds)
    whole = max(int(seconds), 0)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days} d {hours}:{minutes:02d}:{secs:02d}"
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def took(seconds: float | None) -> str:
    """Write how long something took that is over: as `duration` does, and with tenths below a second."""
    if seconds is None or not 0 < seconds < 1:
        return duration(seconds)
    return f"{min(max(seconds, 0.1), 0.9):.1f} s"


def duration(seconds: float | None) -> str:
    """Write a duration in words, its two largest units: ``4 s``, ``2 min 10 s``, ``1 h 12 min``."""
    if seconds is None:
        return NOT_KNOWN
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (smaller, smaller_size) in pairwise(units):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def rough(seconds: float) -> str:
    """Write a time that is still to come: the coarser the longer it is: ``25 s``, ``12 min``, ``1 h 25 min``, ``9 h``.

    Args:
        seconds: The seconds; below 0 counts as 0.

    """
    seconds = max(seconds, 0.0)
    for least, step in ((36_000, 3600), (10_800, 900), (3_600, 300), (570, 60), (57.5, 30), (9.5, 5)):
        if seconds >= least:
            return duration(max(round(seconds / step), 1) * step)
    return f"{math.ceil(seconds)} s"


def rough_range(low: float, high: float) -> str:
    """Write a range of times to come: ``9 to 17 min``; both ends' units where they differ.

    Args:
        low: The lower end, in seconds.
        high: The upper end, in seconds.

    """
    first, last = rough(low), rough(high)
    number, _, unit = first.partition(" ")
    if first == last:
        return first
    return (
        f"{number} to {last}" if last.count(" ") == 1 and last.endswith(f" {unit}") else f"{first} to {last}"
    )


def ago(seconds: float | None) -> str:
    """Write an age: ``just now``, ``2 s ago``, ``3 min ago``."""
    if seconds is None:
        return NOT_KNOWN
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"


def percent(value: float | None) -> str:
    """Write a percentage, rounded down: what is not complete is never shown as 100."""
    return NOT_KNOWN if value is None else f"{int(value)} %"


def cut(text: str, limit: int) -> str:
    """Return `text` within `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def without_terminal_codes(text: str) -> str:
    """Return `text` as it reads without colours and cursor movements."""
    return _TERMINAL_CODES.sub("", text)


def paragraphs(doc: str) -> str:
    """Return a docstring with the lines of each paragraph joined, for a page that is wider or narrower than its source.

    A paragraph with an indented line, such as a list or a drawing, stays as it is.
    """
    parts = re.split(r"\n\s*\n", doc.strip("\n"))
    return "\n\n".join(part if re.search(r"\n\s", part) else " ".join(part.split("\n")) for part in parts)
