"""How a run looks in a terminal, in a pipe, and as JSON for programs. Draws what it is given; makes no connection.

Nothing that others have written reaches the terminal before `printable` has seen it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamer.model import formatting
from streamer.model.events import (
    Bar,
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
from streamer.model.state import PhaseState, RunState
from streamer.protocol.frames import entry_json, state_data, to_json

#: Failed items that are listed at the end; phases, and bars inside them, that are shown at once.
FAILURES_SHOWN: Final = 20
_PHASES_SHOWN: Final = 12
_BARS_SHOWN: Final = 8
#: Deepest indentation of a bar; what is nested deeper stands there as well.
_DEPTH_SHOWN: Final = 4
#: Lines of a result that are shown; the page has all of it.
_RESULT_SHOWN: Final = 30
#: Columns of the bar, where there is room, and of a terminal in which a phase's counts have room beside its bar.
_BAR: Final = 30
_WIDE: Final = 92
#: What `str.isprintable` refuses and every script needs: joiners inside words and emoji.
_JOINERS: Final = "\u200c\u200d"

_STYLES: Final = {
    "queued": "cyan",
    "running": "bold cyan",
    "stalled": "bold yellow",
    "cancelling": "bold yellow",
    "complete": "bold green",
    "failed": "bold red",
    "cancelled": "bold yellow",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold red",
    "DEBUG": "dim",
    "item": "red",
}


# -- words -------------------------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    r"""Return a line that is safe to print: whatever is not to be seen, line ends too, as an escape like ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return " " if character in "\t\xa0\u3000" else character.encode("unicode_escape").decode()


