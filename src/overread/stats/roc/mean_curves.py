"""Vertical mean of several ROC curves, as points of a polygon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.stats.arrays import Floats
from overread.stats.roc.empirical import RocCurve

DIGITS = 12
CORNERS = 150  # largest number of vertices that the mean curve contains; beyond it only the grid is used


def mean_curve(curves: Sequence[RocCurve], grid: Floats) -> tuple[Floats, Floats]:
    """Vertical mean of ROC curves.

    At each false positive rate the mean of the sensitivities is taken; the attainable points of each curve are joined
    by straight lines.

    Parameters
    ----------
    curves : sequence of RocCurve
        ROC curves. Curves with an empty class are omitted.
    grid : ndarray of float64, shape (n_points,)
        Increasing false positive rates from 0 to 1 that are always part of the result.

    Returns
    -------
    x, y : ndarray of float64, shape (k,)
        False positive rates and mean sensitivities. A rate at which a curve rises vertically has two points. Both
        arrays are empty if no curve has both classes.

    Notes
    -----
    With up to 150 vertices the area under the mean curve is exactly the mean AUC, with ties counted one half. With more
    vertices the curve is evaluated on `grid` only and its area has the discretisation error of the grid.

    References
    ----------
    * Fawcett T (2006). An introduction to ROC analysis. Pattern Recognition Letters 27:861-874, sections 5 (ties) and
      9.1 (vertical averaging). doi:10.1016/j.patrec.2005.10.010

    Examples
    --------
    >>> tied = RocCurve(np.array([0.0, 0.2, 1.0]), np.array([0.0, 0.8, 1.0]), np.array([np.inf, 1.0, 0.0]))
    >>> [a.tolist() for a in mean_curve([tied], np.array([0.0, 0.5, 1.0]))]
    [[0.0, 0.2, 0.5, 1.0], [0.0, 0.8, 0.875, 1.0]]
    """
    # Rates that differ by rounding only (5/6 and 1 - 1/6) are equal, because a curve may rise vertically there.
    polygons = [(np.round(c.false_positive_rate, DIGITS), c.true_positive_rate) for c in curves if not c.note]
    if not polygons:
        return np.empty(0), np.empty(0)
    grid = np.round(grid, DIGITS)
    corners = np.unique(np.concatenate([_corners(x, y) for x, y in polygons]))
    rates = np.union1d(grid, corners) if corners.size <= CORNERS else grid
    low, high = (np.mean([_height(x, y, rates, side) for x, y in polygons], axis=0) for side in ("left", "right"))
    rises = high > low + 1e-12
    points = 1 + rises
    y = np.repeat(high, points)
    y[np.cumsum(points)[rises] - 2] = low[rises]
    return np.repeat(rates, points), y


def _corners(x: Floats, y: Floats) -> Floats:
    """False positive rates at which the polygon changes its slope."""
    turn = np.diff(x)[:-1] * np.diff(y)[1:] - np.diff(x)[1:] * np.diff(y)[:-1]
    return x[1:-1][np.abs(turn) > 1e-15]


def _height(x: Floats, y: Floats, rates: Floats, side: str) -> Floats:
    """Height of the curve at given rates; at a vertical rise its lower ("left") or upper ("right") end."""
    position = np.clip(np.searchsorted(x, rates, side="left" if side == "left" else "right"), 1, x.size - 1)
    width = x[position] - x[position - 1]
    share = np.divide(rates - x[position - 1], width, out=np.ones(rates.size), where=width > 0)
    height = y[position - 1] + np.clip(share, 0.0, 1.0) * (y[position] - y[position - 1])
    return np.where(rates <= x[0], y[0], height) if side == "left" else np.where(rates >= x[-1], y[-1], height)
