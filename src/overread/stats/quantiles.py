"""Quantiles and tail probabilities of Student's t and the normal distribution.

scipy.stats has the same functions, but its import takes half a second.
"""

from __future__ import annotations

from math import isinf

from scipy.special import ndtr, ndtri, stdtr, stdtrit


def critical(confidence: float, df: float) -> float:
    """Two-sided critical value for a confidence level; infinite df means the normal distribution.

    Examples
    --------
    >>> round(critical(0.95, float("inf")), 4), round(critical(0.95, 5), 4)
    (1.96, 2.5706)
    """
    tail = (1 - confidence) / 2
    return float(-ndtri(tail) if isinf(df) else -stdtrit(df, tail))


def upper(z: float, df: float) -> float:
    """Probability of a value above z; infinite df means the normal distribution.

    Examples
    --------
    >>> round(upper(1.96, float("inf")), 4), round(upper(2.5706, 5), 4)
    (0.025, 0.025)
    """
    return float(ndtr(-z) if isinf(df) else stdtr(df, -z))
