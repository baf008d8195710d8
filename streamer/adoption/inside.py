"""Finds the bars of tqdm and rich in a process and reports them over a socket. Only the standard library.

This file is loaded alone, by its path, into other people's programs, perhaps by another Python than ours. Therefore it
is one file, and prints nothing, raises nothing and waits for nothing. A timer thread *reads* the counters that the
libraries keep, so an item costs what it cost before. Code of ours runs only when a bar begins and when it ends.

A message is a line of JSON: ``{"secret", "pid"}`` first, then ``{"bars": […]}``, ``{"log": {…}, "printed": "…"}``,
``{"dropped": n}``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import threading
import weakref
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, GeneratorType, ModuleType
    from typing import Any

    #: A frame, and the instruction in it where a loop was begun.
    _Place = tuple[tuple[int, int], int]

#: Seconds between two readings.
SAMPLE_SECONDS = 0.1
#: Seconds that the end of a process may wait until its last messages are sent.
LAST_WORDS_SECONDS = 0.5
#: Seconds that the end of a bar may wait for the sending thread to release its lock.
PATIENCE_SECONDS = 1.0
#: Messages that may wait. Beyond that the oldest is dropped, and dropped log records are counted.
WAITING = 5_000
#: Bars that are followed at the same time.
BARS = 1_000
#: Characters of a log record, and of one text that its handlers print.
TEXT = 8_000
PRINTED = 100_000
#: The attribute of a bar that holds its `_Bar`. It has the module's name in it: a program that was adopted from outside
#: may adopt its bars itself as well.
_KEY = f"_bar_of_{__name__}"
_BYTES = ("DownloadColumn", "FileSizeColumn", "TotalFileSizeColumn", "TransferSpeedColumn")


# -- one bar -----------------------------------------------------------------------------------------------------------


class _Bar:
    """A followed bar. `target` is a weak reference to the library's object: its end must be seen."""

    def __init__(self, number: int, target: Any, unit: str = "") -> None:
        self.id = str(number)
        self.target = weakref.ref(target)
        self.lane = _lane()
        self.parent: _Bar | None = None
        self.generator: weakref.ref[GeneratorType[Any, Any, Any]] | None = None
        #: Where the loop over it, or its `with` statement, stands; see `_places`.
        self.places: list[_Place] = []
        self.entered = False
        self.unit = unit
        self.over = False
        #: Its loop came to the end of the items, whatever its total says.
        self.used_up = False
        #: How many times its count began again at 0; the most that it counted since, and all that it counted before.
        self.starts = 0
        self.most: float = 0
        self.earlier: float = 0
        self.latest: float = 0
        self.last: dict[str, Any] | None = None

    def frame(self) -> FrameType | None:
        """Return the frame of the loop over this bar; None when no loop is running."""
        generator = self.generator() if self.generator is not None else None
        return generator.gi_frame if generator is not None else None

    def holds(self, stack: dict[tuple[int, int], int]) -> bool:
        """Tell whether a bar that begins now is inside of this one: its loop's body is what runs.

        A generator's body that waits for its next item does not run; two of them stand side by side under `zip`.
        """
        generator = self.generator() if self.generator is not None else None
        if self.over or (generator is not None and generator.gi_running):
            return False  # the new bar belongs to the items themselves
        if not self.entered and not self.under_way():
            return False
        for place, at in self.places:
            if place in stack:
                return stack[place] != at
        return False

    def start_over(self) -> None:
        """Note that its count begins again at 0."""
        self.starts += 1
        self.earlier += self.most
        self.latest, self.most = self.most, 0
        self.used_up = False

    def under_way(self) -> bool:
        """Whether a loop over the bar has begun and not ended."""
        return self.frame() is not None

    def counted(self, done: float, *, may_fall: bool) -> float:
        """Return what the bar has done, from what its library says; `may_fall`: a fall is a new start.

        A bar that is set back to 0 for a step that never comes ends as it was before.
        """
        if may_fall and not self.over and done < 0.5 * self.most:
            self.start_over()
        # No other step back means less work.
        self.most = max(done, self.most)
        if self.over and not self.most and self.latest:
            self.earlier, self.most = self.earlier - self.latest, self.latest
        return self.most

    def read(self) -> dict[str, Any] | None:
        """Return the bar as a message; None when it shows nothing or is gone."""
        raise NotImplementedError  # a subclass knows where its library keeps the count

    def told(self, name: object, done: object, total: object, unit: object) -> dict[str, Any]:
        # A total of 0 is an idiom for one that is not known.
        done, total = _number(done), _number(total) or None
        if self.used_up and self.over and total is not None and done is not None and done < total:
            total = done or None
        whole = done is not None and total is not None and done >= total
        # A bar without a total is finished when it is closed.
        status = "started" if not self.over else "finished" if whole or total is None else "stopped"
        parent = self.parent
        return {
            "id": self.id,
            "parent": parent.id if parent is not None else None,
            "name": _text(name)[:300],
            "done": done,
            "total": total,
            "unit": _text(unit)[:40],
            "status": status,
            "starts": self.starts,
            "earlier": _number(self.earlier) or 0,
        }


