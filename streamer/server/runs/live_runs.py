"""`LiveRuns`: the runs that are not over, in memory. It decides nothing about them and writes nothing to the log."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from streamer.model.events import CancelOutcome
from streamer.model.state import RunState
from streamer.server.execution.base import Handle
from streamer.server.log.base import Appended
from streamer.server.runs.retry import RetryItems
from streamer.server.runs.secret_store import SecretStore


class Note(Struct):
    """The streamer's own note about a run, beside its state: a restarted streamer finds the run again by it.

    `process`: the streamer executes the run; `external`: its producer does. `identity` is the handle's, of the process.
    `reached`: how many items of its phases the run had reached whose rest this one does. `hidden`: the names of the
    parameters whose values are in the `SecretStore`.
    """

    kind: Literal["process", "external"]
    token_hash: str = ""
    reference: str = ""
    hidden: list[str] = []
    reached: dict[str, int] = {}
    identity: dict[str, Any] | None = None
    limit_warned: bool = False


class LiveRun(Struct, eq=False):
    """A run that is not over. `seen` is the monotonic time of its last sign of life, in seconds."""

    state: RunState
    note: Note
    seen: float
    handle: Handle | None = None
    cancel_by: str = ""
    cancel_reason: str = ""
    cancelling: bool = False
    #: One cancel at a time: the next one sees whether the cancel before it was stored.
    cancels: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    #: The steps of its cancel so far, as the end of a message.
    steps: str = ""
    how: CancelOutcome = "gone"
    #: Since when (monotonic seconds) its estimate lies beyond its time limit; None when it does not.
    missing_since: float | None = None
    tasks: set[asyncio.Task[None]] = msgspec.field(default_factory=set)

    def asked(self) -> str:
        """Return why, or by whom, the run was cancelled, as the beginning of a message."""
        return self.cancel_reason or (f"cancelled by {self.cancel_by}" if self.cancel_by else "cancelled")


class LiveRuns:
    """See the module. The event loop alone calls it."""

    def __init__(self, retries: RetryItems, secrets: SecretStore, *, monotonic: Callable[[], float]) -> None:
        self._retries = retries
        self._secrets = secrets
        self._monotonic = monotonic
        self._runs: dict[str, LiveRun] = {}

    def __getitem__(self, run_id: str) -> LiveRun:
        return self._runs[run_id]

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._runs

    def get(self, run_id: str) -> LiveRun | None:
        """Return the live run of an id; None when it is over, or unknown."""
        return self._runs.get(run_id)

    def items(self) -> list[tuple[str, LiveRun]]:
        """Return ids and runs, oldest first. The list may be used while runs come and go."""
        return list(self._runs.items())

    def runs(self) -> list[LiveRun]:
        """Return the runs, oldest first."""
        return list(self._runs.values())

    def add(self, state: RunState, note: Note) -> LiveRun:
        """Take up a run; this moment is its first sign of life.

        Args:
            state: The run's state; without events when it is not stored yet.
            note: The streamer's note about it.

        """
        live = self._runs[state.run] = LiveRun(state, note, self._monotonic())
        return live

    def forget(self, run_id: str) -> None:
        """Forget a run that could not be stored."""
        self._runs.pop(run_id, None)

    def keep_state(self, appended: Appended) -> LiveRun | None:
        """Take over the state after an append, unless a newer one is known.

        Returns:
            The run, or None when it is not a live one.

        """
        live = self._runs.get(appended.run_id)
        if live is not None and appended.state.seq > live.state.seq:
            live.state = appended.state
        return live

    def drop(self, run_id: str) -> None:
        """Forget a run that is over, its retry file and its secrets; its tasks but the current one are cancelled."""
        live = self._runs.pop(run_id, None)
        if live is None:
            return
        if live.state.retry_items in ("failed", "rest"):
            self._retries.forget(run_id)
        if live.note.hidden:
            self._secrets.forget(run_id)
        current = asyncio.current_task()
        for task in live.tasks:
            if task is not current:
                task.cancel()

    def states(self) -> list[RunState]:
        """Return the states of the stored runs that are not over, newest first."""
        # A run that is not stored yet may never be: no reader learns of it.
        return [live.state for live in self._runs.values() if live.state.seq and not live.state.is_over][::-1]


def token_hash(token: str) -> str:
    """Return the form in which a run's note keeps its token."""
    return hashlib.sha256(token.encode()).hexdigest()
