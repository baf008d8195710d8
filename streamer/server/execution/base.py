"""`Backend` and `Handle`: the interface that starts, watches and ends the executor of a run.

A backend knows processes (or tasks of a cluster), not runs. The events alone say whether a run is over; `Exit` counts
only when the executor is gone without a terminal event.
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

    Either `code` (its exit code) or `signal` (the signal that killed it) is set; both are None when no streamer watched
    the end. `output_tail` is the end of its raw output, outside the log. `out_of_memory`: the machine's out-of-memory
    killer was active when it was killed. `restarted`: the machine was restarted since it began.
    """

    code: int | None = None
    signal: int | None = None
    output_tail: str = ""
    out_of_memory: bool = False
    restarted: bool = False

    @property
    def kind(self) -> str:
        """The kind of a run's error, in one word."""
        if self.restarted:
            return "MachineRestarted"
        return "OutOfMemory" if self.out_of_memory else "ProcessDied"

    def describe(self) -> str:
        """Return how it ended, as a clause without a subject: ``killed by signal 9 (SIGKILL)``."""
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
    """One executor. The event loop that made it alone calls it."""

    @property
    def pid(self) -> int:
        """The process id, for display. Another process may have it once this one has ended."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """The executor's identity for `Backend.attach`, as plain JSON. No other process has the same."""
        ...

    async def wait(self) -> Exit:
        """Wait until it has ended and return how. Cancelling one waiting task does not affect the others."""
        ...

    def doing(self) -> str:
        """Return its state: running, sleeping, waiting or stopped; empty when it has ended."""
        ...

    def terminate(self) -> None:
        """Ask it and its children to end now (SIGTERM). Nothing happens when it has ended."""
        ...

    def kill(self) -> None:
        """Kill it and its children (SIGKILL). Nothing happens when it has ended."""
        ...

    def sweep(self) -> None:
        """Kill its remaining children when it ends, however it ends."""
        ...


class Backend(Protocol):
    """A place where runs execute. One event loop alone calls it."""

    async def start(self, spec: WorkerSpec) -> Handle:
        """Start a worker.

        Args:
            spec: The run to execute.

        Raises:
            OSError: The machine refuses another process.
            ValueError: The spec cannot be used.
        """
        ...

    def attach(self, identity: Mapping[str, Any]) -> Handle | None:
        """Find an executor that an earlier streamer started.

        Args:
            identity: `Handle.identity` of the executor.

        Returns:
            Its handle; None when it is gone, or the identity is not one of ours.
        """
        ...

    def examine(self, identity: Mapping[str, Any]) -> Exit:
        """Return the end of an executor that `attach` did not find, as far as it is known.

        Args:
            identity: `Handle.identity` of the executor.
        """
        ...

    async def close(self) -> None:
        """Stop watching and cancel pending `wait` calls. The executors go on; `attach` finds them later."""
        ...
