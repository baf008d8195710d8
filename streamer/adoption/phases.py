"""The phases of a command, recognised by patterns in its output. Knows nothing of processes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from msgspec import Struct

from streamer.adoption.collector import Collector
from streamer.model.events import PhaseChanged, PhaseSpec
from streamer.producer.cancellation import Cancelled
from streamer.producer.run import Run


class PhasePattern(Struct, frozen=True):
    """A phase that begins with the first line of output in which `pattern` is found; None: with the command."""

    spec: PhaseSpec
    pattern: re.Pattern[str] | None = None


def read_phases(text: str) -> tuple[PhasePattern, ...]:
    r"""Read phases from a command line.

    Args:
        text: ``NAME[*WEIGHT][=PATTERN],…``. Patterns are regular expressions, in any case of letters; ``\,`` stands for
            a comma in a pattern. Only the first phase may lack a pattern.

    Raises:
        ValueError: The text is not of that form.
    """
    found: list[PhasePattern] = []
    for part in re.split(r"(?<!\\),", text):
        named, equals, wanted = part.strip().partition("=")
        name, star, weight = named.strip().partition("*")
        try:
            spec = PhaseSpec(name.strip(), float(weight) if star else 1.0)
            pattern = re.compile(wanted.replace("\\,", ","), re.IGNORECASE) if equals else None
        except (ValueError, re.error) as error:
            raise ValueError(f"phases: expected NAME*WEIGHT=PATTERN, received {part!r}: {error}") from error
        if (
            not spec.name
            or not 0 < spec.weight < float("inf")
            or any(spec.name == p.spec.name for p in found)
        ):
            raise ValueError(f"phases: expected names that differ and weights above 0, received {part!r}")
        if pattern is None and found:
            raise ValueError(f"phases: expected a pattern after {name!r}=: only the first phase needs none")
        found.append(PhasePattern(spec, pattern))
    return tuple(found)


class PhaseTracker:
    """Moves a run forward through its phases by the lines that its command writes. It may skip phases."""

    def __init__(self, run: Run, patterns: Sequence[PhasePattern], collector: Collector) -> None:
        self._run = run
        self._patterns = patterns
        self._collector = collector
        self._next = 0
        self._current = contextlib.ExitStack()
        if patterns and patterns[0].pattern is None:
            self._enter(0)

    def look(self, line: str) -> None:
        """Begin a later phase when the line matches its pattern."""
        for index in range(self._next, len(self._patterns)):
            pattern = self._patterns[index].pattern
            if pattern is not None and pattern.search(line):
                self._enter(index)
                return

    def _enter(self, index: int) -> None:
        self._current.close()
        self._skip(index)
        self._collector.restart()
        self._next = index + 1
        # A run that is being cancelled begins no phase; its command still has time to end well.
        with contextlib.suppress(Cancelled):
            self._current.enter_context(self._run.phase(self._patterns[index].spec.name))

    def _skip(self, until: int) -> None:
        for one in self._patterns[self._next : until]:
            self._run.report(PhaseChanged(phase=one.spec.name, phase_status="skipped"))

    def close(self, *, well: bool) -> None:
        """Finish the phases. Unless the command ended well, the run ends in its current phase."""
        if well:
            self._current.close()
            self._skip(len(self._patterns))
