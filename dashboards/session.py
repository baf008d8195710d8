"""A session's reactive mirrors: of one run, of the list of runs, of the form that starts one. No network, no rendering.

Views watch a model; whoever has the data (a feed, a test, the gallery) changes it. A viewer's requests go out
through the injected commands. A model belongs to one session and is used on that session's thread only; `close()` ends
every watcher.
"""

from __future__ import annotations

import math
import time as _time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import param

from streamer.model.events import LEVELS, STATUSES, TERMINAL, FailedItem
from streamer.model.state import RunState
from streamer.model.summary import Summary, summarise
from streamer.protocol.pages import LINES_PER_PAGE, RUNS_PER_PAGE

#: How many log lines a window holds, at most; what is farther back is asked for.
WINDOW_LINES: Final = 500
#: How many lines are asked for at a time when the reader scrolls beyond the window.
PAGE_LINES: Final = LINES_PER_PAGE
#: How many failed items, and how many runs, make a page.
PAGE_FAILURES: Final = 50
PAGE_RUNS: Final = RUNS_PER_PAGE
#: The longest search text that is taken from a viewer.
SEARCH_LIMIT: Final = 200

CONNECTIONS: Final = ("connecting", "live", "away", "missing")
TABS: Final = ("log", "failures", "parameters", "result")


class LogLine(NamedTuple):
    """A line of the log: `offset` is its cursor, `time` POSIX seconds; `fields` what was logged beside it, as text."""

    offset: int
    time: float
    level: str
    logger: str
    phase: str | None
    item: str | None
    message: str
    fields: str = ""


class LogWindow(NamedTuple):
    """Consecutive lines that match the viewer's filter, oldest first, and whether there are more on either side.

    `total` counts all lines that match, None when that is not known.
    """

    lines: tuple[LogLine, ...] = ()
    has_older: bool = False
    has_newer: bool = False
    total: int | None = None


class LogChange(NamedTuple):
    """The change of the window: `lines` replaced it, or joined it at its end or its beginning.

    `after` is the offset of the line the new ones follow (of the line they precede for "prepended"), None for an empty
    window.
    """

    kind: str
    lines: tuple[LogLine, ...]
    after: int | None = None


class FailuresPage(NamedTuple):
    """Consecutive failed items with their tracebacks, oldest first; `first` is the first one's index among all `total`.

    `older` and `newer` are the cursors to ask for the pages before and after, None where there is none.
    """

    items: tuple[FailedItem, ...] = ()
    total: int = 0
    first: int = 0
    older: str | None = None
    newer: str | None = None


class RunCommands(Protocol):
    """The commands of a run's viewer. Each raises `CommandError` with words for the viewer."""

    async def cancel(self) -> None: ...

    async def retry(self) -> str:
        """Start a run of exactly the failed items and return its id."""

    async def log_window(
        self, *, level: str, search: str, before: int | None, after: int | None, limit: int
    ) -> LogWindow:
        """Return at most `limit` lines before or after a cursor, or the last ones when both are None."""

    async def failures(self, *, before: str | None, after: str | None, limit: int) -> FailuresPage: ...


class RunsCommands(Protocol):
    """The commands of a viewer of the list of runs."""

    async def runs(
        self, *, status: str, pipeline: str, search: str, before: str | None, limit: int
    ) -> tuple[tuple[RunState, ...], bool]:
        """Return runs older than the run `before` (the newest when None), newest first, and whether there are more."""


class StartCommands(Protocol):
    """The commands of somebody who starts a pipeline."""

    async def start(
        self,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        again: str = "",
        time_limit_seconds: float | None = None,
    ) -> str:
        """Start a run, which repeats the run `again` if any; return its id. Raises `StartRefused` or `CommandError`."""


class CommandError(Exception):
    """A command could not be carried out; the message is for the viewer. `StartRefused` names the fields at fault."""


