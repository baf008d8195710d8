"""A call in a worker process: how the function, its item, its result and its exception cross over. It runs no pool.

Why not as the pool does it: an object that cannot be unpickled ends the whole pool there. Here it is one failed item.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from streamer.model.events import ErrorInfo
from streamer.model.text.cutting import text_of
from streamer.producer.error_text import ToldError, describe_error

T = TypeVar("T")
R = TypeVar("R")

#: An exception as a worker sends it: itself or its parts, pickled, None when neither can be; and its description.
_Raised = tuple[bytes | None, ErrorInfo]


def submit(pool: Executor, function: Callable[[T], R], item: T) -> Callable[[], R]:
    """Begin a call in a pool of processes.

    Args:
        pool: The pool.
        function: A picklable function.
        item: Its argument, picklable.

    Returns:
        A function that waits for the end. It returns the call's result, or raises its exception. An exception that
        cannot be unpickled is rebuilt from its class and arguments, or told by a `ToldError`.

    Raises:
        BrokenExecutor: A worker process has ended.

    """
    try:
        asked = bytes(ForkingPickler.dumps((function, item)))
    except Exception as error:  # noqa: BLE001 - somebody else's __reduce__; the item fails, and the others go on
        return _raising(error)
    return _Call(pool.submit(_call, asked))


class _Call:
    """A call that was begun; see `submit`."""

    __slots__ = ("_future",)

    def __init__(self, future: Future[tuple[bytes, None] | tuple[None, _Raised]]) -> None:
        self._future = future

    def __call__(self) -> Any:
        result, raised = self._future.result()
        if raised is None:
            assert result is not None
            return pickle.loads(result)  # noqa: S301 - our own worker has written it
        data, info = raised
        error = None if data is None else _brought(data)
        if error is None:
            raise ToldError(info)
        raise error from ToldError(info)


def _raising(error: Exception) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call


def _call(asked: bytes) -> tuple[bytes, None] | tuple[None, _Raised]:
    """Do the call, in the worker process."""
    try:
        function, item = pickle.loads(asked)  # noqa: S301 - `submit` has written it
        return bytes(ForkingPickler.dumps(function(item))), None
    except BaseException as error:  # noqa: BLE001 - it is raised again where the call was asked for
        return None, (_pickled(error), describe_error(error))


def _pickled(error: BaseException) -> bytes | None:
    """Return an exception in a form from which `pickle` makes the same again; None when there is no such form."""
    for form in (error, _Parts(error)):
        try:
            data = bytes(ForkingPickler.dumps(form))
            again = pickle.loads(data)  # noqa: S301 - written above
        except Exception:  # noqa: BLE001, S112 - any code of the exception's class may run here
            continue
        # A class that words its message from its arguments may word it twice.
        if type(again) is type(error) and text_of(again) == text_of(error):
            return data
    return None


class _Parts:
    """An exception that is pickled by its class, arguments and attributes: its own `__init__` is not called again."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        attributes = {name: value for name, value in vars(self._error).items() if name != "__notes__"}
        return _rebuilt, (type(self._error), self._error.args, attributes)


def _rebuilt(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error


def _brought(data: bytes) -> BaseException | None:
    """Return the exception; None when its class exists in the worker alone."""
    try:
        error = pickle.loads(data)  # noqa: S301 - our own worker has written it
    except Exception:  # noqa: BLE001 - any code of the exception's class may run here
        return None
    return error if isinstance(error, BaseException) else None
