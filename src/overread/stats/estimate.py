"""The result that every statistic returns."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from overread import codes


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval, its method and a note on what could not be computed (then NaN, never 0).

    >>> Estimate(0.8, 0.7, 0.9, method=codes.method("wilson")).value
    0.8
    """

    value: float
    low: float = nan
    high: float = nan
    se: float = nan
    p: float = nan
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE
