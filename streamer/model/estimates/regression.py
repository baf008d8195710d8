"""`fit`: weighted ridge regressions with priors, many at once, and the spread of what they predict. Knows no run.

Source: ridge regression as the posterior mean under a normal prior (Hoerl and Kennard 1970); the spread from residuals
that leave out their own point, off / (1 - leverage) (Allen's PRESS, 1974).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from streamer.model.estimates.timeline import Array

#: The precision of the intercept's prior: none to speak of.
_FREE: Final = 1e-6
#: The prior of the variance counts as so many points.
PRIOR_POINTS: Final = 2.0
#: Points farther out than so many standard deviations count less.
_FAR: Final = 2.5
#: The 90th percentile of Student's t for 1, 2, 3 … degrees of freedom; then the normal distribution's.
_T90: Final = np.array(
    [
        3.078,
        1.886,
        1.638,
        1.533,
        1.476,
        1.440,
        1.415,
        1.397,
        1.383,
        1.372,
        1.363,
        1.356,
        1.350,
        1.345,
        1.341,
        1.337,
    ]
)
_NORMAL90: Final = 1.2816


class Fit(NamedTuple):
    """The prediction where all features are 0: the middle, and half the width from the 10th to the 90th percentile."""

    middle: Array
    half: Array


def fit(y: Array, features: Array, weights: Array, prior: Array, sd: Array, variance: Array) -> Fit:
    """Fit each of many small problems.

    Args:
        y: The observations, shape (problems, points).
        features: How each point differs from what is predicted, shape (problems, points, features).
        weights: Weights from 0, shape (problems, points).
        prior: The expected slopes, shape (problems, features).
        sd: How far a slope may be from that, shape (features,).
        variance: The prior variance of a point, shape (problems,).
    """
    problems, points = features.shape[:2]
    design = np.concatenate([np.ones((problems, points, 1)), features], axis=2)
    mean = np.concatenate([np.zeros((problems, 1)), prior], axis=1)
    precision = np.concatenate([[_FREE], 1.0 / sd**2])
    spread = variance.copy()
    robust = weights
    for _ in range(2):
        slopes, inverse = _solve(y, design, robust, mean, precision, spread)
        off = y - np.einsum("mpk,mk->mp", design, slopes)
        leverage = np.einsum("mpk,mkl,mpl->mp", design, inverse, design) * robust / spread[:, None]
        left_out = off / np.maximum(1.0 - leverage, 0.1)
        far = np.abs(left_out) / np.sqrt(spread)[:, None]
        robust = weights * np.minimum(1.0, (_FAR / np.maximum(far, 1e-9)) ** 2)
        size = robust.sum(axis=1)
        squares = (robust * left_out**2).sum(axis=1)
        spread = np.maximum((PRIOR_POINTS * variance + squares) / (PRIOR_POINTS + size), 1e-5)
    slopes, inverse = _solve(y, design, robust, mean, precision, spread)
    freedom = PRIOR_POINTS + robust.sum(axis=1)
    sigma = np.sqrt(spread + np.maximum(inverse[:, 0, 0], 0.0))
    return Fit(slopes[:, 0], student90(freedom) * sigma)


def student90(freedom: Array) -> Array:
    """Return the 90th percentile of Student's t.

    Args:
        freedom: Degrees of freedom, from 1; fractions are interpolated.
    """
    places = np.arange(1.0, len(_T90) + 1.0)
    beyond = _NORMAL90 + (_T90[-1] - _NORMAL90) * places[-1] / np.maximum(freedom, places[-1])
    found: Array = np.where(freedom <= places[-1], np.interp(freedom, places, _T90), beyond)
    return found


def _solve(
    y: Array, design: Array, weights: Array, mean: Array, precision: Array, spread: Array
) -> tuple[Array, Array]:
    scaled = design * (weights / spread[:, None])[:, :, None]
    matrix = np.einsum("mpk,mpl->mkl", scaled, design) + np.diag(precision)[None]
    right = np.einsum("mpk,mp->mk", scaled, y) + precision[None] * mean
    inverse = np.linalg.inv(matrix)
    slopes: Array = np.einsum("mkl,ml->mk", inverse, right)
    return slopes, inverse
