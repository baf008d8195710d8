"""`Summary`: a run put into numbers and words, by one rule for all surfaces. Pure; draws nothing.

Pages, lists, notebooks, terminals, badges and chat lines are written from it. Each chooses which parts it has room
for; none decides a percentage, a tone or a sentence for itself.

Why one module: every rule for a run's words stands here, so that two surfaces cannot have two.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from streamer.model import formatting
from streamer.model.events import Outcome
from streamer.model.palette import Tone
from streamer.model.percentages import has_outgrown, is_outgrown
from streamer.model.state import PhaseState, RunState

#: How a run ended. `partial`: it completed, but items of it failed.
#: How a phase stands. `stopped`: it ended with its run, without a fault of its own. `partial` and `spoilt`: it is done,
#: and some or all items of its run failed.
PhaseKind = Literal["waiting", "active", "done", "failed", "stopped", "skipped", "partial", "spoilt"]

#: A run in which nothing happened for longer than this, in seconds, says so in the tone of a warning.
QUIET_SECONDS: Final = 30.0
#: Characters of texts that others wrote; longer ones are cut.
TITLE_SHOWN: Final = 300
PHASE_SHOWN: Final = 200
UNIT_SHOWN: Final = 20
MESSAGE_SHOWN: Final = 120

_WORDS: Final[dict[str, str]] = {
    "queued": "Queued",
    "running": "Running",
    "stalled": "Stalled",
    "cancelling": "Cancelling",
    "complete": "Complete",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_TONES: Final[dict[str, Tone]] = {
    "queued": "wait",
    "running": "accent",
    "stalled": "warn",
    "cancelling": "warn",
    "complete": "ok",
    "failed": "bad",
    "cancelled": "wait",
}
_KINDS: Final[dict[str, PhaseKind]] = {
    "waiting": "waiting",
    "started": "active",
    "finished": "done",
    "skipped": "skipped",
    "failed": "failed",
}
_RUN_KINDS: Final[dict[str, PhaseKind]] = {
    "queued": "waiting",
    "failed": "failed",
    "cancelled": "stopped",
}
MARKS: Final[dict[PhaseKind, str]] = {
    "waiting": "○",
    "active": "●",
    "done": "✓",
    "failed": "✕",
    "stopped": "■",
    "skipped": "↷",
    "partial": "✓",
    "spoilt": "✕",
}
PHASE_TONES: Final[dict[PhaseKind, Tone]] = {
    "waiting": "wait",
    "active": "accent",
    "done": "ok",
    "failed": "bad",
    "stopped": "wait",
    "skipped": "wait",
    "partial": "warn",
    "spoilt": "bad",
}
_PROCESS: Final = {"stopped": "is stopped", "waiting": "is alive, waiting for a device"}


class PhaseSummary(Struct, frozen=True):
    """A phase in numbers and words.

    Attributes:
        name: Its name.
        kind: How it stands.
        mark: One character for `kind`.
        tone: The meaning of its colour.
        share: Its part of the whole, 0 to 1: of the usual time in earlier runs, else of the declared weights.
        fraction: How much of the segment is filled, 0 to 1. A skipped phase fills nothing.
        percent: The whole percent that is shown; None where it is not known or says nothing.
        moving: It works, and how much there is to do is not known.
        counts: Done of total with unit; empty where nothing was counted.
        seconds: How long it took or has taken so far; None before it starts.
        words: Its wordings, from the longest to the shortest.
    """

    name: str
    kind: PhaseKind
    mark: str
    tone: Tone
    share: float
    fraction: float
    percent: int | None
    moving: bool
    counts: str
    seconds: float | None
    words: tuple[str, ...]


class Remaining(Struct, frozen=True):
    """The remaining time of a run in words.

    Attributes:
        left: The middle of it, as a sentence: ``about 12 min left``, or that it is not known yet.
        short: The same alone: ``12 min``; empty where it is not known.
        band: From the 10th to the 90th percentile: ``9 to 17 min``; empty where that says no more.
        end: When the run is over by the middle, in POSIX seconds, to the minute; None: not known.
        basis: The basis: ``from 12 earlier runs``.
    """

    left: str
    short: str
    band: str
    end: int | None
    basis: str

    @property
    def sentence(self) -> str:
        """All of it but the end: ``about 12 min left, 9 to 17 min, from 12 earlier runs``."""
        return ", ".join(part for part in (self.left, self.band, self.basis) if part)


class Summary(Struct, frozen=True):
    """A run in numbers and words; `summarise` makes it.

    Attributes:
        run: The run's id.
        title: Its title; else the pipeline's name; else its id.
        word: Its status in one or two words.
        tone: The meaning of its colour.
        outcome: How it ended; None while it goes on.
        headline: How far it is or how it ended, in a few words.
        percent: The whole percent that is shown, rounded down; 100 only for a run that completed; None: not known.
        number: The one large number: a percentage, a count, or a dash.
        unit: Its unit, or empty.
        fraction: How much of a bar is filled, 0 to 1.
        kind: How the whole stands, as the one segment of a run without phases.
        moving: The run works, and how far it is is not known.
        live: It works, as far as is known.
        phase: The phase it is in; empty outside of phases and once it is over.
        counts: Done of total with unit; empty where nothing was counted.
        rate: How fast it is; empty where that is not known.
        now: Its activity now, or its last one, beside the phase: counts and rate, or words.
        elapsed: Seconds from its start to its end or to now, never negative; None before it starts.
        phases: Its phases in their order.
        life: The sentence about signs of life; empty for a run that is over.
        quiet: The sentence is a reason to look.
        succeeded: How many items succeeded.
        failed: How many items failed.
        warnings: How many log lines are warnings.
        failures: How many failed, at the end of how many; empty without any.
        remaining: The remaining time; None for a run that does not run.
    """

    run: str
    title: str
    word: str
    tone: Tone
    outcome: Outcome | None
    headline: str
    percent: int | None
    number: str
    unit: str
    fraction: float
    kind: PhaseKind
    moving: bool
    live: bool
    phase: str
    counts: str
    rate: str
    now: str
    elapsed: float | None
    phases: tuple[PhaseSummary, ...]
    life: str
    quiet: bool
    succeeded: int
    failed: int
    warnings: int
    failures: str
    remaining: Remaining | None

    @property
    def percent_words(self) -> str:
        """The percentage as text, or ``working`` while it is not known."""
        return "working" if self.percent is None else formatting.percent(self.percent)

    @property
    def progress(self) -> str:
        """How far the run is, in a table's cell: a percentage, a count, ``working``, or a dash before it starts."""
        if self.number == formatting.NOT_KNOWN:
            return "working" if self.live else formatting.NOT_KNOWN
        return f"{self.number} {self.unit}".rstrip()

    @property
    def standing(self) -> str:
        """The status in the middle of a line: ``running, 3 failed`` or ``failed at 63 %``."""
        if self.outcome is None:
            return ", ".join(part for part in (self.word.lower(), self.failures) if part)
        said = self.headline[:1].lower() + self.headline[1:]
        return said if not self.failures or self.failures in said else f"{said}, {self.failures}"


