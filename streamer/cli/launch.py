"""`streamer run` and `retry`: start a run, then show it with `viewer`."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import TYPE_CHECKING, Any

from streamer.cli.errors import UsageError
from streamer.cli.output import complain, json_line, say
from streamer.cli.parameters import read_parameters, read_value
from streamer.cli.remote import ask, client
from streamer.cli.viewer import Signals, Viewer, display, is_interactive, page_of
from streamer.model.text.secrets import HIDDEN

if TYPE_CHECKING:
    from streamer.client.client import Client, Created, Offer


def run_command(arguments: argparse.Namespace) -> int:
    """Start a run and show it until it ends; return the exit code."""
    return ask(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    async with client(arguments) as streamer:
        with Signals() as signals:
            offers = {offer.name: offer for offer in (await streamer.pipelines()).pipelines}
            if arguments.pipeline not in offers:
                names = ", ".join(offers) or "none"
                raise UsageError(f"no pipeline {arguments.pipeline!r}; on offer: {names}")
            parameters = read_parameters(offers[arguments.pipeline], arguments.param)
            limit = arguments.time_limit
            created = await streamer.create(arguments.pipeline, parameters, time_limit_seconds=limit)
            return await _show(arguments, streamer, signals, created)


def retry_command(arguments: argparse.Namespace) -> int:
    """Repeat a run's failed items, or all of it, as a new run; show that and return the exit code."""
    return ask(_retry(arguments))


async def _retry(arguments: argparse.Namespace) -> int:
    async with client(arguments) as streamer:
        with Signals() as signals:
            parameters: dict[str, Any] = {}
            old = (await streamer.run(arguments.run)).state
            if arguments.param or HIDDEN in str(old.parameters):
                offers = {offer.name: offer for offer in (await streamer.pipelines()).pipelines}
                if old.pipeline not in offers:
                    raise UsageError(f"the pipeline of run {arguments.run}, {old.pipeline}, is not on offer")
                parameters = read_parameters(offers[old.pipeline], arguments.param)
                parameters |= _asked(offers[old.pipeline], old.parameters, parameters)
            if old.never_reached and not (arguments.all or arguments.rest) and old.results.failed:
                complain(
                    f"{old.never_reached:,} items of run {old.run} were never reached; --rest does them, too"
                )
            created = await streamer.retry(
                arguments.run,
                items="all" if arguments.all else "rest" if arguments.rest else "failed",
                params=parameters,
                time_limit_seconds=arguments.time_limit,
            )
            return await _show(arguments, streamer, signals, created)


def _asked(offer: Offer, old: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Ask on the terminal for the secrets of an old run, which were not kept.

    Args:
        offer: The run's pipeline.
        old: The run's parameters.
        given: Those that the command line gives.

    Returns:
        The values that were typed.

    Raises:
        UsageError: There is no terminal to ask on.
    """
    from streamer.model.parameters.secret import is_hidden

    properties = offer.schema.get("properties", {})
    secret = {name for name in old if properties.get(name, {}).get("writeOnly")}
    missing = [
        name
        for name, value in old.items()
        if name not in given and is_hidden(value, is_secret=name in secret)
    ]
    if missing and not sys.stdin.isatty():
        example = " ".join(f"-p {name}=…" for name in missing)
        raise UsageError(f"{', '.join(missing)}: a secret, and was not kept; give it again: {example}")
    return {name: read_value(properties.get(name, {}), getpass(f"{name} (not shown): ")) for name in missing}


async def _show(arguments: argparse.Namespace, streamer: Client, signals: Signals, created: Created) -> int:
    """Show a new run until it ends, or print its id with `--detach`; return the exit code."""
    if arguments.detach:
        say(json_line({"run": created.run, "page": created.page}) if arguments.json else created.run)
        return 0
    shown = display(arguments)
    shown.begin(created.run, created.page or page_of(streamer, created.run))
    # From the first entry on: the run may have logged something before we began to read.
    stream = streamer.follow(created.run, from_start=True, on_connection=shown.connection)
    return await Viewer(streamer, created.run, shown, stream).until_the_end(
        signals, interactive=is_interactive(arguments), owns_run=True
    )