class _Tqdm(_Bar):
    def under_way(self) -> bool:
        frame = self.frame()
        return frame is not None and "n" in frame.f_locals

    def read(self) -> dict[str, Any] | None:
        bar = self.target()
        if bar is None:
            return None
        done = bar.n
        frame = self.frame() if _GIL else None
        if frame is not None:
            # During a loop, `bar.n` is the count that was last drawn. The loop's own variable has the current one.
            done = max(done, frame.f_locals.get("n", 0))
        if self.generator is not None:
            # A loop that counts by hand as well is thrown back to its items; then this is what was drawn last.
            done = max(done, bar.last_print_n)
        done = self.counted(done, may_fall=self.generator is None)
        scale = bar.unit_scale
        total = bar.total
        if scale not in (True, False, None, 1) and isinstance(scale, (int, float)):
            done, total = done * scale, None if total is None else total * scale
        name = (bar.desc or "").strip().rstrip(":") or _process_name()
        told = self.told(name, done, total, bar.unit)
        if self.earlier and done:
            told["earlier"] = _number(self.earlier * done / self.most) or 0
        return told


class _RichTask(_Bar):
    def read(self) -> dict[str, Any] | None:
        task = self.target()
        if task is None or (self.last is None and not task.visible):
            return None
        name = task.description
        rich_text = sys.modules.get(type(task).__module__.replace(".progress", ".text"))
        if rich_text is not None and "[" in name:
            name = rich_text.Text.from_markup(name).plain
        done = self.counted(task.completed, may_fall=True)
        told = self.told(_text(name).strip() or _process_name(), done, task.total, self.unit)
        if task.finished:
            told["status"] = "finished"
        return told


class _Handling:
    """The doings of a thread's handlers with one log record."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.taken = False
        self.printed: list[str] = []


class _Outputs:
    """Notes what is written to the process's text outputs while a thread handles a log record. Any thread.

    Only for that time have the streams a `write` of ours, which calls their own.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: dict[int, _Handling] = {}
        self.streams: list[Any] = []

    def begin(self, handling: _Handling) -> None:
        with self.lock:
            self.open[handling.thread] = handling
            if not self.streams:
                for stream in {
                    id(one): one for one in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
                }.values():
                    with contextlib.suppress(Exception):
                        self.watch(stream)

    def end(self, handling: _Handling) -> None:
        with self.lock:
            self.open.pop(handling.thread, None)
            if not self.open:
                self.unwatch()

    def forked(self) -> None:
        """Begin anew in a forked child: a thread that held the lock is not there to release it."""
        self.lock = threading.Lock()
        self.open.clear()
        self.unwatch()

    def unwatch(self) -> None:
        while self.streams:
            stream, write, before = self.streams.pop()
            with contextlib.suppress(Exception):
                # Another library's `write` may stand above ours by now: it keeps calling ours, which only passes on.
                if vars(stream).get("write") is write:
                    if before is None:
                        del stream.write
                    else:
                        stream.write = before

    def watch(self, stream: Any) -> None:
        if stream is None:
            return
        before = vars(stream).get("write")
        original = stream.write

        def write(text: Any, *arguments: Any, **named: Any) -> Any:
            handling = self.open.get(threading.get_ident())
            if handling is not None and isinstance(text, str):
                handling.printed.append(text[:PRINTED])
            return original(text, *arguments, **named)

        stream.write = write
        self.streams.append((stream, write, before))


_outputs = _Outputs()


