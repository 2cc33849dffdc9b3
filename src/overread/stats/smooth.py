"""The calibration curve without bins: local quadratic regression (loess), computed exactly at each point."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numba
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from overread.errors import InputError
from overread.stats.arrays import Floats, check_confidence, probability_array, truth_array
from overread.stats.binning import quantiles
from overread.stats.sampling import Sampling, sampling

POINTS = 200  # of the curve
EXACT = 1000  # up to so many distinct probabilities the summaries use the fit at each of them


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCurve:
    """The smoothed observed rate at rising probabilities with its band, and its distance from the diagonal."""

    probability: Floats  # (n_points,), at most 200
    observed: Floats
    low: Floats
    high: Floats
    ici: float  # mean distance over the cases
    e50: float
    e90: float
    emax: float
    method: str
    note: str = ""


def smooth_curve(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    span: float = 0.75,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
) -> SmoothCurve:
    """The rate of present cases as a smooth function of the probability, and how far it is from the probability.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); span in (0, 1], the share of cases in each
    local fit (degree 2, tricube weights); cluster, weights, strata, see `sampling`.
    Returns a SmoothCurve at the quantiles of the probability, at most 200; pointwise band from the residuals
    (summed per patient with cluster), cut to [0, 1]; ICI, E50, E90 and Emax are mean, median, 90 % quantile and
    maximum over the cases of |curve - probability|; with more than 1000 distinct probabilities the curve is
    interpolated between its points for them. Fewer than 4 cases or equal probabilities: NaN with a note; one class: no
    band.
    Assumes independent cases or clusters, and enough of them (about 200) in reach of each point.
    Cleveland & Devlin (1988) doi:10.1080/01621459.1988.10478639; Austin & Steyerberg (2019) doi:10.1002/sim.8281.
    Checked against R 4.2.2 loess(surface = "direct").

    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(500)
    >>> curve = smooth_curve(rng.random(500) < p, p)
    >>> curve.probability.size, curve.ici < 0.1
    (200, True)
    """
    where = "smooth_curve"
    check_confidence(confidence, where=where)
    if not 0 < span <= 1:
        raise InputError(f"{where}: span", "a number above 0, up to 1", str(span))
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata)
    reach, method = int(truth.size * span + 1e-5), f"loess, degree 2, span {span:g}"
    distinct = np.unique(p)
    if reach < 3 or distinct.size < 2:
        empty, note = np.zeros(0), "fewer cases than a local fit needs, or equal probabilities"
        return SmoothCurve(empty, empty, empty, empty, nan, nan, nan, nan, method, note)
    points = distinct if distinct.size <= POINTS else np.unique(quantiles(p, np.linspace(0, 1, POINTS), sample.weights))
    order = np.argsort(p, kind="stable")
    arranged = sample.sorted_by(order)
    local = _Local(p[order], truth[order].astype(np.float64), arranged.weigh(np.ones(p.size)), reach)
    return _curve(local, distinct, points, arranged, method, float(ndtri(0.5 + confidence / 2)))


def _curve(local: _Local, distinct: Floats, points: Floats, sample: Sampling, method: str, z: float) -> SmoothCurve:
    rows = local.rows(points)
    observed = rows @ local.y
    if distinct.size <= EXACT:
        at_cases = np.interp(local.x, distinct, local.fit(distinct))
    else:
        at_cases = np.interp(local.x, points, observed)
    half = z * _standard_errors(local, rows, at_cases, sample)
    far = np.abs(at_cases - local.x)
    middle, most = quantiles(far, np.array([0.5, 0.9]), sample.weights)
    return SmoothCurve(
        points,
        observed,
        np.clip(observed - half, 0, 1),
        np.clip(observed + half, 0, 1),
        ici=float(np.average(far, weights=sample.weights)),
        e50=float(middle),
        e90=float(most),
        emax=float(far.max()),
        method=method,
        note="one class only: no band" if local.y.all() or not local.y.any() else sample.note,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Local:
    """Cases in rising order of x, and the number of them in reach of each local fit."""

    x: Floats
    y: Floats
    weights: Floats
    reach: int

    def rows(self, points: Floats) -> Floats:
        """The smoother (n_points, n_cases): the fit at a point is its row times y."""
        out = np.zeros((points.size, self.x.size))
        _smoother(points, self.x, self.weights, self.reach, out)
        return out

    def fit(self, points: Floats) -> Floats:
        """The local fit at rising points, in blocks so that the smoother stays small."""
        blocks = [points[i : i + POINTS] for i in range(0, points.size, POINTS)]
        return np.concatenate([self.rows(block) @ self.y for block in blocks])


def _standard_errors(local: _Local, rows: Floats, at_cases: Floats, sample: Sampling) -> Floats:
    """Linearised: the residuals that a point's fit is made of, times their share, summed per patient."""
    if not local.y.any() or local.y.all():
        return np.full(len(rows), nan)
    rows *= (local.y - at_cases) / local.weights  # totals weigh them again
    return np.sqrt(sample.variances(sample.totals(rows), sample.n_patients))


@numba.njit(cache=True)
def _smoother(points, x, weights, reach, out):
    """Rows of the local quadratic smoother into out, which holds zeros."""
    start = 0
    for k in range(points.size):
        at = points[k]
        while start + reach < x.size and x[start + reach] - at < at - x[start]:
            start += 1
        stop = start + reach
        width = max(at - x[start], x[stop - 1] - at)
        s = np.zeros(5)
        for i in range(start, stop):
            u = (x[i] - at) / width if width > 0 else 1.0
            share = 1 - abs(u * u * u)
            w = weights[i] * share * share * share
            out[k, i] = w
            s[0] += w
            s[1] += w * u
            s[2] += w * u * u
            s[3] += w * u * u * u
            s[4] += w * u * u * u * u
        if s[0] <= 0:  # every case in reach is equally far, or at the point itself: their mean, ties and all
            out[k, :] = np.where(np.abs(x - at) <= width, weights, 0.0)
            out[k, :] /= out[k, :].sum()
            continue
        c0, c1, c2 = _first_row(s)
        for i in range(start, stop):
            u = (x[i] - at) / width
            out[k, i] *= c0 + c1 * u + c2 * u * u


@numba.njit(cache=True)
def _first_row(s):
    """First row of the inverse of [[s0,s1,s2],[s1,s2,s3],[s2,s3,s4]]; of a line's or the mean's where it has none."""
    spread = s[2] - s[1] * s[1] / s[0]
    if spread <= 1e-10 * s[0]:
        return 1 / s[0], 0.0, 0.0
    lean = s[3] - s[1] * s[2] / s[0]
    bend = s[4] - s[2] * s[2] / s[0] - lean * lean / spread
    c1 = -s[1] / (s[0] * spread)
    c0 = 1 / s[0] - s[1] / s[0] * c1
    if bend <= 1e-10 * s[0]:
        return c0, c1, 0.0
    # the quadratic term made orthogonal to the line: u^2 - a - b u
    b = lean / spread
    a = s[2] / s[0] - b * s[1] / s[0]
    return c0 + a * a / bend, c1 + a * b / bend, -a / bend
