"""`adopt`: the bars of this process and its children as bars of a run. `magic` does the same for notebooks' cells."""

from __future__ import annotations

import atexit
import contextlib
import sys
from contextlib import AbstractContextManager

from streamer.adoption import inside
from streamer.adoption.collector import Collector
from streamer.adoption.stack import stack
from streamer.producer.run import Run
from streamer.producer.scripts import script
from streamer.producer.scripts.hosting import host


class adopt:  # noqa: N801 - used as a function: ``streamer.adopt()``
    """Adopt every bar that tqdm or rich draws from now on, in this process and its new children, as bars of a run.

    In a `with` statement the adoption lasts until the body ends; its value is the run, which ends as with
    `streamer.run`. Called alone, it lasts until `close` or the end of the program. Bars look as before. Main thread.

    Args:
        title: The title of the new run.
        run: An open run that gets the bars; None: the pipeline's in a pipeline's phase, else a new one.
        url: The streamer's URL; None means the configured one.
    """

    def __init__(self, title: str = "", *, run: Run | None = None, url: str | None = None) -> None:
        run = host() if run is None and url is None else run
        self._context: AbstractContextManager[Run] = (
            script.run(title, url=url, show=False) if run is None else contextlib.nullcontext(run)
        )
        self.run = self._context.__enter__()
        self._collector = Collector(
            self.run.report,
            lambda record: record.report(self.run),
            inside.look,
            where=lambda: self.run.current_phase,
        )
        self._collector.start()
        self._closed = False
        self._seen_error = _last_error()
        stack().push(self._collector)
        atexit.register(self._at_exit)

    def __enter__(self) -> Run:
        """Return the run."""
        return self.run

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End the adoption, and the run as the body ended."""
        self._close(error)

    def close(self) -> None:
        """End the adoption, and complete the run unless it was given. Idempotent."""
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        stack().remove(self._collector)
        self._collector.close(is_well=error is None)
        self._context.__exit__(None if error is None else type(error), error, None)

    def _at_exit(self) -> None:
        # An exception that ended the program is the last one that Python printed.
        error = _last_error()
        ended_by = error if error is not self._seen_error else None
        with contextlib.suppress(BaseException):
            self._close(ended_by)


def _last_error() -> BaseException | None:
    error = getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None
