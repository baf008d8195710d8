"""Notebooks: `%load_ext streamer` gives cells with bars a run, `%%progress "title"` a run of that title."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
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

#: Characters of a cell's title.
_TITLE: Final = 80
_MAGIC: Final = "%%progress"
#: A line that is a magic, a command of the shell or a question; the code that stands behind ``%time`` and its kin.
_MAGIC_LINE: Final = re.compile(
    r"\s*(?:%(?:time|timeit|prun|memit|mprun|lprun)\s+(?:-\S+\s+(?:\d+\s+)?)*(?P<code>[^%!?\s].*)|[%!?].*|[\w.]+\?+)\s*"
)
#: A comment that says something to a person; its text is empty for one that speaks to a tool.
_COMMENT: Final = re.compile(
    r"#+\s*(?:!.*|-\*-.*|(?:noqa|type:|fmt:|ruff:|pylint:|mypy:|pragma|isort:|In\[|!|@|region\b|endregion\b).*"
    r"|%+\s*(?:\[\w+\])?\s*)?(?P<text>.*?)[\s#=*-]*",
    re.IGNORECASE,
)
_IMPORT: Final = re.compile(r"(?:from|import)\s")


class _Cell:
    """An executing cell. Its first bar starts a run.

    Args:
        title: The run's title; empty: the name of the first bar, else what the cell begins with.
        source: The cell's text.
        at_once: Whether the run begins with the cell.
        awaits: Whether the cell has an `await` of its own. A signal handler of ours would hit the kernel's loop then.
    """

    def __init__(self, title: str, source: str, *, at_once: bool = False, awaits: bool = False) -> None:
        self._title = title
        self._source = source
        self._at_once = at_once
        self._awaits = awaits
        self._context: AbstractContextManager[Run] | None = None
        self._run: Run | None = None
        self._interrupted = False
        self.collector = Collector(self._report, self._record, self._look)

    def begin(self) -> None:
        self.collector.start()
        stack().push(self.collector)
        if self._at_once and self._awaits:
            opening = threading.Thread(target=self._open)
            opening.start()
            opening.join()
        elif self._at_once:
            self._open()

    def _open(self, bar: str = "") -> None:
        title = self._title or cell_title(self._source, bar)
        self._context = script.run(title, show=False)
        self._run = self._context.__enter__()

    def end(self, error: BaseException | None) -> None:
        stack().remove(self.collector)
        self.collector.close(is_well=error is None)
        if self._context is not None:
            with contextlib.suppress(BaseException):
                self._context.__exit__(None if error is None else type(error), error, None)

    def _look(self, address: str) -> None:
        inside.look(address)
        self._interrupt()

    def _report(self, event: Progressed) -> None:
        if self._run is None:
            self._open(next((bar.name for bar in event.bars if bar.name not in ("", inside.NOTEBOOK)), ""))
        assert self._run is not None
        self._run.report(event)

    def _interrupt(self) -> None:
        """Hand a cancel on to the kernel as a Ctrl-C, where the run itself has no handler for it."""
        if self._run is None or self._interrupted or (self._at_once and not self._awaits):
            return
        if self._run.cancel_requested:
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
        # Why not the magic alone: it is called inside the cell, where nothing can be awaited.
        self._ipython.input_transformers_cleanup.append(_without_magic)
        self._ipython.register_magic_function(self.progress, "cell", "progress")

    def unload(self) -> None:
        """Restore the shell."""
        self._ipython.events.unregister("pre_run_cell", self._begin)
        self._ipython.events.unregister("post_run_cell", self._end)
        with contextlib.suppress(ValueError):
            self._ipython.input_transformers_cleanup.remove(_without_magic)
        self._ipython.magics_manager.magics["cell"].pop("progress", None)
        self._finish(None)

    def _begin(self, info: Any) -> None:
        self._finish(None)
        source = str(getattr(info, "raw_cell", "") or "").lstrip()
        if not source.strip():
            return
        magic, _, body = source.partition("\n")
        if magic.split()[0] != _MAGIC:
            self._cell = _Cell("", source)
        else:
            title = _words(magic[len(_MAGIC) :])
            self._cell = _Cell(title, body, at_once=True, awaits=self._awaits(body))
        self._cell.begin()

    def _awaits(self, source: str) -> bool:
        try:
            code = compile(
                self._ipython.transform_cell(source), "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
        except (SyntaxError, ValueError):
            return False
        return bool(code.co_flags & inspect.CO_COROUTINE)

    def _end(self, result: Any) -> None:
        self._finish(result.error_before_exec or result.error_in_exec)

    def _finish(self, error: BaseException | None) -> None:
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.end(error)

    def progress(self, line: str, cell: str) -> Any:
        """Run a cell as a run of that title: ``%%progress "Fit models"``, where it stands below another magic.

        Args:
            line: The rest of the magic's line: the title, quoted or not.
            cell: The cell's code below it.

        """
        title = _words(line) or cell_title(cell)
        tree = ast.parse(self._ipython.transform_cell(cell))
        tree = self._ipython.transform_ast(tree)
        name = self._ipython.compile.cache(cell)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        space = self._ipython.user_ns
        with adopt(title):
            exec(compile(tree, name, "exec"), space)  # noqa: S102 - it is the user's own cell
            # As in any cell, the value of the last line is shown.
            return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), space)  # noqa: S307


def _without_magic(lines: list[str]) -> list[str]:
    """Take the line of ``%%progress`` off a cell: the rest runs as any cell, with `await`, and shows its last value."""
    if not lines or lines[0].split()[:1] != [_MAGIC]:
        return lines
    # A comment keeps the numbers of the lines; another magic has to be the first line.
    return lines[1:] if lines[1:] and lines[1].startswith("%%") else ["#\n", *lines[1:]]


def _words(line: str) -> str:
    try:
        return " ".join(shlex.split(line))
    except ValueError:
        return line.strip()


def cell_title(source: str, bar: str = "") -> str:
    """Return a title for the run of a cell.

    Args:
        source: The cell's text.
        bar: The name of the bar that began the run; empty: it has none.

    Returns:
        The comment at its beginning, else the bar's name, else the first line that does something. Magics and imports
        say nothing.

    """
    lines = source.splitlines()
    magics = [_MAGIC_LINE.fullmatch(line) for line in lines]
    code = "\n".join(
        line if found is None else found["code"] or "" for line, found in zip(lines, magics, strict=True)
    )
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError):
        body = []
    # A text at the beginning is a docstring.
    first = next(
        (one for one in body if not isinstance(one, ast.Import | ast.ImportFrom) and not _is_text(one)), None
    )
    shown = [line.strip() for line in code.splitlines()]
    if first is not None:
        shown, begun = shown[: first.lineno - 1], shown[first.lineno - 1]
    else:
        begun = next(
            (line for line in shown if line and not _COMMENT.match(line) and not _IMPORT.match(line)), ""
        )
    comment = next(
        (found["text"] for line in shown if (found := _COMMENT.fullmatch(line)) and found["text"]), ""
    )
    return cut(comment or bar or begun or "Cell", _TITLE)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


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
