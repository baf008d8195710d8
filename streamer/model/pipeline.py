"""`Pipeline` and `phase`: what a user declares. Says what the work is; does not execute or report it."""

from __future__ import annotations

import inspect
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, overload

import param
from msgspec import Struct

from streamer.model.bounds import COUNT_LIMIT, NAME_LIMIT, PHASES_LIMIT
from streamer.model.events import PhaseSpec

T = TypeVar("T")
R = TypeVar("R")
Method = TypeVar("Method", bound=Callable[..., Any])


class Advance(Protocol):
    """Counts work that is no loop over items, such as bytes."""

    def advance(self, amount: float = 1) -> None: ...


class MapOptions(Struct, Generic[T], frozen=True):
    """The options of one `map` call; see `map_over`."""

    on_error: Literal["raise", "collect"] = "raise"
    workers: int = 0
    processes: bool = False
    total: float | None = None
    unit: str = "items"
    size: Callable[[T], float] | None = None
    label: Callable[[T], str] = str


class MapsItems(Protocol):
    """An object that can have `map_over` as its method `map`."""

    def map_items(
        self, function: Callable[[T], R], items: Iterable[T], options: MapOptions[T]
    ) -> list[R]: ...


def map_over(
    self: MapsItems,
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    on_error: Literal["raise", "collect"] = "raise",
    workers: int = 0,
    processes: bool = False,
    total: float | None = None,
    unit: str = "items",
    size: Callable[[T], float] | None = None,
    label: Callable[[T], str] = str,
) -> list[R]:
    """Call `function` on every item and report the progress. It is the method `map` of pipelines and runs.

    A run that does failed items again works on those alone, in the phases in which items failed, if `on_error` is
    "collect". An item is one of them if its whole label is, as often as that label failed. The other items are passed
    over: `function` is not called on them, and they are not counted. See `is_retry`.

    Args:
        self: The pipeline or run.
        function: Called with one item.
        items: Any iterable. With workers, two items for each worker are taken in advance.
        on_error: "raise" reports the item that raised and raises its exception. "collect" reports it and goes on.
        workers: How many threads call `function`; 0: this thread does.
        processes: Whether the workers are processes; then `function` and the items must be picklable.
        total: The number of items, or the sum of their sizes; None: `len(items)` where there are no sizes.
        unit: The unit of the progress, in the plural, such as items or bytes.
        size: Returns an item's size in `unit`; None: each item counts 1. An item whose size cannot be told counts 0.
        label: Names an item in the list of failures. An item whose label cannot be told is named by its type.

    Returns:
        The results of the items that succeeded, in the items' order.

    Raises:
        ValueError: If `on_error` or `workers` is not valid.
        Exception: The exception of `function`, if `on_error` is "raise".
    """
    options = MapOptions(on_error, workers, processes, total, unit, size, label)
    return self.map_items(function, items, options)


class Reporter(MapsItems, Protocol):
    """Receives what running code reports: `streamer.producer.run.Run`, or `Silent` where nobody listens."""

    def track(self, items: Iterable[T], *, total: int | None = None, unit: str = "items") -> Iterator[T]: ...

    def counter(
        self, total: float | None = None, *, unit: str = "items"
    ) -> AbstractContextManager[Advance]: ...

    def message(self, text: str) -> None: ...

    @property
    def is_retry(self) -> bool: ...

    @property
    def log(self) -> logging.Logger: ...


class SkipPhase(Exception):
    """Raise it in a phase that has nothing to do: it is shown as skipped, with the reason, and the run goes on."""


@overload
def phase(method: Method, /) -> Method: ...
@overload
def phase(*, weight: float = 1.0) -> Callable[[Method], Method]: ...
def phase(method: Any = None, /, *, weight: float = 1.0) -> Any:
    """Mark a method of a `Pipeline` as a phase; phases run in the order they are written.

    `weight` is the phase's share of the overall progress, relative to the other phases' weights; raises `ValueError`
    unless it is a positive number, and `TypeError` when it is not given by name.
    """
    if not 0 < weight < math.inf:
        raise ValueError(f"phase(weight=…): expected a positive number, received {weight!r}")
    if method is not None and not callable(method):
        raise TypeError(
            f"phase: expected a method, received {method!r}; a weight is written @phase(weight=…)"
        )

    def mark(function: Method) -> Method:
        function.__phase_weight__ = float(weight)  # type: ignore[attr-defined]  # a plain function takes attributes
        return function

    return mark if method is None else mark(method)


