"""`run` and `track`, which users call: any script or notebook as a run with a page. They execute nothing themselves.

Neither makes the user's code fail or wait. The publisher's thread does slow work, events that are not sent when the
program ends wait in a spool, and without a streamer the code runs as if nothing had been asked.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from streamer.model.events import (
    PhaseSpec,
)
from streamer.producer.counting import number_of, total_of
from streamer.producer.run import Run
from streamer.producer.scripts.exit import install_hooks
from streamer.producer.scripts.loops import Loop, settle_loops
from streamer.producer.scripts.session import Session

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
#: The phases of a run: a mapping from names to weights, names alone, or pairs of both.
Phases = Mapping[str, float] | Iterable[str | tuple[str, float] | PhaseSpec]


class run:  # noqa: N801 - used as a function: ``with streamer.run("Fit models") as run:``
    """Report the body of a `with` statement, or each call of a decorated function, as a run of its own.

    It draws a progress bar in the terminal or cell and prints the run's URL, both on standard error.

    The run is complete when its body ends, and failed when the body raises. Ctrl-C and a cancel from the page end it as
    cancelled; the cancel arrives as `Cancelled`, a `KeyboardInterrupt`. Every exception is raised again.
    ``run.complete(result)`` gives the run a result. The return value of a decorated function is its result, too, if it
    has a text. Without a streamer the body runs as well; its events wait on this machine until there is a streamer.

    Args:
        title: The run's title; empty: the name of the program.
        phases: The phases' names with their weights, or names alone; None: phases join as they start.
        url: The streamer's URL; None: `STREAMER_URL`, else the streamer on this machine, else port 5007.
        parameters: Values that the page shows, any JSON; None: no values.
        program: The program's name on the page; None: the name of this script or notebook.
        show: Whether to draw the progress bar. The URL is printed in any case.

    Raises:
        ValueError: On entering, if a phase has no name, a name twice, or a weight that is not above 0.
    """

    def __init__(
        self,
        title: str,
        phases: Phases | None = None,
        url: str | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        program: str | None = None,
        show: bool = True,
    ) -> None:
        self._title = title
        self._phases = phases
        self._url = url
        self._parameters = parameters
        self._program = program
        self._show = show
        self._session: Session | None = None

    def __enter__(self) -> Run:
        """Open the run and return it. Raises `ValueError` for phases that are not valid."""
        specs = _specs(self._phases)
        settle_loops()
        self._session = Session(
            self._title,
            specs,
            self._url,
            self._parameters,
            program=self._program,
            show=self._show,
            is_loops=False,
        )
        install_hooks()
        return self._session.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run as its body ended."""
        session, self._session = self._session, None
        assert session is not None
        session.close(error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return `function` wrapped so that each call of it is a run.

        Args:
            function: A function, a coroutine function or a generator function.

        Raises:
            TypeError: If it is an asynchronous generator function.
        """
        if inspect.isasyncgenfunction(function):
            raise TypeError("streamer.run: expected a function, a coroutine function or a generator function")
        if inspect.iscoroutinefunction(function):
            wrapped: Any = self._around_coroutine(function)
        elif inspect.isgeneratorfunction(function):
            wrapped = self._around_generator(function)
        else:
            wrapped = self._around(function)
        return functools.wraps(function)(wrapped)

    def _fresh(self) -> run:
        return run(
            self._title,
            self._phases,
            self._url,
            parameters=self._parameters,
            program=self._program,
            show=self._show,
        )

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh() as reported:
                return _with_result(reported, function(*args, **kwargs))

        return call

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh() as reported:
                return _with_result(reported, await function(*args, **kwargs))

        return call

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return (yield from function(*args, **kwargs))

        return call


def _with_result(reported: Run, value: R) -> R:
    """Complete a run with its function's return value, unless that is an object without a text of its own."""
    shows_nothing = type(value).__str__ is object.__str__ and type(value).__repr__ is object.__repr__
    reported.complete(None if shows_nothing else value)
    return value


@overload
def track(
    items: Iterable[T],
    description: str = "",
    *,
    total: float | None = None,
    unit: str = "items",
    url: str | None = None,
) -> Iterator[T]: ...


@overload
def track(
    items: AsyncIterable[T],
    description: str = "",
    *,
    total: float | None = None,
    unit: str = "items",
    url: str | None = None,
) -> AsyncIterator[T]: ...


def track(
    items: Iterable[T] | AsyncIterable[T],
    description: str = "",
    *,
    total: float | None = None,
    unit: str = "items",
    url: str | None = None,
) -> Iterator[T] | AsyncIterator[T]:
    """Return an iterator over `items` that shows how far the loop over them is.

    It draws a progress bar in the terminal or cell and prints the run's URL, both on standard error.

    In a phase, of a pipeline or of a `run`, the loop counts for the phase. Inside a `run` and outside of its phases it
    belongs to that run, and is a phase of it if it has a description. Otherwise the program's
    loops make one run, if they overlap or follow one another at once. Loops side by side are its phases; loops inside
    a loop are bars. A loop that is left before its end is shown as stopped, with the exception that ended the program.

    Args:
        items: An iterable, or an asynchronous iterable for an ``async for`` loop.
        description: The loop's name.
        total: How many items there are; None: `len(items)`. Without either the progress is indeterminate.
        unit: The items' unit, in the plural.
        url: The streamer's URL; None: as in `run`.

    Returns:
        An iterator over the same items, asynchronous if `items` is.
    """
    known: Any = items
    loop = Loop(description, number_of(total_of(known) if total is None else total), unit, url)
    counted: Iterator[T] | AsyncIterator[T] = loop.over(items)
    return counted


def _specs(phases: Phases | None) -> tuple[PhaseSpec, ...]:
    """Return phases as the streamer takes them. Raises `ValueError` naming a phase that is not valid."""
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
