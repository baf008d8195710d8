"""A run as a notebook keeps it: HTML without script and with inline styles only, and a text. Pure; draws no widgets.

The live view shows this very HTML, and it is what stays in the saved file: GitHub and nbconvert show it as it is. All
colours are legible on light and on dark ground, and where styles are taken away the words are still all there.
"""

from __future__ import annotations

import json
import time as _time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from dashboards.notebook.markup import Markup, join, link, tag
from streamer.model import formatting
from streamer.model.events import Bar, Entry, FailedItem, Logged
from streamer.model.state import PhaseState, RunState

#: How many of each are kept in a notebook; the page has them all.
LINES_SHOWN: Final = 12
FAILURES_SHOWN: Final = 20
BARS_SHOWN: Final = 12
PHASES_SHOWN: Final = 40
_VALUE_LIMIT: Final = 4_000

TONES: Final = {"accent": "#2f81d6", "ok": "#2e9e63", "warn": "#b07a10", "bad": "#d64550", "wait": "#7d8795"}
_MARKS: Final = {"finished": "✓", "failed": "✕", "skipped": "↷", "started": "●", "waiting": "○"}
_LINE: Final = "1px solid rgba(128,128,128,.35)"
_BOX: Final = (
    f"box-sizing:border-box;max-width:900px;padding:14px 16px;border:{_LINE};border-radius:8px;"
    "font:14px/1.45 system-ui,-apple-system,'Segoe UI',sans-serif;font-variant-numeric:tabular-nums;"
    "overflow-wrap:anywhere"
)
SOFT: Final = "opacity:.75"
_SMALL: Final = "opacity:.75;font-size:12px"
_PRE: Final = (
    "margin:6px 0 0;padding:8px 10px;max-height:260px;overflow:auto;white-space:pre-wrap;"
    f"font:12px/1.55 ui-monospace,monospace;border:{_LINE};border-radius:6px"
)


class Seen(NamedTuple):
    """What is known of a run at a time: `at`, POSIX seconds. `state` None: nothing yet.

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
        lines = [
            f"{_title(state)} · {formatting.status_word(state.status)} · {_headline(state)}",
            _now(state, seen.at),
        ]
        if state.error is not None:
            lines.append(f"{state.error.type}: {state.error.message}")
        lines.append(seen.note)
    lines.append(" · ".join(filter(None, (f"As of {stamp(seen.at)}", seen.page))))
    return "\n".join(filter(None, lines))


# -- as HTML -----------------------------------------------------------------------------------------------------------


def run_html(seen: Seen, *, live: bool = False) -> Markup:
    """Return a run as one element; `live`: it will be replaced soon."""
    state = seen.state
    if state is None:
        text = seen.note or "Asking the streamer about this run…"
        return box(
            tag("div", tag("b", f"Run {seen.run_id}")), tag("div", text, style=SOFT), _foot(seen, live)
        )
    return box(
        _head(state),
        note(seen.note),
        _bar(state),
        tag(
            "div",
            tag("b", _headline(state), style="font-size:18px"),
            _joined(" · ", _now(state, seen.at)),
        ),
        _phases(state),
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
    return tag("div", text, role="status", style=f"color:{TONES['warn']};margin-top:4px") if text else None


def chip(state: RunState) -> Markup:
    """Return a run's status as a word in its tone."""
    tone = TONES[formatting.STATUS_TONES.get(state.status, "wait")]
    return tag(
        "span",
        f"● {formatting.status_word(state.status)}",
        style=f"color:{tone};font-weight:600;white-space:nowrap",
    )


def _title(state: RunState) -> str:
    return formatting.cut(state.title or state.pipeline or state.run, 300)


def _head(state: RunState) -> Markup:
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
        tag("div", tag("b", _title(state), style="font-size:16px"), Markup(" &nbsp;"), chip(state)),
        tag("div", " ".join(parts), style=SOFT),
    )


def _headline(state: RunState) -> str:
    """Say how far it is: in percent, or counted where nobody knows how much there is."""
    if state.status == "queued":
        return "Waiting for a place"
    if state.indeterminate and not state.overall_progress and state.done is not None:
        return formatting.amount(state.done, state.unit)
    return formatting.percent(state.progress)