def outcome(state: RunState) -> Outcome | None:
    """Return how a run ended.

    Args:
        state: The state of the run.

    Returns:
        The outcome; None while the run goes on. A run that completed although items failed is `partial`.
    """
    return state.outcome


def word(state: RunState) -> str:
    """Return the status of a run in one or two words.

    Args:
        state: The state of the run.

    Returns:
        The word that stands beside the colour of `tone`.
    """
    if outcome(state) == "partial":
        return "Partial" if state.results.success else "All failed"
    return _WORDS[state.status]


def tone(state: RunState) -> Tone:
    """Return the meaning of a run's colour.

    Args:
        state: The state of the run.

    Returns:
        The tone. A run of which items failed is never `ok`, and one of which all failed is `bad`.
    """
    if outcome(state) == "partial":
        return "warn" if state.results.success else "bad"
    return _TONES[state.status]


def failures(state: RunState) -> str:
    """Return how many items failed: ``3 failed``, and at the end of how many: ``3 of 4,812 failed``.

    Args:
        state: The state of the run.

    Returns:
        The words; empty where no item failed.
    """
    failed = state.results.failed
    if not failed:
        return ""
    return (
        f"{failed:,} of {failed + state.results.success:,} failed" if state.is_over else f"{failed:,} failed"
    )


