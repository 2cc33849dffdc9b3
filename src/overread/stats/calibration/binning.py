"""Which bin a probability belongs to: four conventions, named, for they give different calibration errors."""

from __future__ import annotations

import numpy as np

from overread.errors import InputError
from overread.stats.arrays import Codes, Floats

BINNINGS = ("mass", "width", "width-left", "mass-rank")
DIGITS = 12
EDGE = 1e-12  # a probability this near to an edge is on it: 0.3 is 2.9999999999999996 tenths


def bin_codes(probability: Floats, bins: int, binning: str, weights: Floats | None = None) -> tuple[Codes, int]:
    """Codes 0 … k-1 of the bins that hold a case, and k <= bins.

    "mass": equal numbers of cases, edges at quantiles (type 7), right-closed; equal probabilities are never split, so
    that the order of cases does not matter, and a probability whose ties would fill several bins (two at the lowest or
    highest value, three in between) has a bin of its own; "mass-rank": equal numbers exactly, ties cut in the order
    given; "width": equal width, right-closed
    (Guo et al. 2017); "width-left": equal width, left-closed.

    >>> bin_codes(np.array([0.1, 0.2, 0.2, 0.9]), 10, "width")
    (array([0, 1, 1, 2]), 3)
    >>> bin_codes(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.7]), 3, "mass")
    (array([0, 0, 0, 0, 0, 1]), 2)
    """
    if bins != int(bins) or bins < 1:
        raise InputError("bins", "a whole number, 1 or more", str(bins))
    if binning == "mass":
        # Quantiles of ties differ by rounding where 5/6 of 6 steps is not 5: equal ones must be counted as equal.
        at = np.round(quantiles(probability, np.arange(bins + 1) / bins, weights), DIGITS)
        values, count = np.unique(at, return_counts=True)
        # Ties that fill whole bins have a bin of their own: two bins at the lowest or highest value, three in between.
        # Fewer ties share a bin with their neighbours, as in R's cut(unique(quantile(...)), include.lowest = TRUE).
        least = np.full(values.size, 4)
        least[[0, -1]] = 3
        filling = values[count >= np.minimum(least, max(bins, 2))]
        edges = np.unique(np.concatenate([values[1:-1], filling]))
        code = np.searchsorted(edges + EDGE, probability, side="left")
        code += np.searchsorted(filling - EDGE, probability, side="right")
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


def quantiles(values: Floats, at: Floats, weights: Floats | None = None) -> Floats:
    """Quantiles (type 7, linear between order statistics); with weights a value stands at the middle of its weight.

    >>> quantiles(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.75])).tolist()
    [2.0, 3.0]
    """
    if weights is None:
        return np.quantile(values, at)
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2
    span = middle[-1] - middle[0]
    place = (middle - middle[0]) / span if span else np.zeros(1)  # equal weights: (i - 1) / (n - 1), which is type 7
    return np.interp(at, place, values[order][: place.size])
