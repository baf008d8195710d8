"""`JsonDisplay`: a run as lines of JSON for programs."""

from __future__ import annotations

from typing import TextIO

from streamer.model.events import Entry
from streamer.model.state import RunState
from streamer.protocol.frames import entry_json, state_data, to_json


class JsonDisplay:
    """Writes one line of ASCII JSON for each entry, and for each state that comes instead of entries; nothing else."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def _line(self, data: bytes) -> None:
        self._output.write(data.decode("ascii") + "\n")
        self._output.flush()

    def begin(self, run_id: str, page: str | None) -> None:
        """Write nothing: the first entry names the run."""

    def know(self, state: RunState) -> None:
        self._line(to_json({"event": "snapshot", **state_data(state)}))

    def show(self, entry: Entry, state: RunState) -> None:
        self._line(entry_json(entry))

    def renew(self, state: RunState) -> None:
        """Write nothing: an estimate is no entry, and the next one takes its place."""

    def connection(self, state: str, detail: str) -> None:
        """Write nothing."""

    def say(self, text: str) -> None:
        """Write nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def end(self, state: RunState) -> None:
        """Write nothing: the last entry is the end."""
