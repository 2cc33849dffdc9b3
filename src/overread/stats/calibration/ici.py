"""How far a smooth calibration curve is from the diagonal: mean, quantiles and maximum, with linearised intervals.

Each summary is a weighted sum of signed distances, and a distance is a curve's error at the case, so that the influence
values of the curve's points, summed with the same weights, are those of the summary.
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

CLEAR = 0.05  # at this one-sided p the ICI stands clear of noise
AROUND = 0.05  # a quantile's slope is taken from the cases so far on either side of it


@dataclass(frozen=True, slots=True, eq=False)
class Summaries:
    """Mean, median, 90 % quantile and maximum of the distance, and the mean that noise alone would show."""

    ici: Estimate
    e50: Estimate
    e90: Estimate
    emax: Estimate
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """How the points of a curve err together: the smoother's rows and what each patient adds to each group's mean."""

    rows: Floats  # (n_points, n_groups)
    carried: csr_array  # (n_groups, n_patients)
    sample: Sampling

    def covariance(self) -> Floats:
        """Covariance (n_points, n_points)."""
        if self.sample.stratum is not None or self.sample.n_patients < 2:
            return self.sample.covariance(self.totals(np.eye(len(self.rows))), self.sample.n_patients)
        between = self.rows @ (self.carried @ self.carried.T).toarray() @ self.rows.T
        return np.asarray(between * (self.sample.n_patients / (self.sample.n_patients - 1)))

    def totals(self, shares: Floats) -> Floats:
        """What each patient adds to sums of points with these weights: (k, n_points) -> (k, n_patients)."""
        return np.asarray(shares @ self.rows @ self.carried)


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Cases in rising order of probability x, the curve at each of them, and the points between which it runs."""

    x: Floats
    curve: Floats
    points: Floats
    sample: Sampling

    def gathered(self, shares: list[Floats]) -> Floats:
        """What weights of cases, k times (n_cases,), mean for the points of the curve (k, n_points)."""
        points = self.points
        left = np.clip(np.searchsorted(points, self.x, side="right") - 1, 0, points.size - 2)
        part = np.clip((self.x - points[left]) / (points[left + 1] - points[left]), 0, 1)
        made = np.zeros((len(shares), points.size))
        for row, share in zip(made, shares, strict=True):
            row[:-1] = np.bincount(left, share * (1 - part), minlength=points.size - 1)
            row[1:] += np.bincount(left, share * part, minlength=points.size - 1)
        return made


def summaries(of: Distances, seen: Errors, perfect: Floats, method: codes.Text, z: float) -> Summaries:
    """ICI, E50, E90 and Emax with intervals, from the curve's errors and the covariance of those of perfect ones."""
    distance = of.curve - of.x
    far, sign = np.abs(distance), np.sign(distance)
    mass = of.sample.weigh(np.ones(far.size))
    mass = mass / mass.sum()
    ici = float(mass @ far)
    shares = [mass, mass * sign]
    own = [mass * (far - ici)]  # other cases, other distances
    values = [ici]
    for q in (0.5, 0.9):
        low, value, high = quantiles(far, np.array([q - AROUND, q, q + AROUND]), of.sample.weights)
        near = (far >= low) & (far <= high)
        shares.append(np.where(near, mass * sign, 0.0) / mass[near].sum())
        own.append(mass * (q - (far <= value)) * (high - low) / (2 * AROUND))
        values.append(float(value))
    most = int(np.argmax(far))
    shares.append(np.where(np.arange(far.size) == most, sign, 0.0))
    gathered = of.gathered(shares)
    own.append(np.zeros(far.size))
    weight = 1.0 if of.sample.weights is None else of.sample.weights  # totals weigh them again
    influence = seen.totals(gathered[1:]) + of.sample.totals(np.array(own) / weight)
    errors = np.sqrt(of.sample.variances(influence, of.sample.n_patients))
    noise, spread = _noise(gathered[0], perfect)
    p = float(ndtr(-(ici - noise) / spread)) if spread > 0 else nan
    values.append(float(far[most]))
    made = [_estimate(v, float(se), p, method, of.sample, z) for v, se in zip(values, errors, strict=True)]
    return Summaries(made[0], made[1], made[2], made[3], noise)


def _noise(share: Floats, covariance: Floats) -> tuple[float, float]:
    """Mean and standard deviation of a weighted sum of absolute normal values."""
    if np.isnan(covariance).any():
        return nan, nan
    scale = np.sqrt(covariance.diagonal())
    both = np.outer(scale, scale)
    r = np.clip(np.divide(covariance, both, out=np.zeros_like(both), where=both > 0), -1, 1)
    products = 2 / pi * both * (np.sqrt(1 - r**2) + r * np.arcsin(r) - 1)  # E|a||b| - E|a| E|b|
    return float(sqrt(2 / pi) * share @ scale), sqrt(max(float(share @ products @ share), 0.0))


def _estimate(value: float, se: float, p: float, method: codes.Text, sample: Sampling, z: float) -> Estimate:
    words = codes.methods(method, sample.words)
    if not se > 0:
        return Estimate(value, p=p, method=words, note=sample.note or codes.note("zero_variance_no_ci"))
    if not p < CLEAR:
        return Estimate(value, se=se, p=p, method=words, note=codes.note("consistent_with_calibration"))
    return Estimate(value, max(value - z * se, 0.0), min(value + z * se, 1.0), se=se, p=p, method=words)
