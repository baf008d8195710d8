"""`Producers`: registers runs that others execute, and takes in the events of all producers. Knows no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET

from streamer.model.events import ProcessInfo, StatusChanged
from streamer.model.parameters.secret import shown_parameters
from streamer.model.state import RunState
from streamer.protocol.registration import Registration
from streamer.protocol.spool import Header
from streamer.server.log.base import Appended, Draft, UnknownRun
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRuns, Note, token_hash


class Forbidden(Exception):
    """The token is not this run's."""


class Producers:
    """See the module. The event loop alone calls it. `owner` is the owner of runs that name none."""

    def __init__(
        self, journal: Journal, live: LiveRuns, *, owner: str, monotonic: Callable[[], float]
    ) -> None:
        self._journal = journal
        self._live = live
        self._owner = owner
        self._monotonic = monotonic
        #: By the id that a producer chose: one registration of it at a time.
        self._registering: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def register(self, registration: Registration) -> tuple[RunState, str]:
        """Make a run that its producer executes.

        A producer that chose id and token may ask again, and gets the same run. The run is asked to stop at its time
        limit.

        Args:
            registration: The producer's description of the run.

        Returns:
            The run's state, and the token with which its events come.

        Raises:
            Forbidden: The id is that of another run.
            ValueError: The registration's time is not an RFC 3339 time.
            LogUnavailable: The log cannot be written.

        """
        known = registration
        time, run_id, token = known.began(), known.run, known.token or secrets.token_urlsafe(24)
        event = StatusChanged(
            status="queued",
            message="",
            pipeline=known.pipeline,
            title=known.title,
            parameters=shown_parameters(known.parameters),
            phases=known.phases,
            owner=known.owner or self._owner,
            host=known.host if known.host is not None else UNSET,
            program=known.program if known.program is not None else UNSET,
            managed=False,
            process=UNSET if known.pid is None else ProcessInfo(known.pid, known.host or ""),
            time_limit_seconds=known.time_limit_seconds or UNSET,
        )
        note = Note("external", token_hash=token_hash(token))
        if run_id is None:
            return await self._journal.create(event, note, time=time), token
        # A second request for the same run waits until the first is stored, and gets the same answer.
        async with self._registering.setdefault(run_id, asyncio.Lock()):
            with contextlib.suppress(UnknownRun):
                await self.check_token(run_id, token)
                return await self._journal.state(run_id), token
            return await self._journal.create(event, note, run_id, time), token

    async def register_left(self, header: Header) -> None:
        """Register a run that began while no streamer was there. Raises as `register`, without `ValueError`.

        Args:
            header: First line of the run's spool; it has a registration.

        """
        known = header.registration
        assert known is not None
        try:
            known.began()
        except ValueError:
            known = msgspec.structs.replace(known, time=None)
        await self.register(known.named(header.run, header.token))

    async def ingest(
        self, run_id: str, token: str, drafts: Sequence[Draft], first_seq: int | None
    ) -> tuple[int, list[str]]:
        """Append a producer's batch; an empty batch is a sign of life.

        Args:
            run_id: Id of the run.
            token: The run's token.
            drafts: The events.
            first_seq: The producer's number of the first event; None for an empty batch.

        Returns:
            The number of the last stored event, and the streamer's requests to the producer.

        Raises:
            UnknownRun: There is no run of that id.
            Forbidden: The token is not the run's.
            RunEnded: The run is over.
            SequenceGap: Events before this batch are missing.
            LogUnavailable: The log cannot be written.

        """
        live = self._live.get(run_id)
        note = await self.check_token(run_id, token)
        sign: Future[Appended] | None = None
        if live is not None:
            live.seen = self._monotonic()
            begins = note.kind == "external" and live.state.status == "queued"
            first = drafts[0].event if drafts else None
            says_so = isinstance(first, StatusChanged) and first.status == "running"
            if (live.state.status == "stalled" or begins) and not says_so:
                # Its first sign of life, or the first after a silence. Both appends go out before either is awaited.
                running = Draft(StatusChanged(status="running"), self._journal.now())
                sign = self._journal.log.append(run_id, [running])
        batch = self._journal.log.append(run_id, drafts, first_seq=first_seq)
        if sign is not None:
            await asyncio.wrap_future(sign)
        appended = await asyncio.wrap_future(batch)
        return appended.acknowledged, (["cancel"] if live is not None and live.cancelling else [])

    async def check_token(self, run_id: str, token: str) -> Note:
        """Return a run's note. Raises `UnknownRun`, or `Forbidden` when the token is not its."""
        live = self._live.get(run_id)
        if live is None:
            record = await self._journal.read(lambda: self._journal.log.run(run_id))
            if record is None:
                raise UnknownRun(run_id)
            note = msgspec.json.decode(record.note, type=Note)
        else:
            note = live.note
        if not note.token_hash or not hmac.compare_digest(note.token_hash, token_hash(token)):
            raise Forbidden(f"the token is not that of run {run_id}")
        return note