def _now(state: RunState, at: float) -> str:
    parts = []
    if not state.is_over and state.status != "queued":
        counted = state.indeterminate and not state.overall_progress
        parts += [formatting.cut(state.phase or "", 80)]
        parts += ["total not known" if counted else formatting.done_of(state.done, state.total, state.unit)]
        parts += [formatting.rate(state.rate, state.unit) if state.status != "stalled" else ""]
    results = state.results
    parts += [f"{results.success:,} succeeded"] if results.success else []
    parts += [f"{results.failed:,} failed"] if results.failed else []
    parts += [f"{state.warnings:,} warnings"] if state.warnings else []
    seconds = state.duration(at)
    parts += [formatting.duration(seconds)] if seconds is not None else []
    if not state.is_over and state.last_time is not None and state.started is not None:
        age = at - state.last_time
        parts += [f"last event {formatting.ago(age)}"] if age >= 10 else []
    return " · ".join(part for part in parts if part)


def _joined(before: str, text: str) -> str | None:
    return before + text if text else None


def _fill(fraction: float, tone: str) -> Markup:
    return tag("div", style=f"width:{min(max(fraction, 0.0), 1.0) * 100:.4g}%;height:100%;background:{tone}")


def _bar(state: RunState) -> Markup:
    """Draw the whole, in segments as wide as the phases' weights."""
    over = {"complete": "ok", "failed": "bad", "cancelled": "wait"}.get(state.status)
    segments = []
    for phase in state.phases or (PhaseState("", progress=state.overall_progress, status="started"),):
        done = phase.status in ("finished", "skipped")
        failed = phase.status == "failed" and not _stopped(phase, state)
        tone = TONES["bad" if failed else "ok" if done else over or "accent"]
        fraction = 0.0 if phase.status == "skipped" else phase.fraction
        width = f"flex:{max(phase.weight, 1e-6):.6g} 1 0"
        shape = "min-width:3px;background:rgba(128,128,128,.28);border-radius:3px;overflow:hidden"
        segments.append(tag("div", _fill(fraction, tone), style=f"{width};{shape}"))
    known = state.status != "queued" and not (state.indeterminate and not state.overall_progress)
    return tag(
        "div",
        *segments,
        role="progressbar",
        aria_label="Overall progress",
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=state.progress if known else None,
        aria_valuetext=_headline(state),
        style="display:flex;gap:3px;height:12px;margin:10px 0 8px",
    )


def _phases(state: RunState) -> Markup | None:
    if len(state.phases) < 2:
        return None
    shown = [_phase(phase, state) for phase in state.phases[:PHASES_SHOWN]]
    if len(state.phases) > PHASES_SHOWN:
        shown.append(tag("span", f"and {len(state.phases) - PHASES_SHOWN:,} more"))
    return tag("div", join(shown, "   "), style="margin-top:4px;white-space:pre-wrap")


def _stopped(phase: PhaseState, state: RunState) -> bool:
    """Say whether a phase ended with its run, without a fault of its own."""
    return state.is_over and (
        phase.status == "started" or (phase.status == "failed" and state.status == "cancelled")
    )


def _phase(phase: PhaseState, state: RunState) -> Markup:
    live = phase.status == "started" and not state.is_over
    mark = "■" if _stopped(phase, state) else _MARKS[phase.status]
    detail = f" {formatting.percent(phase.progress)}" if live and phase.progress is not None else ""
    return tag("span", f"{mark} {formatting.cut(phase.name, 60)}{detail}", style=None if live else SOFT)


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
    tone = TONES["accent" if bar.status == "started" else "ok" if bar.status == "finished" else "wait"]
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
        tag("b", error.type, style=f"color:{TONES['bad']}"),
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
            tone = {"error": TONES["bad"], "warning": TONES["warn"]}.get(event.type)
            rows.append(tag("div", f"{clock}  {event.level:<8} {text}", style=tone and f"color:{tone}"))
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
