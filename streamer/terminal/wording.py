"""The wording of runs and entries in terminals: lines of text that are safe to print. Draws nothing.

Numbers and sentences come from `Summary`; this module puts them into lines.
"""

from __future__ import annotations

import json
import time
from typing import Final

from streamer.model import formatting
from streamer.model.events import (
    Completed,
    Entry,
    ErrorInfo,
    ItemFailed,
    Logged,
    PhaseChanged,
    Progressed,
    RunCancelled,
    RunFailed,
    StatusChanged,
)
from streamer.model.state import RunState
from streamer.model.summary import Summary, summarise
from streamer.terminal.printable import printable, printable_lines

#: Failed items that are listed at the end.
FAILURES_SHOWN: Final = 20
#: Lines of a result that are shown; the page has all of it.
_RESULT_SHOWN: Final = 30


def duration(seconds: float | None) -> str:
    """Return a duration in words, with a tenth below ten seconds.

    Args:
        seconds: The duration; None: it is not known.

    Returns:
        The words a page has, but for the tenth.
    """
    return f"{seconds:.1f} s" if seconds is not None and seconds < 10 else formatting.duration(seconds)


def amount(done: float | None, total: float | None, unit: str) -> str:
    """Return how much is done of how much: ``3,664 of 4,812 rows``.

    Args:
        done: The number that is done; None: nothing was counted.
        total: The number to do; None: it is not known.
        unit: The unit of both; empty: there is none.

    Returns:
        The words; empty where nothing was counted.
    """
    return printable(formatting.done_of(done, total, unit))


def counts(summary: Summary) -> str:
    """Return what is done, of how much, how fast, and what is left: ``3 of 12 rows · 4 rows/s · about 2 s left``.

    Args:
        summary: The run in numbers and words.

    Returns:
        The words; empty where nothing was counted.
    """
    left = "" if summary.remaining is None or not summary.remaining.short else summary.remaining.left
    return printable(" · ".join(part for part in (summary.counts, summary.rate, left) if part))


def standing(summary: Summary) -> str:
    """Return how a run stands or ended, and how long it took: ``complete, 3 of 4,812 failed, 12 s``.

    Args:
        summary: The run in numbers and words.

    Returns:
        The words; the time only of a run that is over.
    """
    took = summary.elapsed if summary.outcome is not None else None
    return printable(summary.standing if took is None else f"{summary.standing}, {duration(took)}")


def error_line(error: ErrorInfo | None) -> str:
    """Return an error in one line.

    Args:
        error: The error; None: there is none.

    Returns:
        Its type and its message; empty without one.
    """
    if error is None:
        return ""
    return printable(f"{error.type}: {error.message}" if error.message else error.type)


def clock_time(seconds: float) -> str:
    """Return the time of day in this machine's zone.

    Args:
        seconds: POSIX seconds.

    Returns:
        The time as ``09:41:32``.
    """
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def closing(state: RunState) -> list[str]:
    """Return the lines that end a run: failed items, the error, the result.

    Args:
        state: The last state of the run.

    Returns:
        Lines that are safe to print.
    """
    lines: list[str] = []
    for failed in state.errors[:FAILURES_SHOWN]:
        where = f" in {printable(failed.phase)}" if failed.phase else ""
        lines.append(f"failed{where}: {printable(failed.item)}: {error_line(failed.error)}")
    more = state.results.failed - min(len(state.errors), FAILURES_SHOWN)
    if more > 0:
        lines.append(f"failed: {more:,} more")
    if state.error is not None:
        lines += printable_lines(state.error.traceback) or [error_line(state.error)]
    elif state.message and state.status in ("failed", "cancelled"):
        lines.append(printable(state.message))
    if state.result is not None:
        result = printable_lines(json.dumps(state.result, indent=2, ensure_ascii=False))
        if len(result) > _RESULT_SHOWN:
            left = len(result) - _RESULT_SHOWN
            result = [*result[:_RESULT_SHOWN], f"… {left:,} more lines; the page shows the whole result"]
        lines += ["result:", *result]
    return lines


def entry_lines(entry: Entry, state: RunState) -> list[tuple[str, str]]:
    """Return the lines for an entry.

    Args:
        entry: The entry.
        state: The state after it.

    Returns:
        A word and a text for each line, both safe to print.
    """
    event = entry.event
    match event:
        case StatusChanged():
            return [(event.status, printable(event.message))]
        case PhaseChanged():
            text = f"{printable(event.phase)} {event.phase_status}"
            return [("phase", f"{text}: {printable(event.message)}" if event.message else text)]
        case Logged():
            return [(printable(event.level), line) for line in printable_lines(event.message)]
        case ItemFailed():
            # The log has a line of it.
            return []
        case Progressed():
            summary = summarise(state, entry.time)
            phase = printable(event.phase or "")
            return [(summary.percent_words, " ".join(part for part in (phase, counts(summary)) if part))]
        case Completed() | RunFailed() | RunCancelled():
            word, _, more = standing(summarise(state, entry.time)).partition(", ")
            return [(word, more)]
