"""`adopt`: the bars of this process and its children as bars of a run; in a notebook, `%load_ext streamer`."""

from __future__ import annotations

import ast
import atexit
import contextlib
import os
import shlex
import signal
import sys
import threading
from contextlib import AbstractContextManager
from typing import Any, Final

from streamer.adoption import inside
from streamer.adoption.collector import ADDRESS, Collector, Record
from streamer.model.bounds import cut
from streamer.model.events import Progressed
from streamer.producer.run import Run
from streamer.producer.scripts import script

_TITLE: Final = 80


class _Adopted:
    """What is adopted in this process, the innermost last: the one to which new bars go. Main thread."""

    def __init__(self) -> None:
        self._collectors: list[Collector] = []
        self._before: dict[str, str | None] = {}

    def begin(self, collector: Collector) -> None:
        """Let the bars that begin from now on, here and in processes that are started, report to that collector."""
        if not self._collectors:
            self._before = {name: os.environ.get(name) for name in ("PYTHONPATH", ADDRESS)}
        self._collectors.append(collector)
        self._install(collector)

    def end(self, collector: Collector) -> None:
        """Let them report as they did before."""
        self._collectors.remove(collector)
        if self._collectors:
            self._install(self._collectors[-1])
            return
        inside.uninstall()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _install(self, collector: Collector) -> None:
        os.environ.update(collector.environment(os.environ))
        # The run itself hears what is logged in this process.
        inside.install(collector.address, logs=False, take=collector.take)


_adopted = _Adopted()


class adopt:  # noqa: N801 - used as a function: ``streamer.adopt()``
    """Adopt every bar that tqdm or rich draws from now on, in this process and those it starts, as bars of a run.

    In a `with` statement until the body ends, which ends the run as `streamer.run` does; its value is the run. Called
    alone, until `close`, or the end of the program. `run` is one that is open already, instead of one of its own. What
    the bars show where they are stays as it is. Main thread.
    """

    def __init__(self, title: str = "", *, run: Run | None = None, url: str | None = None) -> None:
        self._context: AbstractContextManager[Run] = (
            script.run(title, url=url, show=False) if run is None else contextlib.nullcontext(run)
        )
        self.run = self._context.__enter__()
        self._collector = Collector(self.run.report, lambda record: record.report(self.run), inside.look)
        self._collector.start()
        self._closed = False
        self._seen_error = _last_error()
        _adopted.begin(self._collector)
        atexit.register(self._at_exit)

    def __enter__(self) -> Run:
        """Return the run."""
        return self.run

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Adopt no more, and end the run as the body ended."""
        self._close(error)

    def close(self) -> None:
        """Adopt no more, and complete the run unless it was given. Idempotent."""
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        _adopted.end(self._collector)
        self._collector.close()
        self._context.__exit__(None if error is None else type(error), error, None)

    def _at_exit(self) -> None:
        # What ended the program, if it was an exception, is what Python printed last.
        error = _last_error()
        ended_by = error if error is not self._seen_error else None
        with contextlib.suppress(BaseException):
            self._close(ended_by)


def _last_error() -> BaseException | None:
    error = getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


# -- notebooks ---------------------------------------------------------------------------------------------------------


class _Cell:
    """A cell that is executed: with its first bar it becomes a run."""

    def __init__(self, source: str) -> None:
        lines = (line.strip().lstrip("#").strip() for line in source.splitlines())
        self._title = cut(next((line for line in lines if line), "Cell"), _TITLE)
        self._context: AbstractContextManager[Run] | None = None
        self._run: Run | None = None
        self._interrupted = False
        self.collector = Collector(self._report, self._record, inside.look)

    def begin(self) -> None:
        self.collector.start()
        _adopted.begin(self.collector)

    def end(self, error: BaseException | None) -> None:
        _adopted.end(self.collector)
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
    """What `%load_ext streamer` adds: each cell that draws a bar has a run, and so has one that begins `%%progress`."""

    def __init__(self, ipython: Any) -> None:
        self._ipython = ipython
        self._cell: _Cell | None = None

    def load(self) -> None:
        """Listen to cells."""
        self._ipython.events.register("pre_run_cell", self._begin)
        self._ipython.events.register("post_run_cell", self._end)
        self._ipython.register_magic_function(self.progress, "cell", "progress")

    def unload(self) -> None:
        """Leave the shell as it was."""
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
            # As in any cell, the value of the last line is what is shown.
            return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), space)  # noqa: S307


_notebooks: dict[int, Notebook] = {}


def load_ipython_extension(ipython: Any) -> None:
    """Do what `%load_ext streamer` asks for."""
    if id(ipython) not in _notebooks:
        _notebooks[id(ipython)] = Notebook(ipython)
        _notebooks[id(ipython)].load()


def unload_ipython_extension(ipython: Any) -> None:
    """Do what `%unload_ext streamer` asks for."""
    loaded = _notebooks.pop(id(ipython), None)
    if loaded is not None:
        loaded.unload()
