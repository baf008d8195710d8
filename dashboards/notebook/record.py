"""A run as a notebook keeps it: HTML without script and with inline styles only, and a text. Pure; draws no widgets.

The live view shows this very HTML, and it is what stays in the saved file: GitHub and nbconvert show it as it is. All
text has the host's own colour or white on a tone, so it is legible on light and on dark ground. Where styles are taken
away all words are still there.
"""

from __future__ import annotations

import json
import time as _time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from dashboards.notebook.markup import Markup, join, link, tag
from streamer.model import formatting
from streamer.model.events import Bar, Entry, FailedItem, Logged
from streamer.model.palette import EITHER_GROUND, ON_TONE, Tone, text_colour
from streamer.model.state import RunState
from streamer.model.summary import PHASE_TONES, PhaseKind, PhaseSummary, Summary, summarise

#: How many of each are kept in a notebook; the page has them all.
LINES_SHOWN: Final = 12
FAILURES_SHOWN: Final = 20
BARS_SHOWN: Final = 12
PHASES_SHOWN: Final = 40
_VALUE_LIMIT: Final = 4_000

_LINE: Final = "1px solid rgba(128,128,128,.35)"
_BOX: Final = (
    f"box-sizing:border-box;max-width:900px;padding:14px 16px;border:{_LINE};border-radius:8px;"
    "font:14px/1.45 system-ui,-apple-system,'Segoe UI',sans-serif;font-variant-numeric:tabular-nums;"
    "overflow-wrap:anywhere"
)
_BAR_KINDS: Final[dict[str, PhaseKind]] = {"started": "active", "finished": "done", "stopped": "stopped"}
_LINE_TONES: Final[dict[str, Tone]] = {"error": "bad", "warning": "warn"}
SOFT: Final = "opacity:.75"
_SMALL: Final = "opacity:.75;font-size:12px"
_PRE: Final = (
    "margin:6px 0 0;padding:8px 10px;max-height:260px;overflow:auto;white-space:pre-wrap;"
    f"font:12px/1.55 ui-monospace,monospace;border:{_LINE};border-radius:6px"
)


class Seen(NamedTuple):
    """A run as it is known at one time: `at`, POSIX seconds. `state` None: nothing yet.

    `lines` are its last log lines. `page` is where more of it is shown. `note` says what else to know, such as that the
    streamer is away.
    """

    run_id: str
    at: float
    state: RunState | None = None
    lines: tuple[Entry, ...] = ()
    page: str = ""
    note: str = ""


def stamp(at: float) -> str:
    """Write a time so that it means the same to every reader of a file: to the second, in UTC."""
    return _time.strftime("%Y-%m-%d %H:%M:%S UTC", _time.gmtime(max(at, 0.0)))


# -- as text -----------------------------------------------------------------------------------------------------------


def run_text(seen: Seen) -> str:
    """Return a run in a few lines of text."""
    state = seen.state
    lines = [f"Run {seen.run_id}: {seen.note or 'nothing is known of it yet'}"]
    if state is not None:
        summary = summarise(state, seen.at)
        lines = [f"{summary.title} · {summary.word} · {summary.progress}", _now(state, summary, seen.at)]
        if state.error is not None:
            lines.append(f"{state.error.type}: {state.error.message}")
        lines.append(seen.note)
    lines.append(" · ".join(filter(None, (f"As of {stamp(seen.at)}", seen.page))))
    return "\n".join(filter(None, lines))


# -- as HTML -----------------------------------------------------------------------------------------------------------


def run_html(seen: Seen, *, live: bool = False) -> Markup:
    """Return a run as one element; `live`: it will be replaced soon.

    Args:
        seen: The run as the cell has it.
        live: Whether it will be replaced soon.

    """
    state = seen.state
    if state is None:
        text = seen.note or "Asking the streamer about this run…"
        return box(
            tag("div", tag("b", f"Run {seen.run_id}")), tag("div", text, style=SOFT), _foot(seen, live)
        )
    summary = summarise(state, seen.at)
    return box(
        _head(state, summary),
        note(seen.note),
        _bar(summary),
        tag(
            "div",
            tag("b", summary.progress, style="font-size:18px"),
            _joined(" · ", _now(state, summary, seen.at)),
        ),
        _phases(summary),
        _bars(state),
        _error(state),
        _failures(state),
        _lines(state, seen.lines),
        _values("Parameters", state.parameters),
        _values("Result", state.result),
        _foot(seen, live),
    )


def box(*children: str | None) -> Markup:
    """Return the frame around all that a cell shows."""
    return tag("div", *children, style=_BOX)


