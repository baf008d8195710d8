"""`Start`: makes the runs of pipelines, new ones and retries, and puts them into the queue. It executes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from streamer.model.bounds import NESTING_LIMIT, RESULT_LIMIT, is_nested_too_deep
from streamer.model.events import StatusChanged
from streamer.model.parameters.allowed_paths import check_paths
from streamer.model.parameters.json_schema import ParametersRefused, Problem, build, secret_names, values_of
from streamer.model.parameters.secret import divide, is_hidden
from streamer.model.pipeline import Pipeline
from streamer.model.reducer import with_retry
from streamer.model.state import RunState
from streamer.model.text.secrets import HIDDEN
from streamer.server.catalog import Catalog, Listing
from streamer.server.runs.journal import Journal
from streamer.server.runs.live_runs import LiveRuns, Note
from streamer.server.runs.queue import Queue
from streamer.server.runs.retry import Items, RetryItems, check_retryable
from streamer.server.runs.secret_store import SecretStore


class UnknownPipeline(LookupError):
    """No pipeline of that name is on offer. The message names those that are."""


class Start:
    """See the module. The event loop alone calls it. `owner` and `host` are those of runs that name none.

    `roots` are the folders that path parameters may name; empty: any.
    """

    def __init__(
        self,
        catalog: Catalog,
        journal: Journal,
        queue: Queue,
        live: LiveRuns,
        *,
        retries: RetryItems,
        secrets: SecretStore,
        owner: str,
        host: str,
        roots: Sequence[Path] = (),
    ) -> None:
        self._catalog = catalog
        self._journal = journal
        self._queue = queue
        self._live = live
        self._retries = retries
        self._secrets = secrets
        self._owner = owner
        self._host = host
        self._roots = roots

    def _offer(self, pipeline: str) -> Listing:
        offers = {offer.name: offer for offer in self._catalog.offers()}
        if pipeline not in offers:
            names = ", ".join(offers) or "none"
            raise UnknownPipeline(f"no pipeline {pipeline[:100]!r}; on offer: {names}")
        return offers[pipeline]

    def _checked(self, pipeline: type[Pipeline], values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters of a run, its secrets as they are. Raises `ParametersRefused`."""
        check_paths(pipeline, values, self._roots)
        return _checked_values(pipeline, values)

    async def start(
        self,
        pipeline: str,
        values: Mapping[str, Any],
        *,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> RunState:
        """Make a run and put it into the queue; see `Runs.start`.

        Args:
            pipeline: The pipeline's name.
            values: Its parameters, as JSON; those not given have their defaults.
            owner: The user who starts it; None: the streamer's own user.
            time_limit_seconds: Seconds the run may take; None: as the pipeline says; 0: any time.

        Returns:
            The state of the queued run.

        """
        return await self._start(pipeline, values, owner, time_limit_seconds)

    async def check(self, pipeline: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that a start with these values would have, as they are shown; see `Runs.check`.

        Args:
            pipeline: The pipeline's name.
            values: Its parameters, as JSON.

        """
        offer = await self._journal.read(lambda: self._offer(pipeline))
        whole = await self._journal.read(lambda: self._checked(offer.pipeline, values))
        return divide(whole, secret_names(offer.pipeline))[0]

    async def retry(
        self,
        run_id: str,
        *,
        items: Items = "failed",
        values: Mapping[str, Any] | None = None,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> RunState:
        """Make a run that repeats another one, and put it into the queue; see `Runs.retry`.

        Args:
            run_id: The run that is repeated.
            items: "failed" or "all".
            values: Parameters that differ from those of the earlier run.
            owner: The user who starts it; None: the streamer's own user.
            time_limit_seconds: Seconds the run may take; None: as before; 0: any time.

        Returns:
            The state of the queued run.

        """
        old = await self._journal.state(run_id)
        pipeline = check_retryable(old, items)
        if time_limit_seconds is None:
            time_limit_seconds = old.time_limit_seconds or 0
        values = {**old.parameters, **(values or {})}
        return await self._start(pipeline, values, owner, time_limit_seconds, old=old, items=items)

    async def _start(
        self,
        pipeline: str,
        values: Mapping[str, Any],
        owner: str | None,
        time_limit_seconds: float | None,
        *,
        old: RunState | None = None,
        items: Items = "all",
    ) -> RunState:
        # Beside the loop: it may import files that are new or have changed.
        offer = await self._journal.read(lambda: self._offer(pipeline))
        with self._queue.room():
            # The check may touch files (a path that must exist) and run a pipeline's own code: beside the loop.
            whole = await self._journal.read(lambda: self._checked(offer.pipeline, values))
            parameters, hidden = divide(whole, secret_names(offer.pipeline))
            note = Note("process", reference=offer.reference, hidden=list(hidden))
            if old is not None and items == "rest":
                note.reached = {one.phase: one.reached for one in old.unreached}
            limit = offer.time_limit_seconds if time_limit_seconds is None else time_limit_seconds
            event = StatusChanged(
                status="queued",
                message="",
                pipeline=offer.name,
                title=offer.title,
                parameters=parameters,
                phases=offer.phases,
                owner=owner or self._owner,
                host=self._host,
                managed=True,
                time_limit_seconds=limit or UNSET,
                retry_of=UNSET if old is None else old.run,
                retry_items=UNSET if old is None else items,
            )
            state = await self._create(event, note, old, items, hidden)
            self._queue.add(state.run)
            self._queue.advance()
            return state

    async def _create(
        self, event: StatusChanged, note: Note, old: RunState | None, items: Items, hidden: Mapping[str, Any]
    ) -> RunState:
        run_id = self._journal.new_id()
        if old is not None and items in ("failed", "rest") and old.results.failed:
            # Before there is a run: the log may remove the failed items while the run waits.
            await self._journal.read(lambda: self._retries.write(old, run_id))
        try:
            # Before the run is in the log: a streamer that dies in between leaves no run without its secrets.
            await self._journal.read(lambda: self._secrets.write(run_id, hidden))
            state = await self._journal.create(event, note, run_id)
        except BaseException:
            self._retries.forget(run_id)
            self._secrets.forget(run_id)
            raise
        if old is not None and (repeated := self._live.get(old.run)) is not None:
            repeated.state = with_retry(repeated.state, run_id)
        return state


def _checked_values(pipeline: type[Pipeline], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a run, its secrets as they are. Raises `ParametersRefused`."""
    names = secret_names(pipeline)
    kept = [name for name, value in values.items() if is_hidden(value, is_secret=name in names)]
    if kept:
        # They are as a page shows them. The values themselves were forgotten when the run had ended.
        message = "is a secret, and was not kept: give it again"
        raise ParametersRefused(tuple(Problem(name, message, HIDDEN, "its value") for name in kept))
    parameters = values_of(build(pipeline, values))
    data = msgspec.json.encode(parameters)
    if len(data) > RESULT_LIMIT or is_nested_too_deep(data):
        # An event would hold their size in their place, and the worker would have no parameters.
        expected = f"at most {RESULT_LIMIT:,} bytes of JSON, nested at most {NESTING_LIMIT} levels deep"
        raise ParametersRefused(
            (Problem("", f"the parameters together must be {expected}", expected=expected),)
        )
    return parameters
