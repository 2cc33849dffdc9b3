"""Quantiles and tails of Student's t and of the normal law, without the half second that scipy.stats takes."""

from __future__ import annotations

from math import isinf

from scipy.special import ndtr, ndtri, stdtr, stdtrit


def critical(confidence: float, df: float) -> float:
    """The two-sided quantile of a confidence; df infinite = normal.

    >>> round(critical(0.95, float("inf")), 4), round(critical(0.95, 5), 4)
    (1.96, 2.5706)
    """
    tail = (1 - confidence) / 2
    return float(-ndtri(tail) if isinf(df) else -stdtrit(df, tail))


def upper(z: float, df: float) -> float:
    """The probability of a value above z; df infinite = normal.

    >>> round(upper(1.96, float("inf")), 4), round(upper(2.5706, 5), 4)
    (0.025, 0.025)
    """
    return float(ndtr(-z) if isinf(df) else stdtr(df, -z))