def note(text: str) -> Markup | None:
    """Return a sentence that the reader has to know; None without one."""
    return tag("div", text, role="status", style=f"{beside('warn')};margin-top:4px") if text else None


def beside(tone: Tone) -> str:
    """Return the style of a text with a stripe in a tone beside it. The text keeps the host's colour."""
    return f"border-left:3px solid {EITHER_GROUND[tone]};padding-left:8px"


def chip(summary: Summary) -> Markup:
    """Return a run's status as a word in its tone."""
    return _chip(summary.word, summary.tone)


def _chip(text: str, tone: Tone) -> Markup:
    ground = f"background:{text_colour(tone)};color:{ON_TONE}"
    return tag(
        "span", text, style=f"{ground};padding:1px 9px;border-radius:10px;font-weight:600;white-space:nowrap"
    )


def _head(state: RunState, summary: Summary) -> Markup:
    parts = []
    if state.started is not None:
        parts.append(f"Started {stamp(state.started)}")
    elif state.created is not None:
        parts.append(f"Queued {stamp(state.created)}")
    parts += [f"by {formatting.cut(state.owner, 100)}"] if state.owner else []
    parts += [f"on {formatting.cut(state.host, 100)}"] if state.host else []
    parts += [f"· {formatting.cut(state.program_beside, 100)}"] if state.program_beside else []
    return tag(
        "div",
        tag("div", tag("b", summary.title, style="font-size:16px"), Markup(" &nbsp;"), chip(summary)),
        tag("div", " ".join(parts), style=SOFT),
    )


def _now(state: RunState, summary: Summary, at: float) -> str:
    """Say what a run does, what came of its items, how long it took, and how long ago its last event was."""
    going = summary.outcome is None
    return " · ".join(
        part
        for part in (
            formatting.cut(summary.phase, 80),
            # The headline of a run that goes on is the large text before this.
            summary.now if going else summary.headline,
            "" if summary.remaining is None else summary.remaining.sentence,
            f"{summary.succeeded:,} succeeded" if summary.succeeded else "",
            "" if summary.failures in summary.headline else summary.failures,
            f"{summary.warnings:,} {formatting.plural(summary.warnings, 'warning')}"
            if summary.warnings
            else "",
            "" if summary.elapsed is None else formatting.duration(summary.elapsed),
            _silence(state, at),
        )
        if part
    )


def _silence(state: RunState, at: float) -> str:
    if state.is_over or state.last_time is None or state.started is None or at - state.last_time < 10:
        return ""
    return f"last event {formatting.ago(at - state.last_time)}"


def _joined(before: str, text: str) -> str | None:
    return before + text if text else None


def _fill(fraction: float, tone: str) -> Markup:
    return tag("div", style=f"width:{min(max(fraction, 0.0), 1.0) * 100:.4g}%;height:100%;background:{tone}")


def _bar(summary: Summary) -> Markup:
    """Draw the whole, in segments as wide as the phases' weights."""
    segments = [_segment(phase.share, phase.fraction, phase.tone) for phase in summary.phases]
    return tag(
        "div",
        *(segments or [_segment(1.0, summary.fraction, summary.tone)]),
        role="progressbar",
        aria_label="Overall progress",
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=summary.percent,
        aria_valuetext=summary.progress,
        style="display:flex;gap:3px;height:12px;margin:10px 0 8px",
    )


def _segment(share: float, fraction: float, tone: Tone) -> Markup:
    shape = "min-width:3px;background:rgba(128,128,128,.28);border-radius:3px;overflow:hidden"
    return tag("div", _fill(fraction, EITHER_GROUND[tone]), style=f"flex:{max(share, 1e-6):.6g} 1 0;{shape}")


def _phases(summary: Summary) -> Markup | None:
    if len(summary.phases) < 2:
        return None
    shown = [_phase(phase) for phase in summary.phases[:PHASES_SHOWN]]
    if len(summary.phases) > PHASES_SHOWN:
        shown.append(tag("span", f"and {len(summary.phases) - PHASES_SHOWN:,} more"))
    return tag("div", join(shown, "   "), style="margin-top:4px;white-space:pre-wrap")


def _phase(phase: PhaseSummary) -> Markup:
    live = phase.kind == "active"
    detail = f" {formatting.percent(phase.percent)}" if live and phase.percent is not None else ""
    return tag("span", f"{phase.mark} {formatting.cut(phase.name, 60)}{detail}", style=None if live else SOFT)


