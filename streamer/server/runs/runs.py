"""`Runs`: the runs of one streamer, as the API uses them. It joins the parts of this package and adds nothing to them.

A run's state changes only by events that are appended to the log. The parts, each a module:

- `journal` writes and reads the log; `live_runs` holds the runs that are not over; `tasks` the background tasks.
- `start` and `retry` make runs of pipelines, `queue` gives them their turn, `workers` executes them.
- `producers` registers runs and takes in events; `spool_pickup` takes them from files.
- `cancelling`, `liveness` and `deadlines` watch runs; `endings` ends those whose process is gone.
- `recovery` takes up the runs of an earlier streamer.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

from streamer.client import identity
from streamer.model.state import RunState
from streamer.protocol.registration import Registration
from streamer.protocol.spool import new_run_id
from streamer.server.catalog import Catalog
from streamer.server.execution.base import Backend
from streamer.server.log.base import Appended, Draft, EventLog
from streamer.server.runs.cancelling import Cancelling
from streamer.server.runs.deadlines import Deadlines
from streamer.server.runs.endings import Endings
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRuns
from streamer.server.runs.liveness import Life, Liveness
from streamer.server.runs.producers import Producers
from streamer.server.runs.queue import Queue
from streamer.server.runs.recovery import Recovery
from streamer.server.runs.retry import Items, RetryItems
from streamer.server.runs.secret_store import SecretStore
from streamer.server.runs.spool_pickup import Pickup
from streamer.server.runs.start import Start
from streamer.server.runs.tasks import Tasks
from streamer.server.runs.workers import Workers
from streamer.settings import Settings, allowed_folders

T = TypeVar("T")


class Runs:
    """See the module. The event loop alone calls it. `open` begins the work, `close` ends it; workers go on.

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
        with_estimate: Callable[[RunState], RunState] = lambda state: state,
    ) -> None:
        #: Returns a state with what was last said of the run's remaining time.
        self.with_estimate = with_estimate
        self.owner = identity.user() or "somebody"
        self.host = socket.gethostname()
        self._tasks = tasks = Tasks()
        self._retries = retries = RetryItems(settings.data, log)
        self._secrets = secrets = SecretStore(settings.data)
        self._live = live = LiveRuns(retries, secrets, monotonic=monotonic)
        self._journal = journal = Journal(log, live, tasks, readers=readers, clock=clock, new_id=new_id)
        self._producers = producers = Producers(journal, live, owner=self.owner, monotonic=monotonic)
        self._pickup = pickup = Pickup(
            settings.data, read=journal.read, ingest=producers.ingest, register=producers.register_left
        )
        endings = Endings(journal, pickup)
        self._workers = workers = Workers(
            backend,
            journal,
            endings,
            pickup=pickup,
            retries=retries,
            secrets=secrets,
            settings=settings,
            monotonic=monotonic,
        )
        self._queue = queue = Queue(
            workers, journal, live, tasks, max_runs=settings.max_runs, max_queue=settings.max_queue
        )
        self._start = Start(
            catalog,
            journal,
            queue,
            live,
            retries=retries,
            secrets=secrets,
            owner=self.owner,
            host=self.host,
            roots=allowed_folders(settings),
        )
        self._cancelling = cancelling = Cancelling(journal, live, queue, tasks, settings)
        self._liveness = Liveness(
            journal,
            live,
            endings,
            Deadlines(journal, cancelling, clock=clock),
            pickup,
            host=self.host,
            stall_seconds=settings.stall_seconds,
            lost_seconds=settings.lost_seconds,
            monotonic=monotonic,
        )
        self._recovery = Recovery(
            backend, journal, live, queue, tasks, workers=workers, cancelling=cancelling, endings=endings
        )

    # -- life of the streamer ------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of this streamer for its workers; the server sets it once it listens."""
        return self._pickup.url

    @url.setter
    def url(self, url: str) -> None:
        self._pickup.url = url

    async def open(self) -> None:
        """Take up the runs that an earlier streamer left, then watch all runs and start the queue."""
        await self._recovery.open()
        await self.read(lambda: self._retries.forget_others(self._live))
        await self.read(lambda: self._secrets.forget_others(self._live))
        self._tasks.spawn(self._liveness.tick_forever())
        self._tasks.spawn(self._liveness.look_forever())
        self._queue.advance()

    async def close(self) -> None:
        """Stop watching. Workers go on: they keep their events until a streamer is back."""
        await self._tasks.close()

    def on_appended(self, appended: Appended) -> None:
        """Keep the state of a live run; the hub calls it for every commit.

        Args:
            appended: The entries of one run, and its state after them.

        """
        live = self._live.keep_state(appended)
        if live is None or not live.state.is_over:
            return
        if live.handle is not None:
            self._tasks.spawn(self._workers.reap(live.handle), live.tasks)
        elif not self._queue.is_executing(appended.run_id):
            self._live.drop(appended.run_id)

    async def tick(self) -> None:
        """Look after every run once; a task does it four times a second."""
        await self._liveness.tick()

    # -- reading -------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time of an event of this moment: POSIX seconds, whole milliseconds."""
        return self._journal.now()

    async def read(self, function: Callable[[], T]) -> T:
        """Call a function that blocks in a reader's thread.

        Args:
            function: Reads the log, or files.

        Returns:
            The function's result. Its exceptions are raised here.

        """
        return await self._journal.read(function)

    async def state(self, run_id: str) -> RunState:
        """Return a run's state. Raises `UnknownRun`."""
        return self.with_estimate(await self._journal.state(run_id))

    def live_states(self) -> list[RunState]:
        """Return the states of the runs that are not over, newest first."""
        return [self.with_estimate(state) for state in self._live.states()]

    def life(self, run_id: str) -> Life | None:
        """Return the life of a run at this moment; None for a run that is over, or was not begun."""
        return self._liveness.life(run_id)

    def queue_length(self) -> int:
        """Return how many runs wait."""
        return len(self._queue)

    # -- starting and cancelling ---------------------------------------------------------------------------------------

    async def start(
        self,
        pipeline: str,
        values: Mapping[str, Any],
        *,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> RunState:
        """Put a new run of a pipeline into the queue; it starts when a place is free.

        Args:
            pipeline: Name of the pipeline.
            values: Its parameters; those that are missing have their defaults.
            owner: The person who starts it; None is the streamer's user.
            time_limit_seconds: Seconds after which it is cancelled; None is the pipeline's own limit, 0 is no limit.

        Returns:
            The run's state.

        Raises:
            UnknownPipeline: No pipeline of that name is on offer.
            ParametersRefused: The pipeline does not take these values.
            QueueFull: As many runs wait as may wait.
            LogUnavailable: The log cannot be written.

        """
        return await self._start.start(pipeline, values, owner=owner, time_limit_seconds=time_limit_seconds)

    async def check(self, pipeline: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check parameters as a start does, and start nothing.

        Args:
            pipeline: Name of the pipeline.
            values: Its parameters; those that are missing have their defaults.

        Returns:
            All parameters, as they are shown.

        Raises:
            UnknownPipeline: No pipeline of that name is on offer.
            ParametersRefused: The pipeline does not take these values.

        """
        return await self._start.check(pipeline, values)

    async def retry(
        self,
        run_id: str,
        *,
        items: Items = "failed",
        values: Mapping[str, Any] | None = None,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> RunState:
        """Start a run that repeats another one: its failed items, or all of it.

        Args:
            run_id: Id of the run to repeat.
            items: The items to do again.
            values: Parameters that differ from the old run's; None for no difference.
            owner: The person who starts it; None is the streamer's user.
            time_limit_seconds: Seconds after which it is cancelled; None is the old run's limit, 0 is no limit.

        Returns:
            The new run's state.

        Raises:
            UnknownRun: There is no run of that id.
            NotRetryable: Another program executed the run, it is not over, or nothing of it can be repeated.
            UnknownPipeline, ParametersRefused, QueueFull, LogUnavailable: As `start`.

        """
        return await self._start.retry(
            run_id, items=items, values=values, owner=owner, time_limit_seconds=time_limit_seconds
        )

    async def cancel(self, run_id: str, *, by: str = "", reason: str = "") -> RunState:
        """Ask a run to stop. Idempotent.

        A queued run is cancelled at once. Any other run stops at its next checkpoint; after the grace period its
        process is terminated.

        Args:
            run_id: Id of the run.
            by: The person or program that asks; empty when it is not known.
            reason: Why, when no person asked; empty for none.

        Returns:
            The run's state.

        Raises:
            UnknownRun: There is no run of that id.
            RunEnded: The run is over.
            LogUnavailable: The log cannot be written; the run was not asked.

        """
        return await self._cancelling.cancel(run_id, by=by, reason=reason)

    # -- producers -----------------------------------------------------------------------------------------------------

    async def register(self, registration: Registration) -> tuple[RunState, str]:
        """Make a run that its producer executes.

        Args:
            registration: The producer's description of the run.

        Returns:
            The run's state, and the token with which its events come.

        Raises:
            Forbidden: The id is that of another run.
            ValueError: The registration's time is not an RFC 3339 time.
            LogUnavailable: The log cannot be written.

        """
        return await self._producers.register(registration)

    async def check_token(self, run_id: str, token: str) -> None:
        """Check that a token is a run's. Raises `UnknownRun`, `Forbidden` or `LogUnavailable`.

        Args:
            run_id: Id of the run.
            token: The token.

        """
        await self._producers.check_token(run_id, token)

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
            UnknownRun, Forbidden, RunEnded, SequenceGap, LogUnavailable: As `Producers.ingest`.

        """
        return await self._producers.ingest(run_id, token, drafts, first_seq)
