"""`Session`: the base of a session's models: the joined update, the clock, the end of every watcher."""

from __future__ import annotations

import math
import time as _time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import param

CONNECTIONS: Final = ("connecting", "live", "away", "missing")


class Session(param.Parameterized):
    """Base of the mirrors: the joined update, the clock, and the end of every watcher.

    `clock` returns POSIX seconds. `commands` is None in literal mode: then what needs the streamer is disabled.
    """

    connection: Any = param.Selector(
        default="live", objects=list(CONNECTIONS), doc="How the streamer is reached."
    )
    connection_message = param.String(default="", doc="What to say about the connection.")
    now = param.Number(
        default=0.0, doc="The time by this process' clock, in whole POSIX seconds: the same for all sessions."
    )
    beat = param.Integer(default=0, doc="Counts on when nothing changed for a while after a change.")
    loaded = param.Integer(default=0, doc="Counts the times that a browser has loaded the page.")
    notice = param.String(default="", doc="Why the last thing the viewer asked for did not work.")

    def __init__(
        self, *, commands: Any = None, clock: Callable[[], float] = _time.time, **params: Any
    ) -> None:
        params.setdefault("now", math.floor(clock()))
        super().__init__(**params)
        self.commands = commands
        #: Where this model may be changed; None: wherever its owner is.
        self.place: Any = None
        self._clock = clock
        self._away_since: float = self.now
        self._ends: list[Callable[[], object]] = []
        self.closed = False

    def update(self, **changes: Any) -> None:
        """Change several parameters at once; views see them together."""
        if self.closed:
            return
        if changes.get("connection", self.connection) != self.connection:
            self._away_since = self.now
        # Why not `param.update`: it first reads every parameter there is.
        with param.parameterized.batch_call_watchers(self):
            for name, value in changes.items():
                if value is not getattr(self, name):
                    setattr(self, name, value)

    @property
    def away_seconds(self) -> float | None:
        """For how long the streamer has been away, in seconds; None: it is not."""
        return max(self.now - self._away_since, 0.0) if self.connection == "away" else None

    def run(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function of this model, such as `RunModel.cancel`, where the model may be changed.

        Args:
            action: Returns the coroutine. Without a streamer to ask it ends at once.
        """
        if self.place is not None:
            self.place.run(action)
            return
        with suppress(StopIteration):
            action().send(None)

    @property
    def place_is_thread(self) -> bool:
        """Whether this model is changed outside of its documents' locks."""
        return bool(getattr(self.place, "is_thread", False))

    def whole_second(self) -> int:
        """Return what `now` is to be."""
        return math.floor(self._clock())

    def tick(self) -> None:
        """Move `now` on, to be called once a second."""
        now = self.whole_second()
        if now != self.now:
            self.update(now=now)

    def listen(self, callback: Callable[..., object], names: Iterable[str]) -> None:
        """Call `callback` with the batched events when any of the parameters is set, until `close`.

        The new value may equal the old one: to find that out, `param` needs longer than the rest of an update.

        Args:
            callback: Called with the events of `param`.
            names: The parameters.

        """
        watcher = self.param.watch(callback, list(names), onlychanged=False)
        self.on_close(lambda: self._unwatch(watcher))

    def _unwatch(self, watcher: Any) -> None:
        with suppress(ValueError):
            self.param.unwatch(watcher)

    def on_close(self, end: Callable[[], object]) -> None:
        """Call `end` once when the session is over (at once when it is over already)."""
        if self.closed:
            end()
        else:
            self._ends.append(end)

    def close(self) -> None:
        """End every watcher and forget the commands. Idempotent."""
        self.closed = True
        ends, self._ends = self._ends, []
        for end in reversed(ends):
            end()
        self.commands = None
