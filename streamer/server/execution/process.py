"""`ProcessBackend`: executes each run in a process of its own on this machine. It knows neither events nor the queue.

A worker leads a session of its own and writes its output to a file, so that it outlives the streamer that started it.
The next streamer finds it again by its process id and its start.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from streamer.model.bounds import cut
from streamer.protocol.private_files import FOLDER_MODE, private_opener
from streamer.protocol.worker_spec import WorkerSpec, encode_spec
from streamer.server.execution.base import OUTPUT_TAIL, Exit
from streamer.server.execution.process_table import (
    HAS_PROC,
    RUN_VARIABLE,
    boot_id,
    count_oom_kills,
    ended_badly,
    group_of,
    has_ended,
    is_ready,
    is_zombie,
    members_of,
    open_pidfd,
    send_signal,
    signal_group,
    started_at,
    stat_fields,
)

#: Seconds between two looks at a process, where the system does not announce its end.
_POLL_SECONDS: Final = 0.1
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_WORKER: Final = (sys.executable, "-m", "streamer.producer.worker")
#: Variables that a worker must not see: it has a token of its own, for its run alone.
_SECRETS: Final = ("STREAMER_TOKEN",)
#: Passes over a run's processes: the next pass finds those that started during the one before.
_PASSES: Final = 5
#: The states of a process by their letters in ``/proc/PID/stat``.
_DOING: Final = {
    "R": "running",
    "S": "sleeping",
    "I": "sleeping",
    "D": "waiting",
    "T": "stopped",
    "t": "stopped",
}


class ProcessBackend:
    """Starts workers as processes; see `Backend`. Their raw output is kept in ``data/output``.

    `command` starts a worker, which reads its spec from standard input.
    """

    def __init__(self, data: Path, command: Sequence[str] = _WORKER) -> None:
        self._folder = data / "output"
        self._command = tuple(command)
        self._handles: set[ProcessHandle] = set()

    async def start(self, spec: WorkerSpec) -> ProcessHandle:
        """Start a worker.

        Why not beside the loop: a start takes milliseconds, and one that is cancelled half-way would leave an unknown
        process.

        Args:
            spec: The run to execute.

        Returns:
            The worker's handle.

        Raises:
            OSError: The machine refuses another process.
            ValueError: The run's id is no file name.
        """
        output = self._output(spec.run_id)
        oom_kills = count_oom_kills()
        process = self._spawn(encode_spec(spec), spec.run_id, output)
        identity = {
            "run": spec.run_id,
            "pid": process.pid,
            "started": started_at(process.pid),
            "oomKills": oom_kills,
        }
        return self._watch(ProcessHandle(identity, output, process))

    def attach(self, identity: Mapping[str, Any]) -> ProcessHandle | None:
        """Find a worker that an earlier streamer started; see `Backend.attach`."""
        try:
            output = self._output(identity["run"])
            pid, started = identity["pid"], identity["started"]
        except (KeyError, TypeError, ValueError):
            return None
        if not isinstance(pid, int) or pid <= 0 or started is None:
            return None
        pidfd = open_pidfd(pid)
        # The descriptor is open before the comparison: no other process can get the id after it.
        if started_at(pid) != started or is_zombie(pid):
            if pidfd is not None:
                os.close(pidfd)
            return None
        return self._watch(ProcessHandle(dict(identity), output, None, pidfd))

    def examine(self, identity: Mapping[str, Any]) -> Exit:
        """Return the end of a worker that `attach` did not find: its output, and whether the machine was restarted."""
        try:
            tail = _tail(self._output(identity["run"]))
            boot = str(identity["started"]).rpartition(":")[0]
        except (KeyError, TypeError, ValueError):
            return Exit()
        return Exit(output_tail=tail, restarted=bool(boot and boot_id()) and boot != boot_id())

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
        output.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        environment[RUN_VARIABLE] = run_id
        # Why not a pipe: the streamer would wait for a slow reader, and its death would cut the spec.
        with tempfile.TemporaryFile() as source, open(output, "ab", opener=private_opener) as sink:
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
    """A worker's process; see `Handle`. `ProcessBackend` makes it. The event loop that made it alone calls it."""

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
        self._pidfd = open_pidfd(self.pid) if process is not None else pidfd
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._on_end: Callable[[ProcessHandle], object] = _nothing
        self._killed_by_us = False
        self._sweeping = False

    @property
    def pid(self) -> int:
        """The process id, for display. Another process may have it once this one has ended."""
        pid: int = self.identity["pid"]
        return pid

    async def wait(self) -> Exit:
        """Wait until it has ended and return how. Cancelling one waiting task does not affect the others."""
        return await asyncio.shield(self._exit)

    def doing(self) -> str:
        """Return its state: running, sleeping, waiting or stopped; empty when it is not known."""
        fields = stat_fields(self.pid) if self._is_alive() else None
        return "" if fields is None else _DOING.get(fields[0], "")

    def terminate(self) -> None:
        """Ask it and its children to end now (SIGTERM). Nothing happens when it has ended."""
        if self._is_alive():
            self._sweeping = True
            signal_group(self.pid, signal.SIGTERM)
            for pid in self._members():
                if pid != self.pid and group_of(pid) != self.pid:
                    send_signal(pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and its children (SIGKILL). Nothing happens when it has ended."""
        if self._is_alive():
            self._killed_by_us = True
            self._end_all()

    def sweep(self) -> None:
        """Kill its remaining children when it ends, however it ends."""
        self._sweeping = True

    def _members(self) -> list[int]:
        return list(members_of(self.pid, self.identity["started"], self.identity["run"]))

    def _end_all(self) -> None:
        """Kill all processes of the run, in any session and group."""
        if not HAS_PROC:
            signal_group(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            return
        for _ in range(_PASSES):
            members = self._members()
            if not members:
                return
            # The leader first, so that it starts no more processes. The next pass finds those of its children.
            for pid in sorted(members, key=lambda pid: pid != self.pid):
                send_signal(pid, signal.SIGKILL)

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
            return not has_ended(self._process)
        if self._pidfd is not None:
            return not is_ready(self._pidfd)
        return started_at(self.pid) == self.identity["started"] and not is_zombie(self.pid)

    def _ended(self) -> None:
        """Take note of the end. Kill the children of a worker that did not end properly."""
        self._release()
        if self._process is None:
            # The system tells the end of a process to its parent alone.
            code = None
            self._end_all()
        else:
            # While the process is a zombie, no other group can have its number.
            if self._sweeping or ended_badly(self._process):
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
            out_of_memory=killed == 9
            and not self._killed_by_us
            and count_oom_kills() > self.identity["oomKills"],
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
            # Popen warns about a child without a `wait`. This child lives on by intention.
            self._process.returncode = 0


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
