"""`streamer runs`, `pipelines` and `cancel`: commands that ask once and print the answer."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from streamer.cli.errors import UsageError
from streamer.cli.output import date, json_line, say, table
from streamer.cli.remote import ask, client

if TYPE_CHECKING:
    from streamer.model.summary import Summary


def runs_command(arguments: argparse.Namespace) -> int:
    """List runs; return the exit code."""
    return ask(_runs(arguments))


async def _runs(arguments: argparse.Namespace) -> int:
    from streamer.model.summary import summarise
    from streamer.protocol.frames import state_data
    from streamer.terminal.printable import printable
    from streamer.terminal.wording import standing

    async with client(arguments) as streamer:
        page = await streamer.runs(
            status=arguments.status,
            outcome=arguments.outcome,
            pipeline=arguments.pipeline,
            title=arguments.title,
            owner=arguments.owner,
            failures=arguments.failures,
            since=None if arguments.since is None else time.time() - arguments.since,
            sort=arguments.sort,
            search=arguments.search,
            limit=arguments.limit,
        )
    if arguments.json:
        say(*(json_line(state_data(run)) for run in page.runs))
        return 0
    if not page.runs:
        say("no runs; start one: streamer run PIPELINE")
        return 0
    now = time.time()
    summaries = [summarise(run, now) for run in page.runs]
    rows = [
        (
            printable(run.run),
            printable(summary.title),
            printable(_progress(summary)),
            standing(summary),
            printable(run.owner),
            date(run.created),
        )
        for run, summary in zip(page.runs, summaries, strict=True)
    ]
    table(("RUN", "TITLE", "PROGRESS", "STATUS", "BY", "SINCE"), rows)
    if page.next is not None:
        of = "" if page.total is None else f"{len(page.runs):,} of {page.total:,}"
        say(f"… {of or 'and more'}: --limit {min(arguments.limit * 10, 1000)}")
    return 0


def _progress(summary: Summary) -> str:
    left = "" if summary.remaining is None else summary.remaining.short
    return f"{summary.progress}, {left} left" if left else summary.progress


def pipelines_command(arguments: argparse.Namespace) -> int:
    """List pipelines and their parameters; return the exit code."""
    return ask(_pipelines(arguments))


async def _pipelines(arguments: argparse.Namespace) -> int:
    import msgspec

    from streamer.terminal.printable import printable, printable_lines

    async with client(arguments) as streamer:
        offers = await streamer.pipelines()
    if arguments.json:
        say(*(json_line(msgspec.to_builtins(offer)) for offer in offers.pipelines))
        return 0
    for offer in offers.pipelines:
        say(printable(offer.name), *(f"    {line}" for line in printable_lines(offer.doc)[:1]))
        required = offer.schema.get("required", [])
        for name, schema in offer.schema.get("properties", {}).items():
            default = "required" if name in required else f"{json_line(schema.get('default'))}"
            words = printable(str(schema.get("description", "")))
            say(printable(f"    -p {name}={default}") + (f"  {words}" if words else ""))
    for problem in offers.problems:
        say(f"not on offer: {printable(problem.reference)}: {printable(problem.message)}")
    if not offers.pipelines:
        say("no pipelines; name some: streamer serve --pipelines MODULE_OR_PATH")
    return 0


def cancel_command(arguments: argparse.Namespace) -> int:
    """Cancel a run; return the exit code."""
    return ask(_cancel(arguments))


async def _cancel(arguments: argparse.Namespace) -> int:
    from streamer.client.client import Conflict

    async with client(arguments) as streamer:
        try:
            status = await streamer.cancel(arguments.run)
        except Conflict as error:
            raise UsageError(error.message) from error
    say(json_line({"run": arguments.run, "status": status}) if arguments.json else status)
    return 0
