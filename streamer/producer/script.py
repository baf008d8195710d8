"""`run` and `track`: any script or notebook as a run with a page. Executes nothing; the code stays where it is.

Nothing here makes the code fail or wait: a publisher's thread does what takes time, what it could not send when the
program ends waits in a spool, and without a streamer the code goes on as if nothing had been asked.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import inspect
import os
import secrets
import socket
import sys
import threading
import time as _time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, overload
from urllib.parse import urlsplit

from streamer.client import identity
from streamer.client.discovery import find_streamer
from streamer.model.bounds import (
    NAME_LIMIT,
    RESULT_LIMIT,
    bounded_json,
    cut,
)
from streamer.model.events import (
    Entry,
    Event,
    Logged,
    PhaseSpec,
    ProcessInfo,
    StatusChanged,
)
from streamer.model.reducer import apply
from streamer.model.state import RunState
from streamer.model.timestamps import format_time
from streamer.producer.cancellation import Interrupter
from streamer.producer.counting import Tally, number_of, total_of
from streamer.producer.display import Display, display_of
from streamer.producer.publisher import Publisher, whereabouts
from streamer.producer.run import Run
from streamer.protocol.registration import Created, Registration
from streamer.protocol.spool import FOLDER, Header, Spool, new_run_id
from streamer.settings import SettingError, Settings

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
#: What says the phases of a run: names with weights, or names alone, or pairs.
Phases = Mapping[str, float] | Iterable[str | tuple[str, float] | PhaseSpec]

#: Seconds that what is left to send may take when the program ends; then it is left in the spools.
CLOSE_SECONDS: Final = 5.0
#: A run of loops is over when so many seconds passed without one: those that follow one another at once are one run.
LINGER_SECONDS: Final = 0.5
#: Samples for which a loop that was left is not ended: until then it may turn out which exception left it.
_LEFT_SAMPLES: Final = 2


# -- what users call ---------------------------------------------------------------------------------------------------


class run:  # noqa: N801 - used as a function: ``with streamer.run("Fit models") as run:``
    """Report the body of a `with` statement, or each call of a decorated function, as a run of its own.

    Says once, on standard error, where its page is, and shows a bar there. `phases` are names with their weights. `url`
    is the streamer's; by default STREAMER_URL, the one that runs on this machine, or port 5007. `parameters` are shown
    on the page; they may be any JSON. `program` is what the page calls the program, if not by the name of this script
    or notebook. `show` False: no bar.

    A body that raises ends the run as failed, Ctrl-C and a cancel from the page (`Cancelled`, a `KeyboardInterrupt`) as
    cancelled, and the exception goes on. Otherwise it is complete; ``run.complete(result)`` gives it a result, and so
    does what a decorated function returns, where that is plain JSON. Raises `ValueError` for phases that are none.
    Without a streamer the body runs all the same, and what it reported waits on this machine until there is one.
    """

    def __init__(
        self,
        title: str,
        phases: Phases | None = None,
        url: str | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        program: str | None = None,
        show: bool = True,
    ) -> None:
        self._title = title
        self._phases = phases
        self._url = url
        self._parameters = parameters
        self._program = program
        self._show = show
        self._session: _Session | None = None

    def __enter__(self) -> Run:
        """Open the run."""
        specs = _specs(self._phases)
        _settle_loops()
        self._session = _Session(
            self._title,
            specs,
            self._url,
            self._parameters,
            program=self._program,
            show=self._show,
            is_loops=False,
        )
        return self._session.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it as its body ended."""
        session, self._session = self._session, None
        assert session is not None
        session.close(error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a function each call of which is a run. Raises `TypeError` for an asynchronous generator."""
        if inspect.isasyncgenfunction(function):
            raise TypeError("streamer.run: expected a function, a coroutine function or a generator function")
        if inspect.iscoroutinefunction(function):
            wrapped: Any = self._around_coroutine(function)
        elif inspect.isgeneratorfunction(function):
            wrapped = self._around_generator(function)
        else:
            wrapped = self._around(function)
        return functools.wraps(function)(wrapped)

    def _fresh(self) -> run:
        return run(
            self._title,
            self._phases,
            self._url,
            parameters=self._parameters,
            program=self._program,
            show=self._show,
        )

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh() as reported:
                return _with_result(reported, function(*args, **kwargs))

        return call

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh() as reported:
                return _with_result(reported, await function(*args, **kwargs))

        return call

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return (yield from function(*args, **kwargs))

        return call


def _with_result(reported: Run, value: R) -> R:
    """Report what a function returned, where JSON has it; anything else might be large, and slow to be made text."""
    reported.complete(value if isinstance(value, dict | list | str | int | float) else None)
    return value


@overload
def track(
    items: Iterable[T],
    description: str = "",
    *,
    total: float | None = None,
    unit: str = "items",
    url: str | None = None,
) -> Iterator[T]: ...


@overload
def track(
    items: AsyncIterable[T],
    description: str = "",
    *,
    total: float | None = None,
    unit: str = "items",
    url: str | None = None,
) -> AsyncIterator[T]: ...


def track(
    items: Iterable[T] | AsyncIterable[T],
    description: str = "",
    *,
    total: float | None = None,
    unit: str = "items",
    url: str | None = None,
) -> Iterator[T] | AsyncIterator[T]:
    """Return `items` one by one, and show how far the loop over them is: here, and on the page of a run.

    `total` is how many there are; None: `len(items)`, and when it has none the progress is indeterminate. `items` may
    be asynchronous. `url` as in `run`.

    Inside a `run`, the loop belongs to it: as a phase if it has a `description`. Else the loops of the program that are
    under way together, or follow one another at once, are one run: loops beside each other are its phases, loops inside
    a loop bars. A loop that is left before its end is shown as that, with the exception if one ended the program.
    """
    known: Any = items
    loop = _Loop(description, number_of(total_of(known) if total is None else total), unit, url)
    counted: Iterator[T] | AsyncIterator[T] = loop.over(items)
    return counted


# -- loops -------------------------------------------------------------------------------------------------------------


class _Loop:
    """One call of `track`: it belongs to a session from its first item on."""

    def __init__(self, description: str, total: float | None, unit: str, url: str | None) -> None:
        self._description = cut(str(description).strip(), NAME_LIMIT)
        self._unit = unit
        self._url = url
        self._session: _Session | None = None
        self._phase: Any = None
        #: For how many samples it was known to be left.
        self.left = 0
        self.tally = Tally(total, self._ended, self._begin)

    def over(self, items: Any) -> Any:
        if hasattr(items, "__aiter__") and not hasattr(items, "__iter__"):
            return self.tally.over_async(items)
        counted = self.tally.over(items)
        # Only the main thread can be interrupted; another one looks at each item whether the run was cancelled.
        return counted if threading.current_thread() is threading.main_thread() else self._checked(counted)

    def _checked(self, items: Iterator[T]) -> Iterator[T]:
        for item in items:
            if self._session is not None:
                self._session.run.checkpoint()
            yield item

    def _begin(self) -> None:
        # Cancelled, a KeyboardInterrupt, goes on; whatever else goes wrong here, the loop itself must not notice.
        with contextlib.suppress(Exception):
            self._session = _session_for(self, self._description, self._url)
            self._phase = self._session.run.begin_loop(
                self.tally,
                self._unit,
                self._description or (self._session.title if self._session.is_loops else ""),
                as_phase=self._session.is_loops or bool(self._description),
            )

    def _ended(self) -> None:
        if self._session is not None:
            with contextlib.suppress(Exception):
                self._session.loop_ended(self)

    @property
    def is_outer(self) -> bool:
        """Whether it is a phase of its own, inside no other loop."""
        return self._phase is not None

    def end(self) -> None:
        """Take note of the end in the session's run."""
        phase, self._phase = self._phase, None
        if phase is not None and self._session is not None:
            self._session.run.end_loop(phase, "" if self.tally.complete else "left before its end")


_lock: Final = threading.RLock()
#: The runs of this process that are under way, the latest last; each with a body or of loops.
_sessions: list[_Session] = []
#: What still sends the end of a run.
_publishers: list[Publisher] = []


def _session_for(loop: _Loop, description: str, url: str | None) -> _Session:
    """Return the run that a loop belongs to; opens one when there is none."""
    with _lock:
        for session in reversed(_sessions):
            if url is None or session.url == url:
                if session.is_loops:
                    session.settle()
                if not session.run.ended:
                    session.loops.append(loop)
                    return session
        session = _Session(description, (), url, None, program=None, show=True, is_loops=True)
        session.loops.append(loop)
        session.open()
        return session


def _settle_loops() -> None:
    """End the run of loops that are over; what begins now is something else."""
    with _lock:
        found = [session for session in _sessions if session.is_loops]
    for session in found:
        session.settle()
        session.close(session.outcome, only_idle=True)


# -- runs --------------------------------------------------------------------------------------------------------------


class _ScriptRun(Run):
    """A run whose sampler also looks after its session."""

    on_sample: Callable[[], object] = staticmethod(lambda: None)

    def sample(self) -> bool:
        """Do as `Run.sample`, then what the session wants."""
        found = super().sample()
        self.on_sample()
        return found


class _Session:
    """A run of this process, its publisher and its display. `is_loops`: of loops; else with a body that ends it."""

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
        self._program = cut(identity.program() if program is None else program, NAME_LIMIT)
        self.title = cut(str(title).strip(), NAME_LIMIT) or self._program
        self.url = url
        self.is_loops = is_loops
        self.loops: list[_Loop] = []
        self._error: BaseException | None = None
        self._completed = False
        self._idle_since: float | None = None
        self._pid = os.getpid()
        self._state = RunState(run=new_run_id())
        self._display: Display | None = None
        self._show = show
        self._told = _Told("", "", waits=False)
        self._publisher = self._publisher_of(specs, parameters)
        # Only the main thread can be interrupted; another one hears of a cancel when it next reports something.
        main = threading.current_thread() is threading.main_thread()
        self._interrupter = Interrupter() if main and self._publisher is not None else None
        self.run = _ScriptRun(self._emit, specs, interrupter=self._interrupter)
        self.run.on_sample = self._sampled
        self._specs = specs

    def open(self) -> Run:
        """Begin to report."""
        _install_hooks()
        with _lock:
            _publishers[:] = [one for one in _publishers if not one.finished]
            _sessions.append(self)
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
        """End the run as its body ended. Does not wait until that has been sent."""
        with _lock:
            if self not in _sessions or (only_idle and self.loops):
                return
            _sessions.remove(self)
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
            with _lock:
                _publishers.append(self._publisher)
            self._publisher.finish()

    # -- loops ---------------------------------------------------------------------------------------------------------

    def loop_ended(self, loop: _Loop) -> None:
        """Take note of a loop that came to its end."""
        with _lock:
            if loop in self.loops:
                self.loops.remove(loop)
            self._completed = self._completed or loop.is_outer
            self._idle_since = _time.monotonic()
        loop.end()

    def settle(self) -> None:
        """Take note of the loops that were left."""
        with _lock:
            left = [loop for loop in self.loops if loop.tally.ended and not loop.tally.complete]
            self.loops = [loop for loop in self.loops if loop not in left]
            self._completed = self._completed and not any(loop.is_outer for loop in left)
            if left and self._idle_since is None:
                self._idle_since = _time.monotonic()
        for loop in left:
            loop.end()

    def failed(self, error: BaseException) -> None:
        """Take note of what ends the program, or the cell."""
        self._error = self._error or error

    @property
    def outcome(self) -> BaseException | None:
        """What ended the loops, in so far as it is known."""
        if self._error is not None or self._completed:
            return self._error
        return GeneratorExit()

    def _sampled(self) -> None:
        """Do what is to be done from time to time, in the sampler's thread."""
        self._draw()
        if not self.is_loops:
            return
        with _lock:
            for loop in self.loops:
                loop.left += loop.tally.ended and not loop.tally.complete
            # In a notebook it takes longer until the exception is told: its traceback is shown first.
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
        described = Registration(
            title=self.title,
            phases=specs,
            parameters=bounded_json(dict(parameters or {}), RESULT_LIMIT),
            owner=identity.user(),
            host=socket.gethostname(),
            program=self._program,
            time=format_time(_time.time()),
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
            _say(f"this run is not shown: {error}")
            return None
        base = cut(self.url or find_streamer(settings), 1_000).rstrip("/")
        if not _is_address(base):
            _say(f"this run is not shown: expected an address such as http://127.0.0.1:5007, received {base}")
            return None
        remote = bool(self.url or settings.url)
        run_id, token = self._state.run, secrets.token_urlsafe(24)
        header = Header(run=run_id, token=token, to=base if remote else "", registration=described)
        told = self._told = _Told(base, run_id, waits=settings.spool_bytes > 0)
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


class _Told:
    """Says once where a run's page is, or why it has none yet. Called from the publisher's thread."""

    def __init__(self, base: str, run_id: str, *, waits: bool) -> None:
        self._base = base
        self._run_id = run_id
        self._waits = waits
        #: Whether the streamer has the run; None: it has not been reached yet, and may be there.
        self.known: bool | None = None

    def registered(self, answer: Created) -> None:
        """Say where the page is."""
        self.known = True
        _say(answer.page or f"{self._base}/api/runs/{self._run_id}")

    def away(self, reason: str) -> None:
        """Say, unless the page was said, that there is no streamer."""
        if self.known is None:
            self.known = False
            then = (
                "it waits on this machine, and is sent when there is one"
                if self._waits
                else "it is not shown"
            )
            _say(f"no streamer at {self._base} for this run: {then} ({reason})")

    def refused(self, reason: str) -> None:
        """Say that the streamer does not want it."""
        if self.known:
            _say(f"the streamer takes no more of this run, which goes on ({reason})")
        else:
            self.known = False
            _say(f"this run is not shown, the streamer at {self._base} refuses it ({reason})")


# -- the end of the program --------------------------------------------------------------------------------------------

_hooked: list[Callable[..., object]] = []
#: Whether Ctrl-C ends the program.
_interrupted = False


def _install_hooks() -> None:
    with _lock:
        if _hooked:
            return
        _hooked.append(sys.excepthook)
        sys.excepthook = _excepthook
        atexit.register(_at_exit)
    shell = identity.ipython()
    if shell is not None:
        with contextlib.suppress(Exception):
            shell.events.register("post_run_cell", _cell_ended)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    global _interrupted  # noqa: PLW0603 - the interpreter's own flag is global as well
    _note(error)
    _interrupted = kind is KeyboardInterrupt
    _hooked[0](kind, error, trace)


def _cell_ended(result: Any) -> None:
    error = result.error_in_exec
    if error is not None:
        _note(error)


def _note(error: BaseException) -> None:
    with _lock:
        for session in _sessions:
            if session.is_loops:
                session.failed(error)


def _at_exit() -> None:
    leave()
    if _interrupted:
        # Python forgets that Ctrl-C ended it (exit code 130) when something is imported after that, as here.
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102 - a constant; only code that is run as text tells Python


def leave(timeout: float = CLOSE_SECONDS) -> None:
    """End what is under way and send it, for at most `timeout` seconds; what is left waits in the spools."""
    deadline = _time.monotonic() + timeout
    with _lock:
        mine = [session for session in _sessions if session._pid == os.getpid()]
    for session in mine:
        session.settle()
        session.close(session.outcome if not session.loops else session._error or GeneratorExit())
    with _lock:
        publishers, _publishers[:] = list(_publishers), []
    for publisher in publishers:
        sent = publisher.close(max(deadline - _time.monotonic(), 0.0))
        if not sent and publisher.refused is None and publisher.left_behind is None:
            reason = publisher.disk_error or publisher.last_error or "no answer"
            _say(f"the end of this run did not reach the streamer ({reason})")


# -- parts -------------------------------------------------------------------------------------------------------------


def _specs(phases: Phases | None) -> tuple[PhaseSpec, ...]:
    """Return phases as the streamer takes them. Raises `ValueError` naming the one that is none."""
    found: dict[str, PhaseSpec] = {}
    for given in phases.items() if isinstance(phases, Mapping) else phases or ():
        match given:
            case PhaseSpec():
                spec = given
            case str():
                spec = PhaseSpec(given)
            case (str() as name, int() | float() as weight):
                spec = PhaseSpec(name, float(weight))
            case _:
                raise ValueError(f"phases: expected a name, or a name and its weight, received {given!r}")
        if not spec.name or spec.name in found or not 0 < spec.weight < float("inf"):
            raise ValueError(f"phases: expected names that differ and weights above 0, received {given!r}")
        found[spec.name] = spec
    return tuple(found.values())


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _say(text: str) -> None:
    print(f"streamer: {cut(text, 1000)}", file=sys.stderr)  # noqa: T201 - this is the one line of it that the user sees
