"""`select`: which parameters tell how long a run takes, from earlier runs: forward selection by BIC. Knows no time.

Source: Schwarz 1978 for the criterion. Unique texts (dates, seeds, paths) drop out, as they have too many values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from streamer.model.estimates.timeline import Array

#: Runs from which on parameters are selected, and how many are at most.
FEWEST: Final = 4
MOST: Final = 3
_MOST_VALUES: Final = 6


class Selected(NamedTuple):
    """A parameter that matters: its name, and whether it is a number; else it is one of a few values."""

    name: str
    is_number: bool


def select(runs: Sequence[Mapping[str, Any]], seconds: Sequence[float]) -> list[Selected]:
    """Return the parameters that matter, the most telling first.

    Args:
        runs: The parameters of each run.
        seconds: How long each took, in seconds, above 0.
    """
    if len(runs) < FEWEST:
        return []
    y = np.log(np.maximum(np.array(seconds), 1e-3))
    candidates = dict(_candidates(runs))
    chosen: list[Selected] = []
    design = np.ones((len(y), 1))
    best = _bic(design, y)
    while candidates and len(chosen) < MOST:
        scored = {one: _bic(np.hstack([design, columns]), y) for one, columns in candidates.items()}
        one = min(scored, key=lambda each: scored[each])
        if scored[one] >= best - 2.0:
            break
        best = scored[one]
        design = np.hstack([design, candidates.pop(one)])
        chosen.append(one)
    return chosen


def columns_of(
    selected: Sequence[Selected], runs: Sequence[Mapping[str, Any]], now: Mapping[str, Any]
) -> Array:
    """Return how the runs differ from this one in the selected parameters, shape (runs, features).

    Args:
        selected: The parameters.
        runs: The parameters of each earlier run.
        now: The parameters of this run.
    """
    columns: list[Array] = []
    for one in selected:
        if one.is_number:
            own = _logarithm(now.get(one.name))
            found = np.array([_logarithm(run.get(one.name)) for run in runs])
            difference = found - own
            columns.append(np.where(np.isnan(difference), 0.0, difference)[:, None])
        else:
            value = _category(now.get(one.name))
            texts = [_category(run.get(one.name)) for run in runs]
            others = sorted(set(texts) - {value})
            columns.append(
                np.array([[float(text == other) for other in others] for text in texts]).reshape(
                    len(texts), -1
                )
            )
    return np.hstack(columns) if columns else np.zeros((len(runs), 0))


def _candidates(runs: Sequence[Mapping[str, Any]]) -> list[tuple[Selected, Array]]:
    names = sorted({name for run in runs for name in run})
    found: list[tuple[Selected, Array]] = []
    for name in names:
        values = [run.get(name) for run in runs]
        numbers = np.array([_logarithm(value) for value in values])
        if not np.isnan(numbers).any():
            if np.ptp(numbers) > 1e-9:
                found.append((Selected(name, is_number=True), (numbers - numbers.mean())[:, None]))
            continue
        texts = [_category(value) for value in values]
        kinds = sorted(set(texts))
        if 1 < len(kinds) <= min(_MOST_VALUES, len(runs) // 2):
            columns = np.array([[float(text == kind) for kind in kinds[1:]] for text in texts])
            found.append((Selected(name, is_number=False), columns))
    return found


def _bic(design: Array, y: Array) -> float:
    slopes, *_ = np.linalg.lstsq(design, y, rcond=None)
    off = y - design @ slopes
    size = len(y)
    # Without a floor a handful of equal durations would make everything else telling.
    variance = max(float(off @ off) / size, 1e-4)
    return float(size * math.log(variance) + design.shape[1] * math.log(size))


def _logarithm(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return math.nan
    return math.log(value)


def _category(value: Any) -> str:
    return str(value)[:100]
