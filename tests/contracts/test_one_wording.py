"""Page, list, notebook, terminal, badge and line say the same of a run: percentage, failed items, outcome.

What each surface shows is read back from its text.
"""

from __future__ import annotations

import html
import io
import json
import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

from hypothesis import given
from rich.console import Console

from dashboards.indicators import RunsView, RunView
from dashboards.notebook.record import Seen, run_html, run_text
from dashboards.notebook.tables import Listed, runs_html, runs_text
from dashboards.session import RunModel, RunsModel
from streamer.model.reducer import fold
from streamer.model.state import RunState
from streamer.model.summary import summarise
from streamer.server.http.badge import badge_of, line_of
from streamer.terminal.live_display import LiveDisplay
from streamer.terminal.wording import standing
from tests.model.test_reducer import histories, history

NOW = 1_100.0
TITLE = "Import prices"


class Said(NamedTuple):
    """What a surface says of a run. `failed` None: this surface has no room for it."""

    percent: int | None
    failed: int | None
    outcome: str | None


def percent_in(text: str) -> int | None:
    """Read the percentage with which a text begins or ends; a run that is complete needs none."""
    if text.startswith(("complete", "Complete")):
        return 100
    found = re.search(r"(?:^| at )(\d+) %", text)
    return int(found[1]) if found else None


def failed_in(text: str) -> int:
    found = re.search(r"\b([\d,]+)(?: of [\d,]+)? failed\b", text)
    return int(found[1].replace(",", "")) if found else 0


def outcome_in(text: str) -> str | None:
    """Read the outcome from a headline or a status word."""
    text = text.lower()
    if text.startswith(("partial", "all failed")):
        return "partial"
    if text.startswith("complete"):
        return "partial" if " failed" in text else "complete"
    return next((word for word in ("failed", "cancelled") if text.startswith(word)), None)


def on_the_page(state: RunState) -> Said:
    view = RunView(RunModel(state=state, clock=lambda: NOW))
    number, stats = view.percent.present(), view.counts.present()["cells"]
    failed = stats[1]["value"].replace(",", "")
    shown = int(number["number"]) if number["unit"] == "%" else None
    assert shown == number["value"]
    assert outcome_in(view.status.present()["word"]) == outcome_in(number["phase"] if state.is_over else "")
    return Said(
        shown, None if failed == "—" else int(failed), outcome_in(number["phase"] if state.is_over else "")
    )


def in_the_list(state: RunState) -> Said:
    (row,) = json.loads(RunsView(RunsModel(rows=(state,), clock=lambda: NOW)).table.whole())["rows"]
    return Said(percent_in(row["progress"]), int(row["failed"].replace(",", "")), outcome_in(row["word"]))


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "\n", markup))


def in_a_notebook(state: RunState) -> Said:
    head, now = run_text(Seen("r1", NOW, state)).split("\n")[:2]
    _, word, progress = head.split(" · ", 2)
    assert outcome_in(word) == (outcome_in(now) if state.is_over else None)
    return Said(percent_in(progress), failed_in(now), outcome_in(word))


def in_a_notebook_s_html(state: RunState) -> Said:
    shown = run_html(Seen("r1", NOW, state))
    value = re.search(r'aria-valuenow="(\d+)"', shown)
    word = next(text for text in text_of(shown).split("\n") if outcome_in(text) or text.strip() in WORDS)
    return Said(int(value[1]) if value else None, failed_in(text_of(shown)), outcome_in(word))


WORDS = ("Queued", "Running", "Stalled", "Cancelling")


def in_a_notebook_s_list(state: RunState) -> Said:
    _, word, progress = runs_text(Listed(NOW, (state,))).split("\n")[1].split(" · ", 2)
    cells = [text for text in text_of(runs_html(Listed(NOW, (state,)))).split("\n") if text]
    at = cells.index(word, cells.index("Started"))
    failed = state.results.failed and int(cells[at + 2].replace(",", ""))
    assert progress == cells[at + 1]
    return Said(percent_in(progress), failed, outcome_in(word))


def in_a_terminal(state: RunState) -> Said:
    output = io.StringIO()
    console = Console(file=output, width=200, force_terminal=True, color_system=None)
    display = LiveDisplay(console, clock=lambda: NOW)
    console.print(display.render(state))
    head, bar = output.getvalue().split("\n")[:2]
    stands = head.removeprefix(TITLE).strip()
    number = re.search(r"(\d+) %\s*$", bar)
    return Said(int(number[1]) if number else None, failed_in(stands), outcome_in(stands))


def in_a_terminal_s_list(state: RunState) -> Said:
    summary = summarise(state, NOW)
    stands = standing(summary)
    return Said(percent_in(summary.progress), failed_in(stands), outcome_in(stands))


def on_the_badge(state: RunState) -> Said:
    texts = ["".join(one.itertext()) for one in ET.fromstring(badge_of(state, NOW)).findall(".//{*}text")]
    return Said(percent_in(texts[1]), None, outcome_in(texts[1]))


def in_a_line(state: RunState) -> Said:
    said = line_of(state, NOW).removeprefix(f"{TITLE}: ")
    return Said(percent_in(said.partition(" · ")[0]), failed_in(said), outcome_in(said.partition(" · ")[0]))


SURFACES = (
    on_the_page,
    in_the_list,
    in_a_notebook,
    in_a_notebook_s_html,
    in_a_notebook_s_list,
    in_a_terminal,
    in_a_terminal_s_list,
    on_the_badge,
    in_a_line,
)


@given(histories)
def test_every_surface_says_the_same_of_a_run(drawn):
    state = fold(RunState(run="r1"), history(drawn))
    summary = summarise(state, NOW)
    for surface in SURFACES:
        said = surface(state)
        assert (summary.percent, summary.outcome) == (said.percent, said.outcome), surface.__name__
        assert said.failed in (None, summary.failed), surface.__name__