def _is_queue(handler: Any) -> bool:
    return any(base.__name__ == "QueueHandler" for base in type(handler).__mro__)


def _record_text(record: Any) -> str:
    """Return a record's message and the end of its traceback, within `TEXT` characters."""
    message = str(record.getMessage())
    trace = ""
    if record.exc_info and record.exc_info[1] is not None:
        import traceback

        trace = "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        trace = trace if len(trace) <= TEXT // 2 else "\n…" + trace[2 - TEXT // 2 :]
    room = TEXT - len(trace)
    if len(message) > room:
        message = f"{message[: room - 60]} … [cut: {len(message):,} characters in all]"
    return message + trace


#: Flags of the code of generators, and of asynchronous ones.
_GENERATORS = 0x20 | 0x200
#: Modules whose frames stand between a bar and the loop over it.
_LIBRARIES = frozenset(("tqdm", "rich", "contextlib", __name__))


def _lane() -> int:
    """Return a number for the work at hand: the asyncio task, or the thread outside of one."""
    events = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    if loop is not None:
        with contextlib.suppress(Exception):
            task = sys.modules["asyncio.tasks"].current_task()
            if task is not None:
                return id(task)
    return threading.get_ident()


def _stack(frame: FrameType | None) -> dict[tuple[int, int], int]:
    """Return the frames on the stack, each with the instruction where it stands."""
    found: dict[tuple[int, int], int] = {}
    while frame is not None:
        found[id(frame), id(frame.f_code)] = frame.f_lasti
        frame = frame.f_back
    return found


def _places(frame: FrameType | None) -> list[_Place]:
    """Return where a loop stands: the frame, and while that is a generator's, the frame that iterates it.

    Frames of the libraries themselves are passed over. Numbers, not frames: a frame keeps a program's objects alive.
    """
    found: list[_Place] = []
    while frame is not None:
        parts = frame.f_globals.get("__name__", "").split(".")
        if not _LIBRARIES.intersection(parts):
            found.append(((id(frame), id(frame.f_code)), frame.f_lasti))
            if not frame.f_code.co_flags & _GENERATORS:
                break
        frame = frame.f_back
    return found


def _gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


_GIL = _gil()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not 0 <= number < float("inf"):
        return None
    return int(number) if number == int(number) else number


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - somebody else's __str__
        return type(value).__name__


#: The name of a bar without one in a kernel: that of its launcher says nothing.
NOTEBOOK = "Notebook"


def _process_name() -> str:
    """Return the name of the process or the program, for a bar without a name."""
    module = sys.modules.get("multiprocessing.process")
    name = module.current_process().name if module is not None else "MainProcess"
    if name != "MainProcess":
        return str(name)
    folder, program = os.path.split(sys.argv[0] if getattr(sys, "argv", None) else "")
    if program in ("ipykernel_launcher.py", "colab_kernel_launcher.py"):
        return NOTEBOOK
    return (os.path.basename(folder) if program == "__main__.py" else program) or "Python"  # noqa: PTH119


# -- the way out -------------------------------------------------------------------------------------------------------


