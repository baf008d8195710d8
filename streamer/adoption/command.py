"""`execute`: any command as a run. Its output is the log, its exit code the outcome, its bars are the run's.

The command behaves as without us: it has a terminal where we have one, its output goes where ours goes, our signals
reach it, and its exit code is ours. It runs also when there is no streamer.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import sys
import threading
import time as _time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from streamer.adoption.collector import ADDRESS, Collector
from streamer.adoption.command_log import CommandLog
from streamer.adoption.command_process import Child, environment_given, flush_ours, write_all
from streamer.adoption.phases import PhasePattern, PhaseTracker
from streamer.adoption.remains import Remains
from streamer.adoption.signal_relay import SignalRelay
from streamer.adoption.terminal_text import Line, Screen
from streamer.model.bounds import cut_name
from streamer.model.events import ErrorInfo
from streamer.model.text.command_line import hidden_values, shown_command
from streamer.model.text.plain import well_formed
from streamer.producer.run import Run
from streamer.producer.scripts import notices, script
from streamer.settings import SettingError, Settings

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
#: Seconds to wait for more output after the command has ended: another process may hold it open for ever.
LAST_OUTPUT_SECONDS: Final = 1.0
#: Seconds that the command has for its own handling of Ctrl-Z, before it is stopped.
_SUSPEND_SECONDS: Final = 0.05
#: Seconds that the system has for a kill. A process of another user is not ended by ours.
_KILLED_SECONDS: Final = 1.0
_TICK_SECONDS: Final = 0.1
_ENDING: Final = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))


def execute(
    command: Sequence[str], *, title: str = "", phases: Iterable[PhasePattern] = (), url: str | None = None
) -> int:
    """Run a command as a run. Main thread only.

    Args:
        command: The words of the command.
        title: The run's title; empty means the command itself.
        phases: The run's phases, in order.
        url: The streamer's URL; None means the configured one.

    Returns:
        The command's exit code: 128 and the number of the signal that killed it, 127 when there is no such command, 126
        when it cannot be executed.
    """
    if shutil.which(command[0]) is None:
        there = bool(command[0]) and Path(command[0]).exists()
        reason = "it cannot be executed" if there else "there is no such command"
        print(f"streamer: cannot run {command[0] or repr('')}: {reason}", file=sys.stderr)  # noqa: T201 - a shell would say so
        return NOT_EXECUTABLE if there else NOT_FOUND
    patterns = tuple(phases)
    shown = well_formed(shown_command(command))
    parameters = {"command": shown, "folder": well_formed(str(Path.cwd()))}
    with _Reporting(title or cut_name(shown), patterns, url, parameters) as reporting:
        reporting.run.hide(hidden_values(command))
        return _Execution(reporting.run, patterns).execute(command)


class _Reporting:
    """An open run in a thread of its own: an exception that cancels it must not hit the main thread."""

    def __init__(
        self, title: str, phases: Sequence[PhasePattern], url: str | None, parameters: dict[str, Any]
    ) -> None:
        self._context = script.run(
            title,
            [one.spec for one in phases],
            url,
            parameters=parameters,
            program=parameters["command"],
            show=False,
        )
        self._ready = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="streamer-exec", daemon=True)
        self.run: Run

    def _hold(self) -> None:
        try:
            with self._context as self.run:
                self._ready.set()
                self._over.wait()
        finally:
            self._ready.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join()


class _Execution:
    """One command from start to end: passes on its output and our signals, and reports them."""

    def __init__(self, run: Run, patterns: Sequence[PhasePattern]) -> None:
        self._run = run
        self._log = CommandLog(run)
        self._collector = Collector(run.report, self._log.record, printed=self._log.printed)
        self._phases = PhaseTracker(run, patterns, self._collector)
        self._screens: dict[int, tuple[Screen, str]] = {}
        self._child: Child | None = None
        self._signals: set[int] = set()
        self._steps = iter(_cancel_steps())
        self._next_step = 0.0
        self._suspend_at: float | None = None
        self._remains = Remains(f"{ADDRESS}={self._collector.address}")
        self._told_remains = False

    def execute(self, command: Sequence[str]) -> int:
        self._collector.start()
        flush_ours()
        if os.isatty(2):
            notices.surroundings.newline = "\r\n"
        given = environment_given()
        environment = {**given, **self._collector.environment(given)}
        try:
            try:
                with SignalRelay(self._hand_on) as wakeups:
                    child = self._child = Child(command, environment)
                    for number in self._signals:
                        child.kill(number)
                    with child, selectors.DefaultSelector() as selector:
                        self._follow(child, selector, wakeups)
            except OSError as error:
                self._run.fail(error, f"cannot run {command[0]}: {error.strerror}")
                return NOT_EXECUTABLE
            return self._end(child.returncode or 0)
        finally:
            self._collector.close()

    # -- while it runs -------------------------------------------------------------------------------------------------

    def _follow(self, child: Child, selector: selectors.BaseSelector, wakeups: SignalRelay) -> None:
        selector.register(wakeups.fd, selectors.EVENT_READ)
        for fd, (name, _) in child.outputs.items():
            selector.register(fd, selectors.EVENT_READ)
            screen = Screen(_time.monotonic(), ended=self._phases.look, where=lambda: self._run.current_phase)
            self._screens[fd] = (screen, name)
        until: float | None = None
        keys = False
        while child.outputs or child.poll() is None or self._leaves(child, _time.monotonic()):
            if child.takes_keys != keys:
                keys = not keys
                if keys:
                    selector.register(0, selectors.EVENT_READ)
                else:
                    selector.unregister(0)
            for fd in child.outputs:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if fd == child.waiting else 0)
                if selector.get_key(fd).events != events:
                    selector.modify(fd, events)
            for key, events in selector.select(_TICK_SECONDS):
                if key.fd == wakeups.fd:
                    wakeups.clear()
                else:
                    self._ready(child, selector, key.fd, events)
            now = _time.monotonic()
            self._settle(now)
            self._cancel(child, now)
            if child.poll() is not None:
                until = now + LAST_OUTPUT_SECONDS if until is None else until
                if now >= until and not self._leaves(child, now):
                    if not self._run.cancel_requested:
                        child.leave_outputs()
                    break
            elif child.is_stopped or (self._suspend_at is not None and now >= self._suspend_at):
                self._suspend_at = None
                child.suspend()

    def _ready(self, child: Child, selector: selectors.BaseSelector, fd: int, events: int) -> None:
        if fd == 0:
            keys = os.read(0, 4096)
            child.type(keys)
            if child.suspends(keys):
                self._suspend_at = _time.monotonic() + _SUSPEND_SECONDS
        elif fd in child.outputs:
            if events & selectors.EVENT_WRITE:
                child.write()
            if events & selectors.EVENT_READ:
                self._pass(child, selector, fd)

    def _pass(self, child: Child, selector: selectors.BaseSelector, fd: int) -> None:
        _, ours = child.outputs[fd]
        data = child.read(fd)
        if not data:
            if data is not None:
                selector.unregister(fd)
            return
        self._screens[fd][0].feed(data, _time.monotonic())
        try:
            with notices.printing:
                write_all(ours, data)
                if os.isatty(ours):
                    notices.surroundings.line_open = not data.endswith((b"\n", b"\r"))
        except OSError:
            # The reader of our output has gone. The command gets the error that it would have got.
            selector.unregister(fd)
            child.shut(fd)

    def _settle(self, now: float) -> None:
        for screen, name in self._screens.values():
            self._report(screen.settled(now), name, now)

    def _report(self, lines: Iterable[Line], name: str, now: float) -> None:
        for line in lines:
            self._log.line(line, name, now)

    def _hand_on(self, number: int) -> None:
        """Pass a signal on; called in the main thread, between two instructions."""
        child = self._child
        if number == signal.SIGTSTP:
            self._suspend_at = 0.0
        elif number == signal.SIGCONT:
            if child is not None:
                child.resume()
        elif number == signal.SIGWINCH:
            if child is not None:
                child.resize()
        else:
            self._signals.add(number)
            if child is not None:
                child.kill(number)

    def _cancel(self, child: Child, now: float) -> None:
        if self._run.cancel_requested and now >= self._next_step:
            step = next(self._steps, None)
            if step is not None:
                # Before their parents end: a process with an environment of its own is found by its parent alone.
                self._remains.look()
                child.kill(step[0])
                if step[0] != signal.SIGINT:
                    self._remains.kill(step[0], group=child.pid)
                self._next_step = now + step[1]

    def _leaves(self, child: Child, now: float) -> bool:
        """Tell whether a cancelled command has left processes that have not ended yet. They are ended step by step."""
        if not self._run.cancel_requested or not self._remains.look():
            return False
        if not self._told_remains:
            # The command itself is over: its processes have no reason to wait any longer.
            self._told_remains = True
            self._remains.kill(signal.SIGTERM)
        self._cancel(child, now)
        return now < self._next_step

    # -- its end -------------------------------------------------------------------------------------------------------

    def _end(self, code: int) -> int:
        # Records on their way tell which lines of the output they are. The run takes no event after its end.
        self._collector.close(is_well=code == 0)
        now = _time.monotonic()
        for screen, name in self._screens.values():
            self._report(screen.finish(), name, now)
        said = f"exited with code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                said = f"killed by signal {-code} ({signal.Signals(-code).name})"
        interrupted = code in (-signal.SIGINT, 128 + signal.SIGINT) or bool(self._signals & _ENDING)
        self._phases.close(well=code == 0)
        if code == 0:
            self._run.complete()
        elif self._run.cancel_requested:
            self._run.cancelled(f"cancelled on request: {said}")
        elif interrupted:
            self._run.cancelled(f"interrupted: {said}")
        else:
            kind = "CommandFailed" if code > 0 else "CommandKilled"
            self._run.fail(ErrorInfo(kind, said, "\n".join(self._log.last)), said)
        return code if code >= 0 else 128 - code


def _cancel_steps() -> list[tuple[int, float]]:
    """Return the signals of a cancel, each with the seconds before the next one."""
    try:
        settings = Settings.from_environment()
        graces = settings.cancel_grace_seconds, settings.kill_grace_seconds
    except SettingError:
        graces = 5.0, 5.0  # the run has reported the wrong setting already
    return list(zip((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), (*graces, _KILLED_SECONDS), strict=True))