def printable_lines(text: str) -> list[str]:
    """Return a text's lines, each safe to print; without those at its end that are empty."""
    lines = [printable(line) for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def duration(seconds: float | None) -> str:
    """Return a duration in words, as a page does; with a tenth below ten seconds, where a terminal's reader looks."""
    return f"{seconds:.1f} s" if seconds is not None and seconds < 10 else formatting.duration(seconds)


def percent(state: RunState) -> str:
    """Return the overall progress; never rounded up to 100."""
    return f"{int(state.overall_progress * 10) / 10:.1f} %"


def amount(done: float | None, total: float | None, unit: str, rate: float | None) -> str:
    """Return what was done, of how much, how fast: ``3,664 of 4,812 rows · 128 rows/s``; empty when nobody said."""
    return printable(
        " · ".join(filter(None, (formatting.done_of(done, total, unit), formatting.rate(rate, unit))))
    )


def outcome(state: RunState) -> str:
    """Return in a few words how a run stands or ended: ``complete, 3 of 4,812 failed, 12 s``."""
    parts: list[str] = [state.status]
    if state.results.failed:
        total = state.results.success + state.results.failed
        parts.append(f"{state.results.failed:,} of {total:,} failed")
    if state.ended is not None and state.started is not None:
        parts.append(duration(state.ended - state.started))
    return ", ".join(parts)


def error_line(error: ErrorInfo | None) -> str:
    """Return an error in one line."""
    return (
        "" if error is None else printable(f"{error.type}: {error.message}" if error.message else error.type)
    )


def clock_time(seconds: float) -> str:
    """Return a time of day, here."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def closing(state: RunState) -> list[str]:
    """Return what is said of a run at its end: failed items, the error, the result; lines safe to print."""
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
    """Return what is said of an entry, as (word, text) for each line; `state` is that after it."""
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
            return [("item", f"{printable(event.item)}: {error_line(event.error)}")]
        case Progressed():
            phase = f"{printable(event.phase)} " if event.phase else ""
            counts = amount(state.done, state.total, state.unit, state.rate)
            return [(percent(state), f"{phase}{counts}".strip())]
        case Completed() | RunFailed() | RunCancelled():
            return [(state.status, outcome(state).partition(", ")[2])]


# -- displays ----------------------------------------------------------------------------------------------------------


class Display(Protocol):
    """Shows one run. `show` takes each entry with the state after it; all in one thread."""

    def begin(self, run_id: str, page: str | None) -> None:
        """Say which run it is and where its page is."""

    def know(self, state: RunState) -> None:
        """Take a state that did not come of an entry."""

    def show(self, entry: Entry, state: RunState) -> None:
        """Take what happened."""

    def connection(self, state: str, detail: str) -> None:
        """Take how the connection to the streamer is: connecting, live or away."""

    def say(self, text: str) -> None:
        """Say something that is not of the run."""

    def pause(self) -> None:
        """Leave the terminal to somebody else, until something is shown again."""

    def end(self, state: RunState) -> None:
        """Take the last state that is known, and finish."""


class JsonDisplay:
    """One line of ASCII JSON for each entry, and for each state that comes instead of entries; nothing else."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def _line(self, data: bytes) -> None:
        self._output.write(data.decode("ascii") + "\n")
        self._output.flush()

    def begin(self, run_id: str, page: str | None) -> None:
        """Say nothing: the first entry tells."""

    def know(self, state: RunState) -> None:
        self._line(to_json({"event": "snapshot", **state_data(state)}))

    def show(self, entry: Entry, state: RunState) -> None:
        self._line(entry_json(entry))

    def connection(self, state: str, detail: str) -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def end(self, state: RunState) -> None:
        """Say nothing: the last entry tells."""


class LineDisplay:
    """One line for each change, without colour: for pipes, files and terminals that can do no more.

    Progress is a change when its whole percent changes, or, while nobody knows of how much, once in a second.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._percent = 0
        self._said_at = 0.0
        self._state = "live"
        self._page = ""

    def _line(self, *words: str) -> None:
        self._output.write(" ".join(words).rstrip() + "\n")
        self._output.flush()

    def begin(self, run_id: str, page: str | None) -> None:
        self._page = printable(page or "")
        self._line(f"run {printable(run_id)}", self._page)

    def know(self, state: RunState) -> None:
        self._percent = int(state.overall_progress)
        self._line(clock_time(state.last_time or 0.0), f"{state.status:10}", _headline(state))

    def show(self, entry: Entry, state: RunState) -> None:
        if isinstance(entry.event, Progressed) and not self._is_news(entry, state):
            return
        for word, text in entry_lines(entry, state):
            self._line(clock_time(entry.time), f"{word:10}", text)

    def _is_news(self, entry: Entry, state: RunState) -> bool:
        whole = int(state.overall_progress)
        if whole == self._percent and not (state.indeterminate and entry.time - self._said_at >= 1):
            return False
        self._percent, self._said_at = whole, entry.time
        return True

    def connection(self, state: str, detail: str) -> None:
        if state == "away" and self._state != "away":
            self._line("the streamer is away, trying again:", printable(detail))
        elif state == "live" and self._state == "away":
            self._line("the streamer is back")
        self._state = self._state if state == "connecting" else state

    def say(self, text: str) -> None:
        self._line(printable(text))

    def pause(self) -> None:
        """Do nothing: there is nothing that moves."""

    def end(self, state: RunState) -> None:
        if state.is_over:
            for line in closing(state):
                self._line(line)


class LiveDisplay:
    """Percentage, phases and counts that move at the terminal's lower end; log lines and failed items above it.

    Rich draws it from a thread of its own, eight times a second, from the last state: states do not change. `redirect`:
    what this program prints goes above it.
    """

    def __init__(
        self, console: Console, clock: Callable[[], float] = time.time, *, redirect: bool = False
    ) -> None:
        self._console = console
        self._redirect = redirect
        self._clock = clock
        self._live: Live | None = None
        self._state = RunState(run="")
        self._connection = ("live", "")
        self._page = ""

    def begin(self, run_id: str, page: str | None) -> None:
        self._page = printable(page or "")
        self._state = RunState(run=run_id)

    def know(self, state: RunState) -> None:
        self._state = state
        self._start()

    def show(self, entry: Entry, state: RunState) -> None:
        self._state = state
        self._start()
        if isinstance(entry.event, Logged | ItemFailed):
            for word, text in entry_lines(entry, state):
                line = Text.assemble(
                    (clock_time(entry.time), "dim"), " ", (f"{word:8}", _STYLES.get(word, "")), " ", text
                )
                self._console.print(line, overflow="fold")

    def connection(self, state: str, detail: str) -> None:
        self._connection = state, printable(detail)
        if state == "away":
            self._start()

    def say(self, text: str) -> None:
        self._console.print(Text(printable(text)))

    def pause(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def end(self, state: RunState) -> None:
        self._state = state
        self._start()
        self.pause()
        if state.is_over:
            for line in closing(state):
                style = "red" if line.startswith("failed") else ""
                self._console.print(Text(line, style=style), overflow="fold")

    def _start(self) -> None:
        if self._live is None:
            self._live = Live(
                get_renderable=self.render,
                console=self._console,
                refresh_per_second=8,
                redirect_stdout=self._redirect,
            )
            self._live.start(refresh=True)

    def render(self) -> RenderableType:
        """Return how the run looks now, as wide as the terminal is now."""
        state, now = self._state, self._clock()
        columns = self._console.width
        head = Text.assemble(
            (_headline(state) or printable(state.run), "bold"),
            "  ",
            (outcome(state), _STYLES.get(state.status, "")),
            overflow="ellipsis",
            no_wrap=True,
        )
        if not state.is_over and state.started is not None:
            head.append(f"  {duration(state.duration(now))}", "dim")
        rows: list[RenderableType] = [head, _overall(state, columns)]
        rows += _phases(state, now, columns)
        counts = amount(state.done, state.total, state.unit, state.rate)
        if counts and not state.is_over:
            rows.append(Text(counts, "dim", overflow="ellipsis", no_wrap=True))
        phase = state.find_phase(state.phase)
        message = state.message if phase is None else phase.message
        if message and not state.is_over:
            rows.append(Text(printable(message), "italic", overflow="ellipsis", no_wrap=True))
        results = [
            (f"{count:,} {word}", style)
            for count, word, style in (
                (state.results.success, "succeeded", ""),
                (state.results.failed, "failed", "red"),
                (state.warnings, "warnings", "yellow"),
            )
            if count
        ]
        if results:
            parts = [part for result in results for part in (", ", result)][1:]
            rows.append(Text.assemble(*parts))
        connection, detail = self._connection
        if connection == "away" and not state.is_over:
            rows.append(Text(f"the streamer is away, trying again: {detail}", "yellow"))
        if self._page:
            rows.append(Text(self._page, "dim", overflow="fold"))
        return Group(*rows)


def _headline(state: RunState) -> str:
    return printable(state.title or state.pipeline or "")


def _overall(state: RunState, columns: int) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    # A bar that pulses says that nobody knows how much there is; one that stands still would say that nothing happens.
    pulse = state.indeterminate and not state.overall_progress
    width = max(10, min(_BAR + 10, columns - 10))
    bar = ProgressBar(total=100, completed=state.overall_progress, width=width, pulse=pulse)
    row.add_row(bar, Text("" if pulse else percent(state), "bold"))
    return row


def _phases(state: RunState, now: float, columns: int) -> Iterator[RenderableType]:
    """Yield the phases, when there are several, and the bars that are under way, each under its phase."""
    bars = _bars_under_way(state)
    names = [phase.name for phase in state.phases]
    current = names.index(state.phase) if state.phase in names else 0
    first = max(0, min(current - _PHASES_SHOWN // 2, len(names) - _PHASES_SHOWN))
    shown = state.phases[first : first + _PHASES_SHOWN] if len(names) > 1 else ()
    elsewhere = [one for one in bars if one[1].phase not in {phase.name for phase in shown}]
    if elsewhere:
        yield _tree(elsewhere, columns)
    weight = sum(phase.weight for phase in state.phases)
    rows = [_phase_row(phase, weight, now, columns) for phase in shown]
    table = _phase_table(rows)
    for phase, row in zip(shown, rows, strict=True):
        table.add_row(*row)
        inside = [one for one in bars if one[1].phase == phase.name]
        if inside:
            yield table
            yield _tree(inside, columns)
            table = _phase_table(rows)
    if table.rows:
        yield table
    left = sum(bar.status == "started" for bar in state.bars) - len(bars)
    if left > 0 and not state.is_over:
        yield Text(f"  … and {left:,} more bars", "dim", no_wrap=True)


def _phase_table(rows: list[tuple[RenderableType, ...]]) -> Table:
    """Return a table for some of the rows, whose columns are those of all of them."""
    table = Table.grid(padding=(0, 1))
    for cells in zip(*rows, strict=True):
        table.add_column(min_width=max(cell.cell_len if isinstance(cell, Text) else 0 for cell in cells))
    return table


def _bars_under_way(state: RunState) -> list[tuple[int, Bar]]:
    """Return the first bars that are under way, each below the one it is inside of, with its depth from 0 on."""
    if state.is_over:
        return []
    inner = state.inner_bars()
    found: list[tuple[int, Bar]] = []
    waiting = [(0, bar) for bar in reversed(inner.get(None, ()))]
    while waiting and len(found) < _BARS_SHOWN:
        depth, bar = waiting.pop()
        if bar.status == "started":
            found.append((depth, bar))
            depth += 1
        waiting += [(depth, one) for one in reversed(inner.get(bar.id, ()))]
    return found


def _tree(bars: list[tuple[int, Bar]], columns: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for depth, bar in bars:
        share = None if bar.done is None or not bar.total else min(bar.done / bar.total * 100, 100.0)
        name = f"  {'  ' * (min(depth, _DEPTH_SHOWN) - 1)}└ " if depth else "  "
        table.add_row(
            Text(f"{name}{formatting.cut(printable(bar.name), max(8, columns // 4))}", no_wrap=True),
            ProgressBar(
                total=100, completed=share or 0.0, width=max(6, min(_BAR, columns // 5)), pulse=share is None
            ),
            Text(amount(bar.done, bar.total, bar.unit, None), "dim", overflow="ellipsis", no_wrap=True),
        )
    return table


def _phase_row(phase: PhaseState, weight: float, now: float, columns: int) -> tuple[RenderableType, ...]:
    """Return mark, name, share of the whole, bar, percentage, time, and in a wide terminal what was done."""
    marks = {"waiting": "·", "started": "▸", "finished": "✓", "skipped": "-", "failed": "✗"}
    styles = {"waiting": "dim", "started": "bold", "finished": "green", "skipped": "dim", "failed": "red"}
    style = styles[phase.status]
    took = "" if phase.started is None else duration((phase.ended or now) - phase.started)
    known = phase.progress is not None or phase.status != "started"
    width = _BAR if columns >= _WIDE else max(6, min(_BAR, columns - 48))
    bar = ProgressBar(total=100, completed=phase.fraction * 100, width=width, pulse=not known)
    share = f"weight {phase.weight / weight * 100:.0f} %" if weight > 0 else ""
    # A name gives way, or a single long one would push the numbers out of sight.
    name = formatting.cut(printable(phase.name), max(8, columns - width - 36))
    row: tuple[RenderableType, ...] = (
        Text(marks[phase.status], style),
        Text(name, style, no_wrap=True),
        Text(share, "dim", no_wrap=True),
        bar,
        Text(
            f"{int(phase.fraction * 100)} %" if known and phase.status != "waiting" else "",
            style,
            no_wrap=True,
        ),
        Text(took, "dim", no_wrap=True),
    )
    if columns < _WIDE:
        return row
    return (
        *row,
        Text(amount(phase.done, phase.total, phase.unit, None), "dim", overflow="ellipsis", no_wrap=True),
    )


def choose_display(output: TextIO, *, as_json: bool, environment: Any = None) -> Display:
    """Return the display that fits where the output goes."""
    if as_json:
        return JsonDisplay(output)
    console = Console(file=output, highlight=False, markup=False, emoji=False, _environ=environment)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console)
    return LineDisplay(output)
