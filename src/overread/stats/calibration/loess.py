"""Smooth calibration curve by local quadratic regression (loess), with summaries of its distance from the diagonal."""

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
from overread.stats.estimate_names import named
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling, sampling

POINTS = 200  # largest number of points of the curve
GROUPS = 1000  # largest number of distinct probabilities that are not combined


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCurve:
    """Smooth calibration curve with a pointwise band, and summaries of its distance from the diagonal.

    Attributes
    ----------
    probability : ndarray of float64, shape (n_points,)
        Predicted probabilities at which the curve is evaluated, at most 200.
    observed : ndarray of float64, shape (n_points,)
        Smoothed observed proportion.
    low : ndarray of float64, shape (n_points,)
        Lower limit of the pointwise band.
    high : ndarray of float64, shape (n_points,)
        Upper limit of the pointwise band.
    ici : Estimate
        Integrated calibration index: mean distance over the cases.
    e50 : Estimate
        Median distance.
    e90 : Estimate
        90 % quantile of the distance.
    emax : Estimate
        Largest distance.
    expected_if_calibrated : float
        Expected ICI of perfectly calibrated probabilities with as many cases.
    method : str
        Smoother.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `smooth_curve` returns this result.
    """

    __repr__ = described

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


@named()
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
    """Smooth calibration curve (loess) and its distance from perfect calibration (ICI, E50, E90, Emax).

    The estimand is the probability of a present case given the predicted probability, as a smooth function of the
    latter.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    probability : array_like of float, shape (n_cases,)
        Predicted probability of each case, in [0, 1].
    span : float, default 0.75
        Proportion of the cases in each local fit, above 0 and at most 1 (degree 2, tricube weights).
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    SmoothCurve
        Curve at quantiles of the probability (at most 200 points), pointwise band clipped to [0, 1], and mean, median,
        90 % quantile and maximum over the cases of abs(curve - probability) with linearised intervals. NaN with a note
        for fewer than 4 cases or equal probabilities; no band if a class is empty.

    Raises
    ------
    InputError
        If a probability is outside [0, 1], `span` is invalid, or an array has another shape.

    Notes
    -----
    With more than 1000 distinct probabilities, neighbouring ones are first combined into about 1000 groups. Distances
    are non-negative and increase with sampling error: `expected_if_calibrated` is the expected ICI under perfect
    calibration and `ici.p` the probability of at least the observed ICI. If p is not below 5 %, an interval would be
    invalid and is omitted, with a note. Cases or clusters are assumed to be independent, with about 200 in each local
    fit. The interval of Emax may be too narrow, because the maximum is often at one end of the curve; E90 is
    preferable. The curve is checked against R 4.2.2, `loess(surface = "direct")`; band and intervals by simulation.

    References
    ----------
    * Cleveland WS, Devlin SJ (1988). Locally weighted regression: an approach to regression analysis by local fitting.
      Journal of the American Statistical Association 83:596-610. doi:10.1080/01621459.1988.10478639
    * Austin PC, Steyerberg EW (2019). The Integrated Calibration Index (ICI) and related metrics for quantifying the
      calibration of logistic regression models. Statistics in Medicine 38:4051-4065. doi:10.1002/sim.8281

    Examples
    --------
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
    sorted_sample = sample.sorted_by(order)
    local = gather(p[order], truth[order].astype(np.float64), sorted_sample.weigh(np.ones(p.size)), reach)
    points = local.x if local.x.size <= POINTS else quantiles(p, np.linspace(0, 1, POINTS), sample.weights)
    return _curve(local, np.unique(points), truth[order], sorted_sample, (method, float(ndtri(0.5 + confidence / 2))))


def _curve(
    local: Local, points: Floats, truth: Bools, sample: Sampling, words: tuple[codes.Text, float]
) -> SmoothCurve:
    """Curve, band and summaries from the local fits."""
    method, z = words
    rows, x = local.rows(points), local.sorted
    observed = rows @ local.y
    knots = np.unique(np.concatenate([x[:1], local.x, x[-1:]]))
    at_cases = np.interp(x, knots, local.fit(knots))
    one_class = no_level(truth)
    errors = Errors(rows, local.carried(truth - at_cases, sample), sample)
    covariance = perfect = errors.covariance()
    if sample.patient is None and not one_class:  # under perfect calibration the variance is p (1 - p)
        perfect = Errors(rows, local.carried(np.sqrt(x * (1 - x)), sample), sample).covariance()
    half = z * (np.full(points.size, nan) if one_class else np.sqrt(covariance.diagonal()))
    distances = summaries(Distances(x, at_cases, points, sample), errors, perfect, method, z)
    return SmoothCurve(
        points,
        observed,
        np.clip(observed - half, 0, 1),
        np.clip(observed + half, 0, 1),
        *(distances.ici, distances.e50, distances.e90, distances.emax),
        expected_if_calibrated=distances.noise,
        method=method,
        note=codes.notes(one_class, codes.note("no_band")) if one_class else sample.note,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """Groups of cases with (nearly) equal probability, as needed by a local fit."""

    x: Floats  # (n_groups,) mean probability, rising
    y: Floats  # (n_groups,) share present
    weights: Floats  # (n_groups,)
    group: Codes  # (n_cases,)
    sorted: Floats  # (n_cases,) probabilities, rising
    reach: int  # cases in each local fit

    def rows(self, points: Floats) -> Floats:
        """Smoother matrix (n_points, n_groups): the fit at a point is its row times y."""
        out = np.zeros((points.size, self.x.size))
        _smoother(points, self.sorted, self.reach, self.x, self.weights, out)
        return out

    def fit(self, points: Floats) -> Floats:
        """Local fit at increasing points."""
        return np.asarray(self.rows(points) @ self.y)

    def carried(self, residual: Floats, sample: Sampling) -> csr_array:
        """Contribution of the residual of each case to the mean of its group, by patient, (n_groups, n_patients)."""
        patient = np.arange(residual.size) if sample.patient is None else sample.patient
        share = sample.weigh(residual) / self.weights[self.group]
        return csr_array((share, (self.group, patient)), shape=(self.x.size, sample.n_patients))


def gather(p: Floats, y: Floats, weights: Floats, reach: int) -> Local:
    """Combine cases in increasing order of p into groups: equal p, and neighbours if there are many values.

    A group spans at most 1/200 of the range and at most 1/800 of the cases (except ties), which is small compared with
    the width of a local fit.
    """
    is_new = np.concatenate([[True], p[1:] > p[:-1]])
    distinct = np.cumsum(is_new) - 1
    if distinct[-1] >= GROUPS:
        first = np.flatnonzero(is_new)[distinct]  # index of the first case with this probability
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
def _smoother(points: Floats, cases: Floats, reach: int, x: Floats, weights: Floats, out: Floats) -> None:
    """Write the rows of the local quadratic smoother into `out` (zeros); `points`, `cases` and `x` increase."""
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
        if s[0] <= 0:  # all cases in the window are at its edge or at the point: take their mean
            # The mean x of equal probabilities is rounded: it may lie just outside of a window of width 0.
            away = np.abs(x - at)
            out[k, :] = np.where(away <= max(width, away.min()), weights, 0.0)
            out[k, :] /= out[k, :].sum()
            continue
        c0, c1, c2 = _first_row(s)
        for i in range(left, right):
            u = (x[i] - at) / width
            out[k, i] *= c0 + c1 * u + c2 * u * u


@njit()
def _first_row(s: Floats) -> tuple[float, float, float]:
    """First row of the inverse of [[s0,s1,s2],[s1,s2,s3],[s2,s3,s4]]; that of a line or mean if it is singular."""
    spread = s[2] - s[1] * s[1] / s[0]
    if spread <= 1e-10 * s[0]:
        return 1 / s[0], 0.0, 0.0
    lean = s[3] - s[1] * s[2] / s[0]
    bend = s[4] - s[2] * s[2] / s[0] - lean * lean / spread
    c1 = -s[1] / (s[0] * spread)
    c0 = 1 / s[0] - s[1] / s[0] * c1
    if bend <= 1e-10 * s[0]:
        return c0, c1, 0.0
    # quadratic term orthogonal to the line: u^2 - a - b u
    b = lean / spread
    a = s[2] / s[0] - b * s[1] / s[0]
    return c0 + a * a / bend, c1 + a * b / bend, -a / bend
