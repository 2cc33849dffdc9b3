"""The common result type of all statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor, isfinite, isnan, log10, nan

from overread import codes


@dataclass(frozen=True, slots=True, repr=False)
class Estimate:
    """An estimate with its confidence interval, standard error, p value, method and note.

    A quantity that cannot be estimated is NaN with a note, never 0.

    Parameters
    ----------
    value : float
        The point estimate.
    low, high : float
        Limits of the confidence interval; NaN without an interval.
    se : float
        Standard error.
    p : float
        p value of the test of the null hypothesis, if there is one.
    method : overread.codes.Text
        The statistical method, as a code with its text.
    note : overread.codes.Text
        Why something is missing, or what limits the estimate.
    name : str
        The estimated quantity; ignored in comparisons of estimates.
    confidence : float
        Level of the interval.

    Notes
    -----
    An estimate prints as in the text of a paper: quantity, value and interval, or p value without an interval.

    Examples
    --------
    >>> Estimate(0.8379, 0.8321, 0.8436, method=codes.method("delong"), name="AUC")
    AUC 0.838 (95% CI 0.832 to 0.844)
    >>> Estimate(nan, note=codes.note("one_class", outcome="present", n=12), name="AUC")
    AUC NaN (NE: all cases (n = 12) had the finding present)
    """

    value: float
    low: float = nan
    high: float = nan
    se: float = nan
    p: float = nan
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE
    name: str = field(default="", compare=False)
    confidence: float = 0.95

    def __str__(self) -> str:
        return written(self)

    def __repr__(self) -> str:
        return written(self)


def written(estimate: Estimate) -> str:
    """Format the estimate as in the text of a paper: value and interval, or p value without an interval.

    >>> written(Estimate(12.34, p=0.0004, name="chi-square", note="3 groups"))
    'chi-square 12.34 (p < 0.001). Note: 3 groups'
    """
    head, note = f"{estimate.name} " if estimate.name else "", str(estimate.note)
    if isnan(estimate.value):
        return f"{head}NaN" + (f" ({note})" if note else "")
    places = decimals(estimate.value, estimate.low, estimate.high)
    shown = f"{head}{estimate.value:.{places}f}"
    if not (isnan(estimate.low) and isnan(estimate.high)):
        limits = [f"{limit:.{places}f}" for limit in (estimate.low, estimate.high)]
        shown += f" ({estimate.confidence * 100:g}% CI {limits[0]} to {limits[1]})"
    elif not isnan(estimate.p):
        shown += " (p < 0.001)" if estimate.p < 0.001 else f" (p = {estimate.p:.3f})"
    return shown + (f". Note: {note}" if note else "")


def decimals(*numbers: float) -> int:
    """Return the number of decimal places for numbers shown together: 3 from 0.01 to 10, fewer above, more below.

    >>> decimals(0.838, 1.0), decimals(45.2, 60.0), decimals(0.0012)
    (3, 2, 5)
    """
    largest = max((abs(n) for n in numbers if isfinite(n)), default=0.0)
    if largest == 0:
        return 3
    magnitude = floor(log10(largest))
    return max(3 - max(magnitude, 0), 0) if magnitude >= -2 else 2 - magnitude
