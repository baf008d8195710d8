"""`execute`: any command as a run. Its output is the log, its exit code the outcome, its bars are the run's.

The command does not notice: it has the terminal it would have had, its output goes where it went, signals reach it, and
its exit code is ours. Without a streamer it runs all the same.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import shutil
import signal
import socket
import sys
import threading
import time as _time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

from streamer.adoption.child_process import Child, flush_ours, write_all
from streamer.adoption.collector import Collector, Record
from streamer.adoption.terminal_text import Screen
from streamer.model.bounds import NAME_LIMIT, cut
from streamer.model.events import ErrorInfo, PhaseChanged, PhaseSpec
from streamer.producer.cancellation import Cancelled
from streamer.producer.run import Run
from streamer.producer.scripts import script
from streamer.settings import SettingError, Settings

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
#: Lines a second that are kept in the long run, and how many may come at once.
LINES_PER_SECOND: Final = 1_000
LINES_AT_ONCE: Final = 10_000
#: Seconds that are waited for output after the command's own end: others may hold it open for ever.
LAST_OUTPUT_SECONDS: Final = 1.0
#: How many of its last lines are shown when it failed.
_LAST_LINES: Final = 40
_TICK_SECONDS: Final = 0.1
_FORWARDED: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_ENDING: Final = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))
_SECRET: Final = re.compile(r"(?i)(password|passwd|token|secret|api[-_]?key|credential)")


# -- phases ------------------------------------------------------------------------------------------------------------


class PhasePattern(Struct, frozen=True):
    """A phase that begins with the first line of output that `pattern` is found in; None: with the command."""

    spec: PhaseSpec
    pattern: re.Pattern[str] | None = None


def read_phases(text: str) -> tuple[PhasePattern, ...]:
    r"""Read ``NAME[*WEIGHT][=PATTERN],…``; a comma in a pattern is written as ``\,``.

    Patterns are regular expressions, in any case of letters. Only the first phase may have none. Raises `ValueError`.
    """
    found: list[PhasePattern] = []
    for part in re.split(r"(?<!\\),", text):
        named, equals, wanted = part.strip().partition("=")
        name, star, weight = named.strip().partition("*")
        try:
            spec = PhaseSpec(name.strip(), float(weight) if star else 1.0)
            pattern = re.compile(wanted.replace("\\,", ","), re.IGNORECASE) if equals else None
        except (ValueError, re.error) as error:
            raise ValueError(f"phases: expected NAME*WEIGHT=PATTERN, received {part!r}: {error}") from error
        if (
            not spec.name
            or not 0 < spec.weight < float("inf")
            or any(spec.name == p.spec.name for p in found)
        ):
            raise ValueError(f"phases: expected names that differ and weights above 0, received {part!r}")
        if pattern is None and found:
            raise ValueError(f"phases: expected a pattern after {name!r}=: only the first phase needs none")
        found.append(PhasePattern(spec, pattern))
    return tuple(found)


class _Phases:
    """Where a command is among its phases, by what it writes. They only go forward; what was jumped over is skipped."""

    def __init__(self, run: Run, patterns: Sequence[PhasePattern], collector: Collector) -> None:
        self._run = run
        self._patterns = patterns
        self._collector = collector
        self._next = 0
        self._current = contextlib.ExitStack()
        if patterns and patterns[0].pattern is None:
            self._enter(0)

    def look(self, line: str) -> None:
        """Begin a later phase when the line says so."""
        for index in range(self._next, len(self._patterns)):
            pattern = self._patterns[index].pattern
            if pattern is not None and pattern.search(line):
                self._enter(index)
                return

    def _enter(self, index: int) -> None:
        self._current.close()
        self._skip(index)
        self._collector.begin_anew()
        self._next = index + 1
        # A run that is to be cancelled begins no phase; its command still has time to end well.
        with contextlib.suppress(Cancelled):
            self._current.enter_context(self._run.phase(self._patterns[index].spec.name))

    def _skip(self, until: int) -> None:
        for one in self._patterns[self._next : until]:
            self._run.report(PhaseChanged(phase=one.spec.name, phase_status="skipped"))

    def end(self, *, well: bool) -> None:
        """Finish the phase, when all went well; else it is the one in which the run ended."""
        if well:
            self._current.close()
            self._skip(len(self._patterns))


# -- the log -----------------------------------------------------------------------------------------------------------


class _Log:
    """Turns output into log lines of the run, each once, at a bounded rate. `record` is called from another thread."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._allowance = float(LINES_AT_ONCE)
        self._then = _time.monotonic()
        self._dropped = 0
        self._records: deque[tuple[float, str]] = deque(maxlen=500)
        self._lock = threading.Lock()
        self.last: deque[str] = deque(maxlen=_LAST_LINES)

    def record(self, record: Record) -> None:
        """Report a log record of the command; the line that its handlers print is the same one and is left out."""
        until = _time.monotonic() + 5.0
        with self._lock:
            self._records.extend(
                (until, line.strip()) for line in record.message.splitlines()[:100] if line.strip()
            )
        record.report(self._run)

    def line(self, text: str, logger: str, now: float) -> None:
        """Report a line of output."""
        if not text.strip():
            return
        self.last.append(text)
        if self._is_record(text, now):
            return
        self._allowance = min(self._allowance + (now - self._then) * LINES_PER_SECOND, float(LINES_AT_ONCE))
        self._then = now
        if self._allowance < 1:
            self._dropped += 1
            return
        self._allowance -= 1
        self.say_dropped()
        self._run.report_line(text, logger=logger)

    def say_dropped(self) -> None:
        """Say how many lines were left out."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            message = f"{dropped:,} lines of output are not kept: more than {LINES_PER_SECOND:,} a second"
            self._run.report_line(message, level="WARNING", logger="streamer.exec")

    def _is_record(self, text: str, now: float) -> bool:
        with self._lock:
            while self._records and self._records[0][0] < now:
                self._records.popleft()
            for one in self._records:
                if one[1] in text:
                    self._records.remove(one)
                    return True
        return False


# -- the command -------------------------------------------------------------------------------------------------------


def execute(
    command: Sequence[str], *, title: str = "", phases: Iterable[PhasePattern] = (), url: str | None = None
) -> int:
    """Run a command as a run and return its exit code: 128 and its number for a signal, as shells do.

    Main thread only. 127 when there is no such command, 126 when it cannot be executed.
    """
    if shutil.which(command[0]) is None:
        there = Path(command[0]).exists()
        reason = "it cannot be executed" if there else "there is no such command"
        print(f"streamer: cannot run {command[0]}: {reason}", file=sys.stderr)  # noqa: T201 - said instead of by a shell
        return NOT_EXECUTABLE if there else NOT_FOUND
    patterns = tuple(phases)
    shown = shlex.join(_without_secrets(command))
    parameters = {"command": shown, "folder": str(Path.cwd())}
    with _Reporting(title or cut(shown, NAME_LIMIT), patterns, url, parameters) as reporting:
        return _Execution(reporting.run, patterns).execute(command)


class _Reporting:
    """An open run whose context is a thread of its own, so that nothing is raised in the main thread's middle."""

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
    """One command from its start to its end: hands on its output and our signals, and reports both."""

    def __init__(self, run: Run, patterns: Sequence[PhasePattern]) -> None:
        self._run = run
        self._log = _Log(run)
        self._collector = Collector(run.report, self._log.record)
        self._phases = _Phases(run, patterns, self._collector)
        self._screens: dict[int, tuple[Screen, str]] = {}
        self._child: Child | None = None
        self._signals: set[int] = set()
        self._steps = iter(_cancel_steps())
        self._next_step = 0.0

    def execute(self, command: Sequence[str]) -> int:
        self._collector.start()
        flush_ours()
        environment = {**os.environ, **self._collector.environment(os.environ)}
        try:
            try:
                with _Wakeups(self._hand_on) as wakeups:
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

    def _follow(self, child: Child, selector: selectors.BaseSelector, wakeups: _Wakeups) -> None:
        selector.register(wakeups.fd, selectors.EVENT_READ)
        for fd, (name, _) in child.outputs.items():
            selector.register(fd, selectors.EVENT_READ)
            self._screens[fd] = (Screen(_time.monotonic()), name)
        until: float | None = None
        keys = False
        while child.outputs or child.poll() is None:
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
                if now >= until:
                    break

    def _ready(self, child: Child, selector: selectors.BaseSelector, fd: int, events: int) -> None:
        if fd == 0:
            child.type(os.read(0, 4096))
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
            write_all(ours, data)
        except OSError:
            # Whoever read our output has gone: the command learns of it as it would have.
            selector.unregister(fd)
            child.shut(fd)

    def _settle(self, now: float) -> None:
        for screen, name in self._screens.values():
            self._report(screen.settled(now), name, now)

    def _report(self, lines: Iterable[str], name: str, now: float) -> None:
        for line in lines:
            self._phases.look(line)
            self._log.line(line, name, now)

    def _hand_on(self, number: int) -> None:
        """Pass a signal on; called in the main thread, between two instructions."""
        child = self._child
        if number != signal.SIGWINCH:
            self._signals.add(number)
        if child is not None and number == signal.SIGWINCH:
            child.resize()
        elif child is not None:
            child.kill(number)

    def _cancel(self, child: Child, now: float) -> None:
        if self._run.cancel_requested and now >= self._next_step:
            step = next(self._steps, None)
            if step is not None:
                child.kill(step[0])
                self._next_step = now + step[1]

    # -- its end -------------------------------------------------------------------------------------------------------

    def _end(self, code: int) -> int:
        now = _time.monotonic()
        for screen, name in self._screens.values():
            self._report(screen.finish(), name, now)
        self._log.say_dropped()
        # Before the run's end: nothing is reported after it.
        self._collector.close()
        said = f"exited with code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                said = f"killed by signal {-code} ({signal.Signals(-code).name})"
        interrupted = code in (-signal.SIGINT, 128 + signal.SIGINT) or bool(self._signals & _ENDING)
        self._phases.end(well=code == 0)
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
    """Return the signals of a cancel, each with the seconds that the command has after it."""
    try:
        settings = Settings.from_environment()
        graces = settings.cancel_grace_seconds, settings.kill_grace_seconds
    except SettingError:
        graces = 5.0, 5.0  # what is wrong with them was said when the run was to be reported
    return list(zip((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), (*graces, 60.0), strict=True))


class _Wakeups:
    """Takes our signals over while the command runs; a context manager of the main thread. `fd` can be waited for."""

    def __init__(self, hand_on: Any) -> None:
        self._hand_on = hand_on
        self._previous: dict[int, Any] = {}
        self._reading, self._writing = socket.socketpair()

    @property
    def fd(self) -> int:
        return self._reading.fileno()

    def __enter__(self) -> Self:
        for end in (self._reading, self._writing):
            end.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for name in (*_FORWARDED, "SIGWINCH"):
            number = getattr(signal, name, None)
            # What is ignored here (by nohup, say) is ignored by the command as well.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, lambda number, _: self._hand_on(number))
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        for end in (self._reading, self._writing):
            end.close()

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._reading.recv(4096):
                pass


def _without_secrets(command: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command, without what is given as a password or a token: a page is seen by more people."""
    hide = False
    for word in command:
        if hide:
            yield "…"
            hide = False
            continue
        name, equals, _ = word.partition("=")
        secret = bool(_SECRET.search(name)) and (word.startswith("-") or bool(equals))
        hide = secret and not equals and word.startswith("--")
        yield f"{name}=…" if secret and equals else word
