"""Binning of probabilities by four named conventions, which give different calibration errors."""

from __future__ import annotations

import numpy as np

from overread.errors import InputError
from overread.stats.arrays import Codes, Floats

BINNINGS = ("mass", "width", "width-left", "mass-rank")
DIGITS = 12
EDGE = 1e-12  # tolerance at an edge, because 0.3 * 10 is 2.9999999999999996 in floating point


def bin_codes(probability: Floats, bins: int, binning: str, weights: Floats | None = None) -> tuple[Codes, int]:
    """Bin codes 0 to k-1 of the bins that contain a case, and k <= bins.

    "mass": equal numbers of cases with edges at quantiles (type 7), right-closed. Equal probabilities are never split,
    so that the order of cases does not matter; a probability whose ties would fill several bins (two at the lowest or
    highest value, three in between) has its own bin. "mass-rank": exactly equal numbers, with ties split in the order
    given. "width": equal width, right-closed (Guo et al. 2017, arXiv:1706.04599). "width-left": equal width,
    left-closed.

    Examples
    --------
    >>> bin_codes(np.array([0.1, 0.2, 0.2, 0.9]), 10, "width")
    (array([0, 1, 1, 2]), 3)
    >>> bin_codes(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.7]), 3, "mass")
    (array([0, 0, 0, 0, 0, 1]), 2)
    """
    if bins != int(bins) or bins < 1:
        raise InputError("bins", "a whole number, 1 or more", str(bins))
    if binning == "mass":
        # Quantiles of ties may differ by rounding and must compare as equal.
        bin_limits = np.round(quantiles(probability, np.arange(bins + 1) / bins, weights), DIGITS)
        values, count = np.unique(bin_limits, return_counts=True)
        # Ties that fill whole bins have their own bin: two bins at the lowest or highest value, three in between.
        # With fewer ties the rule is that of cut(unique(quantile(...)), include.lowest = TRUE) in R.
        smallest_count = np.full(values.size, 4)
        smallest_count[[0, -1]] = 3
        own_bin = values[count >= np.minimum(smallest_count, max(bins, 2))]
        edges = np.unique(np.concatenate([values[1:-1], own_bin]))
        code = np.searchsorted(edges + EDGE, probability, side="left")
        code += np.searchsorted(own_bin - EDGE, probability, side="right")
    elif binning == "mass-rank":
        if weights is not None:
            raise InputError("binning", "mass, width or width-left with weights", "mass-rank")
        code = np.empty(probability.size, dtype=np.intp)
        parts = np.array_split(np.argsort(probability, kind="stable"), bins)
        code[np.concatenate(parts)] = np.repeat(np.arange(bins), [len(part) for part in parts])
    elif binning == "width":
        code = np.clip(np.ceil((probability - EDGE) * bins).astype(np.intp) - 1, 0, bins - 1)
    else:
        code = np.clip(np.floor((probability + EDGE) * bins).astype(np.intp), 0, bins - 1)
    used = np.bincount(code, minlength=1) > 0
    return (np.cumsum(used) - 1)[code], int(np.count_nonzero(used))


def quantiles(values: Floats, levels: Floats, weights: Floats | None = None) -> Floats:
    """Quantiles (type 7: linear between order statistics); with weights, a value is at the middle of its weight.

    Examples
    --------
    >>> quantiles(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.75])).tolist()
    [2.0, 3.0]
    """
    if weights is None:
        return np.quantile(values, levels)
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2
    span = middle[-1] - middle[0]
    position = (middle - middle[0]) / span if span else np.zeros(1)  # for equal weights (i - 1) / (n - 1), type 7
    return np.interp(levels, position, values[order][: position.size])
