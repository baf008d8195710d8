"""Execute one pipeline in this process and report it: ``python -m streamer.producer.worker``.

It reads a `WorkerSpec` from standard input.

Does not decide what runs. Started by `backends.process`, in a session of its own, with a file as its output: what
Python code prints becomes log lines; what is written past Python (by C code, child processes, a crash) goes there.

SIGTERM ends it at once, as it ends any program; whoever sent it says so in the log.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from streamer.client.discovery import whereabouts
from streamer.model.events import (
    LEVELS,
    ErrorInfo,
    ProcessInfo,
    StatusChanged,
)
from streamer.model.parameters.json_schema import build, secrets_of
from streamer.model.parameters.secret import texts_of
from streamer.model.pipeline import SkipPhase, phases_of
from streamer.model.text.cutting import text_of
from streamer.producer.cancellation import Interrupter
from streamer.producer.output import Output
from streamer.producer.publishing.publisher import Publisher
from streamer.producer.reference import load
from streamer.producer.run import Run
from streamer.producer.scripts.hosting import hosting
from streamer.protocol.failed_items import FailedItems
from streamer.protocol.spool import FOLDER, Header, Spool
from streamer.protocol.worker_spec import WorkerSpec, decode_spec

#: Exit codes: the run's end is stored, or left in its spool; no such spec; the streamer is away, and there is no
#: spool; it does not want this run's events.
EXIT_TOLD: Final = 0
EXIT_USAGE: Final = 64
EXIT_AWAY: Final = 75
EXIT_REFUSED: Final = 77
#: Seconds that a run has to end by itself when the streamer refuses its events.
REFUSED_GRACE_SECONDS: Final = 10.0
#: Seconds that a run's end may take to be stored, before it is left in the spool; and, from then on, threads that a
#: pipeline left running.
LEAVE_SECONDS: Final = 5.0


def main() -> int:
    """Execute the run that standard input describes; return the exit code."""
    try:
        spec = decode_spec(sys.stdin.buffer.read())
    except msgspec.DecodeError as error:
        print(f"expected a worker's spec on standard input: {error}", file=sys.stderr)  # noqa: T201 - nobody else hears it
        return EXIT_USAGE
    _detach_input()
    # A segmentation fault writes its Python traceback into the output file.
    faulthandler.enable()
    sys.path += [path for path in spec.paths if path not in sys.path]
    return _report(spec)


def execute(spec: WorkerSpec, run: Run) -> Any:
    """Build the pipeline and run its phases in their order; return what the last one returned.

    Raises what they raise, what the import of the pipeline raises, `ParametersRefused`, and `OSError` when the items
    that are to be done again cannot be read.

    Args:
        spec: The pipeline's reference, its parameters and its retry file.
        run: The run that reports.

    """
    # Before any code of the user's runs: an error of the import or of the constructor may quote them.
    run.hide(text for value in spec.secrets.values() for text in texts_of(value))
    try:
        cls = load(spec.pipeline)
    except SystemExit as error:
        # Nothing was done: an exit with code 0 must not make the run complete.
        raise ImportError(f"{spec.pipeline} exited while it was imported: {text_of(error)}") from error
    pipeline = build(cls, {**spec.parameters, **spec.secrets})
    run.hide(secrets_of(pipeline))
    phases = phases_of(cls)
    pipeline._reporter = run
    run.declare(phases)
    if spec.retry or spec.reached:
        again = FailedItems.read(Path(spec.retry)) if spec.retry else FailedItems()
        for name, reached in spec.reached.items():
            again.add_rest(name, reached)
        run.retry(again)
    run.report(StatusChanged(status="running", process=ProcessInfo(os.getpid(), socket.gethostname())))
    result = None
    for number, phase in enumerate(phases, 1):
        try:
            with run.phase(phase.name), hosting(run):
                result = None
                result = getattr(pipeline, phase.name)()
        except SystemExit as error:
            if not error.code:
                _skip(
                    run, [left.name for left in phases[number:]], f"the pipeline exited in phase {phase.name}"
                )
            raise
    return result


def _skip(run: Run, phases: Sequence[str], reason: str) -> None:
    """Report phases as skipped: an exit with code 0 completes the run before them."""
    run.log.warning("%s with code 0%s", reason, f"; skipped: {', '.join(phases)}" if phases else "")
    for phase in phases:
        with run.phase(phase):
            raise SkipPhase(reason)


def _report(spec: WorkerSpec) -> int:
    """Execute the run and see to it that its end, whatever it is, is stored."""
    run: Run
    interrupter = Interrupter()
    publisher = Publisher(
        whereabouts(Path(spec.data), spec.url),
        spec.run_id,
        spec.token,
        on_request=lambda name: run.request_cancel() if name == "cancel" else None,
        on_refused=lambda reason: _refused(run, reason),
        spool=_spool_of(spec),
    )
    name = spec.pipeline.rpartition(":")[2]
    run = Run(
        publisher.put, level=LEVELS.get(spec.log_level, logging.INFO), name=name, interrupter=interrupter
    )
    publisher.start()
    run.open()
    with Output(run) as output:
        error, result = _outcome(spec, run, interrupter)
        output.finish()
    if isinstance(error, MemoryError):
        # The frames of the traceback may hold all the memory there was.
        traceback.clear_frames(error.__traceback__)
    try:
        run.conclude(error, result)
    except BaseException as problem:  # noqa: BLE001 - the outermost line: the run must end, however little can be said
        run.fail(
            ErrorInfo(type(error or problem).__name__, f"{type(problem).__name__} while the end was reported")
        )
    run.close()
    told = publisher.close(LEAVE_SECONDS if spec.spool_bytes else spec.wait_seconds)
    told = told or publisher.left_behind is not None
    _leave_soon(EXIT_TOLD if told else EXIT_AWAY)
    if publisher.refused is not None:
        return EXIT_REFUSED
    return EXIT_TOLD if told else EXIT_AWAY


def _spool_of(spec: WorkerSpec) -> Spool | None:
    if not spec.spool_bytes:
        return None
    header = Header(run=spec.run_id, token=spec.token)
    return Spool(Path(spec.data) / FOLDER, header, limit_bytes=spec.spool_bytes)


def _outcome(spec: WorkerSpec, run: Run, interrupter: Interrupter) -> tuple[BaseException | None, Any]:
    """Return what the pipeline raised, if anything, and its result. From then on nothing interrupts this thread."""
    try:
        try:
            with interrupter:
                return None, execute(spec, run)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BaseException as error:  # noqa: BLE001 - the outermost line of the user's code; its end is reported
        return error, None


def _refused(run: Run, reason: str) -> None:
    """End a run that nobody wants: the streamer has ended it already, or does not know it."""
    if sys.__stderr__ is not None:
        sys.__stderr__.write(f"the streamer refuses this run's events: {reason}\n")
    run.request_cancel()
    _exit_after(REFUSED_GRACE_SECONDS, EXIT_REFUSED)


def _leave_soon(code: int) -> None:
    """End this process even when the pipeline left threads running: its run is over."""
    _exit_after(LEAVE_SECONDS, code)


def _exit_after(seconds: float, code: int) -> None:
    def leave() -> None:
        threading.Event().wait(seconds)
        os._exit(code)

    threading.Thread(target=leave, name="streamer-leave", daemon=True).start()


def _detach_input() -> None:
    """Let standard input be empty, for whoever asks there."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the life of the process


if __name__ == "__main__":
    sys.exit(main())
