"""The calibration curve without bins: local quadratic regression (loess), exact at each point, and its summaries."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.special import ndtri

from overread import codes
from overread.errors import InputError
from overread.kernels import njit
from overread.stats.arrays import Bools, Codes, Floats, check_confidence, probability_array, truth_array
from overread.stats.calibration.binning import quantiles
from overread.stats.calibration.ici import Distances, Errors, summaries
from overread.stats.calibration.logistic_fits import no_level
from overread.stats.estimate import Estimate
from overread.stats.sampling_design import Sampling, sampling

POINTS = 200  # of the curve
GROUPS = 1000  # up to so many distinct probabilities nothing is gathered


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCurve:
    """The smoothed observed rate at rising probabilities with its band, and its distance from the diagonal."""

    probability: Floats  # (n_points,), at most 200
    observed: Floats
    low: Floats
    high: Floats
    ici: Estimate  # mean distance over the cases
    e50: Estimate
    e90: Estimate
    emax: Estimate
    expected_if_calibrated: float  # the ICI that perfect probabilities would show on as many cases
    method: codes.Text
    note: codes.Text = codes.NONE


def smooth_curve(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    span: float = 0.75,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> SmoothCurve:
    """The rate of present cases as a smooth function of the probability, and how far it is from the probability.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); span in (0, 1], the share of cases in each
    local fit (degree 2, tricube weights); cluster, weights, strata, finite, see `sampling`.
    Returns a SmoothCurve at the quantiles of the probability, at most 200; pointwise band from the residuals (summed
    per patient with cluster), cut to [0, 1]; ICI, E50, E90 and Emax are mean, median, 90 % quantile and maximum over
    the cases of |curve - probability|, with linearised intervals. More than 1000 distinct probabilities are first
    gathered, with their neighbours, into about 1000 groups. Distances are never negative and grow with noise:
    `expected_if_calibrated` is the ICI that perfect probabilities would show, `ici.p` the chance of at least the ICI
    seen then, and where that is not below 5 % an interval would be wrong: none, with a note. Fewer than 4 cases or
    equal probabilities: NaN with a note; one class: no band.
    Assumes independent cases or clusters, and enough of them (about 200) in reach of each point. Emax is read off one
    end of the curve, where its interval may be too narrow: prefer E90.
    Cleveland & Devlin (1988) doi:10.1080/01621459.1988.10478639; Austin & Steyerberg (2019) doi:10.1002/sim.8281.
    Checked against R 4.2.2 loess(surface = "direct"); band and intervals by simulation.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(500)
    >>> curve = smooth_curve(rng.random(500) < p, p)
    >>> curve.probability.size, curve.ici.value < 0.1
    (200, True)
    """
    where = "smooth_curve"
    check_confidence(confidence, where=where)
    if not 0 < span <= 1:
        raise InputError(f"{where}: span", "a number above 0, up to 1", str(span))
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    reach, method = int(truth.size * span + 1e-5), codes.method("loess", span=span)
    if reach < 3 or p.min() == p.max():
        empty, note = np.zeros(0), codes.note("no_local_fit")
        none = Estimate(nan, method=method, note=note)
        return SmoothCurve(empty, empty, empty, empty, none, none, none, none, nan, method, note)
    order = np.argsort(p, kind="stable")
    arranged = sample.sorted_by(order)
    local = gather(p[order], truth[order].astype(np.float64), arranged.weigh(np.ones(p.size)), reach)
    points = local.x if local.x.size <= POINTS else quantiles(p, np.linspace(0, 1, POINTS), sample.weights)
    return _curve(local, np.unique(points), truth[order], arranged, (method, float(ndtri(0.5 + confidence / 2))))


def _curve(
    local: Local, points: Floats, truth: Bools, sample: Sampling, words: tuple[codes.Text, float]
) -> SmoothCurve:
    method, z = words
    rows, x = local.rows(points), local.sorted
    observed = rows @ local.y
    knots = np.unique(np.concatenate([x[:1], local.x, x[-1:]]))
    at_cases = np.interp(x, knots, local.fit(knots))
    one_class = no_level(truth)
    seen = Errors(rows, local.carried(truth - at_cases, sample), sample)
    covariance = perfect = seen.covariance()
    if sample.patient is None and not one_class:  # perfect probabilities know their own variance
        perfect = Errors(rows, local.carried(np.sqrt(x * (1 - x)), sample), sample).covariance()
    half = z * (np.full(points.size, nan) if one_class else np.sqrt(covariance.diagonal()))
    found = summaries(Distances(x, at_cases, points, sample), seen, perfect, method, z)
    return SmoothCurve(
        points,
        observed,
        np.clip(observed - half, 0, 1),
        np.clip(observed + half, 0, 1),
        *(found.ici, found.e50, found.e90, found.emax),
        expected_if_calibrated=found.noise,
        method=method,
        note=codes.notes(one_class, codes.note("no_band")) if one_class else sample.note,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """Cases in groups of (nearly) equal probability, and what a local fit needs of them."""

    x: Floats  # (n_groups,) mean probability, rising
    y: Floats  # (n_groups,) share present
    weights: Floats  # (n_groups,)
    group: Codes  # (n_cases,)
    sorted: Floats  # (n_cases,) probabilities, rising
    reach: int  # cases in each local fit

    def rows(self, points: Floats) -> Floats:
        """The smoother (n_points, n_groups): the fit at a point is its row times y."""
        out = np.zeros((points.size, self.x.size))
        _smoother(points, self.sorted, self.reach, self.x, self.weights, out)
        return out

    def fit(self, points: Floats) -> Floats:
        """The local fit at rising points."""
        return np.asarray(self.rows(points) @ self.y)

    def carried(self, residual: Floats, sample: Sampling) -> csr_array:
        """What a case's residual adds to the mean of its group, by patient: (n_groups, n_patients)."""
        patient = np.arange(residual.size) if sample.patient is None else sample.patient
        share = sample.weigh(residual) / self.weights[self.group]
        return csr_array((share, (self.group, patient)), shape=(self.x.size, sample.n_patients))


