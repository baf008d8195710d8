"""A terminal for tests: a command on a pseudo-terminal of its own, and the screen that its output draws."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from typing import Self

import pyte

from tests.support import ROOT, wait_until


class Terminal:
    """Runs a command as a person would; a context manager that ends it. `text` is what the screen shows now.

    What scrolled off the screen's top is kept, up to 2,000 lines, and belongs to `text`.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, columns: int = 100, rows: int = 40
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=2_000, ratio=1.0)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.raw = b""
        self._ours, theirs = pty.openpty()
        self._set_size(columns, rows)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # The pseudo-terminal becomes the controlling one: Ctrl-C typed here is a signal there.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call, no lock
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, name="test-terminal")
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65_536)
            except OSError:  # the command has ended
                return
            if not data:
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def lines(self) -> list[str]:
        """What is shown, and what scrolled away before it, without blanks at the lines' ends."""
        with self._lock:
            gone = [
                "".join(line[column].data for column in range(self._screen.columns))
                for line in self._screen.history.top
            ]
            return [line.rstrip() for line in (*gone, *self._screen.display)]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def type(self, keys: str) -> None:
        """Send keys; ``\\x03`` is Ctrl-C."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as a person who drags its corner."""
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def wait_for(self, text: str, *, timeout: float = 60.0) -> None:
        """Return when the text is on the screen."""
        wait_until(lambda: text in self.text, timeout=timeout, message=lambda: f"{text!r} in\n{self.text}")

    def wait(self, *, timeout: float = 60.0) -> int:
        """Return the command's exit code, once it has ended and all of its output was drawn."""
        code = self.process.wait(timeout)
        self._reader.join(10.0)
        return code
