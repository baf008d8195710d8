"""`RunFilter`: which runs a list shows, and `sort_key`: their order. A log's queries and a page's rows follow both.

Pure functions. The log says the same in SQL; a contract test holds that the two agree.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from streamer.model.bounds import NAME_LIMIT
from streamer.model.state import RunState

#: The columns that a list can be sorted by. A minus before the name turns the order around.
SORTED_BY: Final = ("created", "title", "owner", "elapsed", "failed")
#: All orders that may be asked for.
SORTS: Final = (*SORTED_BY, *(f"-{name}" for name in SORTED_BY))
NEWEST_FIRST: Final = "-created"


class RunFilter(Struct, frozen=True):
    """Conditions that a run fulfils all of. An empty one lets every run through.

    Args:
        status: Runs of one of these statuses; empty for all.
        outcome: Runs that ended in one of these ways; empty for all, also for those that go on.
        pipeline: Runs of this pipeline; None for all.
        title: Runs with exactly this title; None for all.
        owner: Runs of this owner; None for all.
        search: Words that id, title, pipeline, owner, host, program or parameters contain, in any case; empty for all.
        since: Runs that were made at this time or later, in POSIX seconds; None for all.
        until: Runs that were made before this time, in POSIX seconds; None for all.
        failures: Runs in which items failed, whether they are over or not; False for all.

    """

    status: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    pipeline: str | None = None
    title: str | None = None
    owner: str | None = None
    search: str = ""
    since: float | None = None
    until: float | None = None
    failures: bool = False

    def matches(self, state: RunState) -> bool:
        """Return whether a run fulfils all conditions."""
        created = state.created or 0.0
        return (
            (not self.status or state.status in self.status)
            and (not self.outcome or state.outcome in self.outcome)
            and self.pipeline in (None, state.pipeline)
            and self.title in (None, state.title)
            and self.owner in (None, state.owner)
            and (self.since is None or created >= self.since)
            and (self.until is None or created < self.until)
            and (not self.failures or state.results.failed > 0)
            and (not self.search or self._has_words(state))
        )

    def _has_words(self, state: RunState) -> bool:
        text = searched_text(state)
        return all(word in text for word in self.search.casefold().split())


#: Lets every run through.
EVERY_RUN: Final = RunFilter()


def searched_text(state: RunState) -> str:
    """Return the casefolded text that a search looks into: id, title, pipeline, owner, host, program, parameters."""
    parameters = msgspec.json.encode(state.parameters).decode()[: 10 * NAME_LIMIT]
    return " ".join(
        (state.run, state.title, state.pipeline or "", state.owner, state.host, state.program, parameters)
    ).casefold()


def sort_key(state: RunState, name: str, now: float) -> Any:
    """Return what a run is sorted by, ascending. Runs with equal keys keep the order in which they were made.

    Args:
        state: The run.
        name: One of `SORTED_BY`.
        now: The time, in POSIX seconds. A run that goes on has the duration that it has by then.

    """
    match name:
        case "title":
            return ascii_lower(state.title)
        case "owner":
            return ascii_lower(state.owner)
        case "elapsed":
            duration = state.duration(now)
            return -1.0 if duration is None else duration
        case "failed":
            return state.results.failed
        case _:
            return state.created or 0.0


def ascii_lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case, as SQLite compares without case."""
    return text.translate(_ASCII_LOWER)


_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