def _bars(state: RunState) -> Markup | None:
    """List the loops inside the run, each below the one that it belongs to."""
    children = state.inner_bars()
    rows: list[Markup] = []

    def add(parent: str | None, depth: int) -> None:
        for bar in children.pop(parent, ()):
            rows.append(_one_bar(bar, depth))
            add(bar.id, depth + 1)

    add(None, 0)
    left_out = len(rows) - BARS_SHOWN + state.bars_folded
    rows = rows[:BARS_SHOWN]
    if left_out > 0 and rows:
        rows.append(tag("div", f"and {left_out:,} more", style=_SMALL))
    return tag("div", *rows, style="margin-top:8px") if rows else None


def _one_bar(bar: Bar, depth: int) -> Markup:
    done, total = bar.done or 0, bar.total
    fraction = done / total if total else 1.0 if bar.status == "finished" else 0.0
    tone = EITHER_GROUND[PHASE_TONES[_BAR_KINDS[bar.status]]]
    track = (
        "width:120px;height:6px;flex:none;border-radius:3px;overflow:hidden;background:rgba(128,128,128,.28)"
    )
    return tag(
        "div",
        tag("div", _fill(fraction, tone), style=track),
        tag(
            "span",
            f"{formatting.cut(bar.name, 80) or 'loop'} {formatting.done_of(bar.done, bar.total, bar.unit)}",
        ),
        style=f"display:flex;align-items:center;gap:10px;margin-left:{min(depth, 8) * 18}px;font-size:13px",
    )


def _error(state: RunState) -> Markup | None:
    error = state.error
    if error is None:
        return tag("div", state.message, style="margin-top:6px") if state.is_over and state.message else None
    said = tag(
        "div",
        _chip(formatting.cut(error.type, 200), "bad"),
        _joined(": ", formatting.cut(error.message, 1_000)),
        style="margin-top:8px",
    )
    trace = (
        _fold("Traceback", tag("pre", error.traceback[-_VALUE_LIMIT:], style=_PRE))
        if error.traceback
        else None
    )
    return tag("div", said, trace)


def _fold(title: str, inside: Markup, *, opened: bool = False) -> Markup:
    summary = tag("summary", title, style="cursor:pointer;font-weight:600")
    return tag("details", summary, inside, open=opened, style="margin-top:8px")


def _failures(state: RunState) -> Markup | None:
    count = state.results.failed
    if not count:
        return None
    shown = state.errors[:FAILURES_SHOWN]
    items = [_failure(one) for one in shown]
    if count > len(shown):
        items.append(tag("li", f"and {count - len(shown):,} more, on the run's page", style=SOFT))
    title = f"{count:,} failed item{'' if count == 1 else 's'}"
    return _fold(title, tag("ul", *items, style="margin:6px 0 0;padding-left:22px"))


def _failure(one: FailedItem) -> Markup:
    said = f": {formatting.cut(one.error.message, 300)}" if one.error.message else ""
    return tag("li", tag("b", formatting.cut(one.item, 200)), f" · {one.error.type}{said}")


def _lines(state: RunState, lines: Iterable[Entry]) -> Markup | None:
    rows = []
    for entry in lines:
        event = entry.event
        if isinstance(event, Logged):
            clock = _time.strftime("%H:%M:%S", _time.gmtime(max(entry.time, 0.0)))
            text = formatting.cut(formatting.without_terminal_codes(event.message), 400)
            style = beside(_LINE_TONES[event.type]) if event.type in _LINE_TONES else None
            rows.append(tag("div", f"{clock}  {event.level:<8} {text}", style=style))
    if not rows:
        return None
    more = f" of {state.log_lines:,}" if state.log_lines > len(rows) else ""
    title = (
        f"Log: the last {len(rows)}{more} lines" if more else f"Log: {len(rows)} line{'s'[: len(rows) > 1]}"
    )
    return _fold(title, tag("div", *rows, style=_PRE), opened=not state.is_over)


def _values(title: str, value: Any) -> Markup | None:
    if value is None or value == {}:
        return None
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return _fold(title, tag("pre", formatting.cut(text, _VALUE_LIMIT), style=_PRE), opened=title == "Result")


def _foot(seen: Seen, live: bool) -> Markup:
    open_end = not live and (seen.state is None or not seen.state.is_over)
    return foot(
        seen.at,
        link(seen.page, "Open the run") if seen.page else None,
        f"run {seen.run_id}",
        "run the cell again to see how it is now" if open_end else None,
    )


def foot(at: float, *parts: str | None) -> Markup:
    """Return the line that says from when this is, and where there is more."""
    return tag("div", join([f"As of {stamp(at)}", *parts], " · "), style=f"{_SMALL};margin-top:10px")
