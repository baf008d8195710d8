"""The arguments of every command. Parses; does nothing else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import streamer
from streamer.cli.completion import Completion
from streamer.cli.dashboards import HOST, PORT, dashboards_command
from streamer.cli.delivery import send_command
from streamer.cli.estimate import estimate_command
from streamer.cli.exec import exec_command
from streamer.cli.launch import retry_command, run_command
from streamer.cli.lists import cancel_command, pipelines_command, runs_command
from streamer.cli.log import log_command
from streamer.cli.serve import serve_command
from streamer.cli.viewer import watch_command

#: A command: its parsed arguments in, its exit code out.
Command = Callable[[argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    The parsed arguments have `call`, a `Command`, or None where no command was given. Where `takes_rest` is true, the
    command takes options that the parser does not know, as `rest`.
    """
    parser = argparse.ArgumentParser(
        prog="streamer", description="Live progress for batch work.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"panel-streamer {streamer.__version__}")
    for option, words in (
        ("--install-completion", "install the completion of a shell: bash, zsh or fish ($SHELL)"),
        ("--show-completion", "print the completion of a shell"),
    ):
        parser.add_argument(
            option, action=Completion, nargs="?", metavar="SHELL", dest="completion", help=words
        )
    parser.set_defaults(call=None, takes_rest=False)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    def command(name: str, call: Command, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}.", allow_abbrev=False
        )
        sub.set_defaults(call=call)
        return sub

    _add_serve(command("serve", serve_command, "serve the HTTP API and execute runs until stopped"))

    dashboards = command(
        "dashboards", dashboards_command, "serve the pages, and a streamer unless STREAMER_URL names one"
    )
    dashboards.usage = "streamer dashboards [-h] [--host HOST] [--port PORT] [OPTION OF panel serve …]"
    dashboards.add_argument("--host", default=HOST, help=f"address to listen on ({HOST})")
    dashboards.add_argument("--port", default=str(PORT), help=f"port to listen on ({PORT})")
    dashboards.set_defaults(takes_rest=True)

    run = command("run", run_command, "start a run of a pipeline and show it")
    run.add_argument("pipeline", help="the pipeline's name, as `streamer pipelines` lists it")
    _add_start(run)
    _add_client(run)

    retry = command("retry", retry_command, "repeat a run's failed items as a new run, and show it")
    retry.add_argument("run", metavar="RUN_ID")
    which = retry.add_mutually_exclusive_group()
    which.add_argument(
        "--rest", action="store_true", help="the failed items, and those that were never reached"
    )
    which.add_argument("--all", action="store_true", help="repeat all items, not only the failed ones")
    _add_start(retry)
    _add_client(retry)

    watch = command("watch", watch_command, "show a run")
    watch.add_argument("run", metavar="RUN_ID")
    _add_client(watch)

    runs = command("runs", runs_command, "list runs, newest first")
    runs.add_argument(
        "--status", help="only runs in these states, comma separated: queued, running, complete, failed, …"
    )
    runs.add_argument(
        "--outcome",
        help="only runs that ended so, comma separated: complete, partial (items failed), failed, cancelled",
    )
    runs.add_argument("--pipeline", help="only runs of this pipeline")
    runs.add_argument("--title", help="only runs with exactly this title")
    runs.add_argument("--owner", help="only runs of this owner")
    runs.add_argument("--failures", action="store_true", help="only runs in which items failed")
    runs.add_argument(
        "--since", type=_age, metavar="AGE", help="only runs of this last time, such as 36h or 7d"
    )
    runs.add_argument(
        "--sort",
        help="created, title, owner, elapsed or failed; with a minus before it the other way round (-created)",
    )
    runs.add_argument(
        "--search",
        help="only runs whose id, title, pipeline, owner, host, program or parameters contain these words",
    )
    runs.add_argument("--limit", type=int, default=20, help="how many, 1 to 1000 (20)")
    _add_client(runs)

    _add_client(command("pipelines", pipelines_command, "list the pipelines on offer and their parameters"))

    _add_exec(command("exec", exec_command, "run any command as a run, with its output and progress bars"))

    cancel = command("cancel", cancel_command, "cancel a run")
    cancel.add_argument("run", metavar="RUN_ID")
    _add_client(cancel)

    estimate = command(
        "estimate", estimate_command, "say how long a run of a pipeline takes, from earlier ones"
    )
    estimate.add_argument("pipeline", nargs="?", help="the pipeline's name, as `streamer pipelines` lists it")
    _add_parameters(estimate)
    estimate.add_argument(
        "--replay",
        type=Path,
        metavar="FOLDER",
        help="say instead what would have been said of recorded runs; a manifest.json names them in their order",
    )
    estimate.add_argument("--workers", type=int, default=2, help="processes that compute a replay (2)")
    _add_client(estimate)

    log = command(
        "log", log_command, "back up the log while it is in use, or look whether all of it can be read"
    )
    log.add_argument("action", choices=("backup", "check"), help="what to do")
    log.add_argument("file", nargs="?", type=Path, metavar="FILE", help="of backup: the new file")
    log.add_argument("--data", type=Path, metavar="FOLDER", help="the data folder (STREAMER_DATA)")
    log.add_argument("--json", action="store_true", help="print JSON")

    send = command("send", send_command, "send events that runs kept on disk while their streamer was away")
    send.add_argument("--data", type=Path, metavar="FOLDER", help="the data folder (STREAMER_DATA)")
    send.add_argument(
        "--seconds", type=float, default=10.0, help="how long a streamer may take to answer (10)"
    )
    _add_client(send)
    return parser


def _add_url(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--url", help="the streamer's URL (STREAMER_URL; else the one on this machine)")


def _add_client(sub: argparse.ArgumentParser) -> None:
    _add_url(sub)
    sub.add_argument("--json", action="store_true", help="JSON for programs, one object a line")


def _add_parameters(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "-p",
        dest="param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter, as text or, where the parameter is not a text, as JSON; may be repeated",
    )


def _age(text: str) -> float:
    """Return the seconds that a text such as 36h or 7d means. Raises `ArgumentTypeError`."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip().lower(), re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"expected a number and one of s, m, h, d, w, such as 36h; received {text[:40]!r}"
        )
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[found[2]]


def _add_start(sub: argparse.ArgumentParser) -> None:
    _add_parameters(sub)
    sub.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="how long the run may take; 0: no limit (the pipeline's own limit, or the repeated run's)",
    )
    sub.add_argument("--detach", action="store_true", help="start it, print its id, and leave")


def _add_serve(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--host", help="address to listen on (STREAMER_HOST; 127.0.0.1)")
    sub.add_argument("--port", type=int, help="port to listen on, 0 for any (STREAMER_PORT; 5007)")
    sub.add_argument("--data", type=Path, metavar="FOLDER", help="the data folder (STREAMER_DATA)")
    sub.add_argument(
        "--pipelines",
        action="append",
        metavar="MODULE_OR_PATH",
        help="modules or paths with pipelines, comma separated or repeated (STREAMER_PIPELINES)",
    )
    sub.add_argument("--verbose", action="store_true", help="log every request")


def _add_exec(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--title", default="", help="the run's title (the command)")
    sub.add_argument(
        "--phases",
        default="",
        metavar="NAME=PATTERN,…",
        help="phases; each begins with the first line of output that matches its pattern; "
        "NAME*WEIGHT=PATTERN gives it a weight",
    )
    _add_url(sub)
    sub.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="the command to run")
