"""`ProcessBackend`: each run in a process of its own on this machine. Knows nothing of events, or of when to start.

A worker is the leader of a session of its own and writes to a file, so that it outlives the streamer that started it;
the next streamer finds it again by its process id and the time it was started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from streamer.model.bounds import cut
from streamer.protocol.worker_spec import WorkerSpec, encode_spec
from streamer.server.execution.base import OUTPUT_TAIL, Exit

#: Seconds between two looks at a process, where the system cannot tell of its end.
_POLL_SECONDS: Final = 0.1
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_WORKER: Final = (sys.executable, "-m", "streamer.producer.worker")
#: What a worker must not know: it has a token of its own, for its run alone.
_SECRETS: Final = ("STREAMER_TOKEN",)
_HAS_PROC: Final = Path("/proc/self/stat").exists()
#: How often a run's processes are looked for: what they started while they were being ended is found the next time.
_PASSES: Final = 5
#: In the environment of a worker, and so of all it starts, whatever session and group they are in: its run's id.
RUN_VARIABLE: Final = "PANEL_STREAMER_RUN"
#: What the letters of ``/proc/PID/stat`` mean.
_DOING: Final = {
    "R": "running",
    "S": "sleeping",
    "I": "sleeping",
    "D": "waiting",
    "T": "stopped",
    "t": "stopped",
}


class ProcessBackend:
    """Starts workers as processes; see `Backend`. What they write outside the log is kept in ``data/output``.

    `command` starts a worker, which reads its spec from standard input.
    """

    def __init__(self, data: Path, command: Sequence[str] = _WORKER) -> None:
        self._folder = data / "output"
        self._command = tuple(command)
        self._handles: set[ProcessHandle] = set()

    async def start(self, spec: WorkerSpec) -> ProcessHandle:
        """Start a worker. Raises `OSError` when the machine refuses, `ValueError` for a run id that is no file name.

        Why not beside the loop: it takes milliseconds, and a start that is cancelled half-way would leave a process
        that nobody knows of.
        """
        output = self._output(spec.run_id)
        oom_kills = _oom_kills()
        process = self._spawn(encode_spec(spec), spec.run_id, output)
        identity = {
            "run": spec.run_id,
            "pid": process.pid,
            "started": _started(process.pid),
            "oomKills": oom_kills,
        }
        return self._watch(ProcessHandle(identity, output, process))

    def attach(self, identity: Mapping[str, Any]) -> ProcessHandle | None:
        """Find a worker that an earlier streamer started; None when it is gone or `identity` is not one of ours."""
        try:
            output = self._output(identity["run"])
            pid, started = identity["pid"], identity["started"]
        except (KeyError, TypeError, ValueError):
            return None
        if not isinstance(pid, int) or pid <= 0 or started is None:
            return None
        pidfd = _pidfd(pid)
        # Compared after the descriptor is open: from then on the id cannot come to mean another process.
        if _started(pid) != started or _is_zombie(pid):
            if pidfd is not None:
                os.close(pidfd)
            return None
        return self._watch(ProcessHandle(dict(identity), output, None, pidfd))

    def examine(self, identity: Mapping[str, Any]) -> Exit:
        """Return what can still be known of a worker that `attach` did not find: by its output and its boot id."""
        try:
            tail = _tail(self._output(identity["run"]))
            boot = str(identity["started"]).rpartition(":")[0]
        except (KeyError, TypeError, ValueError):
            return Exit()
        return Exit(output_tail=tail, restarted=bool(boot and _boot_id()) and boot != _boot_id())

    async def close(self) -> None:
        """Stop watching; workers go on. Pending `wait` calls are cancelled."""
        for handle in list(self._handles):
            handle._detach()
        self._handles.clear()

    def _watch(self, handle: ProcessHandle) -> ProcessHandle:
        self._handles.add(handle)
        handle._watch(self._handles.discard)
        return handle

    def _output(self, run_id: object) -> Path:
        if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
            raise ValueError(f"expected a run id of letters, digits, - and _, received {str(run_id)[:60]!r}")
        return self._folder / f"{run_id}.txt"

    def _spawn(self, spec: bytes, run_id: str, output: Path) -> subprocess.Popen[bytes]:
        output.parent.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        environment[RUN_VARIABLE] = run_id
        # Why a file, not a pipe: nothing waits for a worker that is slow to read, and it is whole if the streamer dies.
        with tempfile.TemporaryFile() as source, output.open("ab") as sink:
            source.write(spec)
            source.seek(0)
            return subprocess.Popen(  # noqa: S603 - the command is this program's own
                self._command,
                stdin=source,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )


def _nothing(_: object) -> None:
    pass


class ProcessHandle:
    """A worker's process; see `Handle`. Made by `ProcessBackend`. Use it on the event loop that made it."""

    def __init__(
        self,
        identity: dict[str, Any],
        output: Path,
        process: subprocess.Popen[bytes] | None,
        pidfd: int | None = None,
    ) -> None:
        self.identity: Final = identity
        self._output = output
        self._process = process
        self._pidfd = _pidfd(self.pid) if process is not None else pidfd
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._on_end: Callable[[ProcessHandle], object] = _nothing
        self._killed_by_us = False
        self._sweeping = False

    @property
    def pid(self) -> int:
        """The process id, for display; it may be another process's once this one has ended."""
        pid: int = self.identity["pid"]
        return pid

    async def wait(self) -> Exit:
        """Return how it ended, once it has. Cancelling one task that waits disturbs no other."""
        return await asyncio.shield(self._exit)

    def doing(self) -> str:
        """Return what the system says of it: running, sleeping, waiting or stopped; empty when that is not known."""
        fields = _stat(self.pid) if self._is_alive() else None
        return "" if fields is None else _DOING.get(fields[0], "")

    def terminate(self) -> None:
        """Ask it and all it started to end now (SIGTERM). Nothing happens when it has ended."""
        if self._is_alive():
            self._sweeping = True
            _signal_group(self.pid, signal.SIGTERM)
            for pid in self._members():
                if pid != self.pid and _group(pid) != self.pid:
                    _signal(pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and all it started by force (SIGKILL). Nothing happens when it has ended."""
        if self._is_alive():
            self._killed_by_us = True
            self._end_all()

    def sweep(self) -> None:
        """From now on, end by force what it leaves behind, however it ends."""
        self._sweeping = True

    def _members(self) -> list[int]:
        return list(_members(self.pid, self.identity["started"], self.identity["run"]))

    def _end_all(self) -> None:
        """Kill all processes of the run, in whatever session and group they are."""
        if not _HAS_PROC:
            _signal_group(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            return
        for _ in range(_PASSES):
            members = self._members()
            if not members:
                return
            # The leader first, so that it starts no more; what its children start meanwhile is found by the next pass.
            for pid in sorted(members, key=lambda pid: pid != self.pid):
                _signal(pid, signal.SIGKILL)

    # -- watching ------------------------------------------------------------------------------------------------------

    def _watch(self, on_end: Callable[[ProcessHandle], object]) -> None:
        self._on_end = on_end
        if self._pidfd is not None:
            # A loop without add_reader (Windows) has no pidfd either.
            self._loop.add_reader(self._pidfd, self._ended)
        else:
            self._poll()

    def _poll(self) -> None:
        if self._is_alive():
            self._timer = self._loop.call_later(_POLL_SECONDS, self._poll)
        else:
            self._ended()

    def _is_alive(self) -> bool:
        if self._exit.done():
            return False
        if self._process is not None:
            return not _has_ended(self._process)
        if self._pidfd is not None:
            return not _is_ready(self._pidfd)
        return _started(self.pid) == self.identity["started"] and not _is_zombie(self.pid)

    def _ended(self) -> None:
        """Take note of the end; what a worker that did not end by itself left behind is ended as well."""
        self._release()
        if self._process is None:
            # Nobody but its parent learns how a process ended.
            code = None
            self._end_all()
        else:
            # Its group keeps its number while the process is a zombie, so that signals go to nobody else.
            if self._sweeping or _ended_badly(self._process):
                self._end_all()
            code = self._process.wait()
        self._exit.set_result(self._exit_of(code))
        self._on_end(self)

    def _exit_of(self, code: int | None) -> Exit:
        tail = _tail(self._output)
        killed = None if code is None or code >= 0 else -code
        if code == 0:
            self._output.unlink(missing_ok=True)
        return Exit(
            code=None if killed else code,
            signal=killed,
            output_tail=tail,
            out_of_memory=killed == 9 and not self._killed_by_us and _oom_kills() > self.identity["oomKills"],
        )

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _detach(self) -> None:
        self._release()
        self._exit.cancel()
        if self._process is not None:
            # Popen warns of a child that nobody waited for; this one is meant to live on.
            self._process.returncode = 0


# -- processes ---------------------------------------------------------------------------------------------------------


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None where there is none, or no process."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _is_ready(descriptor: int) -> bool:
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a child has ended, and leave it unreaped where the system allows: its id stays its own."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _ended_badly(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a child that has ended did so by a signal or with an exit code other than 0."""
    if process.returncode is None and hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):
            found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return found is not None and (found.si_code != os.CLD_EXITED or found.si_status != 0)
    return process.poll() != 0