class Pipeline(param.Parameterized):
    """Base of what users declare: parameters as `param` parameters, work as `@phase` methods.

    In a phase, `track`, `map` and `counter` report progress, `log` is a standard `logging.Logger`, and what the last
    phase returns is the run's result. A phase that raises ends the run as failed. One thread runs the phases.
    """

    __abstract = True

    #: How long a run may take, in seconds, from when it is running; None: as long as it takes. A start may say another.
    time_limit_seconds: float | None = None

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]  # param publishes no types here
        self._reporter: Reporter = Silent(self)
        #: The values that `json_schema.build` was given, as Python values; None when code constructed the pipeline.
        self._given: dict[str, Any] | None = None

    def track(self, items: Iterable[T], *, total: int | None = None, unit: str = "items") -> Iterator[T]:
        """Return `items` one by one and count them as the phase's progress.

        `total` is how many there are; by default `len(items)`, and when it has none the progress is indeterminate.

        Args:
            items: The items.
            total: How many they are; None: `len` of them, where they have one.
            unit: The name of the items, in the plural.

        Returns:
            An iterator over the items.

        """
        return self._reporter.track(items, total=total, unit=unit)

    map = map_over

    def map_items(self, function: Callable[[T], R], items: Iterable[T], options: MapOptions[T]) -> list[R]:
        """Do as `map`, with its options as one object.

        Args:
            function: Called with each item.
            items: The items.
            options: The options of `map`.

        Returns:
            The results of the items that succeeded, in the items' order.

        """
        return self._reporter.map_items(function, items, options)

    def counter(self, total: float | None = None, *, unit: str = "items") -> AbstractContextManager[Advance]:
        """Return a context manager whose value has `advance(amount)`: progress that is no loop over items.

        Args:
            total: The count at the end, in `unit`; None: not known.
            unit: The unit of the count, in the plural.

        """
        return self._reporter.counter(total, unit=unit)

    def message(self, text: str) -> None:
        """Say in a few words what is being done now; shown beside the progress."""
        self._reporter.message(text)

    @property
    def is_retry(self) -> bool:
        """Whether this run does the failed items of another one again.

        A phase that has nothing to do then may say so: ``raise SkipPhase("nothing failed here")``.
        """
        return self._reporter.is_retry

    @property
    def log(self) -> logging.Logger:
        """The run's logger; `extra={"item": …}` says which item a line is about."""
        return self._reporter.log


class Silent:
    """The reporter of a pipeline that runs without a streamer: it counts nothing and logs as usual. Any thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._log = logging.getLogger(f"{type(pipeline).__module__}.{type(pipeline).__qualname__}")

    def track(self, items: Iterable[T], *, total: int | None = None, unit: str = "items") -> Iterator[T]:
        return iter(items)

    map = map_over

    def map_items(self, function: Callable[[T], R], items: Iterable[T], options: MapOptions[T]) -> list[R]:
        results = []
        for item in items:
            try:
                results.append(function(item))
            except Exception:
                if options.on_error == "raise":
                    raise
                self._log.exception("%s failed", options.label(item))
        return results

    def counter(self, total: float | None = None, *, unit: str = "items") -> AbstractContextManager[Advance]:
        return _SilentCounter()

    def message(self, text: str) -> None:
        self._log.info("%s", text)

    @property
    def is_retry(self) -> bool:
        return False

    @property
    def log(self) -> logging.Logger:
        return self._log


class _SilentCounter:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, amount: float = 1) -> None:
        pass


_NOT_PLAIN = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def phases_of(pipeline: type[Pipeline]) -> tuple[PhaseSpec, ...]:
    """Return the declared phases in the order they are written, base classes first.

    Raises `TypeError` when there is none, too many, or one is no plain method without arguments.
    """
    found: dict[str, PhaseSpec] = {}
    for base in reversed(pipeline.__mro__):
        for name, value in vars(base).items():
            if name in found and not hasattr(value, "__phase_weight__"):
                del found[name]
            elif hasattr(value, "__phase_weight__"):
                found[name] = PhaseSpec(name, value.__phase_weight__)
    if not 0 < len(found) <= PHASES_LIMIT:
        raise TypeError(
            f"{pipeline.__qualname__}: expected 1 to {PHASES_LIMIT} @phase methods, found {len(found)}"
        )
    for name in found:
        function = getattr(pipeline, name)
        if any(is_other(function) for is_other in _NOT_PLAIN):
            # Calling it would run nothing, and the phase would look as if it had succeeded.
            raise TypeError(
                f"{pipeline.__qualname__}.{name}: a phase is a plain method, neither async nor with yield"
            )
        parameters = list(inspect.signature(function).parameters.values())
        if any(
            p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            for p in parameters[1:]
        ):
            raise TypeError(f"{pipeline.__qualname__}.{name}: a phase takes no arguments besides self")
        if len(name) > NAME_LIMIT:
            raise TypeError(f"{pipeline.__qualname__}: a phase's name has at most {NAME_LIMIT} characters")
    return tuple(found.values())


def time_limit_of(pipeline: type[Pipeline]) -> float | None:
    """Return how long runs of a pipeline may take, in seconds. Raises `TypeError` for a limit that is none."""
    limit: Any = pipeline.time_limit_seconds
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= COUNT_LIMIT:
        raise TypeError(
            f"{pipeline.__qualname__}.time_limit_seconds: expected a number above 0 or None, received {limit!r}"
        )
    return float(limit)


def title_of(pipeline: type[Pipeline]) -> str:
    """Return a class's name in words: ``Import prices`` for ``ImportPrices``."""
    words = (
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", pipeline.__name__)
        .replace("_", " ")
        .split()
    )
    return " ".join(
        [
            words[0][:1].upper() + words[0][1:],
            *(w if w.isupper() and len(w) > 1 else w.lower() for w in words[1:]),
        ]
    )


def doc_of(pipeline: type[Pipeline]) -> str:
    """Return a class's own docstring, dedented; empty when it has none (param's generated text does not count)."""
    text = pipeline.__dict__.get("__doc__") or ""
    return inspect.cleandoc(text)
