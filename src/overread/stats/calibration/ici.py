"""Distance of a smooth calibration curve from the diagonal: mean, quantiles and maximum, with linearised intervals.

Each summary is a weighted sum of signed distances. The influence values of the points of the curve, summed with the
same weights, are therefore those of the summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, pi, sqrt

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr

from overread import codes
from overread.stats.arrays import Floats
from overread.stats.calibration.binning import quantiles
from overread.stats.estimate import Estimate
from overread.stats.sampling_design import Sampling

CLEAR = 0.05  # one-sided level at which the ICI is distinguishable from sampling error
AROUND = 0.05  # half-width, in probability, of the window that estimates the slope of a quantile function


@dataclass(frozen=True, slots=True, eq=False)
class Summaries:
    """Mean (ICI), median, 90 % quantile and maximum of the distance, and the mean under perfect calibration."""

    ici: Estimate
    e50: Estimate
    e90: Estimate
    emax: Estimate
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Joint errors of the points of a curve: smoother rows and contribution of each patient to each group mean."""

    rows: Floats  # (n_points, n_groups)
    carried: csr_array  # (n_groups, n_patients)
    sample: Sampling

    def covariance(self) -> Floats:
        """Covariance matrix of the points, (n_points, n_points)."""
        if self.sample.stratum is not None or self.sample.n_patients < 2:
            return self.sample.covariance(self.totals(np.eye(len(self.rows))), self.sample.n_patients)
        between = self.rows @ (self.carried @ self.carried.T).toarray() @ self.rows.T
        return np.asarray(between * (self.sample.n_patients / (self.sample.n_patients - 1)))

    def totals(self, shares: Floats) -> Floats:
        """Contribution of each patient to weighted sums of points, (k, n_points) -> (k, n_patients)."""
        return np.asarray(shares @ self.rows @ self.carried)


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Cases in increasing order of probability x, the curve at each case, and its points of interpolation."""

    x: Floats
    curve: Floats
    points: Floats
    sample: Sampling

    def gathered(self, shares: list[Floats]) -> Floats:
        """Weights of cases, k arrays (n_cases,), as weights of the points of the curve (k, n_points)."""
        points = self.points
        left = np.clip(np.searchsorted(points, self.x, side="right") - 1, 0, points.size - 2)
        part = np.clip((self.x - points[left]) / (points[left + 1] - points[left]), 0, 1)
        point_weights = np.zeros((len(shares), points.size))
        for row, share in zip(point_weights, shares, strict=True):
            row[:-1] = np.bincount(left, share * (1 - part), minlength=points.size - 1)
            row[1:] += np.bincount(left, share * part, minlength=points.size - 1)
        return point_weights


def summaries(
    distances: Distances, errors_of_points: Errors, perfect: Floats, method: codes.Text, z: float
) -> Summaries:
    """ICI, E50, E90 and Emax with intervals, given the covariance of the curve under perfect calibration."""
    distance = distances.curve - distances.x
    absolute, sign = np.abs(distance), np.sign(distance)
    mass = distances.sample.weigh(np.ones(absolute.size))
    mass = mass / mass.sum()
    ici = float(mass @ absolute)
    shares = [mass, mass * sign]
    case_influence = [mass * (absolute - ici)]  # variation of the distances themselves
    values = [ici]
    for q in (0.5, 0.9):
        low, value, high = quantiles(absolute, np.array([q - AROUND, q, q + AROUND]), distances.sample.weights)
        near = (absolute >= low) & (absolute <= high)
        within = mass[near].sum()  # 0 where a few distinct distances leave the window empty: no variance is defined
        shares.append(np.where(near, mass * sign, 0.0) / (within if within > 0 else nan))
        case_influence.append(mass * (q - (absolute <= value)) * (high - low) / (2 * AROUND))
        values.append(float(value))
    largest = int(np.argmax(absolute))
    shares.append(np.where(np.arange(absolute.size) == largest, sign, 0.0))
    gathered = distances.gathered(shares)
    case_influence.append(np.zeros(absolute.size))
    weight = 1.0 if distances.sample.weights is None else distances.sample.weights  # `totals` applies the weights again
    influence = errors_of_points.totals(gathered[1:]) + distances.sample.totals(np.array(case_influence) / weight)
    standard_errors = np.sqrt(distances.sample.variances(influence, distances.sample.n_patients))
    noise, spread = _noise(gathered[0], perfect)
    p = float(ndtr(-(ici - noise) / spread)) if spread > 0 else nan
    values.append(float(absolute[largest]))
    estimates = [
        _estimate(v, float(se), p, method, distances.sample, z) for v, se in zip(values, standard_errors, strict=True)
    ]
    return Summaries(estimates[0], estimates[1], estimates[2], estimates[3], noise)


def _noise(share: Floats, covariance: Floats) -> tuple[float, float]:
    """Mean and standard deviation of a weighted sum of absolute values of joint normal variables."""
    if np.isnan(covariance).any():
        return nan, nan
    scale = np.sqrt(covariance.diagonal())
    both = np.outer(scale, scale)
    r = np.clip(np.divide(covariance, both, out=np.zeros_like(both), where=both > 0), -1, 1)
    products = 2 / pi * both * (np.sqrt(1 - r**2) + r * np.arcsin(r) - 1)  # E|a||b| - E|a| E|b|
    return float(sqrt(2 / pi) * share @ scale), sqrt(max(float(share @ products @ share), 0.0))


def _estimate(value: float, se: float, p: float, method: codes.Text, sample: Sampling, z: float) -> Estimate:
    """Estimate of one summary; no interval unless it is distinguishable from sampling error."""
    words = codes.methods(method, sample.words)
    if not se > 0:
        reason = codes.note("few_distinct_distances") if np.isnan(se) else codes.note("zero_variance_no_ci")
        return Estimate(value, p=p, method=words, note=sample.note or reason)
    if not p < CLEAR:
        return Estimate(value, se=se, p=p, method=words, note=codes.note("consistent_with_calibration"))
    return Estimate(value, max(value - z * se, 0.0), min(value + z * se, 1.0), se=se, p=p, method=words)
