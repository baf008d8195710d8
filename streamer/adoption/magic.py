"""Notebooks: `%load_ext streamer` gives cells with bars a run, `%%progress "title"` a run of that title."""

from __future__ import annotations

import ast
import contextlib
import shlex
import signal
import threading
from contextlib import AbstractContextManager
from typing import Any, Final

from streamer.adoption import inside
from streamer.adoption.adopt import adopt
from streamer.adoption.collector import Collector
from streamer.adoption.messages import Record
from streamer.adoption.stack import stack
from streamer.model.bounds import cut
from streamer.model.events import Progressed
from streamer.producer.run import Run
from streamer.producer.scripts import script

#: Characters of a cell's first line that become its run's title.
_TITLE: Final = 80


class _Cell:
    """An executing cell. Its first bar starts a run."""

    def __init__(self, source: str) -> None:
        lines = (line.strip().lstrip("#").strip() for line in source.splitlines())
        self._title = cut(next((line for line in lines if line), "Cell"), _TITLE)
        self._context: AbstractContextManager[Run] | None = None
        self._run: Run | None = None
        self._interrupted = False
        self.collector = Collector(self._report, self._record, inside.look)

    def begin(self) -> None:
        self.collector.start()
        stack().push(self.collector)

    def end(self, error: BaseException | None) -> None:
        stack().remove(self.collector)
        self.collector.close()
        if self._context is not None:
            with contextlib.suppress(BaseException):
                self._context.__exit__(None if error is None else type(error), error, None)

    def _report(self, event: Progressed) -> None:
        if self._run is None:
            self._context = script.run(self._title, show=False)
            self._run = self._context.__enter__()
        self._run.report(event)
        if self._run.cancel_requested and not self._interrupted:
            self._interrupted = True
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)

    def _record(self, record: Record) -> None:
        if self._run is not None:
            record.report(self._run)


class Notebook:
    """Gives a run to each cell that draws a bar, and to each that begins with `%%progress`."""

    def __init__(self, ipython: Any) -> None:
        self._ipython = ipython
        self._cell: _Cell | None = None

    def load(self) -> None:
        """Begin to watch cells, and add the magic."""
        self._ipython.events.register("pre_run_cell", self._begin)
        self._ipython.events.register("post_run_cell", self._end)
        self._ipython.register_magic_function(self.progress, "cell", "progress")

    def unload(self) -> None:
        """Restore the shell."""
        self._ipython.events.unregister("pre_run_cell", self._begin)
        self._ipython.events.unregister("post_run_cell", self._end)
        self._ipython.magics_manager.magics["cell"].pop("progress", None)
        self._finish(None)

    def _begin(self, info: Any) -> None:
        self._finish(None)
        source = str(getattr(info, "raw_cell", "") or "")
        if source.strip() and not source.lstrip().startswith("%%progress"):
            self._cell = _Cell(source)
            self._cell.begin()

    def _end(self, result: Any) -> None:
        self._finish(result.error_before_exec or result.error_in_exec)

    def _finish(self, error: BaseException | None) -> None:
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.end(error)

    def progress(self, line: str, cell: str) -> Any:
        """Run a cell as a run of that title: ``%%progress "Fit models"``."""
        try:
            title = " ".join(shlex.split(line))
        except ValueError:
            title = line.strip()
        tree = ast.parse(self._ipython.transform_cell(cell))
        tree = self._ipython.transform_ast(tree)
        name = self._ipython.compile.cache(cell)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        space = self._ipython.user_ns
        with adopt(title):
            exec(compile(tree, name, "exec"), space)  # noqa: S102 - it is the user's own cell
            # As in any cell, the value of the last line is shown.
            return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), space)  # noqa: S307


_notebooks: dict[int, Notebook] = {}


def load_ipython_extension(ipython: Any) -> None:
    """Load the extension, for `%load_ext streamer`."""
    if id(ipython) not in _notebooks:
        _notebooks[id(ipython)] = Notebook(ipython)
        _notebooks[id(ipython)].load()


def unload_ipython_extension(ipython: Any) -> None:
    """Unload the extension, for `%unload_ext streamer`."""
    loaded = _notebooks.pop(id(ipython), None)
    if loaded is not None:
        loaded.unload()
