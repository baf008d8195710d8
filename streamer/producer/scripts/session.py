"""`Session`: one run of a script or notebook with its publisher and its display, and the process's list of sessions."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time as _time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from streamer.client import identity
from streamer.client.discovery import find_streamer, whereabouts
from streamer.model.bounds import (
    RESULT_LIMIT,
    bounded_json,
    cut,
    cut_name,
)
from streamer.model.events import (
    Entry,
    Event,
    Logged,
    PhaseSpec,
    ProcessInfo,
    StatusChanged,
)
from streamer.model.parameters.secret import shown_parameters
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.model.text.cleaning import cleaned
from streamer.model.timestamps import format_time
from streamer.producer.cancellation import Interrupter
from streamer.producer.display import Display, display_of
from streamer.producer.publishing.publisher import Publisher
from streamer.producer.run import Run
from streamer.producer.scripts.notices import Notices, say
from streamer.protocol.registration import Registration
from streamer.protocol.spool import FOLDER, Header, Spool, new_run_id
from streamer.settings import SettingError, Settings

if TYPE_CHECKING:
    from streamer.producer.scripts.loops import Loop

#: A run of loops is over after so many seconds without a loop. Loops that follow one another sooner are one run.
LINGER_SECONDS: Final = 0.5
#: A loop that was left is ended after so many samples. Until then a hook may say which exception left it.
_LEFT_SAMPLES: Final = 2

#: Held by whoever reads or changes the two lists.
lock: Final = threading.RLock()
#: The sessions of this process that are under way, the latest last.
sessions: list[Session] = []
#: The publishers that still send the end of a run.
publishers: list[Publisher] = []


class _SampledRun(Run):
    """A run whose sampler thread also calls the session."""

    on_sample: Callable[[], object] = staticmethod(lambda: None)

    def sample(self) -> bool:
        """Do as `Run.sample`, then call `on_sample`."""
        found = super().sample()
        self.on_sample()
        return found


class Session:
    """A run of this process, its publisher and its display. Any thread may call it.

    Args:
        title: The run's title; empty: the name of the program.
        specs: The declared phases.
        url: The streamer's URL; None: `STREAMER_URL`, the streamer of this machine, or port 5007.
        parameters: The run's parameters, any JSON; None: none.
        program: The program's name; None: the name of this script or notebook.
        show: Whether a progress bar is drawn.
        is_loops: Whether the run consists of `track` loops. Otherwise the end of a body ends it.
    """

    def __init__(
        self,
        title: str,
        specs: tuple[PhaseSpec, ...],
        url: str | None,
        parameters: Mapping[str, Any] | None,
        *,
        program: str | None,
        show: bool,
        is_loops: bool,
    ) -> None:
        self._program = cut_name(identity.program() if program is None else program)
        self.title = cut_name(str(title).strip()) or self._program
        self.url = url
        self.is_loops = is_loops
        self.loops: list[Loop] = []
        self.error: BaseException | None = None
        self._completed = False
        self._idle_since: float | None = None
        self.pid = os.getpid()
        self._state = RunState(run=new_run_id())
        self._display: Display | None = None
        self._show = show
        self._told = Notices("", "", Path(), waits=False)
        self._publisher = self._publisher_of(specs, parameters)
        # A signal interrupts the main thread only. Another thread learns of a cancel when it next reports something.
        main = threading.current_thread() is threading.main_thread()
        self._interrupter = Interrupter() if main and self._publisher is not None else None
        self.run = _SampledRun(self._emit, specs, interrupter=self._interrupter)
        self.run.on_sample = self._sampled
        self._specs = specs

    def open(self) -> Run:
        """Begin to report, and return the run."""
        with lock:
            publishers[:] = [one for one in publishers if not one.finished]
            sessions.append(self)
        if self._publisher is not None:
            self._publisher.start()
        if self._interrupter is not None:
            with contextlib.suppress(ValueError):
                self._interrupter.__enter__()
        process = ProcessInfo(os.getpid(), socket.gethostname())
        self.run.report(StatusChanged(status="running", process=process))
        self.run.open()
        return self.run

    def close(self, error: BaseException | None, *, only_idle: bool = False) -> None:
        """End the run as its body ended. Does not wait until the end has been sent; later calls do nothing.

        Args:
            error: The exception that ended the body; None: there was none.
            only_idle: Leave the session open while a loop of it is under way.
        """
        with lock:
            if self not in sessions or (only_idle and self.loops):
                return
            sessions.remove(self)
        for loop in self.loops:
            loop.end()
        self.run.conclude(error)
        self.run.close()
        if self._interrupter is not None:
            self._interrupter.__exit__(None, None, None)
        if self._display is not None:
            with contextlib.suppress(Exception):
                self._display.end(self._state)
        if self._publisher is not None:
            with lock:
                publishers.append(self._publisher)
            self._publisher.finish()

    # -- loops ---------------------------------------------------------------------------------------------------------

    def loop_ended(self, loop: Loop) -> None:
        """Take note that a loop came to its end."""
        with lock:
            if loop in self.loops:
                self.loops.remove(loop)
            self._completed = self._completed or loop.is_outer
            self._idle_since = _time.monotonic()
        loop.end()

    def settle(self) -> None:
        """End the loops that were left before their end."""
        with lock:
            left = [loop for loop in self.loops if loop.tally.ended and not loop.tally.complete]
            self.loops = [loop for loop in self.loops if loop not in left]
            self._completed = self._completed and not any(loop.is_outer for loop in left)
            if left and self._idle_since is None:
                self._idle_since = _time.monotonic()
        for loop in left:
            loop.end()

    def failed(self, error: BaseException) -> None:
        """Take note of the exception that ends the program or the notebook cell; the first one counts."""
        self.error = self.error or error

    @property
    def outcome(self) -> BaseException | None:
        """The exception that ended the loops, as far as it is known; None when they were completed."""
        if self.error is not None or self._completed:
            return self.error
        return GeneratorExit()

    def _sampled(self) -> None:
        """Draw the display, and end a run of loops that is over. The sampler thread calls it."""
        self._draw()
        if not self.is_loops:
            return
        with lock:
            for loop in self.loops:
                loop.left += loop.tally.ended and not loop.tally.complete
            # In a notebook the hook comes later, since the traceback is shown first.
            samples = 10 * _LEFT_SAMPLES if identity.in_kernel() else _LEFT_SAMPLES
            if any(loop.left >= samples for loop in self.loops):
                self.settle()
            if self.loops:
                self._idle_since = None
            over = self._idle_since is not None and _time.monotonic() - self._idle_since >= LINGER_SECONDS
        if over:
            self.close(self.outcome, only_idle=True)

    # -- reporting -----------------------------------------------------------------------------------------------------

    def _emit(self, event: Event, time: float) -> None:
        if self._publisher is not None:
            self._publisher.put(event, time)
        if self._show and not isinstance(event, Logged):
            seq = self._state.seq + 1
            self._state = apply(self._state, Entry(seq, self._state.run, seq, time, event))

    def _draw(self) -> None:
        if not self._show:
            return
        with contextlib.suppress(Exception):
            if self._display is None:
                self._display = display_of(self._state, self.url, is_there=self._told.known)
            if self._display is not None:
                self._display.draw(self._state)

    def _publisher_of(
        self, specs: tuple[PhaseSpec, ...], parameters: Mapping[str, Any] | None
    ) -> Publisher | None:
        described = cleaned(
            Registration(
                title=self.title,
                phases=specs,
                parameters=shown_parameters(bounded_json(dict(parameters or {}), RESULT_LIMIT)),
                owner=identity.user(),
                host=socket.gethostname(),
                program=self._program,
                time=format_time(_time.time()),
            )
        )
        self._state = apply(
            self._state,
            Entry(
                1,
                self._state.run,
                1,
                _time.time(),
                StatusChanged(status="queued", title=self.title, phases=specs),
            ),
        )
        try:
            settings = Settings.from_environment()
        except SettingError as error:
            say(f"this run is not shown: {error}")
            return None
        base = cut(self.url or find_streamer(settings), 1_000).rstrip("/")
        if not _is_address(base):
            say(f"this run is not shown: expected an address such as http://127.0.0.1:5007, received {base}")
            return None
        remote = bool(self.url or settings.url)
        run_id, token = self._state.run, secrets.token_urlsafe(24)
        header = Header(run=run_id, token=token, to=base if remote else "", registration=described)
        told = self._told = Notices(base, run_id, settings.data, waits=settings.spool_bytes > 0)
        return Publisher(
            (lambda: base) if remote else whereabouts(settings.data, base),
            run_id,
            token,
            on_request=lambda name: self.run.request_cancel() if name == "cancel" else None,
            on_refused=told.refused,
            on_registered=told.registered,
            on_away=told.away,
            registration=described,
            operators_token=settings.token,
            spool=Spool(
                settings.data / FOLDER,
                header,
                limit_bytes=settings.spool_bytes,
                total_bytes=settings.spool_total_bytes,
            )
            if settings.spool_bytes
            else None,
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