def share_of_time(state: RunState) -> float | None:
    """Return the share of its time that a run has behind it, 0 to 1, where earlier runs tell; else None.

    Args:
        state: The state of the run.
    """
    said = state.estimate
    return None if said is None or not said.runs or state.is_over else said.fraction


def percent(state: RunState) -> int | None:
    """Return the whole percent that is shown, rounded down: of the run's time, else of the declared weights.

    Args:
        state: The state of the run.

    Returns:
        The percentage from 0 to 99; 100 for a run that completed. None where it is not known: the run is queued,
        nobody said how much there is to do, or more work came up, and the counts contradict the percentage reached.
    """
    if state.status == "complete":
        return 100
    if state.status == "queued":
        return None
    share = share_of_time(state)
    if share is not None:
        return min(max(int(share * 100), 0), 99)
    if (not state.overall_progress and not _is_measured(state)) or is_outgrown(state):
        return None
    return min(max(int(state.overall_progress), 0), 99)


def _is_measured(state: RunState) -> bool:
    """Tell whether 0 percent is a fact: something says how much there is to do."""
    if state.total is not None:
        return (state.done or 0) <= state.total
    phase = state.find_phase(state.phase)
    if phase is None:
        return bool(state.phases)
    return phase.progress is not None or phase.status != "started"


def title(state: RunState) -> str:
    """Return the name of a run.

    Args:
        state: The state of the run.

    Returns:
        Its title; else its pipeline's name; else its id.
    """
    return formatting.cut(state.title or state.pipeline or state.run, TITLE_SHOWN)


def summarise(state: RunState, now: float, *, away_seconds: float | None = None) -> Summary:
    """Put a run into numbers and words.

    Args:
        state: The state of the run.
        now: The time in POSIX seconds, by the clock of the surface.
        away_seconds: For how long the surface has had no connection to the streamer, in seconds; None: it has one.

    Returns:
        The summary, the same for the same arguments.
    """
    shown = percent(state)
    unit = formatting.cut(state.unit, UNIT_SHOWN)
    # Of a complete run nothing is left to do: the rest of a loop that was left is no work.
    is_short = state.status == "complete" and state.total is not None and (state.done or 0) < state.total
    counts = formatting.done_of(state.done, None if is_short else state.total, unit)
    rate = "" if state.is_over or state.status == "stalled" else formatting.rate(state.rate, unit)
    number, of = _number(state, shown, unit)
    live = state.status in ("running", "cancelling") and away_seconds is None
    life, quiet = _life(state, now, away_seconds)
    is_unseen = away_seconds is not None and not state.is_over
    phase = (
        "" if state.status == "queued" or state.is_over else formatting.cut(state.phase or "", PHASE_SHOWN)
    )
    return Summary(
        run=state.run,
        title=title(state),
        # Without a connection nobody knows how the run is now.
        word=f"Last seen {word(state).lower()}" if is_unseen else word(state),
        tone="wait" if is_unseen else tone(state),
        outcome=outcome(state),
        headline=_headline(state, shown, counts, f"{number} {of}".rstrip()),
        percent=shown,
        number=number,
        unit=of,
        fraction=_fraction(state, shown),
        kind=_done(state) if state.status == "complete" else _RUN_KINDS.get(state.status, "active"),
        moving=live and shown is None,
        live=live,
        phase=phase,
        counts=counts,
        rate=rate,
        now=_now(state, shown, counts, rate),
        elapsed=state.duration(now),
        phases=_phases(state, now, live),
        life=life,
        quiet=quiet,
        succeeded=state.results.success,
        failed=state.results.failed,
        warnings=state.warnings,
        failures=failures(state),
        remaining=_remaining(state, now),
    )


def _number(state: RunState, shown: int | None, unit: str) -> tuple[str, str]:
    """Return the one large number and its unit. A count is true where a percentage would be made up."""
    if shown is not None:
        return str(shown), "%"
    if state.done is None or state.status == "queued":
        return formatting.NOT_KNOWN, ""
    number, _, of = formatting.amount(state.done, unit).partition(" ")
    return number, of


