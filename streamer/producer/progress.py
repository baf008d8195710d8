"""`Progress`: a run's phases and loops that are under way, and the progress events that they make. Keeps no lock."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec.structs import replace

from streamer.model.bounds import BARS_LIMIT
from streamer.model.events import (
    Bar,
    BarStatus,
    Event,
    PhaseChanged,
    PhaseSpec,
    Progressed,
    Results,
)
from streamer.producer.counting import Count, Meter, Reading


class Phase:
    """A phase that is under way. The one without a name holds the work outside all phases."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.meter = Meter()
        self.seen = Reading()
        self.loops = 0
        self.message = ""


class _LoopBar:
    """The bar of a loop inside another loop's item."""

    def __init__(
        self, number: str, parent: str | None, phase: str | None, name: str, unit: str, count: Count
    ) -> None:
        self.id = number
        self.count = count
        self.seen: Bar | None = None
        self._shown = Bar(id=number, parent=parent, phase=phase, name=name, unit=unit)

    def read(self) -> Bar:
        """Return the bar as it stands now."""
        count = self.count
        status: BarStatus = "finished" if count.complete else "stopped" if count.ended else "started"
        return replace(self._shown, done=count.done, total=count.total, status=status)


def lane() -> int:
    """Return a number for the work at hand: it differs between asyncio tasks, and between threads outside a task."""
    if asyncio._get_running_loop() is not None:
        with contextlib.suppress(RuntimeError):
            task = asyncio.current_task()
            if task is not None:
                return id(task)
    return threading.get_ident()


class Progress:
    """Adds up the loops, phases and items of one run. The caller holds the run's lock in every call.

    Args:
        emit: Takes each event. It must neither block nor raise.
        phases: The declared phases.
        now: When the run was made, in POSIX seconds.
    """

    def __init__(self, emit: Callable[[Event], object], phases: Iterable[PhaseSpec], now: float) -> None:
        self._emit = emit
        self._weights = {spec.name: spec.weight for spec in phases}
        self._phases = [Phase(None)]
        self._bars: dict[tuple[str | None, str], _LoopBar] = {}
        self._counted = (0, 0)
        #: When progress was last emitted, in POSIX seconds.
        self.sampled = now
        #: A short text for the next progress event; empty: none.
        self.said = ""
        #: The items that succeeded and failed.
        self.success = 0
        self.failed = 0

    def declare(self, phases: Iterable[PhaseSpec]) -> None:
        """Take the weights of phases that were not known when the run was made."""
        self._weights.update((spec.name, spec.weight) for spec in phases)

    @property
    def current(self) -> Phase:
        """The phase that was started last and is under way."""
        return self._phases[-1]

    def find(self, name: str) -> Phase | None:
        """Return the phase of that name, if it is under way."""
        return next((each for each in self._phases if each.name == name), None)

    def home(self, lane: int) -> Phase | None:
        """Return the phase in which that thread or task is inside a loop; None when it is in no loop."""
        return next((phase for phase in reversed(self._phases) if phase.meter.outer(lane) is not None), None)

    def change(
        self,
        phase: Phase,
        status: Literal["started", "finished", "skipped", "failed"],
        now: float,
        message: str = "",
        weight: float | None = None,
    ) -> None:
        """Emit that a phase was started or ended, after the progress that was made before.

        Args:
            phase: The phase; it must have a name.
            status: Its new status.
            now: The time, in POSIX seconds.
            message: The reason, if it was skipped or failed.
            weight: The weight of a phase that was not declared; None: 1.
        """
        assert phase.name is not None
        self.emit(now)
        weight = self._weights.get(phase.name, weight)
        self._emit(PhaseChanged(phase=phase.name, weight=weight, phase_status=status, message=message))
        if status == "started":
            self._phases.append(phase)
        elif phase in self._phases:
            self._phases.remove(phase)
        self.current.seen = self.current.meter.read()
        self._counted = (self.success, self.failed)

    def begin(
        self, count: Count, unit: str, name: str, phase: Phase | None, clock: Callable[[], float]
    ) -> None:
        """Add a loop or counter that begins.

        Args:
            count: Its count.
            unit: The count's unit.
            name: The loop's name; empty: it has no bar of its own inside another loop.
            phase: The phase it belongs to; None: the one at hand. A loop around it decides first.
            clock: Returns the time, in POSIX seconds.
        """
        here = lane()
        home = self.home(here) or phase or self.current
        outer = home.meter.outer(here)
        if name and outer is not None:
            self._show_bar(count, unit, name, home, outer.count)
        if home.meter.begins_anew(unit, here):
            self.emit(clock())
        home.meter.begin(count, unit, here)

    def _show_bar(self, count: Count, unit: str, name: str, phase: Phase, outer: Count) -> None:
        """Show a loop inside a loop's item as a bar. The next loop of that name there takes over the bar."""
        parent = next((bar.id for bar in self._bars.values() if bar.count is outer), None)
        key = parent, name
        known = self._bars.get(key)
        if known is None and len(self._bars) >= BARS_LIMIT:
            return
        number = known.id if known is not None else str(len(self._bars) + 1)
        self._bars[key] = _LoopBar(number, parent, phase.name, name, unit, count)

    def emit(self, now: float, *, repeat: bool = False) -> bool:
        """Emit the progress since the last call.

        Args:
            now: The time, in POSIX seconds.
            repeat: Emit the current phase's progress even if nothing changed, as a sign of life.

        Returns:
            Whether anything was emitted.
        """
        counted, bars = (self.success, self.failed), self._changed_bars()
        news = bool(bars or self.said or repeat or counted != self._counted)
        *others, last = self._phases
        for phase in (*others, last):
            reading = phase.meter.read()
            changed = reading != phase.seen
            if not changed and not (phase is last and news):
                continue
            phase.seen, self.sampled = reading, now
            message, self.said = (self.said, "") if phase is last else ("", self.said)
            event = Progressed(
                phase=phase.name,
                done=reading.done,
                total=reading.total,
                unit=reading.unit,
                message=message,
                results=Results(*counted),
                bars=bars,
            )
            bars, news, self._counted = (), news or changed, counted
            self._emit(event)
        return news

    def _changed_bars(self) -> tuple[Bar, ...]:
        changed = []
        for bar in self._bars.values():
            now = bar.read()
            if now != bar.seen:
                bar.seen = now
                changed.append(now)
        return tuple(changed)