class StartRefused(CommandError):
    """The parameters were refused: `fields` maps a parameter's name to what was expected of it."""

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline on offer: `schema` is the JSON schema of its parameters, `phases` are (name, weight).

    `time_limit_seconds` is how long its runs may take, None for any time.
    """

    name: str
    title: str = ""
    doc: str = ""
    phases: tuple[tuple[str, float], ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    time_limit_seconds: float | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PipelineSpec:
        """Read one item of `GET /api/pipelines`."""
        schema = data.get("parameters", data.get("schema")) or {}
        return cls(
            name=str(data["name"]),
            title=str(data.get("title") or data["name"]),
            doc=str(data.get("doc") or ""),
            phases=tuple((str(p["name"]), float(p.get("weight", 1))) for p in data.get("phases") or ()),
            schema=schema,
            time_limit_seconds=data.get("timeLimitSeconds"),
        )


class Session(param.Parameterized):
    """Base of the mirrors: the joined update, the clock, and the end of every watcher.

    `clock` returns POSIX seconds. `commands` is None in literal mode: then what needs the streamer is disabled.
    """

    connection: Any = param.Selector(
        default="live", objects=list(CONNECTIONS), doc="How the streamer is reached."
    )
    connection_message = param.String(default="", doc="What to say about the connection.")
    now = param.Number(
        default=0.0, doc="The time by this process' clock, in whole POSIX seconds: the same for all sessions."
    )
    beat = param.Integer(default=0, doc="Counts on when nothing changed for a while after a change.")
    loaded = param.Integer(default=0, doc="Counts the times that a browser has loaded the page.")
    notice = param.String(default="", doc="Why the last thing the viewer asked for did not work.")

    def __init__(
        self, *, commands: Any = None, clock: Callable[[], float] = _time.time, **params: Any
    ) -> None:
        params.setdefault("now", math.floor(clock()))
        super().__init__(**params)
        self.commands = commands
        #: Where this model may be changed; None: wherever its owner is.
        self.place: Any = None
        self._clock = clock
        self._away_since: float = self.now
        self._ends: list[Callable[[], object]] = []
        self.closed = False

    def update(self, **changes: Any) -> None:
        """Change several parameters at once; views see them together."""
        if self.closed:
            return
        if changes.get("connection", self.connection) != self.connection:
            self._away_since = self.now
        # Why not `param.update`: it first reads every parameter there is.
        with param.parameterized.batch_call_watchers(self):
            for name, value in changes.items():
                if value is not getattr(self, name):
                    setattr(self, name, value)

    @property
    def away_seconds(self) -> float | None:
        """For how long the streamer has been away, in seconds; None: it is not."""
        return max(self.now - self._away_since, 0.0) if self.connection == "away" else None

    def run(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function of this model, such as `RunModel.cancel`, where the model may be changed.

        Args:
            action: Returns the coroutine. Without a streamer to ask it ends at once.
        """
        if self.place is not None:
            self.place.run(action)
            return
        with suppress(StopIteration):
            action().send(None)

    @property
    def place_is_thread(self) -> bool:
        """Whether this model is changed outside of its documents' locks."""
        return bool(getattr(self.place, "is_thread", False))

    def whole_second(self) -> int:
        """Return what `now` is to be."""
        return math.floor(self._clock())

    def tick(self) -> None:
        """Move `now` on, to be called once a second."""
        now = self.whole_second()
        if now != self.now:
            self.update(now=now)

    def listen(self, callback: Callable[..., object], names: Iterable[str]) -> None:
        """Call `callback` with the batched events when any of the parameters is set, until `close`.

        The new value may equal the old one: to find that out, `param` needs longer than the rest of an update.
        """
        watcher = self.param.watch(callback, list(names), onlychanged=False)
        self.on_close(lambda: self._unwatch(watcher))

    def _unwatch(self, watcher: Any) -> None:
        with suppress(ValueError):
            self.param.unwatch(watcher)

    def on_close(self, end: Callable[[], object]) -> None:
        """Call `end` once when the session is over (at once when it is over already)."""
        if self.closed:
            end()
        else:
            self._ends.append(end)

    def close(self) -> None:
        """End every watcher and forget the commands. Idempotent."""
        self.closed = True
        ends, self._ends = self._ends, []
        for end in reversed(ends):
            end()
        self.commands = None