def gather(p: Floats, y: Floats, weights: Floats, reach: int) -> Local:
    """Cases in rising order of p in groups: equal p together, and neighbours too where there are many values.

    A group never spans more than 1/200 of the range nor more than 1/800 of the cases (ties apart): what is near to each
    other compared with the reach of a local fit counts as one.
    """
    new = np.concatenate([[True], p[1:] > p[:-1]])
    distinct = np.cumsum(new) - 1
    if distinct[-1] >= GROUPS:
        first = np.flatnonzero(new)[distinct]  # of the cases with this probability
        by_rank = first * (GROUPS - POINTS) // p.size
        by_width = ((p - p[0]) / (p[-1] - p[0]) * POINTS).astype(np.intp)
        distinct = np.cumsum(np.concatenate([[0], (np.diff(by_rank) > 0) | (np.diff(by_width) > 0)]))
    mass = np.asarray(np.bincount(distinct, weights), dtype=np.float64)
    return Local(
        np.bincount(distinct, weights * p) / mass,
        np.bincount(distinct, weights * y) / mass,
        mass,
        distinct.astype(np.intp),
        p,
        reach,
    )


@njit()
def _smoother(points, cases, reach, x, weights, out):
    """Rows of the local quadratic smoother into out, which holds zeros; all of points, cases and x rise."""
    start, left = 0, 0
    for k in range(points.size):
        at = points[k]
        while start + reach < cases.size and cases[start + reach] - at < at - cases[start]:
            start += 1
        width = max(at - cases[start], cases[start + reach - 1] - at)
        while left < x.size and x[left] < at - width:
            left += 1
        right = left
        s = np.zeros(5)
        while right < x.size and x[right] <= at + width:
            u = (x[right] - at) / width if width > 0 else 1.0
            share = 1 - abs(u * u * u)
            w = weights[right] * share * share * share
            out[k, right] = w
            s[0] += w
            s[1] += w * u
            s[2] += w * u * u
            s[3] += w * u * u * u
            s[4] += w * u * u * u * u
            right += 1
        if s[0] <= 0:  # every case in reach is equally far, or at the point itself: their mean, ties and all
            out[k, :] = np.where(np.abs(x - at) <= width, weights, 0.0)
            out[k, :] /= out[k, :].sum()
            continue
        c0, c1, c2 = _first_row(s)
        for i in range(left, right):
            u = (x[i] - at) / width
            out[k, i] *= c0 + c1 * u + c2 * u * u


@njit()
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
