"""`Runs`: the life of runs: queue, start, cancel, liveness, recovery. Knows neither HTTP nor how a log stores.

Everything here runs in the event loop. A run's state changes only by what is appended to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import logging
import random
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, Struct

from streamer.client import identity
from streamer.model import time_limit
from streamer.model.bounds import NESTING_LIMIT, RESULT_LIMIT, is_nested_too_deep
from streamer.model.events import (
    STREAMER_LOGGER,
    UNDER_WAY,
    CancelOutcome,
    CancelStep,
    ErrorInfo,
    Event,
    ItemFailed,
    Logged,
    ProcessInfo,
    RunCancelled,
    RunFailed,
    StatusChanged,
)
from streamer.model.parameters.json_schema import ParametersRefused, Problem, build, values_of
from streamer.model.pipeline import Pipeline
from streamer.model.reducer import with_retry
from streamer.model.state import RunState
from streamer.producer.catalog import Catalog, Offer
from streamer.protocol import failed_items
from streamer.protocol.registration import Registration
from streamer.protocol.spool import Header, new_run_id
from streamer.protocol.worker_spec import WorkerSpec
from streamer.server.execution.base import Backend, Exit, Handle
from streamer.server.log.base import (
    Appended,
    Draft,
    EventLog,
    LogError,
    LogUnavailable,
    RunEnded,
    UnknownRun,
)
from streamer.server.runs.spool_pickup import Forbidden, Pickup
from streamer.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: How many places in the queue are announced; further behind the order matters to nobody yet.
_PLACES_ANNOUNCED: Final = 20
_TICK_SECONDS: Final = 0.25
#: Seconds between two looks for spools that producers left.
_LOOK_SECONDS: Final = 1.0
#: Seconds, and share of a time limit, for which its estimate must say that it will be missed before that is said.
_SURE_SECONDS: Final = 1.0
_SURE_SHARE: Final = 0.05
#: Seconds that a step of a cancel waits for being stored before it is taken: a full disk must not keep a process alive.
_STORED_SECONDS: Final = 2.0
#: Failed items that are read from the log at a time.
_FAILURES_READ: Final = 1000
#: Seconds that a worker of which nothing is known but that it may exist has for its first sign of life.
_FIRST_SIGN_SECONDS: Final = 10.0


class UnknownPipeline(LookupError):
    """No pipeline of that name is on offer. The message names those that are."""


class QueueFull(Exception):
    """As many runs wait as may wait."""


class NotRetryable(Exception):
    """The run cannot be run again; `code` is for programs, the message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Note(Struct):
    """What the streamer notes about a run beside its state: enough to find it again after a restart."""

    kind: Literal["process", "external"]
    token_hash: str = ""
    reference: str = ""
    identity: dict[str, Any] | None = None
    limit_warned: bool = False


class Life(Struct, frozen=True, rename="camel"):
    """What the streamer knows of a run's life besides its events: the age of its last sign, and its process now."""

    silent_seconds: float
    process: ProcessInfo | None


class _Live(Struct, eq=False):
    """A run that is not over."""

    state: RunState
    note: Note
    seen: float
    handle: Handle | None = None
    cancel_by: str = ""
    cancel_reason: str = ""
    cancelling: bool = False
    #: Who cancels it, one after the other: whether it was asked already is known when that is stored.
    cancels: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    steps: str = ""
    how: CancelOutcome = "gone"
    missing_since: float | None = None
    tasks: set[asyncio.Task[None]] = msgspec.field(default_factory=set)


