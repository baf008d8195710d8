"""The commands that a session's viewer gives, as protocols, and the errors that answer them. Carries out none.

`CommandError` has words for the viewer; `StartRefused` names the fields at fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from dashboards.session.values import (
    FailuresPage,
    FormChange,
    LogWindow,
)
from streamer.model.estimate import Usual
from streamer.model.state import RunState
from streamer.protocol.run_filter import RunFilter


class RunCommands(Protocol):
    """The commands of a run's viewer. Each raises `CommandError` with words for the viewer."""

    async def cancel(self) -> None: ...

    async def retry(self, *, rest: bool = False) -> str:
        """Start a run of exactly the failed items and return its id."""

    async def log_window(
        self, *, level: str, search: str, before: int | None, after: int | None, limit: int
    ) -> LogWindow:
        """Return at most `limit` lines before or after a cursor, or the last ones when both are None.

        Args:
            level: The least level; empty: all.
            search: A text that the lines contain; empty: any.
            before: Return lines before this offset; None: see `after`.
            after: Return lines after this offset; None: the last lines.
            limit: Most lines.

        Raises:
            CommandError: With words for the viewer.

        """

    async def failures(self, *, before: str | None, after: str | None, limit: int) -> FailuresPage:
        """Return a page of failed items.

        Args:
            before: The token of the earlier page; None: see `after`.
            after: The token of the later page; None: the first page.
            limit: Most items.

        Raises:
            CommandError: With words for the viewer.

        """


class RunsCommands(Protocol):
    """The commands of a viewer of the list of runs."""

    async def runs(
        self, wanted: RunFilter, *, sort: str, before: str | None, limit: int
    ) -> tuple[tuple[RunState, ...], int | None, bool]:
        """Return runs, how many match in all (None: not known), and whether there are more after these.

        Args:
            wanted: Which runs.
            sort: Their order, one of `SORTS`.
            before: Only runs after this one in that order; None: the first ones.
            limit: Most runs.

        Raises:
            CommandError: With words for the viewer.

        """


class StartCommands(Protocol):
    """The commands of somebody who starts a pipeline."""

    async def start(
        self,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        again: str = "",
        items: Literal["failed", "rest", "all"] = "all",
        time_limit_seconds: float | None = None,
    ) -> str:
        """Start a run, or repeat items of the run `again`; return its id. Raises `StartRefused` or `CommandError`.

        Args:
            pipeline: The pipeline's name.
            parameters: Its parameters, as JSON values.
            again: The run that is repeated; empty: none.
            items: Which items of that run are done.
            time_limit_seconds: Seconds the run may take; None: as its pipeline says; 0: any time.

        Returns:
            The id of the new run.

        Raises:
            StartRefused: If parameters are refused; it names the fields.
            CommandError: If the streamer cannot be asked.

        """

    async def check(self, pipeline: str, parameters: dict[str, Any]) -> None:
        """Check parameters as a start does. Raises `StartRefused` or `CommandError`.

        Args:
            pipeline: The pipeline's name.
            parameters: Its parameters, as JSON values.

        Raises:
            StartRefused: If parameters are refused; it names the fields.
            CommandError: If the streamer cannot be asked.

        """

    async def usual(self, pipeline: str, parameters: dict[str, Any]) -> Usual:
        """Return how long a run with these parameters takes. Raises `CommandError`, also where they are refused.

        Args:
            pipeline: The pipeline's name.
            parameters: Its parameters, as JSON values.

        Raises:
            CommandError: With words for the viewer.

        """

    async def form(self, pipeline: str, values: dict[str, Any], changed: Sequence[str]) -> FormChange:
        """Return the form of these values after a change of some of them. Raises `CommandError`.

        Args:
            pipeline: The pipeline's name.
            values: The values of the form so far.
            changed: The parameters that the reader changed.

        Raises:
            CommandError: With words for the viewer.

        """


class CommandError(Exception):
    """A command could not be carried out; the message is for the viewer. `StartRefused` names the fields at fault."""


class StartRefused(CommandError):
    """The parameters were refused: `fields` maps a parameter's name to what was expected of it."""

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})
