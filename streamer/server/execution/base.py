"""`Backend` and `Handle`: how a run's executor is started, watched and ended. Starts nothing itself.

A backend knows processes (or tasks of a cluster), not runs: whether a run has ended is said by its events alone, and
`Exit` is asked only when the executor is gone without a terminal event.
"""

from __future__ import annotations

import signal as _signal
from collections.abc import Mapping
from typing import Any, Final, Protocol

from msgspec import Struct

from streamer.protocol.worker_spec import WorkerSpec

#: Characters of an executor's raw output that `Exit` carries.
OUTPUT_TAIL: Final = 8_000


class Exit(Struct, frozen=True, kw_only=True):
    """How an executor ended.

    One of `code` (its exit code) and `signal` (the number of the signal that killed it) is set; both are None when
    nobody was there to see it. `output_tail` is the end of what it wrote outside the log. `out_of_memory`: it was
    killed while the machine's out-of-memory killer was at work. `restarted`: the machine was, since it was started.
    """

    code: int | None = None
    signal: int | None = None
    output_tail: str = ""
    out_of_memory: bool = False
    restarted: bool = False

    @property
    def kind(self) -> str:
        """Its kind, in a word, for a run's error."""
        if self.restarted:
            return "MachineRestarted"
        return "OutOfMemory" if self.out_of_memory else "ProcessDied"

    def describe(self) -> str:
        """Say how it ended, as a clause without a subject: ``killed by signal 9 (SIGKILL)``."""
        if self.restarted:
            return "ended when the machine was restarted"
        if self.signal is not None:
            try:
                text = f"killed by signal {self.signal} ({_signal.Signals(self.signal).name})"
            except ValueError:
                text = f"killed by signal {self.signal}"
        elif self.code is not None:
            text = f"exited with code {self.code} without finishing"
        else:
            text = "ended without finishing, while the streamer was away or could not see why"
        if self.out_of_memory:
            text += "; the machine's out-of-memory killer was active"
        return text


class Handle(Protocol):
    """One executor that was started or found again. Use it on the event loop that made it."""

    @property
    def pid(self) -> int:
        """The process id, for display; it may be another process's once this one has ended."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What `Backend.attach` finds the executor by, as plain JSON; it never fits another process."""
        ...

    async def wait(self) -> Exit:
        """Return how it ended, once it has. Any number of tasks may wait; cancelling one disturbs no other."""
        ...

    def doing(self) -> str:
        """Return what the system says of it: running, sleeping, waiting or stopped; empty when it has ended."""
        ...

    def terminate(self) -> None:
        """Ask it and all it started to end now (SIGTERM). Nothing happens when it has ended."""
        ...

    def kill(self) -> None:
        """End it and all it started by force (SIGKILL). Nothing happens when it has ended."""
        ...

    def sweep(self) -> None:
        """From now on, end by force what it leaves behind, however it ends."""
        ...


class Backend(Protocol):
    """A place where runs execute. Use it on one event loop."""

    async def start(self, spec: WorkerSpec) -> Handle:
        """Start a worker. Raises `OSError` when the machine refuses, `ValueError` for a spec that cannot be used."""
        ...

    def attach(self, identity: Mapping[str, Any]) -> Handle | None:
        """Find an executor that an earlier streamer started; None when it is gone or `identity` is not one of ours."""
        ...

    def examine(self, identity: Mapping[str, Any]) -> Exit:
        """Return what can still be known of an executor that `attach` did not find."""
        ...

    async def close(self) -> None:
        """Stop watching. What runs goes on, and can be attached to later; pending `wait` calls are cancelled."""
        ...
