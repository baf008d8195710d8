"""`LiveDisplay`: a run on a terminal, drawn by Rich: percentage, phases, bars and counts that move.

Text that others wrote reaches the terminal through `printable` only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamer.model import formatting
from streamer.model.events import Bar, Entry, Logged
from streamer.model.palette import TERMINAL
from streamer.model.state import PhaseState, RunState
from streamer.model.summary import PhaseKind, PhaseSummary, Summary, summarise
from streamer.terminal.printable import printable
from streamer.terminal.wording import amount, clock_time, closing, counts, duration, entry_lines, standing

#: Phases, and bars inside them, that are shown at once.
_PHASES_SHOWN: Final = 12
_BARS_SHOWN: Final = 8
#: Deepest indentation of a bar; bars that are nested deeper have the same.
_DEPTH_SHOWN: Final = 4
#: Columns of the bar, where there is room, and of a terminal in which a phase's counts have room beside its bar.
_BAR: Final = 30
_WIDE: Final = 92
#: The colours of log lines and failed items, by the word before them.
_LINES: Final = {
    "WARNING": TERMINAL["warn"],
    "ERROR": TERMINAL["bad"],
    "CRITICAL": TERMINAL["bad"],
    "DEBUG": "dim",
    "item": TERMINAL["bad"],
}
#: The marks of phases. A terminal's fonts may lack those of pages.
_MARKS: Final[dict[PhaseKind, str]] = {
    "waiting": "·",
    "active": "▸",
    "done": "✓",
    "failed": "✗",
    "stopped": "■",
    "skipped": "-",
    "partial": "✓",
    "spoilt": "✗",
}


class LiveDisplay:
    """Draws percentage, phases and counts at the terminal's lower end; log lines and failed items go above it.

    Rich draws from a thread of its own, eight times a second, from the last state. States are immutable.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        self._console = console
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
        if isinstance(entry.event, Logged):
            for word, text in entry_lines(entry, state):
                line = Text.assemble(
                    (clock_time(entry.time), "dim"), " ", (f"{word:8}", _LINES.get(word, "")), " ", text
                )
                self._console.print(line, overflow="fold")

    def renew(self, state: RunState) -> None:
        self._state = state

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
                get_renderable=lambda: self.render(self._state),
                console=self._console,
                refresh_per_second=8,
                redirect_stdout=False,
            )
            self._live.start(refresh=True)

    def render(self, state: RunState) -> RenderableType:
        """Return how the run looks now, as wide as the terminal is now. Draws nothing."""
        summary = summarise(state, self._clock())
        columns = self._console.width
        head = Text.assemble(
            (printable(summary.title), "bold"),
            "  ",
            (standing(summary), TERMINAL[summary.tone]),
            overflow="ellipsis",
            no_wrap=True,
        )
        if summary.outcome is None and summary.elapsed is not None:
            head.append(f"  {duration(summary.elapsed)}", "dim")
        rows: list[RenderableType] = [head, _overall(summary, columns)]
        rows += _phases(state, summary, columns)
        if summary.outcome is None:
            phase = state.find_phase(state.phase)
            message = state.message if phase is None else phase.message
            for text, style in ((counts(summary), "dim"), (printable(message), "italic")):
                if text:
                    rows.append(Text(text, style, overflow="ellipsis", no_wrap=True))
        if results := _results(summary):
            rows.append(results)
        connection, detail = self._connection
        if connection == "away" and summary.outcome is None:
            rows.append(Text(f"the streamer is away; reconnecting: {detail}", TERMINAL["warn"]))
        if self._page:
            rows.append(Text(self._page, "dim", overflow="fold"))
        return Group(*rows)


def _results(summary: Summary) -> Text | None:
    found = [
        (f"{count:,} {word}", style)
        for count, word, style in (
            (summary.succeeded, "succeeded", ""),
            (summary.failed, "failed", TERMINAL["bad"]),
            (summary.warnings, formatting.plural(summary.warnings, "warning"), TERMINAL["warn"]),
        )
        if count
    ]
    return Text.assemble(*[part for one in found for part in (", ", one)][1:]) if found else None


def _overall(summary: Summary, columns: int) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    # A bar that pulses says that the total is not known; one that stands still would say that nothing happens.
    width = max(10, min(_BAR + 10, columns - 10))
    bar = ProgressBar(total=100, completed=summary.fraction * 100, width=width, pulse=summary.moving)
    row.add_row(bar, Text("" if summary.moving else summary.progress, "bold"))
    return row


def _phases(state: RunState, summary: Summary, columns: int) -> Iterator[RenderableType]:
    """Yield the phases, when there are several, and the bars that are under way, each under its phase."""
    bars = _bars_under_way(state)
    names = [phase.name for phase in state.phases]
    current = names.index(state.phase) if state.phase in names else 0
    first = max(0, min(current - _PHASES_SHOWN // 2, len(names) - _PHASES_SHOWN))
    shown = state.phases[first : first + _PHASES_SHOWN] if len(names) > 1 else ()
    elsewhere = [one for one in bars if one[1].phase not in {phase.name for phase in shown}]
    if elsewhere:
        yield _tree(elsewhere, columns)
    words = summary.phases[first : first + len(shown)]
    rows = [_phase_row(phase, said, columns) for phase, said in zip(shown, words, strict=True)]
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
            Text(amount(bar.done, bar.total, bar.unit), "dim", overflow="ellipsis", no_wrap=True),
        )
    return table


def _phase_row(phase: PhaseState, said: PhaseSummary, columns: int) -> tuple[RenderableType, ...]:
    """Return mark, name, share of the whole, bar, percentage, time, and in a wide terminal the counts."""
    mark = _MARKS[said.kind]
    style = {"accent": "bold", "wait": "dim"}.get(said.tone, TERMINAL[said.tone].removeprefix("bold "))
    width = _BAR if columns >= _WIDE else max(6, min(_BAR, columns - 48))
    bar = ProgressBar(total=100, completed=said.fraction * 100, width=width, pulse=said.moving)
    # A name gives way, or a single long one would push the numbers out of sight.
    name = formatting.cut(printable(phase.name), max(8, columns - width - 36))
    row: tuple[RenderableType, ...] = (
        Text(mark, style),
        Text(name, style, no_wrap=True),
        Text(f"weight {said.share * 100:.0f} %", "dim", no_wrap=True),
        bar,
        Text("" if said.percent is None else formatting.percent(said.percent), style, no_wrap=True),
        Text("" if said.seconds is None else duration(said.seconds), "dim", no_wrap=True),
    )
    if columns < _WIDE:
        return row
    return (*row, Text(printable(said.counts), "dim", overflow="ellipsis", no_wrap=True))
