"""`run` and `track`: any script or notebook as a run with a page. Executes nothing; the code stays where it is.

Without a streamer the code goes on as if nothing had been asked, after one line that says so.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from streamer.discovery import find_streamer
from streamer.events import NAME_LIMIT, RESULT_LIMIT, Event, PhaseSpec, bounded_json, cut
from streamer.publisher import Publisher, whereabouts
from streamer.reporter import Interrupter, Run
from streamer.settings import SettingError, Settings

T = TypeVar("T")
#: What says the phases of a run: names with weights, or names alone, or pairs.
Phases = Mapping[str, float] | Iterable[str | tuple[str, float] | PhaseSpec]

#: Seconds that the end of a run may take to reach the streamer.
CLOSE_SECONDS: Final = 10.0
#: Seconds to reach a streamer, and for its answer.
_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 5.0


class _Registered(Struct):
    """The streamer's answer to a run that was registered; `page` is its page on the dashboards, if they are known."""

    run: str
    token: str
    url: str = ""
    page: str | None = None


@contextlib.contextmanager
def run(
    title: str,
    phases: Phases | None = None,
    url: str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
) -> Iterator[Run]:
    """Report the body of a `with` statement as a run, and say once, on standard error, where its page is.

    `phases` are names with their weights. `url` is the streamer's; by default STREAMER_URL, the one that runs on this
    machine, or port 5007. `parameters` are shown on the page; they may be any JSON.

    A body that raises ends the run as failed, Ctrl-C and a cancel from the page (`Cancelled`, a `KeyboardInterrupt`) as
    cancelled, and the exception goes on. Otherwise it is complete; ``run.complete(result)`` gives it a result. Raises
    `ValueError` for phases that are none. Without a streamer the body runs all the same.
    """
    specs = _specs(phases)
    started = _start(_title(title), specs, url, parameters)
    if started is None:
        yield Run(_nowhere, specs)
        return
    reported, publisher, interrupter = started
    publisher.start()
    try:
        with interrupter or contextlib.nullcontext(), reported:
            yield reported
    finally:
        if not publisher.close(CLOSE_SECONDS) and publisher.refused is None:
            _say(f"the end of this run did not reach the streamer ({publisher.last_error or 'no answer'})")


def track(
    items: Iterable[T],
    description: str = "",
    *,
    total: int | None = None,
    unit: str = "items",
    url: str | None = None,
) -> Iterator[T]:
    """Return `items` one by one, as a run of its own that counts them; for what else is said see `run`.

    A loop that is left before its end, by `break` or by an exception, is shown as cancelled: which it was, nobody can
    tell from here.
    """
    with run(description or _program(), url=url) as reported:
        yield from reported.track(items, total=total, unit=unit)


def _start(
    title: str, specs: tuple[PhaseSpec, ...], url: str | None, parameters: Mapping[str, Any] | None
) -> tuple[Run, Publisher, Interrupter | None] | None:
    try:
        settings = Settings.from_environment()
    except SettingError as error:
        _say(f"this run is not shown: {error}")
        return None
    base = (url or find_streamer(settings)).rstrip("/")
    registered = _register(base, settings.token, title, specs, parameters)
    if registered is None:
        return None
    reported: Run
    publisher = Publisher(
        _where(base, None if url or settings.url else settings.data),
        registered.run,
        registered.token,
        on_request=lambda name: reported.request_cancel() if name == "cancel" else None,
        on_refused=lambda reason: _say(f"the streamer takes no more of this run, which goes on ({reason})"),
    )
    # Only the main thread can be interrupted; another one hears of a cancel when it next reports something.
    main = threading.current_thread() is threading.main_thread()
    interrupter = Interrupter() if main else None
    reported = Run(publisher.put, specs, interrupter=interrupter)
    _say(registered.page or f"{base}/api/runs/{registered.run}")
    return reported, publisher, interrupter


def _where(base: str, data: Path | None) -> Callable[[], str]:
    return whereabouts(data, base) if data is not None else lambda: base


def _register(
    base: str,
    token: str,
    title: str,
    specs: tuple[PhaseSpec, ...],
    parameters: Mapping[str, Any] | None,
) -> _Registered | None:
    """Ask a streamer for a new run; None, and a line that says why, when there is none to be had."""
    # Imported here because it takes a tenth of a second, which a program that only defines things need not spend.
    import httpx

    body = {
        "title": title,
        "phases": [{"name": spec.name, "weight": spec.weight} for spec in specs],
        "parameters": bounded_json(dict(parameters or {}), RESULT_LIMIT),
        "owner": _user(),
        "host": socket.gethostname(),
    }
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    try:
        # Proxies of the environment are for the world outside, not for a streamer next door.
        with httpx.Client(trust_env=False, timeout=timeout) as client:
            response = client.post(f"{base}/api/runs", content=msgspec.json.encode(body), headers=headers)
        if response.status_code == 201:
            return msgspec.json.decode(response.content, type=_Registered)
        reason = f"it answered {response.status_code}: {cut(response.text, 300)}"
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError, UnicodeError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _say(f"this run is not shown, no streamer at {base} ({reason})")
    return None


def _specs(phases: Phases | None) -> tuple[PhaseSpec, ...]:
    """Return phases as the streamer takes them. Raises `ValueError` naming the one that is none."""
    found: dict[str, PhaseSpec] = {}
    for given in phases.items() if isinstance(phases, Mapping) else phases or ():
        match given:
            case PhaseSpec():
                spec = given
            case str():
                spec = PhaseSpec(given)
            case (str() as name, int() | float() as weight):
                spec = PhaseSpec(name, float(weight))
            case _:
                raise ValueError(f"phases: expected a name, or a name and its weight, received {given!r}")
        if not spec.name or spec.name in found or not 0 < spec.weight < float("inf"):
            raise ValueError(f"phases: expected names that differ and weights above 0, received {given!r}")
        found[spec.name] = spec
    return tuple(found.values())


def _title(title: str) -> str:
    return cut(str(title).strip(), NAME_LIMIT) or _program()


def _program() -> str:
    """Return what this program is called, for a run that has no other name."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    return "Notebook" if name == "ipykernel_launcher.py" else name or "Python"


def _user() -> str | None:
    # getuser fails where the user id has no name, as in some containers.
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _nowhere(event: Event, time: float) -> None:
    """Take the events of a run that nobody sees."""


def _say(text: str) -> None:
    print(f"streamer: {cut(text, 1000)}", file=sys.stderr)  # noqa: T201 - this is the one line of it that the user sees