def _started(pid: int) -> str | None:
    """Return when a process was started, as a text that no later process of that id has; None when it is not there."""
    fields = _stat(pid)
    if fields is not None:
        # Field 22, in clock ticks since the machine was started: only within one life of the machine is it unique.
        return f"{_boot_id()}:{fields[19]}"
    if _HAS_PROC:
        return None
    try:
        found = subprocess.run(  # noqa: S603 - a number is all that is put in
            ("/bin/ps", "-o", "lstart=", "-p", str(pid)),
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def _is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] in ("Z", "X")


def _stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third on; None when it is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets, and may hold anything, brackets and spaces too.
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _group(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[2])


def _members(leader: int, started: str | None, run_id: str) -> Iterator[int]:
    """Return the live processes of a run: those of the session that `leader` began, and those that carry its mark.

    None is older than the leader.
    """
    since = int((started or ":0").rpartition(":")[2])
    mark = f"{RUN_VARIABLE}={run_id}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        fields = _stat(pid)
        if fields is None or fields[0] in ("Z", "X") or int(fields[19]) < since:
            continue
        if int(fields[3]) == leader or mark in _environment(pid):
            yield pid


def _environment(pid: int) -> list[bytes]:
    """Return the variables that a process was started with; none where that may not be known."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _oom_kills() -> int:
    """Return how many processes the machine's out-of-memory killer has ended; 0 where that is not known."""
    try:
        text = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _tail_of(file)
    except OSError:
        return ""


def _tail_of(file: BinaryIO) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - OUTPUT_TAIL, 0))
    text = file.read(OUTPUT_TAIL).decode("utf-8", "replace").strip()
    if size > OUTPUT_TAIL:
        text = f"… [cut: {size:,} bytes in all]\n{text}"
    return cut(text, OUTPUT_TAIL + 100)
