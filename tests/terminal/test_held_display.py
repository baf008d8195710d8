"""A display that is held while somebody is asked: it loses nothing but progress that newer progress replaces."""

from __future__ import annotations

import io

from streamer.model.events import (
    Completed,
    Entry,
    Event,
    Logged,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    StatusChanged,
)
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.terminal.held_display import HeldDisplay
from streamer.terminal.line_display import LineDisplay


def play(display: HeldDisplay | LineDisplay, *events: tuple[float, Event]) -> None:
    state = RunState("r")
    began = StatusChanged(status="running", phases=(PhaseSpec("load"),))
    started = PhaseChanged(phase="load", phase_status="started")
    for event in (began, started):
        state = apply(state, Entry(0, "r", state.seq + 1, 0.0, event))
    for number, (time, event) in enumerate(events, 3):
        entry = Entry(number, "r", number, time, event)
        state = apply(state, entry)
        display.show(entry, state)


def lines(output: io.StringIO) -> list[str]:
    return [line.partition(" ")[2] for line in output.getvalue().splitlines()]


def test_what_comes_while_it_is_held_is_shown_afterwards() -> None:
    output = io.StringIO()
    display = HeldDisplay(LineDisplay(output))
    display.hold()
    play(display, (1, Logged(message="a")), (2, Logged(message="b")))
    display.say("said")
    assert "" == output.getvalue()
    display.release()
    assert ["INFO       a", "INFO       b"] == lines(output)[:2]
    assert output.getvalue().endswith("said\n")
    play(display, (3, Logged(message="c")))
    assert output.getvalue().endswith("c\n")


def test_of_progress_the_last_is_kept() -> None:
    output = io.StringIO()
    display = HeldDisplay(LineDisplay(output))
    display.hold()
    play(display, *((float(n), Progressed(done=n, total=1000, unit="rows")) for n in range(0, 901, 100)))
    display.release()
    assert ["90 %"] == [line[:4] for line in lines(output)]


def test_a_pipe_gets_a_line_a_whole_percent_and_at_most_one_a_second() -> None:
    output = io.StringIO()
    times = [(n / 100, Progressed(done=n, total=1000, unit="rows")) for n in range(1000)]
    play(LineDisplay(output), *times, (10.0, Completed()))
    *shown, end = lines(output)
    assert 9 <= len(shown) <= 10
    assert "complete" in end
    percents = [line.split()[0] for line in shown]
    assert len(set(percents)) == len(percents)


def test_slow_progress_is_a_line_for_each_percent() -> None:
    output = io.StringIO()
    play(
        LineDisplay(output), *((10.0 * n, Progressed(done=n, total=200, unit="rows")) for n in range(1, 200))
    )
    assert 99 == len(lines(output))
