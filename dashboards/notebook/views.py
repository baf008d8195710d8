"""`RunView`, `RunsView` and `StartForm`: what a notebook's author writes. They hold names, never state."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any, Final, Protocol

from dashboards.notebook.cell import Cell, Frame, background
from dashboards.notebook.feeds import (
    RunFeed,
    RunsFeed,
    StartFeed,
    about_runs,
    form_frame,
    run_frame,
    runs_frame,
)
from dashboards.notebook.forms import Asked
from dashboards.notebook.record import Seen
from dashboards.notebook.tables import Listed

#: Most seconds that a view waits for the streamer's first answer, so that the file holds more than "asking".
FIRST_SECONDS: Final = 2.0


class _Feed(Protocol):
    async def run(self) -> None: ...


class _View:
    """Something that a cell shows. Displayed again it attaches again; each display is fed by itself."""

    def first(self) -> Frame:
        """Return what is shown before anything is known."""
        raise NotImplementedError  # each kind of view says its own

    def feed(self, cell: Cell) -> _Feed:
        """Return what feeds a cell; called in the background's loop."""
        raise NotImplementedError  # each kind of view says its own

    def _cell(self) -> Cell:
        cell = Cell(self.first())
        background().keep(cell, lambda: self.feed(cell).run())
        return cell

    def show(self, wait_seconds: float = FIRST_SECONDS) -> None:
        """Show it here, at most so much later, when the streamer has answered."""
        cell = self._cell()
        cell.wait(wait_seconds)
        cell.display()

    def _display_(self) -> Any:
        """Return what marimo shows: the widgets of the view's indicators."""
        return self.__panel__()._display_()

    def __panel__(self) -> Any:
        """Return the view as a Panel component."""
        raise NotImplementedError  # each kind of view says its own

    def _ipython_display_(self) -> None:
        self.show()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        cell = self._cell()
        cell.wait(FIRST_SECONDS)
        return cell.data()


class RunView(_View):
    """A run in a notebook: ``RunView(run)``, with a run's id, or something that has one.

    `url` is the streamer's; None: as configured. In a Panel application it is a run's whole page, a live
    `dashboards.indicators.RunView`. Raises `TypeError` for what names no run.
    """

    def __init__(self, run: object, url: str | None = None) -> None:
        self.run_id: Final = _id_of(run)
        self.url: Final = url

    def __repr__(self) -> str:
        return f"RunView({self.run_id!r}{'' if self.url is None else f', url={self.url!r}'})"

    def first(self) -> Frame:
        return run_frame(Seen(self.run_id, time.time()))

    def feed(self, cell: Cell) -> _Feed:
        return RunFeed(cell, self.run_id, self.url)

    def __panel__(self) -> Any:
        from dashboards import indicators

        return indicators.RunView(self.run_id, self.url)


class RunsView(_View):
    """The list of runs in a notebook, newest first: at most `limit`, of a `status` or a `pipeline` if that is given."""

    def __init__(
        self,
        url: str | None = None,
        *,
        status: str | None = None,
        pipeline: str | None = None,
        limit: int = 20,
    ) -> None:
        self.url: Final = url
        self.status: Final = status
        self.pipeline: Final = pipeline
        self.limit: Final = limit

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value is not None}
        return f"RunsView({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def first(self) -> Frame:
        return runs_frame(Listed(time.time(), about=about_runs(self.status, self.pipeline)))

    def feed(self, cell: Cell) -> _Feed:
        return RunsFeed(cell, self.url, status=self.status, pipeline=self.pipeline, limit=self.limit)

    def __panel__(self) -> Any:
        from dashboards import indicators, models

        runs = models.Runs(self.url, status=self.status or "", pipeline=self.pipeline or "")
        return indicators.RunsView(runs)


class StartForm(_View):
    """A form in a notebook that starts a pipeline, and then shows its run. `name` is the pipeline's."""

    def __init__(self, name: str, url: str | None = None) -> None:
        self.name: Final = str(name)
        self.url: Final = url

    def __repr__(self) -> str:
        return f"StartForm({self.name!r}{'' if self.url is None else f', url={self.url!r}'})"

    def first(self) -> Frame:
        return form_frame(Asked(self.name, time.time()))

    def feed(self, cell: Cell) -> _Feed:
        return StartFeed(cell, self.name, self.url)

    def __panel__(self) -> Any:
        from dashboards import indicators, models

        return indicators.StartForm(models.Start(self.name, self.url))


def show(run_id: str, url: str | None = None) -> None:
    """Show a run where the notebook's code is at, and come back at once. Raises nothing that comes of reporting.

    The plain call for code that reports a run, such as `streamer.track`: ``show(run_id, url)``. Where there is no
    notebook it does nothing. It imports no Panel, and makes no request in the caller's thread.
    """
    if not in_notebook():
        return
    # Whatever goes wrong with showing a run, such as a frontend's comm that is closed, is no reason to end it.
    with contextlib.suppress(Exception):
        RunView(run_id, url).show(0)


def in_notebook() -> bool:
    """Say whether this code runs in a kernel, whose outputs a notebook shows."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _id_of(run: object) -> str:
    """Return the id of a run, or of what stands for one. Raises `TypeError`."""
    for found in (run, *(getattr(run, name, None) for name in ("run_id", "id", "run"))):
        if isinstance(found, str) and found:
            return found
    raise TypeError(f"expected a run or its id, received {str(run)[:100]!r} ({type(run).__name__})")