class _Link:
    """The connection to the collector. `put` and `flush` never wait, and any thread may call them.

    `take` is the collector's own function where it is in this process. It gets each message, and at the
    end an empty one.
    """

    def __init__(self, address: str, take: Callable[[bytes], object] | None = None) -> None:
        self.take = take
        self.secret, _, self.path = address.partition(":")
        self.waiting: deque[tuple[bool, bytes]] = deque()
        self.dropped = 0
        self.rest = b""
        self.socket: socket.socket | None = None
        self.dead = False
        self.lock = threading.Lock()
        self.sender = 0

    def put(self, message: dict[str, Any], *, log: bool = False) -> None:
        import json

        if self.dead:
            return
        line = json.dumps(message).encode() + b"\n"
        if self.take is not None:
            self.take(line)
            return
        if len(self.waiting) >= WAITING:
            # Another thread may have emptied the queue meanwhile.
            with contextlib.suppress(IndexError):
                self.dropped += self.waiting.popleft()[0]
        self.waiting.append((log, line))

    def flush(self, patience: float = 0.0) -> bool:
        """Send as much as the socket takes now; return whether nothing is left.

        `patience`: seconds to wait for another thread that is sending. That thread never waits itself.
        """
        # This thread may be sending already: the garbage collector can call us in the middle of it.
        me = threading.get_ident()
        if self.sender == me or not self.lock.acquire(timeout=patience):
            return False
        self.sender = me
        try:
            return self._send()
        except OSError:
            self.dead = True
            self.waiting.clear()
            return True
        finally:
            self.sender = 0
            self.lock.release()

    def _send(self) -> bool:
        if self.dead or (not self.waiting and not self.rest):
            return True
        if self.socket is None and not self._connect():
            return False
        assert self.socket is not None
        while self.rest or self.waiting:
            if not self.rest:
                if self.dropped:
                    dropped, self.dropped = self.dropped, 0
                    self.put({"dropped": dropped})
                self.rest = self.waiting.popleft()[1]
            try:
                sent = self.socket.send(self.rest)
            except (BlockingIOError, InterruptedError):
                return False
            self.rest = self.rest[sent:]
        return True

    def _connect(self) -> bool:
        import json
        import socket

        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.setblocking(False)
        try:
            link.connect(self.path)
        except BlockingIOError:
            link.close()
            return False
        except OSError:
            link.close()
            raise
        self.socket = link
        hello = {"secret": self.secret, "pid": os.getpid()}
        self.rest = json.dumps(hello).encode() + b"\n"
        return True

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        if self.take is not None and not self.dead:
            self.take(b"")
        self.dead = True


class Inside:
    """The bars of this process, and the thread that reads them. With `take` the collector reads."""

    def __init__(self, address: str, *, logs: bool, take: Callable[[bytes], object] | None) -> None:
        self.address = address
        self.logs = logs
        self.take = take
        self.begin()

    def begin(self) -> None:
        """Begin without bars. The child of a fork begins again: the parent still reports the bars it had."""
        self.link = _Link(self.address, self.take)
        self.bars: dict[str, _Bar] = {}
        self.count = 0
        self.wake = threading.Event()
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None
        self.starting = threading.Lock()
        self.busy = threading.local()
        self.handling = threading.local()
        self.told: weakref.WeakSet[Any] = weakref.WeakSet()

    # -- bars ----------------------------------------------------------------------------------------------------------

    def began(self, bar: _Bar, *, inner: bool = False) -> None:
        """Follow a bar. `inner`: the program declared it to be inside of another one."""
        if len(self.bars) >= BARS:
            return
        stack = _stack(sys._getframe(1)) if self.bars else {}
        for other in reversed(tuple(self.bars.values())):
            if other.lane == bar.lane and not other.over and (inner or other.holds(stack)):
                bar.parent = other
                break
        self.bars[bar.id] = bar
        self.awake()

    def number(self) -> int:
        """Return a number for the next bar."""
        self.count += 1
        return self.count

    def over(self, bar: _Bar) -> None:
        """Report the end of a bar at once: the process may end a moment later."""
        # The parent process reports the bars that a fork inherited.
        if self.bars.get(bar.id) is not bar:
            return
        del self.bars[bar.id]
        bar.over = True
        told = bar.read()
        if told is None and bar.last is not None:
            told = _ended(bar.last)
        if told is not None:
            # The bars around this one must be reported before it.
            around, outer = [], bar.parent
            while outer is not None and outer.last is None:
                around.append(outer)
                outer = outer.parent
            self.link.put({"bars": [*self.read(around[::-1]), told]})
            if not self.link.flush(PATIENCE_SECONDS):
                self.awake()

    def read(self, bars: Sequence[_Bar]) -> list[dict[str, Any]]:
        """Return these bars as messages, without those that did not change."""
        changed = []
        for bar in bars:
            try:
                told = bar.read()
            except Exception:  # noqa: BLE001, S112 - an object that is half made or half gone; the next reading gets it
                continue
            if told is None and bar.target() is None:
                self.bars.pop(bar.id, None)
                bar.over = True
                told = None if bar.last is None else _ended(bar.last)
            if told is not None and told != bar.last:
                bar.last = told
                changed.append(told)
        return changed

    def sample(self) -> None:
        """Report all bars that changed."""
        changed = self.read(tuple(self.bars.values()))
        if changed:
            self.link.put({"bars": changed})
        self.link.flush()

    # -- log records ---------------------------------------------------------------------------------------------------

    def begin_handling(self) -> _Handling | None:
        """Begin to note what handlers do with a record; None when this thread does so already."""
        if (
            not self.logs
            or getattr(self.handling, "now", None) is not None
            or getattr(self.busy, "now", False)
        ):
            return None
        handling = self.handling.now = _Handling()
        _outputs.begin(handling)
        return handling

    def end_handling(self, handling: _Handling, record: Any) -> None:
        """Report the record, if a handler took it, and the text that handlers printed.

        Args:
            handling: The value that `begin_handling` returned.
            record: The log record.

        """
        _outputs.end(handling)
        self.handling.now = None
        if handling.taken or handling.printed:
            self.logged(record if handling.taken else None, "".join(handling.printed))

    def logged(self, record: Any, printed: str) -> None:
        """Report a log record, once, and the text that its handlers printed."""
        self.busy.now = True
        try:
            message: dict[str, Any] = {"printed": printed} if printed else {}
            # A handler that keeps records, such as `MemoryHandler`, gives them to another one later.
            if record is not None and record not in self.told:
                self.told.add(record)
                message["log"] = {
                    "level": record.levelname,
                    "number": record.levelno,
                    "logger": record.name,
                    "message": _record_text(record),
                }
            if not message:
                return
            self.link.put(message, log="log" in message)
            if not self.link.flush():
                self.awake()
        except Exception:  # noqa: BLE001, S110 - logging must not break the program
            pass
        finally:
            self.busy.now = False

    # -- the thread ----------------------------------------------------------------------------------------------------

    def awake(self) -> None:
        """Wake the reading thread; start it if there is none."""
        self.wake.set()
        if self.thread is not None or self.take is not None or self.stop.is_set():
            return
        if self.starting.acquire(blocking=False):
            try:
                thread = threading.Thread(target=self._run, name="streamer-adopt", daemon=True)
                thread.start()
                self.thread = thread
            except RuntimeError:
                self.stop.set()  # the interpreter is ending, or no thread can be made
            finally:
                self.starting.release()

    def _run(self) -> None:
        wake = self.wake
        while not self.link.dead:
            # Without bars the thread waits. A bar that ends before the next reading reports its own end.
            wake.wait()
            if self.stop.wait(SAMPLE_SECONDS):
                return
            self.look()

    def look(self) -> None:
        """Report changes, if there may be any. While there are bars, the next call does so too."""
        if self.wake.is_set():
            self.wake.clear()
            with contextlib.suppress(Exception):
                self.sample()
            if self.bars or self.link.waiting or self.link.rest:
                self.wake.set()

    def end(self) -> None:
        """Send the last messages; wait for that at most `LAST_WORDS_SECONDS`."""
        import time

        self.sample()
        until = time.monotonic() + LAST_WORDS_SECONDS
        while not self.link.flush() and time.monotonic() < until:
            time.sleep(0.005)  # at the program's end no event tells when a message was sent


