"""Logistic regression on at most two terms by Newton's method, and conditions under which it has no solution."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from overread import codes
from overread.kernels import njit
from overread.stats.arrays import Bools, Floats

STEPS = 200
FAR = 30.0  # largest change of a logit in one step, because Newton's step is unbounded near saturation
CLOSE = 1e-12  # relative tolerance; Newton's method converges quadratically, so the error is far smaller


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """Coefficients (k,), inverse information (k, k) and residuals y - fitted (n,)."""

    coefficients: Floats
    covariance: Floats
    residual: Floats


def logistic_fit(
    terms: Floats, y: Floats, *, offset: Floats | None = None, weights: Floats | None = None
) -> LogisticFit:
    """Maximum likelihood fit of logit P(y = 1) = offset + coefficients @ terms; terms (1 or 2, n), y in [0, 1] (n,).

    The caller ensures by `unfit` that a maximum exists. A step that does not reduce the gradient is halved. If no
    maximum is found, the result is NaN.

    Examples
    --------
    >>> logistic_fit(np.ones((1, 4)), np.array([1.0, 0, 0, 0])).coefficients.round(4)
    array([-1.0986])
    """
    first, second = terms[0], terms[-1] if len(terms) == 2 else np.zeros(y.size)
    shift = np.zeros(y.size) if offset is None else offset
    scale = np.ones(y.size) if weights is None else weights
    coefficients, step, best = np.zeros(2), np.zeros(2), np.inf
    reach = np.array([np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0)])
    residual, candidate_residual, information = np.empty(y.size), np.empty(y.size), np.eye(2)
    for _ in range(STEPS):
        candidate = coefficients + step
        sums = _sums(first, second, shift, y, scale, candidate[0], candidate[1], candidate_residual)
        size = max(abs(sums[0]), abs(sums[1]))
        if size <= best:
            coefficients, best = candidate, size
            residual, candidate_residual = candidate_residual, residual
            information = np.array([[sums[2], sums[3]], [sums[3], sums[4] if len(terms) == 2 else 1.0]])
            floor = np.diag(1e-12 * information.diagonal() + 1e-300)  # keeps the matrix regular near saturation
            step = np.linalg.solve(information + floor, np.array(sums[:2]))
            step *= min(1.0, FAR / max(float(np.abs(step) @ reach), 1e-300))
        else:
            step = step / 2
        if np.abs(step).max() <= CLOSE * (1 + np.abs(coefficients).max()):
            break
    k = len(terms)
    if not best <= 1e-7 * float(scale.sum()) * max(reach[0], reach[1]):
        return LogisticFit(np.full(k, nan), np.full((k, k), nan), np.full(y.size, nan))
    covariance = np.asarray(np.linalg.inv(information[:k, :k]), dtype=np.float64)
    return LogisticFit(coefficients[:k], covariance, residual)


@njit()
def _sums(
    first: Floats, second: Floats, shift: Floats, y: Floats | Bools, scale: Floats, a: float, b: float, residual: Floats
) -> tuple[float, float, float, float, float]:
    """Gradient and information of the likelihood in one pass, which is five times faster than array operations."""
    g0, g1, h00, h01, h11 = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(y.size):
        small = np.exp(-abs(shift[i] + a * first[i] + b * second[i]))  # cannot overflow
        high = 1.0 / (1.0 + small)
        low = small * high
        fitted = high if shift[i] + a * first[i] + b * second[i] >= 0 else low
        left = y[i] - fitted
        residual[i] = left
        spread = scale[i] * high * low
        g0 += scale[i] * left * first[i]
        g1 += scale[i] * left * second[i]
        h00 += spread * first[i] * first[i]
        h01 += spread * first[i] * second[i]
        h11 += spread * second[i] * second[i]
    return g0, g1, h00, h01, h11


def no_level(y: Bools) -> codes.Text:
    """Reason why the intercept of a logistic regression has no finite estimate, or an empty string.

    Parameters
    ----------
    y : ndarray of bool, shape (n_cases,)
        Reference standard.

    Returns
    -------
    str
        Note for an estimate, or "".

    Notes
    -----
    The intercept is finite if and only if both classes occur.

    Examples
    --------
    >>> no_level(np.array([True, True]))
    'NE: all cases (n = 2) had the finding present'
    """
    if not y.size:
        return codes.note("no_cases")
    if y.any() and not y.all():
        return codes.NONE
    return codes.note("one_class", n=y.size, outcome="present" if y[0] else "absent")


def unfit(y: Bools, x: Floats) -> codes.Text:
    """Reason why a logistic regression of y on x has no finite estimate, or an empty string.

    Examples
    --------
    >>> unfit(np.array([False, True]), np.array([0.0, 1.0]))
    'slope NE: the probabilities separate the classes completely'
    """
    if flat := no_level(y):
        return flat
    if x.min() == x.max():
        return codes.note("equal_probabilities")
    present, absent = x[y], x[~y]
    if present.min() >= absent.max() or present.max() <= absent.min():
        return codes.note("separated")
    return codes.NONE
