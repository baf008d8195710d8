"""`SignalRelay`: our signals, for a command that runs in our place. Sends none itself."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Any, Final, Self

#: Signals that programs send on purpose, but for those of the terminal and of children.
_NAMED: Final = ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PWR", "URG")
#: Signals that say that the terminal changed, and that the command stops or goes on.
_OF_TERMINAL: Final = ("WINCH", "TSTP", "CONT")


def _forwarded() -> list[int]:
    """Return the numbers of the signals that the command gets, as far as this system has them; real-time ones too."""
    named = [getattr(signal, f"SIG{name}", None) for name in (*_NAMED, *_OF_TERMINAL)]
    first, last = (getattr(signal, name, None) for name in ("SIGRTMIN", "SIGRTMAX"))
    real_time = range(first, last + 1) if first is not None and last is not None else ()
    return [number for number in (*named, *real_time) if number is not None]


class SignalRelay:
    """Calls a function for our signals while a command runs; a context manager of the main thread."""

    def __init__(self, hand_on: Callable[[int], object]) -> None:
        self._hand_on = hand_on
        self._previous: dict[int, Any] = {}
        self._reading, self._writing = socket.socketpair()

    @property
    def fd(self) -> int:
        """A descriptor that becomes readable with each signal."""
        return self._reading.fileno()

    def __enter__(self) -> Self:
        """Install the handlers."""
        for end in (self._reading, self._writing):
            end.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in _forwarded():
            # A signal that is ignored here (by nohup, say) is ignored by the command as well.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, lambda number, _: self._hand_on(number))
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers that there were."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        for end in (self._reading, self._writing):
            end.close()

    def clear(self) -> None:
        """Make `fd` wait for the next signal."""
        with contextlib.suppress(BlockingIOError):
            while self._reading.recv(4096):
                pass
