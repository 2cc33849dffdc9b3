"""Confidence sequences by betting: intervals for a mean that hold at every look at once, however often one looks."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Codes, Floats, check_confidence, score_array, weight_array
from overread.stats.estimate import Estimate

CAUTION = 0.5  # the largest share of the capital that may be lost in one bet, as in the paper
ROOM = 200_000  # numbers in one block of steps times means
LONGEST = 256  # steps of a block: within it capitals are plain products, which then can neither vanish nor overflow


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequence:
    """A mean after each step with limits that hold at all steps at once; arrays (n_steps,)."""

    value: Floats  # running mean
    low: Floats  # never falls
    high: Floats  # never rises
    index: NDArray[np.intp]  # the position, in what the caller gave, of the case that completed each step
    method: codes.Text
    note: codes.Text = codes.NONE

    def excluded_at(self, null: float) -> int | None:
        """The number of steps after which the interval first leaves out a value; None where it never does.

        >>> confidence_sequence(np.ones(50)).excluded_at(0.5)
        10
        """
        out = np.flatnonzero(~((self.low <= null) & (null <= self.high)))  # where no mean is left, none is inside
        return int(out[0]) + 1 if out.size else None

    @property
    def last(self) -> Estimate:
        """What is known after the last step; NaN where there was none."""
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
    """The mean of bounded outcomes after each of them, with an interval that may be looked at after every one.

    Parameters
    ----------
    x : float (n_steps,), in the order in which they came, each in [lower, upper].
    lower, upper : the bounds, known beforehand.
    weights : float (n_steps,), inverse probabilities of being observed; the mean is then that of all, observed or not.
    largest_weight : the bound of the weights, known beforehand (the largest one seen would look ahead).
    resolution : of the limits, as a share of upper - lower; they are rounded outwards.

    Returns
    -------
    ConfidenceSequence: with probability `confidence` the mean lies between `.low` and `.high` at all steps together
    (running intersection). Contradictory limits, where no mean is left: NaN from there on, with a note.

    Raises
    ------
    InputError on NaN, values outside the bounds, weights without their bound or above it.

    Notes
    -----
    Against each mean m two gamblers bet, one that x lies above it and one below, each with half the capital: their
    capitals are the products of 1 + b w (x - m) and 1 - b w (x - m), with w the weight over its bound and the bet b
    fixed by the steps before (the predictable plug-in). No strategy multiplies its capital by 1 / (1 - confidence) more
    often than in a share 1 - confidence of studies if m is the mean; where one does, m is left out. Assumes that given
    the past each x has the same mean: random order of independent patients, or arrivals without drift. Waudby-Smith &
    Ramdas (2024) doi:10.1093/jrsssb/qkad009 (hedged capital). Checked by hand, against the product written out mean by
    mean, and in its coverage at all steps at once by simulation.

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
    """The bet of each step before it is cut to what m allows, from the steps before; outcomes in [0, 1].

    The first bet takes the variance to be 1/4.

    >>> plug_in_bets(np.array([1.0, 0.0]), np.ones(2), alpha=0.05).round(4)
    array([6.525 , 4.6357])
    """
    step = np.arange(1, unit.size + 1)
    mean = (0.5 + np.cumsum(share * unit)) / (1 + np.cumsum(share))
    variance = (0.25 + np.cumsum((share * (unit - mean)) ** 2)) / (step + 1)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.sqrt(2 * log(2 / alpha) / (before * step * np.log1p(step)))


def _check_bounds(x: Floats, lower: float, upper: float, resolution: float, *, where: str) -> None:
    if not lower < upper:
        raise InputError(where, "lower below upper", f"lower = {lower}, upper = {upper}")
    if not 0 < resolution <= 0.1:
        raise InputError(f"{where}: resolution", "a share of the range, above 0 and at most 0.1", f"{resolution}")
    wrong = np.flatnonzero((x < lower) | (x > upper))
    if wrong.size:
        shown = [f"step {i}: {x[i]}" for i in wrong[:6]]
        raise InputError(f"{where}: x", f"outcomes in [{lower:g}, {upper:g}]", f"{wrong.size} outside", examples=shown)


def _shares(weights: ArrayLike | None, largest: float | None, n: int, *, where: str) -> Floats:
    """Weights over their bound, in (0, 1]."""
    if weights is None:
        return np.ones(n)
    weight = weight_array(weights, n, where=where)
    if largest is None or not np.isfinite(largest):
        do = "State the smallest probability of being observed that the design allows, beforehand."
        raise InputError(f"{where}: largest_weight", "the bound of the weights", "none", do=do)
    above = int((weight > largest * (1 + 1e-12)).sum())
    if above:
        raise InputError(f"{where}: weights", f"weights of at most {largest:g}", f"{above} above")
    return np.minimum(weight / largest, 1.0)


def _limits(unit: Floats, share: Floats, bets: Floats, *, threshold: float, cells: int) -> tuple[Floats, Floats]:
    """The running limits on a grid of means, rounded outwards; a mean once left out is never looked at again.

    Both capitals are monotone in m, so what is left is one stretch of the grid, first … last.
    """
    n, grid = unit.size, np.arange(cells + 1) / cells
    low, high = np.full(n, nan), np.full(n, nan)
    first, last, start = 0, cells, 0  # positions in the grid that are left
    above, below = np.zeros(cells + 1), np.zeros(cells + 1)  # log capitals of what is left
    while start < n and first <= last:
        m = grid[first : last + 1]
        block = slice(start, min(start + min(max(ROOM // m.size, 1), LONGEST), n))
        gain = share[block, None] * (unit[block, None] - m)  # (steps, means)
        up, down = _growth(gain, bets[block], m)
        from_left, from_right = _left_out(up, threshold - above), _left_out(down, threshold - below)
        kept = from_left + from_right <= m.size  # else what is left out from both sides overlaps
        low[block] = np.where(kept, grid[np.maximum(first + from_left - 1, 0)], nan)
        high[block] = np.where(kept, grid[np.minimum(last - from_right + 1, cells)], nan)
        left, right = int(from_left[-1]), int(from_right[-1])
        stays = slice(left, max(m.size - right, left))
        above, below = above[stays] + np.log(up[-1, stays]), below[stays] + np.log(down[-1, stays])
        first, last, start = first + left, last - right, block.stop
    if start < n and first == last + 1:  # all that is left lies between two neighbours
        low[start:], high[start:] = grid[last], grid[first]
    return low, high


def _growth(gain: Floats, bets: Floats, m: Floats) -> tuple[Floats, Floats]:
    """What the two capitals are multiplied by from the start of the block to each step, (steps, means)."""
    with np.errstate(divide="ignore"):
        most = CAUTION / m, CAUTION / (1 - m)
    up, down = (1 + sign * np.minimum(bets[:, None], cut) * gain for sign, cut in zip((1, -1), most, strict=True))
    return np.cumprod(up, axis=0, out=up), np.cumprod(down, axis=0, out=down)


def _left_out(growth: Floats, missing: Floats) -> Codes:
    """How many means are left out by each step, from that gambler's side, (steps,); missing = log of what it takes."""
    reached = growth >= np.exp(np.minimum(missing, 700.0))
    when = reached.argmax(axis=0)[reached.any(axis=0)]
    return np.cumsum(np.bincount(when, minlength=len(growth)))