def _fraction(state: RunState, shown: int | None) -> float:
    if shown is None:
        return 0.0
    share = share_of_time(state)
    if share is not None:
        return min(max(share, 0.0), 0.9999)
    return min(max(state.overall_progress / 100, 0.0), 1.0)


def _headline(state: RunState, shown: int | None, counts: str, reached: str) -> str:
    if state.status == "queued":
        return "Queued"
    if state.status == "complete":
        return ", ".join(part for part in ("Complete", failures(state)) if part)
    if state.is_over:
        if shown is not None:
            return f"{_WORDS[state.status]} at {shown} %"
        return f"{_WORDS[state.status]} after {counts}" if counts else _WORDS[state.status]
    return "Working" if reached == formatting.NOT_KNOWN else reached


def _now(state: RunState, shown: int | None, counts: str, rate: str) -> str:
    """Say what a run does now, beside its phase; of a run that is over, what it had done."""
    if state.status == "queued":
        return formatting.cut(state.message, MESSAGE_SHOWN) or "Waiting for a free place"
    if state.status == "complete":
        success = state.results.success
        return f"{success:,} succeeded" if success and not state.results.failed else ""
    if state.is_over:
        where = f"in {formatting.cut(state.phase, PHASE_SHOWN)}" if state.phase else ""
        return " · ".join(part for part in (where, counts) if part)
    parts = [counts, rate]
    if state.indeterminate and state.done is not None:
        # The count is the large number then, unless earlier phases gave a percentage.
        parts[0] = "total not known" if shown is None else f"{counts}, total not known"
    elif shown is None and counts and is_outgrown(state):
        parts[0] = f"{counts}, more work came up"
    if any(parts):
        return " · ".join(part for part in parts if part)
    if state.status == "stalled":
        return "" if state.phase else "Waiting for a sign of life"
    return formatting.cut(state.message, MESSAGE_SHOWN) or ("" if state.phase else "Working")


def _remaining(state: RunState, now: float) -> Remaining | None:
    """Put what was said of the remaining time into words."""
    if state.status not in ("running", "stalled"):
        return None
    estimate = None if state.estimate is None else state.estimate.at(now)
    if estimate is None:
        return Remaining("time left not known yet", "", "", None, "") if state.status == "running" else None
    short = formatting.rough(estimate.p50)
    band = formatting.rough_range(estimate.p10, estimate.p90)
    is_close = formatting.rough(estimate.p10) == formatting.rough(estimate.p90)
    return Remaining(
        left=f"about {short} left",
        short=short,
        band="" if is_close else band,
        end=round((now + estimate.p50) / 60) * 60,
        basis=estimate.basis if estimate.basis.startswith("longer") else f"from {estimate.basis}",
    )


def _phases(state: RunState, now: float, live: bool) -> tuple[PhaseSummary, ...]:
    """Put the phases into numbers and words, in their order; their shares add up to 1."""
    weights = _weights(state)
    whole = sum(weights)
    shares = [weight / whole if whole > 0 else 1 / len(weights) for weight in weights]
    return tuple(
        _phase(phase, state, now, share, live) for phase, share in zip(state.phases, shares, strict=True)
    )


def _weights(state: RunState) -> list[float]:
    """Return the weights in force, phase by phase: the usual times in earlier runs, else the declared ones."""
    usual = {} if share_of_time(state) is None or state.estimate is None else state.estimate.weights
    if usual and all(phase.name in usual for phase in state.phases):
        # A phase of next to no time stays in sight.
        least = 0.01 * sum(usual.values())
        return [max(usual[phase.name], least) for phase in state.phases]
    return [phase.weight for phase in state.phases]


