"""`Workers`: the processes that execute runs: starts one for a run, waits for its end, ends one that stays.

It does not decide when a run has its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_urlsafe

import msgspec

from streamer.model.events import ErrorInfo, RunCancelled, RunFailed, StatusChanged
from streamer.model.parameters.secret import texts_of
from streamer.producer.redaction import Redaction
from streamer.protocol.worker_spec import WorkerSpec
from streamer.server.execution.base import Backend, Handle
from streamer.server.log.base import RunEnded
from streamer.server.runs.endings import Endings
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRun, token_hash
from streamer.server.runs.retry import RetryItems
from streamer.server.runs.secret_store import SecretStore
from streamer.server.runs.spool_pickup import Pickup
from streamer.settings import Settings


class Workers:
    """See the module. The event loop alone calls it. `monotonic` measures silences, in seconds."""

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        endings: Endings,
        *,
        pickup: Pickup,
        retries: RetryItems,
        secrets: SecretStore,
        settings: Settings,
        monotonic: Callable[[], float],
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._endings = endings
        self._pickup = pickup
        self._retries = retries
        self._secrets = secrets
        self._settings = settings
        self._monotonic = monotonic

    async def execute(self, run_id: str, live: LiveRun) -> None:
        """Start a run's process and wait until it is gone and the run is over.

        Args:
            run_id: Id of the run.
            live: The run, which had its turn.

        """
        token = token_urlsafe(24)
        live.note.token_hash = token_hash(token)
        live.seen = self._monotonic()
        hidden = await self._journal.read(lambda: self._secrets.read(run_id))
        spec = WorkerSpec(
            run_id=run_id,
            url=self._pickup.url,
            token=token,
            data=str(self._settings.data),
            pipeline=live.note.reference,
            parameters=live.state.parameters,
            secrets=hidden,
            spool_bytes=self._settings.spool_bytes,
            retry=str(self._retries.path(run_id)) if self._retries.path(run_id).exists() else "",
            reached=live.note.reached,
        )
        journal = self._journal
        if lost := [name for name in live.note.hidden if name not in hidden]:
            reason = f"its secret parameters are gone: {', '.join(lost)}"
            await journal.end(run_id, RunFailed(message=reason, error=ErrorInfo("SecretsGone", reason)))
            return
        try:
            # The token is stored before the worker can use it, and "running" before its first event.
            await journal.retried(lambda: journal.annotate(run_id, live.note))
            begins = StatusChanged(status="running", message="starting its process")
            await journal.store(run_id, begins, time=journal.now())
            if live.cancelling:
                # The cancel came meanwhile. There is no process yet that could stop by itself.
                message = f"{live.asked()} before its process was started"
                await journal.end(run_id, RunCancelled(message=message, how="unstarted"))
                return
            handle = live.handle = await self._backend.start(spec)
        except RunEnded:
            return
        except OSError as error:
            reason = f"its process could not be started: {error}"
            await journal.end(
                run_id, RunFailed(message=reason, error=ErrorInfo(type(error).__name__, str(error)))
            )
            return
        live.note.identity = handle.identity
        await journal.retried(lambda: journal.annotate(run_id, live.note))
        await self.watch(run_id, live, handle)

    async def watch(self, run_id: str, live: LiveRun, handle: Handle) -> None:
        """Wait until a run's process is gone; then the run is over, too.

        Args:
            run_id: Id of the run.
            live: The run.
            handle: Its process.

        """
        exit_ = await handle.wait()
        live.handle = None
        if exit_.output_tail and (hidden := await self._journal.read(lambda: self._secrets.read(run_id))):
            cleaned = Redaction(text for value in hidden.values() for text in texts_of(value))
            exit_ = msgspec.structs.replace(exit_, output_tail=cleaned.text(exit_.output_tail))
        state = await self._journal.stored_state(run_id)
        if not state.is_over:
            await self._endings.end_gone(run_id, live, exit_.describe(), exit_)

    async def reap(self, handle: Handle) -> None:
        """End a process that stays after its run is over, such as one with threads that never return."""
        for end in (handle.terminate, handle.kill):
            await asyncio.sleep(self._settings.kill_grace_seconds)
            end()
