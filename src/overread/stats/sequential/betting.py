"""Confidence sequences by betting: intervals for a mean that are valid at all interim analyses simultaneously."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Codes, Floats, check_confidence, score_array, weight_array
from overread.stats.estimate import Estimate
from overread.stats.result_text import described

CAUTION = 0.5  # largest proportion of the capital at risk in one bet, as in the paper
ROOM = 200_000  # elements of a block of steps times means
LONGEST = 256  # steps of a block, within which products of capitals neither underflow nor overflow


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequence:
    """Running mean with limits that are valid at all steps simultaneously.

    Attributes
    ----------
    value : ndarray of float64, shape (n_steps,)
        Running mean.
    low : ndarray of float64, shape (n_steps,)
        Lower limit, non-decreasing.
    high : ndarray of float64, shape (n_steps,)
        Upper limit, non-increasing.
    index : ndarray of intp, shape (n_steps,)
        Position, in the input, of the case that completed each step.
    method : str
        Method of the sequence.
    note : str
        Notes, or "".

    Notes
    -----
    `confidence_sequence` returns this result.
    """

    __repr__ = described

    value: Floats  # running mean
    low: Floats  # never falls
    high: Floats  # never rises
    index: NDArray[np.intp]  # the position, in what the caller gave, of the case that completed each step
    method: codes.Text
    note: codes.Text = codes.NONE

    def excluded_at(self, null: float) -> int | None:
        """Number of steps after which the interval first excludes a value.

        Parameters
        ----------
        null : float
            Value.

        Returns
        -------
        int or None
            Number of steps; None if the value is never excluded.

        Examples
        --------
        >>> confidence_sequence(np.ones(50)).excluded_at(0.5)
        10
        """
        out = np.flatnonzero(~((self.low <= null) & (null <= self.high)))  # NaN limits exclude every value
        return int(out[0]) + 1 if out.size else None

    @property
    def last(self) -> Estimate:
        """Estimate after the last step; NaN without steps."""
        if not self.value.size:
            return Estimate(nan, method=self.method, note=self.note)
        value, low, high = float(self.value[-1]), float(self.low[-1]), float(self.high[-1])
        return Estimate(value, low, high, method=self.method, note=self.note)


def confidence_sequence(
    x: ArrayLike,
    *,
    lower: float = 0.0,
    upper: float = 1.0,
    weights: ArrayLike | None = None,
    largest_weight: float | None = None,
    resolution: float = 1e-4,
    confidence: float = 0.95,
) -> ConfidenceSequence:
    """Confidence sequence for the mean of bounded outcomes, valid at every step.

    Parameters
    ----------
    x : array_like of float, shape (n_steps,)
        Outcomes in the order of arrival, each in [lower, upper].
    lower : float, default 0.0
        Lower bound, known in advance.
    upper : float, default 1.0
        Upper bound, known in advance.
    weights : array_like of float, shape (n_steps,), optional
        Inverse probabilities of being observed; the mean is then that of all outcomes, observed or not.
    largest_weight : float, optional
        Upper bound of the weights, known in advance (the largest observed weight would depend on the future).
    resolution : float, default 1e-4
        Resolution of the limits as a proportion of upper - lower; limits are rounded outwards.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ConfidenceSequence
        Limits that contain the mean at all steps simultaneously with probability `confidence` (running intersection).
        If no mean is compatible with the outcomes, the limits are NaN from there on, with a note.

    Raises
    ------
    InputError
        If an outcome is NaN or outside the bounds, or weights are given without their bound or exceed it.

    Notes
    -----
    For each candidate mean m, two capitals start at one half: the products of 1 + b w (x - m) and 1 - b w (x - m),
    where w is the weight divided by its bound and the bet b depends on previous steps only (predictable plug-in). If m
    is the mean, the capital exceeds 1 / (1 - confidence) with probability of at most 1 - confidence (Ville's
    inequality); m is excluded when it does. Each outcome is assumed to have the same mean given the past: independent
    patients in random order, or arrivals without drift. Checked by hand, against a brute-force reference implementation
    over candidate means, and by simulated simultaneous coverage.

    References
    ----------
    * Waudby-Smith I, Ramdas A (2024). Estimating means of bounded random variables by betting. Journal of the Royal
      Statistical Society Series B 86:1-27. doi:10.1093/jrsssb/qkad009

    Examples
    --------
    >>> sequence = confidence_sequence([1, 1, 0, 1, 1, 1, 1, 1, 0, 1] * 20)
    >>> round(float(sequence.low[-1]), 3), round(float(sequence.high[-1]), 3)
    (0.706, 0.887)
    """
    where = "confidence_sequence"
    check_confidence(confidence, where=where)
    outcome = score_array(x, (np.size(x),), where=where, name="x")
    _check_bounds(outcome, lower, upper, resolution, where=where)
    share = _shares(weights, largest_weight, outcome.size, where=where)
    method = codes.method("betting")
    if not outcome.size:
        return ConfidenceSequence(outcome, outcome, outcome, np.empty(0, np.intp), method, codes.note("no_cases"))
    unit = (outcome - lower) / (upper - lower)
    bets = plug_in_bets(unit, share, alpha=1 - confidence)
    low, high = _limits(unit, share, bets, threshold=log(2 / (1 - confidence)), cells=max(round(1 / resolution), 1))
    note = codes.NONE
    if empty := int(np.isnan(low).sum()):
        note = codes.note("empty_sequence", steps=outcome.size - empty)
    value = np.cumsum(share * outcome) / np.cumsum(share)
    low, high = lower + (upper - lower) * low, lower + (upper - lower) * high
    return ConfidenceSequence(value, low, high, np.arange(outcome.size), method, note)


def plug_in_bets(unit: Floats, share: Floats, *, alpha: float) -> Floats:
    """Bets of each step from previous steps, before truncation for m; outcomes are in [0, 1].

    The first bet uses a variance of 1/4.

    Examples
    --------
    >>> plug_in_bets(np.array([1.0, 0.0]), np.ones(2), alpha=0.05).round(4)
    array([6.525 , 4.6357])
    """
    step = np.arange(1, unit.size + 1)
    mean = (0.5 + np.cumsum(share * unit)) / (1 + np.cumsum(share))
    variance = (0.25 + np.cumsum((share * (unit - mean)) ** 2)) / (step + 1)
    previous = np.concatenate(([0.25], variance[:-1]))
    return np.sqrt(2 * log(2 / alpha) / (previous * step * np.log1p(step)))


def _check_bounds(x: Floats, lower: float, upper: float, resolution: float, *, where: str) -> None:
    """Raise if bounds, resolution or outcomes are invalid."""
    if not lower < upper:
        raise InputError(where, "lower below upper", f"lower = {lower}, upper = {upper}")
    if not 0 < resolution <= 0.1:
        raise InputError(f"{where}: resolution", "a share of the range, above 0 and at most 0.1", f"{resolution}")
    wrong = np.flatnonzero((x < lower) | (x > upper))
    if wrong.size:
        shown = [f"step {i}: {x[i]}" for i in wrong[:6]]
        raise InputError(f"{where}: x", f"outcomes in [{lower:g}, {upper:g}]", f"{wrong.size} outside", examples=shown)


def _shares(weights: ArrayLike | None, largest: float | None, n: int, *, where: str) -> Floats:
    """Weights divided by their bound, in (0, 1]."""
    if weights is None:
        return np.ones(n)
    weight = weight_array(weights, n, where=where)
    if largest is None or not np.isfinite(largest):
        do = "Specify beforehand the smallest probability of being observed that the design allows."
        raise InputError(f"{where}: largest_weight", "the bound of the weights", "none", do=do)
    n_above = int((weight > largest * (1 + 1e-12)).sum())
    if n_above:
        raise InputError(f"{where}: weights", f"weights of at most {largest:g}", f"{n_above} above")
    return np.minimum(weight / largest, 1.0)


def _limits(unit: Floats, share: Floats, bets: Floats, *, threshold: float, cells: int) -> tuple[Floats, Floats]:
    """Running limits on a grid of means, rounded outwards; an excluded mean is not evaluated again.

    Both capitals are monotone in m, so that the remaining means are one interval of the grid, first to last.
    """
    n, grid = unit.size, np.arange(cells + 1) / cells
    low, high = np.full(n, nan), np.full(n, nan)
    first, last, start = 0, cells, 0  # positions of the remaining grid
    above, below = np.zeros(cells + 1), np.zeros(cells + 1)  # log capitals of the remaining means
    while start < n and first <= last:
        m = grid[first : last + 1]
        block = slice(start, min(start + min(max(ROOM // m.size, 1), LONGEST), n))
        gain = share[block, None] * (unit[block, None] - m)  # (steps, means)
        up, down = _growth(gain, bets[block], m)
        from_left, from_right = _left_out(up, threshold - above), _left_out(down, threshold - below)
        is_consistent = from_left + from_right <= m.size  # False if the excluded means of both sides overlap
        low[block] = np.where(is_consistent, grid[np.maximum(first + from_left - 1, 0)], nan)
        high[block] = np.where(is_consistent, grid[np.minimum(last - from_right + 1, cells)], nan)
        left, right = int(from_left[-1]), int(from_right[-1])
        stays = slice(left, max(m.size - right, left))
        above, below = above[stays] + np.log(up[-1, stays]), below[stays] + np.log(down[-1, stays])
        first, last, start = first + left, last - right, block.stop
    if start < n and first == last + 1:  # the remaining means are between two grid points
        low[start:], high[start:] = grid[last], grid[first]
    return low, high


def _growth(gain: Floats, bets: Floats, m: Floats) -> tuple[Floats, Floats]:
    """Factors of the two capitals from the start of the block to each step, (steps, means)."""
    with np.errstate(divide="ignore"):
        most = CAUTION / m, CAUTION / (1 - m)
    up, down = (1 + sign * np.minimum(bets[:, None], cut) * gain for sign, cut in zip((1, -1), most, strict=True))
    return np.cumprod(up, axis=0, out=up), np.cumprod(down, axis=0, out=down)


def _left_out(growth: Floats, missing: Floats) -> Codes:
    """Number of means that one capital has excluded by each step, (steps,); `missing` is the log growth required."""
    reached = growth >= np.exp(np.minimum(missing, 700.0))
    when = reached.argmax(axis=0)[reached.any(axis=0)]
    return np.cumsum(np.bincount(when, minlength=len(growth)))
