"""`Client`: a streamer's HTTP API from Python. Folds nothing; what it answers and raises is `streamer.protocol.api`.

It raises:

    StreamerError
    ├── ApiError          the streamer said no: `status`, `code`, `message`, `details`
    │   ├── Refused       400, 413, 415, 422: what was sent is not accepted; `details` names the fields
    │   ├── Forbidden     401, 403: the token is missing or wrong
    │   ├── NotFound      404, 410: there is no such run or pipeline
    │   ├── Conflict      409: the run is over, say
    │   └── Unavailable   429, 5xx: not now; `retry_after_seconds` when it said how long
    ├── StreamerAway      nobody answers (streams do not raise it: they try again)
    ├── StreamReset       entries cannot go on without a gap: the log is another one, or no longer holds them
    └── ProtocolError     an answer that is not a streamer's, or larger than is accepted

Why one module: a method a request, and each is a few lines over the same `Transport.ask`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from streamer.client.addresses import header, run_path, stream_path
from streamer.client.stream import (
    Connection,
    Entries,
    Following,
    Message,
    OnConnection,
    Stream,
    read_cursor,
)
from streamer.client.transport import Transport
from streamer.model.estimate import Estimated, Usual
from streamer.model.events import Entry, PhaseSpec
from streamer.model.timestamps import format_time
from streamer.protocol.api import (
    ApiError,
    Checked,
    Conflict,
    EstimatesAnswer,
    FailuresAnswer,
    FailuresPage,
    Forbidden,
    Form,
    HistoryAnswer,
    LinesAnswer,
    LinesPage,
    NotFound,
    Offer,
    OfferProblem,
    Offers,
    ProtocolError,
    Refused,
    RunsAnswer,
    RunsPage,
    StreamerAway,
    StreamerError,
    StreamReset,
    Ticket,
    Unavailable,
    decode,
    entries_of,
    state_of,
)
from streamer.protocol.cursor import Cursor
from streamer.protocol.frames import Snapshot, read_estimate
from streamer.protocol.registration import Created, Registration

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "Connection",
    "Created",
    "FailuresPage",
    "Forbidden",
    "Form",
    "LinesPage",
    "Message",
    "NotFound",
    "Offer",
    "OfferProblem",
    "Offers",
    "OnConnection",
    "ProtocolError",
    "Refused",
    "RunsPage",
    "Stream",
    "StreamReset",
    "StreamerAway",
    "StreamerError",
    "Unavailable",
]


class Client(Transport):
    """A streamer's API. Used in one event loop, by any number of tasks; a context manager.

    Args:
        url: The streamer's URL. None looks it up with `find_streamer`, and again after every failure, so the client
            finds a streamer that came back on another port.
        token: The operators' secret; None: STREAMER_TOKEN.
        strict: A stream ends with an error at any status but 200, as the WHATWG standard has it. By default the client
            tries 429 and 5xx again.
        settings: The settings; None: those of the environment.
        read_timeout_seconds: The silence after which a stream counts as dead; None: three heartbeats.
        connect_timeout_seconds: The longest time for a connection.
        max_event_bytes: The largest event of a stream.
        max_answer_bytes: The largest answer.
        clock: Returns POSIX seconds.
        sleep: Waits between two attempts.
        rng: Jitters the waits.

    Raises:
        SettingError: A setting has a value that is not allowed.
        ValueError: The URL or the token has not the expected form.

    """

    # -- asking --------------------------------------------------------------------------------------------------------

    async def pipelines(self) -> Offers:
        """Return the pipelines on offer. Raises as the module says, like all that follow."""
        return decode(await self.ask("GET", "/api/pipelines"), Offers)

    async def start(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> str:
        """Start a run of a pipeline.

        Args:
            name: The pipeline's name.
            params: The parameters as JSON values; None: the defaults.
            owner: The name that the run's page shows; None: the streamer's own user.
            time_limit_seconds: The time limit; None: the pipeline's own; 0: no limit.

        Returns:
            The run's id.

        Raises:
            NotFound: There is no such pipeline.
            Refused: Parameters have wrong values; the error names them.

        """
        return (await self.create(name, params, owner=owner, time_limit_seconds=time_limit_seconds)).run

    async def create(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> Created:
        """Start a run of a pipeline, as `start` does.

        Args:
            name: The pipeline's name.
            params: The parameters as JSON values; paths, dates and times are texts. None: the defaults.
            owner: The name that the run's page shows; None: the streamer's own user.
            time_limit_seconds: The time limit; None: the pipeline's own; 0: no limit.

        Returns:
            The run's id, status and addresses.

        Raises:
            NotFound: There is no such pipeline.
            Refused: Parameters have wrong values; the error names them.

        """
        if name in ("", ".", ".."):
            raise NotFound(404, "not_found", f"no pipeline {name!r}")
        path = f"/api/pipelines/{quote(name, safe='')}/runs"
        headers = {} if owner is None else {"X-Streamer-Owner": header("owner", owner)}
        query = {"time_limit_seconds": None if time_limit_seconds is None else f"{time_limit_seconds:g}"}
        body = await self.ask("POST", path, query, body=dict(params or {}), headers=headers)
        return decode(body, Created)

    async def check(self, name: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Check a pipeline's parameters as `start` does, and start nothing.

        Args:
            name: The pipeline's name.
            params: The parameters as JSON values; None: the defaults.

        Returns:
            All parameters, defaults included, as they are shown.

        Raises:
            NotFound: There is no such pipeline.
            Refused: Parameters have wrong values; the error names them.

        """
        path = f"/api/pipelines/{quote(name, safe='')}/runs"
        answer = await self.ask("POST", path, {"check": "true"}, body=dict(params or {}))
        return decode(answer, Checked).parameters

    async def estimate(self, name: str, params: Mapping[str, Any] | None = None) -> Usual:
        """Return how long a run of a pipeline takes, from earlier runs.

        Args:
            name: The pipeline's name.
            params: The parameters as JSON values; None: the defaults.

        Returns:
            The duration in seconds, and how many earlier runs it rests on.

        Raises:
            NotFound: There is no such pipeline.
            Refused: Parameters have wrong values; the error names them.

        """
        path = f"/api/pipelines/{quote(name, safe='')}/estimate"
        return decode(await self.ask("POST", path, body=dict(params or {})), Usual)

    async def estimates(self, run_id: str) -> list[Estimated]:
        """Return what was said of a run's remaining time, oldest first, at most 200.

        Args:
            run_id: The run.

        Returns:
            The estimates.

        Raises:
            NotFound: There is no such run.

        """
        body = await self.ask("GET", f"{run_path(run_id)}/estimates")
        return [read_estimate(one) for one in decode(body, EstimatesAnswer).estimates]

    async def history(
        self, *, pipeline: str | None = None, title: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return runs that are over, newest first: durations, parameters, and what was said of each meanwhile.

        Args:
            pipeline: Only runs of this pipeline.
            title: Only runs with exactly this title.
            limit: The most runs; None: the streamer's own number.

        Returns:
            The runs as `GET /api/history` answers them.

        """
        asked = {"pipeline": pipeline, "title": title, "limit": limit}
        return decode(await self.ask("GET", "/api/history", asked), HistoryAnswer).runs

    async def form(self, name: str, values: Mapping[str, Any], changed: Sequence[str] = ()) -> Form:
        """Return a form after a change, as the pipeline's own code answers it.

        Args:
            name: The pipeline's name.
            values: The values so far, as JSON.
            changed: The names of the parameters that were changed last.

        Returns:
            The form's values and schema, and the values that do not fit.

        Raises:
            NotFound: There is no such pipeline.
            Refused: The pipeline's code raised, or took too long.
            Unavailable: As many forms are being computed as may be.

        """
        path = f"/api/pipelines/{quote(name, safe='')}/form"
        body = {"values": dict(values), "changed": list(changed)}
        return decode(await self.ask("POST", path, body=body), Form)

    async def retry(
        self,
        run_id: str,
        *,
        items: Literal["failed", "rest", "all"] = "failed",
        params: Mapping[str, Any] | None = None,
        owner: str | None = None,
        time_limit_seconds: float | None = None,
    ) -> Created:
        """Start a run that repeats a run's failed items, or everything.

        Args:
            run_id: The run to repeat.
            items: ``failed``; ``rest``: those and the ones that it never reached; or ``all``.
            params: The parameters that differ from the old run's.
            owner: The name that the run's page shows; None: the streamer's own user.
            time_limit_seconds: The time limit; None: the old run's; 0: no limit.

        Returns:
            The new run's id, status and addresses.

        Raises:
            NotFound: There is no such run.
            Refused: Parameters have wrong values.
            Conflict: The run is not over, nothing failed, or somebody else executed it.

        """
        headers = {} if owner is None else {"X-Streamer-Owner": header("owner", owner)}
        query = {"time_limit_seconds": None if time_limit_seconds is None else f"{time_limit_seconds:g}"}
        spec = {"items": items, "parameters": dict(params or {})}
        return decode(
            await self.ask("POST", run_path(run_id, "retry"), query, body=spec, headers=headers), Created
        )

    async def register(
        self,
        title: str,
        *,
        phases: Sequence[PhaseSpec] = (),
        parameters: Mapping[str, Any] | None = None,
        pipeline: str | None = None,
        owner: str | None = None,
        host: str | None = None,
        program: str | None = None,
    ) -> Created:
        """Register a run that the caller executes.

        Args:
            title: The run's title.
            phases: Its phases with their weights.
            parameters: Its parameters as JSON values, for its page.
            pipeline: The name of its pipeline; None: it has none.
            owner: The name that its page shows.
            host: The machine that executes it.
            program: The program that executes it.

        Returns:
            The run's id and addresses, and the `token` that its events are sent with.

        Raises:
            Refused: A value has not the expected form.

        """
        spec = Registration(
            title=title,
            phases=tuple(phases),
            parameters=dict(parameters or {}),
            pipeline=pipeline,
            owner=owner,
            host=host,
            program=program,
        )
        return decode(await self.ask("POST", "/api/runs", body=spec), Created)

    async def run(self, run_id: str) -> Snapshot:
        """Read a run.

        Args:
            run_id: The run's id.

        Returns:
            The run's state, and the cursor to resume its stream from.

        Raises:
            NotFound: There is no such run.
            ProtocolError: The answer is not a streamer's.

        """
        data = decode(await self.ask("GET", run_path(run_id)), dict[str, Any])
        cursor = Cursor.parse(str(data.get("cursor", "")))
        if cursor is None:
            raise ProtocolError(f"expected a cursor EPOCH-OFFSET, received {str(data.get('cursor'))[:100]!r}")
        return Snapshot(state_of(data), cursor)

    async def runs(
        self,
        *,
        status: str | Iterable[str] | None = None,
        outcome: str | Iterable[str] | None = None,
        pipeline: str | None = None,
        title: str | None = None,
        owner: str | None = None,
        search: str | None = None,
        since: float | None = None,
        until: float | None = None,
        failures: bool = False,
        sort: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> RunsPage:
        """List runs, newest first, a page at a time.

        Args:
            status: Only runs of this status, or of these.
            outcome: Only runs that ended so, or in one of these ways: complete, partial, failed, cancelled.
            pipeline: Only runs of this pipeline.
            title: Only runs with exactly this title.
            owner: Only runs of this owner.
            search: Only runs with this text in title, owner or parameters.
            since: Only runs that were made at this time or later, in POSIX seconds.
            until: Only runs that were made before this time, in POSIX seconds.
            failures: Only runs in which items failed.
            sort: created, title, owner, elapsed or failed; with a minus before it descending. None: newest first.
            before: The `next` of the page before; None: the newest runs.
            limit: The most runs of a page; None: the streamer's own size.

        Returns:
            The runs' states, the cursor of the next page, how many match, and the counts of all runs.

        """
        body = await self.ask(
            "GET",
            "/api/runs",
            {
                "status": _joined(status),
                "outcome": _joined(outcome),
                "pipeline": pipeline,
                "title": title,
                "owner": owner,
                "search": search,
                "since": None if since is None else format_time(since),
                "until": None if until is None else format_time(until),
                "failures": "true" if failures else None,
                "sort": sort,
                "before": before,
                "limit": limit,
            },
        )
        answer = decode(body, RunsAnswer)
        return RunsPage(tuple(state_of(run) for run in answer.runs), answer.next, answer.counts, answer.total)

    async def log(
        self,
        run_id: str,
        *,
        level: str | None = None,
        search: str | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> LinesPage:
        """Read log lines of a run, a page at a time.

        Args:
            run_id: The run's id.
            level: Only lines of this level or above.
            search: Only lines with this text.
            before: The `older` of another page: lines before it.
            after: The `newer` of another page: lines after it. Without both: the newest lines.
            limit: The most lines of a page; None: the streamer's own size.

        Returns:
            The lines, oldest first, and the cursors of the pages around them.

        Raises:
            NotFound: There is no such run.

        """
        body = await self.ask(
            "GET",
            run_path(run_id, "log"),
            {"level": level, "search": search, "before": before, "after": after, "limit": limit},
        )
        answer = decode(body, LinesAnswer)
        return LinesPage(entries_of(answer.lines), answer.older, answer.newer, answer.total, answer.partial)

    async def failures(
        self, run_id: str, *, after: str | None = None, limit: int | None = None
    ) -> FailuresPage:
        """Read failed items with their errors and tracebacks, oldest first.

        Args:
            run_id: The run's id.
            after: The `next` of the page before; None: the first items.
            limit: The most items of a page; None: the streamer's own size.

        Returns:
            The items, the cursor of the next page, and the number of all.

        Raises:
            NotFound: There is no such run.

        """
        body = await self.ask("GET", run_path(run_id, "failures"), {"after": after, "limit": limit})
        answer = decode(body, FailuresAnswer)
        return FailuresPage(entries_of(answer.failures), answer.next, answer.total)

    async def cancel(self, run_id: str, *, by: str = "") -> str:
        """Ask a run to stop.

        Args:
            run_id: The run's id.
            by: The name of the person who asks, for the run's log.

        Returns:
            The run's status now.

        Raises:
            NotFound: There is no such run.
            Conflict: The run is over.

        """
        body = await self.ask("POST", run_path(run_id, "cancel"), body={"by": by} if by else {})
        return decode(body, Created).status

    async def ticket(self, run_id: str) -> Ticket:
        """Return a secret with which a page of another origin may cancel a run. Raises `NotFound`."""
        return decode(await self.ask("POST", run_path(run_id, "ticket"), body={}), Ticket)

    # -- streams -------------------------------------------------------------------------------------------------------

    def entries(
        self,
        run_id: str | None = None,
        *,
        cursor: str | Cursor | None = None,
        from_start: bool = True,
        on_connection: OnConnection | None = None,
    ) -> Stream[Entry]:
        """Return the entries of a run, or of all runs, each once, in the order of the log, as they happen.

        It begins after `cursor`, else with the first entry, else (`from_start=False`) with the next one to happen. It
        reconnects and resumes for as long as it takes. It ends after the run's terminal event, or when the streamer
        says that nothing will follow; the stream of all runs does not end.

        Iterating raises `StreamReset` when there would be a gap. Only a stream that began with the next entry, without
        a cursor, and has yielded none yet, goes on with the next one after that instead. It also raises `NotFound`,
        other `ApiError`s and `ProtocolError`.

        Args:
            run_id: The run; None: all runs.
            cursor: The cursor to go on after; None: from now on.
            from_start: Whether to begin with the first entry.
            on_connection: Called with the state of the connection, and why.

        """
        return Entries(self, stream_path(run_id), run_id, read_cursor(cursor), from_start, on_connection)

    def follow(
        self,
        run_id: str | None = None,
        cursor: str | Cursor | None = None,
        *,
        from_start: bool = False,
        on_connection: OnConnection | None = None,
    ) -> Stream[Message]:
        """Return what is needed to fold the state of a run, or of all runs, and keep it: a snapshot, then entries.

        With a `cursor` it begins with the entries after it, with `from_start` with the first one, of which there may be
        many; then no snapshot is needed. Where it cannot go on without a gap, now or later, a
        `Reset` comes (what is known is void) and a new snapshot. Among those of all runs `Removed` says that one is not
        kept any more. It ends and raises as `entries`, but for the reset.

        Args:
            run_id: The run; None: all runs.
            cursor: The cursor to go on after; None: begin with a snapshot.
            from_start: Whether to begin with the first entry.
            on_connection: Called with the state of the connection, and why.

        """
        return Following(self, stream_path(run_id), run_id, read_cursor(cursor), from_start, on_connection)


def _joined(words: str | Iterable[str] | None) -> str | None:
    return words if words is None or isinstance(words, str) else ",".join(words)