def _ended(told: dict[str, Any]) -> dict[str, Any]:
    whole = told["total"] is None or (told["done"] is not None and told["done"] >= told["total"])
    return {**told, "status": "finished" if whole else "stopped"}


def _quiet(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function for use in a program's code: it raises nothing."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> None:
        with contextlib.suppress(Exception):
            function(*arguments, **named)

    return call


# -- the libraries -----------------------------------------------------------------------------------------------------


def _patch(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(make(original)))
    _patched.append((owner, name, original))


def patch_tqdm(module: ModuleType) -> None:
    """Note where the bars of tqdm begin, are iterated, and end."""

    @_quiet
    def began(bar: Any) -> None:
        # tqdm.rich draws with rich, and rich's bar is adopted already.
        if _inside is None or bar.disable or type(bar).__module__.endswith("tqdm.rich"):
            return
        followed = _Tqdm(_inside.number(), bar)
        setattr(bar, _KEY, followed)
        # A bar that leaves no trace is meant to be inside of another one.
        _inside.began(followed, inner=bar.leave is False)

    @_quiet
    def iterated(bar: Any, generator: Any, caller: FrameType) -> None:
        followed = getattr(bar, _KEY, None)
        if followed is not None:
            followed.generator = weakref.ref(generator)
            followed.places = _places(caller)

    @_quiet
    def entered(bar: Any, caller: FrameType) -> None:
        followed = getattr(bar, _KEY, None)
        if followed is not None:
            followed.entered = True
            followed.places = followed.places or _places(caller)

    @_quiet
    def over(bar: Any) -> None:
        followed = getattr(bar, _KEY, None)
        if followed is not None and _inside is not None and not bar.disable:
            generator = followed.generator() if followed.generator is not None else None
            error = sys.exc_info()[0]
            # tqdm closes a bar itself when its items are used up; a loop that is left closes its generator.
            followed.used_up = (generator is not None and generator.gi_running and error is None) or (
                error is not None and issubclass(error, (StopIteration, StopAsyncIteration))
            )
            _inside.over(followed)

    @_quiet
    def again(bar: Any) -> None:
        followed = getattr(bar, _KEY, None)
        if followed is not None:
            followed.read()
            followed.start_over()

    def init(original: Any) -> Any:
        def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
            original(self, *arguments, **named)
            began(self)

        return __init__

    def iterate(original: Any) -> Any:
        def __iter__(self: Any) -> Any:  # noqa: N807
            # The library's own generator: an item costs what it cost before.
            generator = original(self)
            iterated(self, generator, sys._getframe(1))
            return generator

        return __iter__

    def enter(original: Any) -> Any:
        def __enter__(self: Any) -> Any:  # noqa: N807
            entered(self, sys._getframe(1))
            return original(self)

        return __enter__

    def close(original: Any) -> Any:
        def close(self: Any) -> Any:
            over(self)
            return original(self)

        return close

    def reset(original: Any) -> Any:
        def reset(self: Any, *arguments: Any, **named: Any) -> Any:
            again(self)
            return original(self, *arguments, **named)

        return reset

    for name, make in (
        ("__init__", init),
        ("__iter__", iterate),
        ("__enter__", enter),
        ("close", close),
        ("reset", reset),
    ):
        _patch(module.tqdm, name, make)


def patch_rich(module: ModuleType) -> None:
    """Note where the tasks of a rich Progress begin and end."""
    tracking: weakref.WeakSet[Any] = weakref.WeakSet()

    @_quiet
    def began(progress: Any, task_id: Any, caller: FrameType) -> None:
        if _inside is None or progress.disable:
            return
        columns = {type(column).__name__ for column in progress.columns}
        task = progress._tasks[task_id]
        followed = _RichTask(_inside.number(), task, "B" if columns.intersection(_BYTES) else "")
        progress.__dict__.setdefault(_KEY, {})[task_id] = followed
        _inside.began(followed)
        for generator in tuple(tracking):
            if generator.gi_frame is caller:
                followed.generator = weakref.ref(generator)
                followed.places = _places(caller)

    @_quiet
    def over(progress: Any, task_ids: Any) -> None:
        followed = progress.__dict__.get(_KEY, {})
        for task_id in tuple(followed) if task_ids is None else task_ids:
            if task_id in followed and _inside is not None:
                _inside.over(followed.pop(task_id))

    @_quiet
    def again(progress: Any, task_id: Any) -> None:
        followed = progress.__dict__.get(_KEY, {}).get(task_id)
        if followed is not None:
            followed.read()
            followed.start_over()

    def track(original: Any) -> Any:
        def track(self: Any, *arguments: Any, **named: Any) -> Any:
            generator = original(self, *arguments, **named)
            tracking.add(generator)
            return generator

        return track

    def add_task(original: Any) -> Any:
        def add_task(self: Any, *arguments: Any, **named: Any) -> Any:
            task_id = original(self, *arguments, **named)
            began(self, task_id, sys._getframe(1))
            return task_id

        return add_task

    def remove_task(original: Any) -> Any:
        def remove_task(self: Any, task_id: Any) -> Any:
            over(self, (task_id,))
            return original(self, task_id)

        return remove_task

    def reset(original: Any) -> Any:
        def reset(self: Any, task_id: Any, *arguments: Any, **named: Any) -> Any:
            again(self, task_id)
            return original(self, task_id, *arguments, **named)

        return reset

    def stop(original: Any) -> Any:
        def stop(self: Any) -> Any:
            over(self, None)
            return original(self)

        return stop

    for name, make in (
        ("track", track),
        ("add_task", add_task),
        ("remove_task", remove_task),
        ("reset", reset),
        ("stop", stop),
    ):
        _patch(module.Progress, name, make)


def patch_logging(module: ModuleType) -> None:
    """Report every record that a handler of the program takes, once, whatever the handler does with it."""

    def follow(original: Any, *, is_handler: bool) -> Any:
        def call(self: Any, record: Any) -> Any:
            inside = _inside
            handling = inside.begin_handling() if inside is not None else None
            try:
                result = original(self, record)
                # A queue's handler passes the record on: the handler at the queue's other end takes it.
                if result and is_handler and inside is not None and not _is_queue(self):
                    current = getattr(inside.handling, "now", None)
                    if current is not None:
                        current.taken = True
                return result
            finally:
                if handling is not None and inside is not None:
                    inside.end_handling(handling, record)

        return call

    _patch(module.Logger, "callHandlers", functools.partial(follow, is_handler=False))
    _patch(module.Handler, "handle", functools.partial(follow, is_handler=True))


def patch_multiprocessing(module: ModuleType) -> None:
    """Send the last messages of child processes, which end without `atexit`."""

    def register(inside: Inside) -> None:
        module.Finalize(None, _quiet(inside.end), exitpriority=0)

    if _inside is not None:
        module.register_after_fork(_inside, register)
        register(_inside)


# -- installing --------------------------------------------------------------------------------------------------------

_inside: Inside | None = None
_patched: list[tuple[Any, str, Any]] = []
_PATCHES = {
    "tqdm.std": patch_tqdm,
    "rich.progress": patch_rich,
    "logging": patch_logging,
    "multiprocessing.util": patch_multiprocessing,
}


class _Finder:
    """Comes before the other finders, and patches the libraries and vendored copies of them when they are imported."""

    def __init__(self) -> None:
        self.looking = threading.local()

    def wanted(self, name: str) -> str | None:
        """Return the name of the patch for a module, also a vendored copy of tqdm or rich; None for others."""
        if name in _PATCHES:
            return name
        for known in ("tqdm.std", "rich.progress"):
            if name.endswith("." + known):
                return known
        return None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module as the other finders do, and patch it after its execution."""
        wanted = self.wanted(name)
        if wanted is None or getattr(self.looking, "now", False):
            return None
        self.looking.now = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking.now = False
        loader: Any = spec.loader if spec is not None else None
        if loader is not None and hasattr(loader, "exec_module"):
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _quiet(_PATCHES[wanted])(module)

            try:
                loader.exec_module = exec_module
            except AttributeError:
                return None
        return spec


_finder: _Finder | None = None


def install(address: str, *, logs: bool = True, take: Callable[[bytes], object] | None = None) -> None:
    """Begin to report.

    Args:
        address: ``SECRET:PATH`` of the collector's Unix socket.
        logs: Whether log records of this process are reported. Those of its forks always are.
        take: The function of a collector in this process. It gets the messages, and the collector calls `look` from
            time to time, so that no thread is needed. None: messages go to the socket.
    """
    global _finder, _inside  # noqa: PLW0603 - a process has one
    if _inside is not None:
        uninstall()
    _inside = Inside(address, logs=logs, take=take)
    _finder = _Finder()
    sys.meta_path.insert(0, _finder)
    for name, module in tuple(sys.modules.items()):
        wanted = _finder.wanted(name)
        if wanted is not None and module is not None:
            _quiet(_PATCHES[wanted])(module)
    _once()


def look(address: str) -> None:
    """Report changes, if this process reports to that address. For a collector that gave `install` its `take`."""
    inside = _inside
    if inside is not None and inside.take is not None and inside.address == address:
        inside.look()


def uninstall() -> None:
    """Stop reporting, and restore the libraries."""
    global _finder, _inside
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    while _patched:
        owner, name, original = _patched.pop()
        setattr(owner, name, original)
    inside, _inside, _finder = _inside, None, None
    if inside is not None:
        _quiet(inside.end)()
        inside.stop.set()
        inside.wake.set()
        inside.link.close()


_hooked = False


def _once() -> None:
    """Register for forks and the end of the process, once."""
    global _hooked  # noqa: PLW0603
    if _hooked:
        return
    _hooked = True
    import atexit

    atexit.register(_quiet(lambda: _inside.end() if _inside is not None else None))
    os.register_at_fork(after_in_child=_quiet(_forked))


def _forked() -> None:
    _outputs.forked()
    if _inside is not None:
        _inside.link.close()
        _inside.logs = True
        _inside.take = None
        _inside.begin()
