"""`Bars`: the bars inside a run as a tree under their phases: loops in loops, those of child processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboards.indicators.base import Indicator
from dashboards.session import RunModel
from streamer.model import formatting
from streamer.model.events import Bar
from streamer.model.state import RunState

#: How many rows are shown at most; how many of one bar's inner bars that are over, and of the outer ones.
ROWS_SHOWN = 60
OVER_SHOWN = 3
OUTER_SHOWN = 6
#: Deepest indentation; what is nested deeper stands there as well.
DEPTH_SHOWN = 6


class Bars(Indicator):
    """A run's bars: ``Bars(run)``, indented by their depth. It takes no room for a run without any."""

    script = "Bars"
    watched = ("state",)
    model_class = RunModel

    def looks_at(self) -> tuple[Any, ...]:
        state = self.model.state
        if state is None:
            return (None,)
        return state.bars, state.bars_folded, "\n".join(phase.name for phase in state.phases)

    def present(self) -> dict[str, Any]:
        state = self.model.state
        if state is None or not state.bars:
            return {"rows": [], "more": ""}
        rows = list(_rows(state))
        left = state.bars_folded + len(state.bars) - sum(1 for row in rows if row["depth"])
        kept = rows[:ROWS_SHOWN]
        left += sum(1 for row in rows[ROWS_SHOWN:] if row["depth"])
        return {"rows": kept, "more": f"and {left:,} more" if left else ""}


def _rows(state: RunState) -> Iterator[dict[str, Any]]:
    """Yield headings (depth 0) and bars, each under the one it is inside of."""
    outer_shown = ROWS_SHOWN if state.is_over else OUTER_SHOWN
    inner = state.inner_bars()
    phases = [phase.name for phase in state.phases]
    tops = inner.get(None, [])
    others = [bar for bar in tops if bar.phase not in phases]
    yield from _branch(others, inner, 1, outer_shown)
    for name in phases:
        under = [bar for bar in tops if bar.phase == name]
        if under:
            yield {"id": f"phase {name}", "depth": 0, "name": formatting.cut(name, 200)}
            yield from _branch(under, inner, 1, outer_shown)


def _branch(
    bars: list[Bar], inner: dict[str | None, list[Bar]], depth: int, over_shown: int = OVER_SHOWN
) -> Iterator[dict[str, Any]]:
    over = [bar.id for bar in bars if bar.status != "started"]
    hidden = set(over[: len(over) - over_shown] if len(over) > over_shown else ())
    for bar in bars:
        if bar.id in hidden:
            continue
        yield _row(bar, depth)
        # The bars inside a finished bar have nothing more to say.
        if bar.status != "finished":
            yield from _branch(inner.get(bar.id, []), inner, depth + 1)


def _row(bar: Bar, depth: int) -> dict[str, Any]:
    value = None
    if bar.done is not None and bar.total:
        # The quotient of two numbers of any size may be infinite.
        value = int(min(bar.done / bar.total, 1.0) * 100)
    elif bar.status == "finished":
        value = 100
    text = formatting.done_of(bar.done, bar.total, formatting.cut(bar.unit, 20))
    said = {"started": "", "finished": "finished", "stopped": "stopped"}[bar.status]
    return {
        "id": f"bar {bar.id}",
        "depth": min(depth, DEPTH_SHOWN),
        "name": formatting.cut(bar.name, 200) or "bar",
        "value": value,
        "text": text,
        "spoken": ", ".join(part for part in (text, said) if part),
        "kind": bar.status,
    }