def _phase(phase: PhaseState, state: RunState, now: float, share: float, live: bool) -> PhaseSummary:
    kind = _kind(phase, state)
    is_done = phase.status == "finished"
    shown = 100 if is_done else _phase_percent(phase, kind)
    seconds = _seconds(phase, state, now)
    counts = formatting.done_of(phase.done, phase.total, formatting.cut(phase.unit, UNIT_SHOWN))
    return PhaseSummary(
        name=formatting.cut(phase.name, PHASE_SHOWN),
        kind=kind,
        mark=MARKS[kind],
        tone=PHASE_TONES[kind],
        share=share,
        fraction=0.0 if kind == "skipped" or (shown is None and has_outgrown(phase)) else phase.fraction,
        percent=shown,
        moving=live and kind == "active" and shown is None,
        counts=counts,
        seconds=seconds,
        words=_phase_words(phase, kind, shown, seconds, state),
    )


def _kind(phase: PhaseState, state: RunState) -> PhaseKind:
    if phase.status == "started" and state.is_over:
        return "stopped"
    if phase.status == "failed" and state.status == "cancelled":
        return "stopped"
    return _done(state) if phase.status == "finished" else _KINDS[phase.status]


def _done(state: RunState) -> PhaseKind:
    """Return how a phase that is done stands; a run of which items failed is not green."""
    if outcome(state) != "partial":
        return "done"
    return "partial" if state.results.success else "spoilt"


def _phase_percent(phase: PhaseState, kind: PhaseKind) -> int | None:
    """Return the whole percent of a phase that is not done; None where it is not known or not begun."""
    if kind in ("waiting", "skipped") or phase.progress is None or has_outgrown(phase):
        return None
    return int(phase.progress)


def _seconds(phase: PhaseState, state: RunState, now: float) -> float | None:
    if phase.started is None:
        return None
    end = phase.ended
    if end is None:
        end = state.ended if state.is_over and state.ended is not None else now
    return max(end - phase.started, 0.0)


def _phase_words(
    phase: PhaseState, kind: PhaseKind, shown: int | None, seconds: float | None, state: RunState
) -> tuple[str, ...]:
    weight = f"weight {phase.weight:g}"
    over = phase.ended is not None or state.is_over
    took = "" if seconds is None else (formatting.took if over else formatting.duration)(seconds)
    if kind == "waiting":
        stands = "not reached" if state.is_over else "waiting"
        wordings = [[weight, stands], [stands]]
    elif kind == "skipped":
        wordings = [[weight, "skipped"], ["skipped"]]
    elif phase.status == "finished":
        wordings = [["100 %", took], ["100 %"]]
    else:
        counted = formatting.done_of(phase.done, None, formatting.cut(phase.unit, UNIT_SHOWN))
        reached = formatting.percent(shown) if shown is not None else counted
        if kind == "active":
            wordings = [
                [weight, reached or "working", took],
                [reached or "working", took],
                [reached or "working"],
            ]
        else:
            stands = f"{kind} at {reached}" if reached else kind
            wordings = [[stands, took], [stands], [kind]]
    return tuple(" · ".join(part for part in parts if part) for parts in wordings)


# -- life --------------------------------------------------------------------------------------------------------------


def _life(state: RunState, now: float, away_seconds: float | None) -> tuple[str, bool]:
    """Return the sentence about signs of life, and whether it is a reason to look."""
    if state.is_over or state.last_time is None:
        return "", False
    if away_seconds is not None:
        # Nothing is known of the run meanwhile, neither that it is silent nor that it is well.
        return f"no connection to the streamer for {formatting.duration(max(away_seconds, 0.0))}", True
    if state.status == "queued":
        since = state.last_time if state.created is None else state.created
        return f"waiting for {formatting.duration(max(now - since, 0.0))}", False
    age = max(now - state.last_time, 0.0)
    said = [
        f"last event {formatting.ago(age)}",
        f"longest gap {formatting.duration(max(state.longest_gap, age))}",
    ]
    if state.status == "stalled":
        sign = state.last_time if state.last_sign is None else state.last_sign
        said.insert(0, f"no sign of life for {formatting.duration(max(now - sign, 0.0))}")
    if process := _process(state):
        said.append(process)
    return " · ".join(said), state.status == "stalled" or age > QUIET_SECONDS


def _process(state: RunState) -> str:
    process = state.process
    if process is None:
        return ""
    if process.alive is None:
        return f"whether process {process.pid} lives is not known"
    if not process.alive:
        return f"process {process.pid} is gone"
    return f"process {process.pid} {_PROCESS.get(process.doing, 'is alive')}"
