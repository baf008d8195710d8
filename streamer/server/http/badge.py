"""A run in one glance, for where no page fits: a badge for a README or a wiki, a line of text for a chat."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from xml.sax.saxutils import escape

from streamer.model import formatting, palette
from streamer.model.state import RunState
from streamer.model.summary import summarise
from streamer.server.http.handler import BaseHandler

#: Seconds that a copy may be shown: while the run goes on, and after it.
FRESH_SECONDS: Final = (5, 300)
_LABEL: Final = 40
_LINE: Final = 400
_BADGE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {value}">\
<title>{label}: {value}</title>\
<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>\
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="{ground}"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\
<g fill="{text}" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-anchor="middle">\
<text x="{middle}" y="14" textLength="{label_length}">{label}</text>\
<text x="{centre}" y="14" textLength="{value_length}">{value}</text></g></svg>
"""


class GlanceHandler(BaseHandler):
    """The headers of such answers: how long a copy is good for, and that they are no pages."""

    def glance(self, state: RunState, kind: str, text: str) -> None:
        """Answer with a text of that kind.

        Args:
            state: The run's state, for the answer's age.
            kind: The media type.
            text: The body.

        """
        self.set_header("Cache-Control", f"private, max-age={FRESH_SECONDS[state.is_over]}")
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(text)

    def glance_line(self, state: RunState) -> None:
        """Answer with one line of plain text."""
        page = f"{self.parts.page}?run={state.run}" if self.parts.page else ""
        self.glance(state, "text/plain", f"{line_of(state, self.parts.runs.now(), page)}\n")


class BadgeHandler(GlanceHandler):
    """``GET /api/runs/ID/badge.svg``: title and progress as an image."""

    async def get(self, run_id: str) -> None:
        state = await self.parts.runs.state(run_id)
        self.glance(state, "image/svg+xml", badge_of(state, self.parts.runs.now()))


class LineHandler(GlanceHandler):
    """``GET /api/runs/ID/line``: all of it in one line of plain text."""

    async def get(self, run_id: str) -> None:
        self.glance_line(await self.parts.runs.state(run_id))


def badge_of(state: RunState, now: float) -> str:
    """Return the badge of a run: its title, and how far it is or how it ended, in the tone of its status.

    Args:
        state: The state of the run.
        now: The time in POSIX seconds.

    Returns:
        An SVG image. Every text in it is escaped.
    """
    summary = summarise(state, now)
    label, value = formatting.cut(_plain(summary.title), _LABEL), _plain(_lower(summary.headline))
    label_length, value_length = _length(label), _length(value)
    left, right = label_length + 12, value_length + 12
    return _BADGE.format(
        label=escape(label, {'"': "&quot;"}),
        value=escape(value, {'"': "&quot;"}),
        colour=palette.text_colour(summary.tone),
        ground=palette.BADGE_LABEL,
        text=palette.ON_TONE,
        left=left,
        right=right,
        width=left + right,
        middle=left / 2,
        centre=left + right / 2,
        label_length=label_length,
        value_length=value_length,
    )


def line_of(state: RunState, now: float, page: str = "") -> str:
    """Return a run in one line: title, progress, phase, counts, failed items, owner and host, program, page.

    Args:
        state: The state of the run.
        now: The time in POSIX seconds.
        page: The address of the run's page; empty: it is left out.

    Returns:
        The line, without its end.
    """
    summary = summarise(state, now)
    going = summary.outcome is None
    parts = (
        _lower(summary.headline),
        summary.word.lower() if state.status in ("stalled", "cancelling") else "",
        formatting.cut(summary.phase, _LABEL),
        # While the total is not known, the headline is the count.
        summary.counts if going and summary.percent is not None else "",
        summary.rate,
        "" if summary.remaining is None or not summary.remaining.short else summary.remaining.left,
        summary.failures if summary.failures not in summary.headline else "",
        " on ".join(part for part in (state.owner, state.host) if part),
        formatting.cut(state.program_beside, _LABEL),
    )
    title = formatting.cut(_plain(summary.title), 80)
    said = formatting.cut(f"{title}: {' · '.join(_plain(part) for part in parts if part)}", _LINE)
    return f"{said} · {page}" if page else said


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _plain(text: str) -> str:
    """Return a text on one line, without what no line and no XML may hold."""
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn") else " " for c in text)
    return re.sub(r"\s+", " ", kept).strip()


def _length(text: str) -> int:
    """Return about how wide a text is drawn, in pixels; the drawing is made to fit."""
    return max(sum(11 if unicodedata.east_asian_width(c) in "WF" else 7 for c in text), 7)
