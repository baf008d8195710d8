"""The typed events of a run, and the log's `Entry`; their JSON, both ways. Does no I/O and keeps no state.

An event is a fact in the past tense; one class per kind. The wire names (``event: progress`` …) are the tags; JSON is
camelCase, Python snake_case. Every text has an upper bound: see `model.bounds`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

RunStatus = Literal["queued", "running", "stalled", "cancelling", "complete", "failed", "cancelled"]
#: All statuses of a run, in the order of its life.
STATUSES: Final[tuple[RunStatus, ...]] = get_args(RunStatus)
#: How a run ended; `partial`: it is complete, but items failed.
Outcome = Literal["complete", "partial", "failed", "cancelled"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
PhaseStatus = Literal["waiting", "started", "finished", "skipped", "failed"]
BarStatus = Literal["started", "finished", "stopped"]
TERMINAL: Final = frozenset({"complete", "failed", "cancelled"})
UNDER_WAY: Final[tuple[RunStatus, ...]] = tuple(status for status in STATUSES if status not in TERMINAL)
#: How far a cancel is: asked of the producer, acknowledged by it, its process terminated, killed.
CancelStep = Literal["asked", "acknowledged", "terminated", "killed"]
#: How a cancel ended; see `RunCancelled`.
CancelOutcome = Literal["", "cooperative", "terminated", "killed", "unstarted", "gone"]
#: The logger of what the streamer itself says about a run: no sign of life of its producer.
STREAMER_LOGGER: Final = "streamer"


class PhaseSpec(Struct, frozen=True, gc=False):
    """A declared phase: its name and its weight, relative to the other phases' weights."""

    name: str
    weight: float = 1.0


class ErrorInfo(Struct, frozen=True, gc=False):
    """An error: the exception's type, its message, and the traceback as text (may be empty)."""

    type: str
    message: str = ""
    traceback: str = ""


class FailedItem(Struct, frozen=True, gc=False):
    """One item that failed, the phase it failed in (None outside any), and why."""

    item: str
    phase: str | None
    error: ErrorInfo


class Results(Struct, frozen=True, gc=False):
    """How many items succeeded and failed so far, over the whole run."""

    success: int = 0
    failed: int = 0


class FinalResults(Struct, frozen=True, gc=False):
    """`Results` of a run that ended, with the first `ERRORS_LISTED` failed items."""

    success: int = 0
    failed: int = 0
    errors: tuple[FailedItem, ...] = ()


class Bar(Struct, frozen=True, gc=False):
    """One loop's progress inside a run: `done` of `total` (None: not known) in `unit`.

    `id` is unique within the run. `parent` is the id of the bar whose item it belongs to, None for one that stands by
    itself. `phase` None: the phase that is under way. A bar that was left before its end is stopped.
    """

    id: str
    parent: str | None = None
    phase: str | None = None
    name: str = ""
    done: int | float | None = None
    total: int | float | None = None
    unit: str = ""
    status: BarStatus = "started"


class ProcessInfo(Struct, frozen=True):
    """A run's process: its id on its host. `alive` is None when nobody can tell; `doing` is what the system says of it.

    `doing` is empty when it is not known, else one of running, sleeping, waiting (for a disk, say) and stopped.
    """

    pid: int
    host: str = ""
    alive: bool | None = True
    doing: str = ""


class Unreached(Struct, frozen=True, gc=False):
    """A phase whose `map` ended before its last item: `reached` of `total` items (None: not known) were done."""

    phase: str
    reached: int
    total: int | None = None


class _Event(Struct, frozen=True, gc=False, tag_field="event", rename="camel"):
    """Base of all events; the JSON key ``event`` holds the kind.

    Nothing in an event refers back to it: the collector of cycles need not look at the thousands that come in a second.
    """


class StatusChanged(_Event, frozen=True, kw_only=True, tag="status"):
    """The run came to be queued, running, stalled or cancelling. The first one of a run describes it.

    `program` is the script, notebook or command that it is. `managed`: the streamer executes it, so that it can be run
    again. `retry_of` is the run of which this one does items again: the failed ones, those and the ones that it never
    reached (rest), or all, as `retry_items` says. `time_limit_seconds` count from when it is running.

    Of a cancel `step` says how far it is, `by` who asked, `reason` why if nobody did; `phase` and `item` are where the
    producer was when it acknowledged.
    """

    status: Literal["queued", "running", "stalled", "cancelling"]
    message: str = ""
    pipeline: str | UnsetType | None = UNSET
    title: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    phases: tuple[PhaseSpec, ...] | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    host: str | UnsetType = UNSET
    program: str | UnsetType = UNSET
    managed: bool | UnsetType = UNSET
    retry_of: str | UnsetType = UNSET
    retry_items: Literal["failed", "rest", "all"] | UnsetType = UNSET
    time_limit_seconds: float | UnsetType = UNSET
    process: ProcessInfo | UnsetType = UNSET
    step: CancelStep | UnsetType = UNSET
    by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    phase: str | UnsetType | None = UNSET
    item: str | UnsetType | None = UNSET


class PhaseChanged(_Event, frozen=True, kw_only=True, tag="phase"):
    """A phase was started, finished, skipped or failed. Progress is in percent, 0 to 100."""

    phase: str
    weight: float | None = None
    phase_status: Literal["started", "finished", "skipped", "failed"]
    phase_progress: float | None = None
    overall_progress: float | None = None
    message: str = ""


