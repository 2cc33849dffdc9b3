"""ROC curves as the lines that are drawn: attainable points joined, and the mean of several curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.stats.arrays import Floats
from overread.stats.roc.empirical import RocCurve

DIGITS = 12
CORNERS = 150  # corners up to which a curve is drawn through each of them; a finer one is drawn on the grid alone


def mean_curve(curves: Sequence[RocCurve], grid: Floats) -> tuple[Floats, Floats]:
    """The points (x, y) of the vertical mean of ROC curves, each with its attainable points joined by straight lines.

    Parameters
    ----------
    curves : ROC curves; those with one class only are left out.
    grid : float (n_points,), rising false positive rates from 0 to 1 at which there is always a point.

    Returns
    -------
    x, y : float (k,). A rate at which a curve rises vertically has two points. With up to 150 corners the area under
        these points is exactly the mean AUC, ties counting one half; with more, corners lie between the points of the
        grid and the area differs from it by rounding of the grid. Empty without a curve of both classes.

    References
    ----------
    Fawcett (2006) doi:10.1016/j.patrec.2005.10.010, sections 5 (ties) and 9.1 (vertical averaging).

    >>> tied = RocCurve(np.array([0.0, 0.2, 1.0]), np.array([0.0, 0.8, 1.0]), np.array([np.inf, 1.0, 0.0]))
    >>> [a.tolist() for a in mean_curve([tied], np.array([0.0, 0.5, 1.0]))]
    [[0.0, 0.2, 0.5, 1.0], [0.0, 0.8, 0.875, 1.0]]
    """
    # Rates that differ by rounding only (5/6 and 1 - 1/6) are one: a curve may rise vertically there.
    known = [(np.round(c.false_positive_rate, DIGITS), c.true_positive_rate) for c in curves if not c.note]
    if not known:
        return np.empty(0), np.empty(0)
    grid = np.round(grid, DIGITS)
    corners = np.unique(np.concatenate([_corners(x, y) for x, y in known]))
    at = np.union1d(grid, corners) if corners.size <= CORNERS else grid
    low, high = (np.mean([_height(x, y, at, side) for x, y in known], axis=0) for side in ("left", "right"))
    rises = high > low + 1e-12
    points = 1 + rises
    y = np.repeat(high, points)
    y[np.cumsum(points)[rises] - 2] = low[rises]
    return np.repeat(at, points), y


def _corners(x: Floats, y: Floats) -> Floats:
    """The rates at which the line turns."""
    turn = np.diff(x)[:-1] * np.diff(y)[1:] - np.diff(x)[1:] * np.diff(y)[:-1]
    return x[1:-1][np.abs(turn) > 1e-15]


def _height(x: Floats, y: Floats, at: Floats, side: str) -> Floats:
    """The curve at these rates; where it rises vertically, its lower ("left") or upper ("right") end."""
    place = np.clip(np.searchsorted(x, at, side="left" if side == "left" else "right"), 1, x.size - 1)
    width = x[place] - x[place - 1]
    share = np.divide(at - x[place - 1], width, out=np.ones(at.size), where=width > 0)
    found = y[place - 1] + np.clip(share, 0.0, 1.0) * (y[place] - y[place - 1])
    return np.where(at <= x[0], y[0], found) if side == "left" else np.where(at >= x[-1], y[-1], found)
