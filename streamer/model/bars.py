"""The bars of a run's state: how they change, which ones give way when there are too many, and how they end. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from streamer.model.bounds import BARS_LIMIT, whole_count
from streamer.model.events import Bar
from streamer.model.state import RunState


def with_bars(state: RunState, changed: Iterable[Bar], phase: str | None) -> RunState:
    """Return the state with those bars in it, `phase` theirs where neither they nor an earlier event said another.

    Args:
        state: The run's state.
        changed: The bars as the event says them.
        phase: The phase under way; None: none.

    """
    bars = {bar.id: bar for bar in state.bars}
    for bar in changed:
        known = bars.get(bar.id)
        where = bar.phase if bar.phase is not None else known.phase if known is not None else phase
        bars[bar.id] = replace(bar, phase=where, done=whole_count(bar.done), total=whole_count(bar.total))
    surplus = len(bars) - BARS_LIMIT
    for gone in sorted(bars.values(), key=_staying)[: max(surplus, 0)]:
        del bars[gone.id]
    return replace(state, bars=tuple(bars.values()), bars_folded=state.bars_folded + max(surplus, 0))


def _staying(bar: Bar) -> tuple[bool, bool]:
    """Sort what may be folded away first: nested bars that are over, then other ones that are; the older the sooner."""
    return bar.status == "started", bar.parent is None


def ended_bar(bar: Bar) -> Bar:
    """Return a bar after the end of its run: finished when it had counted to its total, else stopped."""
    if bar.status != "started":
        return bar
    whole = bar.done is not None and bar.total is not None and bar.done >= bar.total
    return replace(bar, status="finished" if whole else "stopped")


def settled_bars(state: RunState, changed: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """Return `changed` with the phases that `state` knows for those bars that name none."""
    if not changed:
        return changed
    known = {bar.id: bar.phase for bar in state.bars}
    return tuple(bar if bar.phase is not None else replace(bar, phase=known.get(bar.id)) for bar in changed)
