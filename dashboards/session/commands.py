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
from streamer.model.state import RunState


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
        self, *, status: str, pipeline: str, search: str, before: str | None, limit: int
    ) -> tuple[tuple[RunState, ...], bool]:
        """Return runs older than the run `before` (the newest when None), newest first, and whether there are more.

        Args:
            status: Only this status; empty: any.
            pipeline: Only this pipeline; empty: any.
            search: Only runs with these words; empty: any.
            before: Only runs older than this run; None: the newest.
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
