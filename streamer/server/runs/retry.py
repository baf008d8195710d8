"""`RetryItems`: keeps the failed items of a run in a file for the run that repeats them. It starts no runs.

`check_retryable` says whether a run may be repeated.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final, Literal

from streamer.model.events import ItemFailed
from streamer.model.state import RunState
from streamer.protocol import failed_items
from streamer.server.log.base import EventLog, LogUnavailable

#: The items of a run that its retry does again.
Items = Literal["failed", "rest", "all"]
#: Failed items that are read from the log at a time.
_FAILURES_READ: Final = 1000


class NotRetryable(Exception):
    """The run cannot be run again; `code` is for programs, the message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_retryable(old: RunState, items: Items) -> str:
    """Check that a run may be run again.

    Args:
        old: State of the run.
        items: The items to do again.

    Returns:
        The name of the run's pipeline.

    Raises:
        NotRetryable: Another program executed the run, it is not over, or no item of it failed.

    """
    if not old.managed or old.pipeline is None:
        raise NotRetryable(
            "not_retryable",
            f"run {old.run} was executed by somebody else; only who executed it can run it again",
        )
    if not old.is_over:
        raise NotRetryable(
            "run_not_over", f"run {old.run} is {old.status}; it can be run again when it is over"
        )
    if items == "failed" and not old.results.failed:
        left = (
            f"; {old.never_reached:,} were never reached, which a retry of the rest does"
            if old.unreached
            else ""
        )
        raise NotRetryable("nothing_failed", f"no item of run {old.run} failed{left}")
    if items == "rest" and not (old.results.failed or old.unreached):
        raise NotRetryable("nothing_left", f"no item of run {old.run} failed, and none is known to be left")
    return old.pipeline


class RetryItems:
    """One file for each run that repeats failed items; its worker reads it. Any thread may call it."""

    def __init__(self, data: Path, log: EventLog) -> None:
        self._folder = data / "retry"
        self._log = log

    def path(self, run_id: str) -> Path:
        """Return the file of the run that repeats the items."""
        return self._folder / f"{run_id}.jsonl"

    def write(self, old: RunState, run_id: str) -> None:
        """Write the failed items of a run for the run that repeats them. Blocks.

        Args:
            old: State of the run whose items failed.
            run_id: Id of the run that repeats them.

        Raises:
            NotRetryable: The log does not hold all failed items any more, or they have no phase.
            LogUnavailable: The file cannot be written.

        """
        try:
            count = failed_items.write(self.path(run_id), self._pages(old))
        except OSError as error:
            raise LogUnavailable(f"cannot write the failed items of run {old.run}: {error}") from error
        if not count:
            self.forget(run_id)
            raise NotRetryable(
                "not_retryable",
                f"the items of run {old.run} failed in no phase, by which they could be found",
            )

    def forget(self, run_id: str) -> None:
        """Delete the file of a run; nothing happens when there is none."""
        self.path(run_id).unlink(missing_ok=True)

    def forget_others(self, live: Container[str]) -> None:
        """Delete the files of runs that ended while no streamer was there. Blocks.

        Args:
            live: Ids of the runs whose files stay.

        """
        for path in self._folder.glob("*"):
            if path.stem not in live:
                path.unlink(missing_ok=True)

    def _pages(self, old: RunState) -> Iterator[list[ItemFailed]]:
        """Give all failed items of a run, in pages. Raises `NotRetryable` when the log has lost some of them."""
        after, number = 0, 0
        while found := self._log.failures(old.run, after=after, limit=_FAILURES_READ):
            yield [entry.event for entry in found if isinstance(entry.event, ItemFailed)]
            after = found[-1].offset
            number += len(found)
        if number < old.results.failed:
            raise NotRetryable(
                "not_retryable",
                f"of the {old.results.failed:,} failed items of run {old.run} {number:,} are kept; "
                "all that it did can be done again, but not exactly those",
            )