class Runs:
    """See the module. `open` recovers what an earlier streamer left; `close` leaves workers running and stops watching.

    `clock` is the wall clock in POSIX seconds; `monotonic` measures silences; `new_id` makes run ids.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        catalog: Catalog,
        backend: Backend,
        settings: Settings,
        readers: Executor,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = new_run_id,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._backend = backend
        self._settings = settings
        self._readers = readers
        self._clock = clock
        self._monotonic = monotonic
        self._new_id = new_id
        self._live: dict[str, _Live] = {}
        self._queue: list[str] = []
        self._executing: set[str] = set()
        #: How many are being put into the queue, which is not to become longer than it may meanwhile.
        self._starting = 0
        #: By the id that its producer chose, who registers a run: one at a time.
        self._registering: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._pickup = Pickup(settings.data, read=self.read, ingest=self.ingest, register=self._register_left)
        self.owner = identity.user() or "somebody"
        self.host = socket.gethostname()

    @property
    def url(self) -> str:
        """Where workers reach this streamer; set by the server once it listens."""
        return self._pickup.url

    @url.setter
    def url(self, url: str) -> None:
        self._pickup.url = url

    # -- life of the streamer ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Take up what an earlier streamer left: watch runs that live, end those that are gone, queue the rest."""
        states = await self.read(lambda: _all_unfinished(self._log))
        for state in states:
            record = await self.read(functools.partial(self._log.run, state.run))
            if record is None or record.state.is_over:
                continue
            try:
                note = msgspec.json.decode(record.note, type=Note)
            except msgspec.DecodeError:
                note = Note("external")
            live = _Live(record.state, note, self._monotonic())
            self._live[state.run] = live
            if note.kind == "external":
                continue
            if note.identity is None and state.status == "queued":
                self._queue.append(state.run)
            else:
                self._executing.add(state.run)
                self._spawn(self._recover(state.run, live), live)
        await self.read(self._forget_retries)
        self._spawn(self._tick_forever())
        self._spawn(self._look_forever())
        self._pump()

    async def close(self) -> None:
        """Stop watching. Workers go on: they keep their events until a streamer is back."""
        self._closed = True
        tasks = {*self._tasks, *(task for live in self._live.values() for task in live.tasks)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_appended(self, appended: Appended) -> None:
        """Keep the state of a live run; the hub calls it for every commit."""
        live = self._live.get(appended.run_id)
        if live is None:
            return
        if appended.state.seq > live.state.seq:
            live.state = appended.state
        if not live.state.is_over:
            return
        if live.handle is not None:
            self._spawn(self._reap(live.handle), live)
        elif appended.run_id not in self._executing:
            self._drop(appended.run_id)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def read(self, function: Callable[[], T]) -> T:
        """Call something that blocks, such as a method of the log that reads, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, function)

    async def state(self, run_id: str) -> RunState:
        """Return a run's state. Raises `UnknownRun`."""
        live = self._live.get(run_id)
        if live is not None and live.state.seq:
            return live.state
        record = await self.read(lambda: self._log.run(run_id))
        if record is None:
            raise UnknownRun(run_id)
        return record.state

    def live_states(self) -> list[RunState]:
        """Return the states of the runs that are not over, newest first."""
        # What was not stored yet may never be: nobody is told of it.
        return [live.state for live in self._live.values() if live.state.seq and not live.state.is_over][::-1]

    def life(self, run_id: str) -> Life | None:
        """Return what is known of a run's life at this moment; None for one that is over, or was not begun."""
        live = self._live.get(run_id)
        if live is None or live.state.is_over or live.state.status == "queued":
            return None
        silent = max(self._monotonic() - live.seen, 0.0)
        return Life(round(silent, 3), self._process(live, silent))

    def _process(self, live: _Live, silent: float) -> ProcessInfo | None:
        """Return a run's process as it is now: looked at where it is ours, else told by its signs of life."""
        if live.handle is not None:
            return ProcessInfo(live.handle.pid, self.host, alive=True, doing=live.handle.doing())
        known = live.state.process
        if known is None:
            return None
        alive = True if silent <= self._settings.stall_seconds else None
        return ProcessInfo(known.pid, known.host, alive=alive)

    def queue_length(self) -> int:
        """How many runs wait."""
        return len(self._queue)

    # -- starting ------------------------------------------------------------------------------------------------------

    async def start(
        self,
        pipeline: str,
        values: Mapping[str, Any],
        *,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> RunState:
        """Put a new run of a pipeline into the queue, and start it when there is a place.

        `time_limit_seconds` None: the pipeline's own; 0: none.

        Raises `UnknownPipeline`, `ParametersRefused`, `QueueFull` or `LogUnavailable`.
        """
        return await self._start(pipeline, values, owner, time_limit_seconds)

    async def retry(
        self,
        run_id: str,
        *,
        items: Literal["failed", "all"] = "failed",
        values: Mapping[str, Any] | None = None,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> RunState:
        """Start a run that does a run's failed items again, or all of it, with its parameters but for `values`.

        `time_limit_seconds` None: that of the run. Raises `UnknownRun`, `NotRetryable`, and as `start`.
        """
        old = await self.state(run_id)
        if not old.managed or old.pipeline is None:
            raise NotRetryable(
                "not_retryable",
                f"run {run_id} was executed by somebody else; only who executed it can run it again",
            )
        if not old.is_over:
            raise NotRetryable(
                "run_not_over", f"run {run_id} is {old.status}; it can be run again when it is over"
            )
        if items == "failed" and not old.results.failed:
            raise NotRetryable("nothing_failed", f"no item of run {run_id} failed")
        if time_limit_seconds is None:
            time_limit_seconds = old.time_limit_seconds or 0
        values = {**old.parameters, **(values or {})}
        return await self._start(old.pipeline, values, owner, time_limit_seconds, old=old, items=items)

    async def _start(
        self,
        pipeline: str,
        values: Mapping[str, Any],
        owner: str | None,
        time_limit_seconds: float | None,
        *,
        old: RunState | None = None,
        items: Literal["failed", "all"] = "all",
    ) -> RunState:
        offer = self.offer(pipeline)
        free = max(self._settings.max_runs - len(self._executing), 0)
        waiting = len(self._queue) + max(self._starting - free, 0)
        if waiting >= self._settings.max_queue:
            raise QueueFull(
                f"{waiting:,} runs wait already; expected fewer than {self._settings.max_queue:,}"
            )
        self._starting += 1
        try:
            return await self._enqueue(offer, values, owner, time_limit_seconds, old=old, items=items)
        finally:
            self._starting -= 1

    async def _enqueue(
        self,
        offer: Offer,
        values: Mapping[str, Any],
        owner: str | None,
        time_limit_seconds: float | None,
        *,
        old: RunState | None,
        items: Literal["failed", "all"],
    ) -> RunState:
        # Checking may touch files (a path that must exist), and a pipeline's own code: beside the loop.
        parameters = await self.read(lambda: _checked_values(offer.pipeline, values))
        note = Note("process", reference=offer.reference)
        limit = offer.time_limit_seconds if time_limit_seconds is None else time_limit_seconds
        event = StatusChanged(
            status="queued",
            message="",
            pipeline=offer.name,
            title=offer.title,
            parameters=parameters,
            phases=offer.phases,
            owner=owner or self.owner,
            host=self.host,
            managed=True,
            time_limit_seconds=limit or UNSET,
            retry_of=UNSET if old is None else old.run,
            retry_items=UNSET if old is None else items,
        )
        run_id = self._new_id()
        if old is not None and items == "failed":
            # Before there is a run: what is kept of the failed items may be pruned while it waits.
            await self._keep_failed(old, run_id)
        try:
            state = await self._create(event, note, run_id)
        except BaseException:
            self._retry_path(run_id).unlink(missing_ok=True)
            raise
        if old is not None and (repeated := self._live.get(old.run)) is not None:
            repeated.state = with_retry(repeated.state, run_id)
        self._queue.append(state.run)
        self._pump()
        return state

    async def _keep_failed(self, old: RunState, run_id: str) -> None:
        """Write the failed items of a run where the worker of the run that repeats it finds them."""

        def write() -> int:
            return failed_items.write(self._retry_path(run_id), _failed_pages(self._log, old))

        try:
            count = await self.read(write)
        except OSError as error:
            raise LogUnavailable(f"cannot write the failed items of run {old.run}: {error}") from error
        if not count:
            self._retry_path(run_id).unlink(missing_ok=True)
            raise NotRetryable(
                "not_retryable",
                f"the items of run {old.run} failed in no phase, by which they could be found",
            )

    def _retry_path(self, run_id: str) -> Path:
        return self._settings.data / "retry" / f"{run_id}.jsonl"

    def _forget_retries(self) -> None:
        """Delete what was kept for runs that ended while no streamer was there."""
        for path in (self._settings.data / "retry").glob("*"):
            if path.stem not in self._live:
                path.unlink(missing_ok=True)

    def offer(self, pipeline: str) -> Offer:
        """Return the pipeline on offer under that name. Raises `UnknownPipeline`."""
        offers = {offer.name: offer for offer in self._catalog.offers()}
        if pipeline not in offers:
            names = ", ".join(offers) or "none"
            raise UnknownPipeline(f"no pipeline {pipeline[:100]!r}; on offer: {names}")
        return offers[pipeline]

    async def register(self, registration: Registration) -> tuple[RunState, str]:
        """Make a run that somebody else executes; return its state and the token with which its events come.

        A producer that chose id and token itself may ask again, and gets the same run. At its time limit it is asked to
        end.

        Raises `Forbidden` when the id is that of another run, `ValueError` for its `time`, or `LogUnavailable`.
        """
        known = registration
        time, run_id, token = known.began(), known.run, known.token or secrets.token_urlsafe(24)
        event = StatusChanged(
            status="queued",
            message="",
            pipeline=known.pipeline,
            title=known.title,
            parameters=known.parameters,
            phases=known.phases,
            owner=known.owner or self.owner,
            host=known.host if known.host is not None else UNSET,
            program=known.program if known.program is not None else UNSET,
            managed=False,
            process=UNSET if known.pid is None else ProcessInfo(known.pid, known.host or ""),
            time_limit_seconds=known.time_limit_seconds or UNSET,
        )
        note = Note("external", token_hash=_hash(token))
        if run_id is None:
            return await self._create(event, note, time=time), token
        # Who asks for the same at the same time waits until it is stored, and is answered with that.
        async with self._registering.setdefault(run_id, asyncio.Lock()):
            with contextlib.suppress(UnknownRun):
                await self._check_token(run_id, token)
                return await self.state(run_id), token
            return await self._create(event, note, run_id, time), token

    async def _register_left(self, header: Header) -> None:
        """Register a run that began while no streamer was there."""
        known = header.registration
        assert known is not None
        try:
            known.began()
        except ValueError:
            known = msgspec.structs.replace(known, time=None)
        await self.register(known.named(header.run, header.token))

    async def _create(
        self, event: StatusChanged, note: Note, run_id: str | None = None, time: float | None = None
    ) -> RunState:
        run_id = run_id or self._new_id()
        draft = Draft(event, self.now() if time is None else min(time, self.now()))
        # The live record comes first, so that no append of this run can pass it by.
        live = self._live[run_id] = _Live(RunState(run=run_id), note, self._monotonic())
        try:
            appended = await asyncio.wrap_future(
                self._log.create(run_id, [draft], note=msgspec.json.encode(note))
            )
        except BaseException:
            self._live.pop(run_id, None)
            raise
        live.state = appended.state
        return appended.state

    # -- events from producers -----------------------------------------------------------------------------------------

    async def ingest(
        self, run_id: str, token: str, drafts: Sequence[Draft], first_seq: int | None
    ) -> tuple[int, list[str]]:
        """Append a producer's batch; return the last number stored and what is asked of the producer.

        An empty batch is a sign of life. Raises `UnknownRun`, `Forbidden`, `RunEnded`, `SequenceGap`, `LogUnavailable`.
        """
        live = self._live.get(run_id)
        note = await self._check_token(run_id, token)
        sign: Future[Appended] | None = None
        if live is not None:
            live.seen = self._monotonic()
            begins = note.kind == "external" and live.state.status == "queued"
            first = drafts[0].event if drafts else None
            says_so = isinstance(first, StatusChanged) and first.status == "running"
            if (live.state.status == "stalled" or begins) and not says_so:
                # Its first sign of life, or the first after a silence; stored with the batch, as it is not waited for.
                sign = self._log.append(run_id, [Draft(StatusChanged(status="running"), self.now())])
        batch = self._log.append(run_id, drafts, first_seq=first_seq)
        if sign is not None:
            await asyncio.wrap_future(sign)
        appended = await asyncio.wrap_future(batch)
        return appended.acknowledged, (["cancel"] if live is not None and live.cancelling else [])

    async def _check_token(self, run_id: str, token: str) -> Note:
        """Return a run's note. Raises `UnknownRun`, or `Forbidden` when the token is not its."""
        live = self._live.get(run_id)
        if live is None:
            record = await self.read(lambda: self._log.run(run_id))
            if record is None:
                raise UnknownRun(run_id)
            note = msgspec.json.decode(record.note, type=Note)
        else:
            note = live.note
        if not note.token_hash or not hmac.compare_digest(note.token_hash, _hash(token)):
            raise Forbidden(f"the token is not that of run {run_id}")
        return note

    # -- cancelling ----------------------------------------------------------------------------------------------------

    async def cancel(self, run_id: str, *, by: str = "", reason: str = "") -> RunState:
        """Ask a run to end: it may finish cleanly within the grace period, then its process is terminated.

        `by` is who asks; `reason` is said where it is nobody's wish. A queued run is cancelled at once. Idempotent.

        Raises `UnknownRun`, `RunEnded` when it is over, or `LogUnavailable`: then nothing was asked.
        """
        state = await self.state(run_id)
        live = self._live.get(run_id)
        if live is None:
            raise RunEnded(run_id, state.status)
        async with live.cancels:
            if live.state.is_over:
                raise RunEnded(run_id, live.state.status)
            return await self._cancel(run_id, live, by, reason)

    async def _cancel(self, run_id: str, live: _Live, by: str, reason: str) -> RunState:
        who = f" by {by}" if by else ""
        if run_id in self._queue:
            place = self._queue.index(run_id)
            del self._queue[place]
            try:
                message = f"cancelled{who} before it was started"
                await self._append(run_id, RunCancelled(message=message, how="unstarted", reason=reason))
            except RunEnded:
                raise
            except LogError:
                # Its turn may have come meanwhile.
                self._queue.insert(place, run_id)
                self._pump()
                raise
            self._drop(run_id)
            self._pump()
            return await self.state(run_id)
        if not live.cancelling:
            live.cancelling, live.cancel_by, live.cancel_reason = True, by, reason
            grace = self._settings.cancel_grace_seconds
            ending = (
                f"; its process is terminated if it has not ended in {grace:g} s"
                if live.note.kind == "process"
                else ""
            )
            asked = reason or f"cancel asked{who}"
            try:
                await self._append(
                    run_id,
                    StatusChanged(
                        status="cancelling", message=f"{asked}{ending}", step="asked", by=by, reason=reason
                    ),
                )
            except BaseException:
                # Nobody was told: who asks again, asks.
                live.cancelling, live.cancel_by, live.cancel_reason = False, "", ""
                raise
            if live.note.kind == "process":
                self._spawn(self._enforce_cancel(run_id, live), live)
        return live.state

    async def _enforce_cancel(self, run_id: str, live: _Live) -> None:
        if live.handle is not None:
            # What a cancelled run started must not go on without it, however politely it ends itself.
            live.handle.sweep()
        steps: tuple[tuple[float, Literal["terminated", "killed"]], ...] = (
            (self._settings.cancel_grace_seconds, "terminated"),
            (self._settings.kill_grace_seconds, "killed"),
        )
        for seconds, word in steps:
            await asyncio.sleep(seconds)
            if live.handle is None or live.state.is_over:
                return
            await self._say_step(run_id, word, f"it had not ended after {seconds:g} s; its process is {word}")
            live.steps += f", {word} after {seconds:g} s"
            live.how = word
            self._end_process(live, word)

    def _end_process(self, live: _Live, word: Literal["terminated", "killed"]) -> None:
        # It may have ended while the step was stored.
        if live.handle is not None and word == "killed":
            live.handle.kill()
        elif live.handle is not None:
            live.handle.terminate()

    async def _say_step(self, run_id: str, step: CancelStep, message: str) -> None:
        """Append a step of a cancel before it is taken; one that cannot be stored is taken all the same."""
        with contextlib.suppress(LogError, TimeoutError):
            async with asyncio.timeout(_STORED_SECONDS):
                await self._append(run_id, StatusChanged(status="cancelling", message=message, step=step))

    # -- executing -----------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start queued runs while there is a place."""
        while self._queue and len(self._executing) < self._settings.max_runs and not self._closed:
            run_id = self._queue.pop(0)
            self._executing.add(run_id)
            self._spawn(self._execute(run_id, self._live[run_id]), self._live[run_id])
        for place, run_id in enumerate(self._queue[:_PLACES_ANNOUNCED]):
            live = self._live[run_id]
            message = "next in the queue" if place == 0 else f"queued, {place} ahead"
            if live.state.message != message:
                self._spawn(self._announce(run_id, message), live)

    async def _announce(self, run_id: str, message: str) -> None:
        if run_id in self._queue:
            with contextlib.suppress(LogError):
                await self._append(run_id, StatusChanged(status="queued", message=message))

    async def _execute(self, run_id: str, live: _Live) -> None:
        token = secrets.token_urlsafe(24)
        live.note.token_hash = _hash(token)
        live.seen = self._monotonic()
        spec = WorkerSpec(
            run_id=run_id,
            url=self.url,
            token=token,
            data=str(self._settings.data),
            pipeline=live.note.reference,
            parameters=live.state.parameters,
            spool_bytes=self._settings.spool_bytes,
            retry=str(self._retry_path(run_id)) if live.state.retry_items == "failed" else "",
        )
        try:
            # The token is stored before the worker can use it, and "running" before its first event.
            await self._persist(lambda: self._log.annotate(run_id, msgspec.json.encode(live.note)))
            begins = Draft(StatusChanged(status="running", message="starting its process"), self.now())
            await self._persist(lambda: self._log.append(run_id, [begins]))
            if live.cancelling:
                # Asked meanwhile: there is no process yet that could be asked, or terminated.
                message = f"{_asked(live)} before its process was started"
                await self._end(run_id, RunCancelled(message=message, how="unstarted"))
                self._leave(run_id)
                return
            handle = live.handle = await self._backend.start(spec)
        except RunEnded:
            self._leave(run_id)
            return
        except OSError as error:
            reason = f"its process could not be started: {error}"
            await self._end(
                run_id, RunFailed(message=reason, error=ErrorInfo(type(error).__name__, str(error)))
            )
            self._leave(run_id)
            return
        live.note.identity = handle.identity
        await self._persist(lambda: self._log.annotate(run_id, msgspec.json.encode(live.note)))
        await self._watch(run_id, live, handle)

    async def _recover(self, run_id: str, live: _Live) -> None:
        live.cancelling = live.state.status == "cancelling"
        if live.state.cancel is not None:
            live.cancel_by, live.cancel_reason = live.state.cancel.by, live.state.cancel.reason
        identity = live.note.identity
        if identity is None:
            # The streamer died in the moment of starting it: whether there is a worker, only the worker can say.
            began = live.seen
            await asyncio.sleep(_FIRST_SIGN_SECONDS)
            if live.seen > began or live.state.is_over:
                live.note.kind = "external"
                self._executing.discard(run_id)
                return
        handle = None if identity is None else self._backend.attach(identity)
        if handle is None:
            exit_ = Exit() if identity is None else self._backend.examine(identity)
            reason = "its process ended while the streamer was away"
            if exit_.restarted:
                reason = "the machine was restarted while it ran"
            await self._end_gone(run_id, live, reason, exit_)
            self._leave(run_id)
            return
        live.handle = handle
        if live.cancelling:
            self._spawn(self._enforce_cancel(run_id, live), live)
        await self._watch(run_id, live, handle)

    async def _watch(self, run_id: str, live: _Live, handle: Handle) -> None:
        exit_ = await handle.wait()
        live.handle = None
        state = await self._stored_state(run_id)
        if not state.is_over:
            await self._end_gone(run_id, live, exit_.describe(), exit_)
        self._leave(run_id)

    async def _end_gone(self, run_id: str, live: _Live, reason: str, exit_: Exit) -> None:
        """Append the terminal event of a run whose process is gone without one, here and in its spool."""
        await self._retried(lambda: self._pickup.take(run_id, gone=True))
        if live.cancelling:
            message = f"{_asked(live)}{live.steps or f'; {reason}'}"
            await self._end(run_id, RunCancelled(message=message, how=live.how, reason=live.cancel_reason))
            return
        await self._end(
            run_id, RunFailed(message=reason, error=ErrorInfo(exit_.kind, reason, exit_.output_tail))
        )

    async def _end(self, run_id: str, event: RunFailed | RunCancelled) -> None:
        with contextlib.suppress(RunEnded):
            await self._persist(lambda: self._log.append(run_id, [Draft(event, self.now())]))

    async def _stored_state(self, run_id: str) -> RunState:
        record = await self._persist_read(lambda: self._log.run(run_id))
        if record is None:
            raise UnknownRun(run_id)
        return record.state

    async def _persist(self, submit: Callable[[], Any]) -> Any:
        """Append, and again while the log cannot be written: what has happened must be said once it can be."""
        return await self._retried(lambda: asyncio.wrap_future(submit()))

    async def _persist_read(self, function: Callable[[], T]) -> T:
        return await self._retried(lambda: self.read(function))

    async def _retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        delay = 0.1
        while True:
            try:
                return await attempt()
            except LogUnavailable as error:
                if self._closed:
                    raise
                logger.warning("%s; trying again in %.1f s", error, delay)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                delay = min(delay * 2, 5.0)

    async def _reap(self, handle: Handle) -> None:
        """End a process that stays after its run is over (threads of the user's code that never return, say)."""
        for end in (handle.terminate, handle.kill):
            await asyncio.sleep(self._settings.kill_grace_seconds)
            end()

    def _leave(self, run_id: str) -> None:
        self._executing.discard(run_id)
        self._drop(run_id)
        self._pump()

    def _drop(self, run_id: str) -> None:
        live = self._live.pop(run_id, None)
        if live is not None:
            if live.state.retry_items == "failed":
                self._retry_path(run_id).unlink(missing_ok=True)
            current = asyncio.current_task()
            for task in live.tasks:
                if task is not current:
                    task.cancel()

    # -- liveness ------------------------------------------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            await self.tick()

    async def tick(self) -> None:
        """Look for runs that are silent for too long: `stalled`, or lost when nobody can look after their process."""
        now = self._monotonic()
        for run_id, live in list(self._live.items()):
            try:
                await self._look_after(run_id, live, now)
            except LogUnavailable as error:
                # The others would fare no better.
                logger.warning("%s", error)
                return
            except Exception:
                # One run's trouble must not leave the others without anybody who looks after them.
                logger.exception("run %s could not be looked after", run_id)

    async def _look_after(self, run_id: str, live: _Live, now: float) -> None:
        silent = now - live.seen
        if live.state.is_over or live.state.status == "queued":
            # A registered run that was never begun is lost in time, too.
            if (
                live.note.kind == "external"
                and not live.state.is_over
                and silent > self._settings.lost_seconds
            ):
                await self._lose(run_id, live, silent)
            return
        stalls = live.state.status == "running" and silent > self._settings.stall_seconds
        if stalls or (live.state.status == "stalled" and self._was_stopped_or_goes_on(live)):
            with contextlib.suppress(RunEnded):
                await self._append(run_id, self._stalled(live, silent))
        await self._keep_limit(run_id, live, now)
        if live.note.kind == "external" and silent > self._settings.lost_seconds:
            await self._lose(run_id, live, silent)

    def _was_stopped_or_goes_on(self, live: _Live) -> bool:
        """Say whether the process of a stalled run was stopped since that was told, or is not any more."""
        known = live.state.process
        if live.handle is None or known is None:
            return False
        doing = live.handle.doing()
        return doing != "" and (doing == "stopped") != (known.doing == "stopped")

    def _stalled(self, live: _Live, silent: float) -> StatusChanged:
        message = f"no sign of life for {silent:.0f} s"
        process = self._process(live, silent)
        if process is None:
            return StatusChanged(status="stalled", message=message)
        if process.alive:
            is_ = "is stopped" if process.doing == "stopped" else "is alive"
            message += f"; process {process.pid} {is_}"
        return StatusChanged(status="stalled", message=message, process=process)

    async def _lose(self, run_id: str, live: _Live, silent: float) -> None:
        if await self._pickup.take(run_id) == "held":
            return  # its process lives: it is the way to here that is cut
        await self._end_gone(
            run_id, live, f"lost: no sign of life from its producer for {silent:.0f} s", Exit()
        )
        self._drop(run_id)

    async def _look_forever(self) -> None:
        """Take what producers left while no streamer was there, or none that they could reach."""
        while True:
            try:
                for run_id in await self._pickup.look():
                    live = self._live.get(run_id)
                    if live is not None and live.note.kind == "external" and not live.state.is_over:
                        await self._end_gone(run_id, live, "its process ended without finishing", Exit())
                        self._drop(run_id)
            except LogUnavailable as error:
                logger.warning("%s", error)
            except Exception:
                logger.exception("what producers left could not be taken")
            await asyncio.sleep(_LOOK_SECONDS)

    # -- time limits ---------------------------------------------------------------------------------------------------

    async def _keep_limit(self, run_id: str, live: _Live, moment: float) -> None:
        """Warn, once, when a run's time limit will not be met, and cancel the run at its limit."""
        state, now = live.state, self._clock()
        left = time_limit.seconds_left(state, now)
        if left is None or live.cancelling:
            return
        assert state.time_limit_seconds is not None
        if not left:
            with contextlib.suppress(RunEnded):
                await self.cancel(run_id, reason=time_limit.reason(state.time_limit_seconds))
            return
        if live.note.limit_warned or not time_limit.will_miss(state, now):
            live.missing_since = None
            return
        if live.missing_since is None:
            live.missing_since = moment
        if moment - live.missing_since < min(_SURE_SECONDS, _SURE_SHARE * state.time_limit_seconds):
            return
        live.note.limit_warned = True
        message = time_limit.warning(state, now)
        line = Logged(type="warning", level="WARNING", logger=STREAMER_LOGGER, message=message)
        try:
            await self._append(run_id, line)
            await asyncio.wrap_future(self._log.annotate(run_id, msgspec.json.encode(live.note)))
        except RunEnded:
            pass
        except LogUnavailable:
            live.note.limit_warned = False
            raise

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _append(self, run_id: str, event: Event) -> Appended:
        appended: Appended = await asyncio.wrap_future(self._log.append(run_id, [Draft(event, self.now())]))
        live = self._live.get(run_id)
        if live is not None and appended.state.seq > live.state.seq:
            live.state = appended.state
        return appended

    def now(self) -> float:
        """Return the time that events of this moment get: POSIX seconds, whole milliseconds."""
        return round(self._clock(), 3)

    def _spawn(self, work: Any, live: _Live | None = None) -> None:
        """Start a task of this object's: cancelled by `close`, or with the run it belongs to; its failure is logged."""
        tasks = self._tasks if live is None else live.tasks
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("a task of the streamer failed", exc_info=error)

        task.add_done_callback(done)


def _asked(live: _Live) -> str:
    """Say that a run was cancelled, and why or by whom."""
    return live.cancel_reason or (f"cancelled by {live.cancel_by}" if live.cancel_by else "cancelled")


def _checked_values(pipeline: type[Pipeline], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a run as its events have them. Raises `ParametersRefused`."""
    parameters = values_of(build(pipeline, values))
    data = msgspec.json.encode(parameters)
    if len(data) > RESULT_LIMIT or is_nested_too_deep(data):
        # An event would say in their place how large they were, and its worker know no more.
        expected = f"at most {RESULT_LIMIT:,} bytes of JSON, nested at most {NESTING_LIMIT} levels deep"
        raise ParametersRefused(
            (Problem("", f"the parameters together must be {expected}", expected=expected),)
        )
    return parameters


def _failed_pages(log: EventLog, old: RunState) -> Iterator[list[ItemFailed]]:
    """Return all failed items of a run, in pages. Raises `NotRetryable` when some of them are not there any more."""
    after, number = 0, 0
    while found := log.failures(old.run, after=after, limit=_FAILURES_READ):
        yield [entry.event for entry in found if isinstance(entry.event, ItemFailed)]
        after = found[-1].offset
        number += len(found)
    if number < old.results.failed:
        raise NotRetryable(
            "not_retryable",
            f"of the {old.results.failed:,} failed items of run {old.run} {number:,} are kept; "
            "all that it did can be done again, but not exactly those",
        )


def _all_unfinished(log: EventLog) -> list[RunState]:
    """Return every run that is not over, oldest first."""
    found: list[RunState] = []
    while page := log.runs(status=UNDER_WAY, limit=200, before=found[-1].run if found else None):
        found.extend(page)
    return found[::-1]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