class Progressed(_Event, frozen=True, kw_only=True, tag="progress"):
    """Work went on. `done` of `total` (None: not known) in `unit`; `rate` in units per second; progress in percent.

    A producer need only send `phase`, `done`, `total` and `unit`; the rest follows from the run's state.
    `results` count items; they are cumulative over the run and only grow. `bars` are those that changed since the last
    event, each as a whole.
    """

    status: Literal["progress"] = "progress"
    progress: int = 0
    overall_progress: float | None = None
    phase: str | None = None
    phase_progress: float | None = None
    done: int | float | None = None
    total: int | float | None = None
    unit: str = ""
    rate: float | None = None
    message: str = ""
    results: Results = Results()
    bars: tuple[Bar, ...] = ()


class Logged(_Event, frozen=True, kw_only=True, tag="log"):
    """One log line. `type` follows from `level`: error, warning, or log for all that is less.

    `fields` is what was logged beside the text, as plain JSON.
    """

    type: Literal["log", "warning", "error"] = "log"
    level: str = "INFO"
    logger: str = ""
    message: str = ""
    timestamp: str = ""
    phase: str | None = None
    item: str | None = None
    fields: dict[str, Any] | UnsetType = UNSET


class ItemFailed(_Event, frozen=True, kw_only=True, tag="failure"):
    """One item failed; the run goes on. `key` tells items apart whose names were cut; see `item_key`."""

    item: str
    key: str | UnsetType = UNSET
    phase: str | None = None
    error: ErrorInfo


class Completed(_Event, frozen=True, kw_only=True, tag="complete"):
    """Terminal: the run came to its end. `result` is any JSON; `duration` in seconds since it was running."""

    status: Literal["complete"] = "complete"
    progress: Literal[100] = 100
    message: str = ""
    results: FinalResults = FinalResults()
    result: Any = None
    duration: float | None = None


class RunFailed(_Event, frozen=True, kw_only=True, tag="failed"):
    """Terminal: the run ended with an error, or its process is gone. `progress` is what it had reached, in percent.

    `unreached` are the phases of which items were left, as far as the producer could tell; so of a cancelled run.
    """

    status: Literal["error"] = "error"
    progress: int = 0
    message: str = ""
    error: ErrorInfo | None = None
    results: FinalResults = FinalResults()
    unreached: tuple[Unreached, ...] = ()
    duration: float | None = None


class RunCancelled(_Event, frozen=True, kw_only=True, tag="cancelled"):
    """Terminal: the run was cancelled. `progress` is what it had reached, in percent.

    `how` it ended: cooperative (its producer said so itself), terminated, killed, unstarted (it was queued), gone (its
    process ended in another way, or nothing was heard of it any more); empty when nobody had asked. `reason`: why, when
    it was nobody's wish.
    """

    status: Literal["cancelled"] = "cancelled"
    progress: int = 0
    message: str = ""
    how: CancelOutcome = ""
    reason: str = ""
    results: FinalResults = FinalResults()
    unreached: tuple[Unreached, ...] = ()
    duration: float | None = None


Event = StatusChanged | PhaseChanged | Progressed | Logged | ItemFailed | Completed | RunFailed | RunCancelled
EVENT_TYPES: Final = (
    StatusChanged,
    PhaseChanged,
    Progressed,
    Logged,
    ItemFailed,
    Completed,
    RunFailed,
    RunCancelled,
)
TERMINAL_TYPES: Final = (Completed, RunFailed, RunCancelled)


_KIND_OF: Final[dict[type, str]] = {t: str(t.__struct_config__.tag) for t in EVENT_TYPES}
KINDS: Final = tuple(_KIND_OF.values())


def kind(event: Event) -> str:
    """Return the wire name of an event, such as ``progress``."""
    return _KIND_OF[type(event)]


class Entry(Struct, frozen=True, gc=False):
    """A row of the log.

    `offset`: its position in the log, which only grows. `seq`: 1, 2, 3 … within the run. `time`: POSIX seconds, UTC,
    in whole milliseconds: when it happened, by the producer's clock.
    """

    offset: int
    run_id: str
    seq: int
    time: float
    event: Event


class Envelope(Struct, frozen=True, gc=False):
    """The fields around an event in JSON, on the wire and in an ingest line."""

    run: str | None = None
    seq: int | None = None
    time: str | None = None


_encoder = msgspec.json.Encoder(enc_hook=str)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def encode_event(event: Event) -> bytes:
    """Return the event as JSON (UTF-8), without its envelope."""
    return _encoder.encode(event)


def decode_event(data: bytes | str) -> Event:
    """Read an event from JSON; unknown keys are ignored.

    Raises `msgspec.ValidationError` (a kind or a value that is not allowed, with its path) or `msgspec.DecodeError`.
    """
    return _event_decoder.decode(data)


def decode_envelope(data: bytes | str) -> Envelope:
    """Read `run`, `seq` and `time` from an event's JSON. Raises as `decode_event`."""
    return _envelope_decoder.decode(data)


#: Numbers of the standard library's `logging`; a level that is not named there counts as INFO.
LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


def type_of_level(level: str) -> Literal["log", "warning", "error"]:
    """Return a log event's `type` for a level name."""
    if level in ("ERROR", "CRITICAL", "FATAL"):
        return "error"
    return "warning" if level == "WARNING" else "log"