class RunModel(Session):
    """The reactive mirror of one run, and what its viewer chose.

    From literals: ``RunModel(state=RunState(…), log=LogWindow(…), failures=FailuresPage(…), now=…)``. The feeding code
    replaces `state` at most ten times a second and appends log lines with `advance`.
    """

    run_id = param.String(default="", doc="The run's id.")
    state = param.ClassSelector(class_=RunState, default=None, allow_None=True, doc="None until it is known.")
    level = param.String(default="", doc="The least level of the lines shown; empty: all.")
    search = param.String(default="", doc="Text the lines shown contain; empty: all.")
    following = param.Boolean(default=True, doc="Whether the log stays at its end.")
    tab: Any = param.Selector(default="log", objects=list(TABS), doc="The details shown.")
    log = param.ClassSelector(class_=LogWindow, default=LogWindow(), doc="The lines at hand.")
    log_change = param.ClassSelector(
        class_=LogChange, default=None, allow_None=True, doc="What last became of `log`."
    )
    log_busy = param.Boolean(default=False, doc="Whether lines are on their way.")
    failures = param.ClassSelector(
        class_=FailuresPage, default=FailuresPage(), doc="The failed items at hand."
    )
    failures_busy = param.Boolean(default=False, doc="Whether failed items are on their way.")
    cancel_asked = param.Boolean(default=False, doc="Whether this viewer asked to cancel the run.")
    link = param.String(default="", doc="The page's URL for Copy link; empty: the browser's own.")
    retry_busy = param.Boolean(default=False, doc="Whether the failed items are being started again.")
    retry_run = param.String(default="", doc="The run of the failed items that this viewer started.")

    def __init__(self, *, commands: RunCommands | None = None, **params: Any) -> None:
        state = params.get("state")
        if state is not None:
            params.setdefault("run_id", state.run)
        log = params.get("log")
        if log is not None and not isinstance(log, LogWindow):
            params["log"] = LogWindow(lines=tuple(log)[-WINDOW_LINES:], total=len(tuple(log)))
        failures = params.get("failures")
        if failures is not None and not isinstance(failures, FailuresPage):
            params["failures"] = FailuresPage(
                items=tuple(failures)[:PAGE_FAILURES], total=len(tuple(failures))
            )
        super().__init__(commands=commands, **params)
        self._request = 0
        self._summary: tuple[Any, ...] = (None, None, None, None)

    @property
    def summary(self) -> Summary | None:
        """The run in numbers and words, made once for all views; None until the run is known."""
        if self.state is None:
            return None
        state, now, away, summary = self._summary
        if state is not self.state or (now, away) != (self.now, self.away_seconds):
            now, away = self.now, self.away_seconds
            summary = summarise(self.state, now, away_seconds=away)
            self._summary = (self.state, now, away, summary)
        made: Summary = summary
        return made

    # -- what happens to the run ---------------------------------------------------------------------------------------

    def advance(
        self, *, state: RunState | None = None, lines: Iterable[LogLine] = (), **changes: Any
    ) -> None:
        """Take in what is new, joined: the state after it, the log lines that came (any level), other parameters.

        Lines that do not match the viewer's filter are left out. A window that does not reach the end, or that is full
        while its reader is elsewhere, stays as it is and only says that there is more.
        """
        if state is not None:
            changes["state"] = state
        fresh = self._fresh(tuple(lines))
        if fresh:
            changes.update(self._appended(fresh))
        if changes:
            self.update(**changes)

    def _fresh(self, lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
        """Return those of the lines, oldest first, that are new and that the filter lets through."""
        window = self.log.lines
        last = window[-1].offset if window else None
        if last is not None and lines and lines[0].offset <= last:
            lines = tuple(line for line in lines if line.offset > last)
        return tuple(line for line in lines if self.matches(line)) if self.level or self.search else lines

    def _appended(self, fresh: tuple[LogLine, ...]) -> dict[str, Any]:
        window = self.log
        total = None if window.total is None else window.total + len(fresh)
        full = not self.following and len(window.lines) + len(fresh) > WINDOW_LINES
        if window.has_newer or full:
            return {"log": window._replace(has_newer=True, total=total)}
        lines = window.lines + fresh
        after = window.lines[-1].offset if window.lines else None
        log = LogWindow(
            lines[-WINDOW_LINES:], window.has_older or len(lines) > WINDOW_LINES, window.has_newer, total
        )
        return {"log": log, "log_change": LogChange("appended", fresh[-WINDOW_LINES:], after)}

    def matches(self, line: LogLine) -> bool:
        """Return whether the viewer's filter lets a line through, as the streamer would."""
        if LEVELS.get(line.level, 20) < LEVELS.get(self.level, 0):
            return False
        return not self.search or self.search.casefold() in line.message.casefold()

    def show_log(self, window: LogWindow, **changes: Any) -> None:
        """Replace the window."""
        window = window._replace(lines=window.lines[-WINDOW_LINES:])
        self.update(log=window, log_change=LogChange("replaced", window.lines), **changes)

    # -- what the viewer asks for --------------------------------------------------------------------------------------

    @property
    def can_cancel(self) -> bool:
        """Whether there is a run to cancel, and nobody asked for it yet."""
        return (
            self.state is not None
            and self.state.status not in TERMINAL
            and self.state.status != "cancelling"
            and not self.cancel_asked
        )

    async def cancel(self) -> None:
        """Ask for the run to be cancelled; `cancel_asked` says so until the run's own status does."""
        if self.commands is None or not self.can_cancel:
            return
        self.update(cancel_asked=True, notice="")
        try:
            await self.commands.cancel()
        except CommandError as error:
            self.update(cancel_asked=False, notice=f"Cancel did not go through: {error}")

    async def retry(self) -> None:
        """Start a run of exactly the failed items, once; `retry_run` becomes its id."""
        # The second click of a double click comes before the first is answered.
        if self.commands is None or self.retry_busy or self.retry_run:
            return
        self.update(retry_busy=True, notice="")
        try:
            run_id = await self.commands.retry()
        except CommandError as error:
            self.update(retry_busy=False, notice=f"The failed items could not be started again: {error}")
        else:
            self.update(retry_busy=False, retry_run=run_id)

    async def filter_log(self, *, level: str | None = None, search: str | None = None) -> None:
        """Choose what the log shows, and get the last lines that match from the streamer."""
        changes: dict[str, Any] = {"following": True}
        if level is not None:
            changes["level"] = level if level in LEVELS else ""
        if search is not None:
            changes["search"] = search[:SEARCH_LIMIT]
        self.update(**changes)
        await self._fetch(None, None)

    async def load_older(self) -> None:
        """Get the lines before the window; it lets go of its newest when it is full."""
        if self.log.lines and self.log.has_older and not self.log_busy:
            await self._fetch(self.log.lines[0].offset, None)

    async def load_newer(self) -> None:
        """Get the lines after the window; it lets go of its oldest when it is full."""
        if self.log.lines and self.log.has_newer and not self.log_busy:
            await self._fetch(None, self.log.lines[-1].offset)

    async def follow(self, following: bool) -> None:
        """Stay at the log's end from now on, or stop staying there."""
        if following == self.following:
            return
        self.update(following=following)
        if following and self.log.has_newer:
            await self._fetch(None, None)

    async def _fetch(self, before: int | None, after: int | None) -> None:
        if self.commands is None:
            return
        self._request += 1
        request = self._request
        self.update(log_busy=True, notice="")
        limit = WINDOW_LINES if before is None and after is None else PAGE_LINES
        try:
            window = await self.commands.log_window(
                level=self.level, search=self.search, before=before, after=after, limit=limit
            )
        except CommandError as error:
            if request == self._request:
                self.update(log_busy=False, notice=f"The log could not be read: {error}")
            return
        # Somebody who types fast has asked again meanwhile: only the last answer counts.
        if request != self._request or self.closed:
            return
        if before is not None:
            self._prepend(window)
        elif after is not None:
            self._extend(window)
        else:
            self.show_log(window, log_busy=False)

    def _prepend(self, older: LogWindow) -> None:
        first = self.log.lines[0].offset if self.log.lines else None
        fresh = tuple(line for line in older.lines if first is None or line.offset < first)
        lines = fresh + self.log.lines
        kept = lines[:WINDOW_LINES]
        log = LogWindow(
            kept, older.has_older, self.log.has_newer or len(lines) > len(kept), older.total or self.log.total
        )
        self.update(log=log, log_change=LogChange("prepended", fresh, first), log_busy=False)

    def _extend(self, newer: LogWindow) -> None:
        last = self.log.lines[-1].offset if self.log.lines else None
        fresh = tuple(line for line in newer.lines if last is None or line.offset > last)
        lines = self.log.lines + fresh
        kept = lines[-WINDOW_LINES:]
        log = LogWindow(
            kept, self.log.has_older or len(lines) > len(kept), newer.has_newer, newer.total or self.log.total
        )
        self.update(log=log, log_change=LogChange("appended", fresh, last), log_busy=False)

    async def page_failures(self, towards: str) -> None:
        """Turn to the page of failed items `towards` "older", "newer" or "first"."""
        if self.commands is None or self.failures_busy:
            return
        before = self.failures.older if towards == "older" else None
        after = self.failures.newer if towards == "newer" else None
        if towards != "first" and before is None and after is None:
            return
        self.update(failures_busy=True, notice="")
        try:
            page = await self.commands.failures(before=before, after=after, limit=PAGE_FAILURES)
        except CommandError as error:
            self.update(failures_busy=False, notice=f"The failed items could not be read: {error}")
            return
        self.update(failures=page, failures_busy=False)


class RunsModel(Session):
    """The reactive mirror of the list of runs, newest first, and what its viewer filters by."""

    rows = param.ClassSelector(class_=tuple, default=(), doc="The runs at hand, newest first.")
    counts = param.Dict(default={}, doc="How many runs there are: running, queued, week.")
    status: Any = param.Selector(
        default="", objects=["", *STATUSES], doc="Show this status only; empty: any."
    )
    pipeline = param.String(default="", doc="Show this pipeline only; empty: any.")
    search = param.String(default="", doc="Show what contains this text only; empty: any.")
    pipelines = param.ClassSelector(class_=tuple, default=(), doc="The names of the pipelines to filter by.")
    has_older = param.Boolean(default=False, doc="Whether there are runs before the last one at hand.")
    busy = param.Boolean(default=False, doc="Whether runs are on their way.")
    first_pipeline = param.String(default="Count", doc="The pipeline that the empty page suggests.")

    def __init__(self, *, commands: RunsCommands | None = None, **params: Any) -> None:
        super().__init__(commands=commands, **params)
        self._request = 0

    @property
    def visible(self) -> tuple[RunState, ...]:
        """The runs at hand that match what the viewer filters by."""
        return tuple(row for row in self.rows if self.matches(row))

    def matches(self, row: RunState) -> bool:
        """Return whether the viewer's filter lets a run through, as the streamer would."""
        if self.status and row.status != self.status:
            return False
        if self.pipeline and row.pipeline != self.pipeline:
            return False
        if not self.search:
            return True
        text = " ".join(
            (
                row.title,
                row.pipeline or "",
                row.owner,
                row.host,
                row.program,
                row.run,
                *_texts(row.parameters),
            )
        ).casefold()
        return all(word in text for word in self.search.casefold().split())

    async def filter(
        self, *, status: str | None = None, pipeline: str | None = None, search: str | None = None
    ) -> None:
        """Choose what is shown, and get the newest runs that match from the streamer, which looks into all of them."""
        changes: dict[str, Any] = {}
        if status is not None:
            changes["status"] = status if status in STATUSES else ""
        if pipeline is not None:
            changes["pipeline"] = pipeline[:300]
        if search is not None:
            changes["search"] = search[:SEARCH_LIMIT]
        self.update(**changes)
        await self._fetch(None)

    async def load_older(self) -> None:
        """Get the next page of runs."""
        if self.rows and self.has_older and not self.busy:
            await self._fetch(self.rows[-1].run)

    async def _fetch(self, before: str | None) -> None:
        if self.commands is None:
            return
        self._request += 1
        request = self._request
        self.update(busy=True, notice="")
        try:
            rows, more = await self.commands.runs(
                status=self.status, pipeline=self.pipeline, search=self.search, before=before, limit=PAGE_RUNS
            )
        except CommandError as error:
            if request == self._request:
                self.update(busy=False, notice=f"The runs could not be read: {error}")
            return
        if request != self._request or self.closed:
            return
        known = {row.run for row in self.rows} if before is not None else set()
        kept = self.rows if before is not None else ()
        fresh = tuple(row for row in rows if row.run not in known)
        self.update(rows=(*kept, *fresh), has_older=more, busy=False)


class StartModel(Session):
    """The reactive mirror of the form that starts a pipeline."""

    pipelines = param.ClassSelector(class_=tuple, default=(), doc="The pipelines on offer (`PipelineSpec`).")
    chosen = param.String(default="", doc="The name of the pipeline that the form is for; empty: none yet.")
    values = param.Dict(default={}, doc="What the form is filled with, where it differs from the defaults.")
    typed = param.Dict(default={}, doc="The fields as they were sent last; empty: nobody sent the form yet.")
    errors = param.Dict(default={}, doc="What is wrong, by the name of the parameter.")
    busy = param.Boolean(default=False, doc="Whether the run is being started.")
    run_id = param.String(default="", doc="The run that was started.")
    again = param.String(default="", doc="The run that is done again, of which the form has the values.")
    time_limit = param.Number(
        default=None,
        allow_None=True,
        doc="Seconds the run may take; None: as its pipeline says; 0: any time.",
    )

    def __init__(self, *, commands: StartCommands | None = None, **params: Any) -> None:
        params["pipelines"] = tuple(params.get("pipelines") or ())
        if not params.get("chosen") and params["pipelines"]:
            params["chosen"] = params["pipelines"][0].name
        super().__init__(commands=commands, **params)

    @property
    def pipeline(self) -> PipelineSpec | None:
        """The pipeline that the form is for."""
        return next((spec for spec in self.pipelines if spec.name == self.chosen), None)

    def choose(self, name: str) -> None:
        """Turn the form to another pipeline; unknown names are ignored."""
        if name != self.chosen and any(spec.name == name for spec in self.pipelines):
            self.update(chosen=name, values={}, typed={}, errors={}, notice="", again="", time_limit=None)

    async def start(self, values: Mapping[str, Any], *, time_limit_seconds: float | None = None) -> None:
        """Start the chosen pipeline, once; `run_id` becomes the run's id, or `errors` and `notice` say what is wrong.

        Of a double click the second may come after the first was answered.
        """
        spec = self.pipeline
        if self.busy or self.run_id or self.commands is None or spec is None:
            return
        known = set(spec.schema.get("properties") or {})
        parameters = {name: value for name, value in values.items() if name in known}
        self.update(busy=True, errors={}, notice="")
        try:
            run_id = await self.commands.start(
                spec.name, parameters, again=self.again, time_limit_seconds=time_limit_seconds
            )
        except StartRefused as refused:
            fields = {name: text for name, text in refused.fields.items() if name in known}
            self.update(busy=False, errors=fields, notice=str(refused))
        except CommandError as error:
            self.update(busy=False, notice=str(error))
        else:
            self.update(busy=False, run_id=run_id)


def _texts(value: Any) -> Iterable[str]:
    """Yield the texts in a run's parameters: names and plain values, one level deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            if isinstance(inner, str | int | float | bool):
                yield str(inner)
