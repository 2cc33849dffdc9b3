"""Two arms, one number per reader: differences, and the t test that takes the reader as the unit."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, group_codes
from overread.stats.quantiles import critical, upper
from overread.stats.reading_time.crossed_effects import FixedEffect

UNAIDED = "unaided"


def two_arms(arm: ArrayLike, n: int, *, where: str) -> tuple[tuple[str, str], Bools]:
    """The names of the two arms, the compared one first, and which reads are in it.

    >>> two_arms(["unaided", "aided", "aided"], 3, where="reading_time_ratio")
    (('aided', 'unaided'), array([False,  True,  True]))
    """
    codes, n_arms = group_codes(arm, n, where=where, name="arm")
    names = [str(name) for name in levels_of(arm)]
    if n_arms != 2:
        do = "Give the reads of two arms; compare more arms two at a time."
        raise InputError(f"{where}: arm", "two arms", ", ".join(names) or "no reads", do=do)
    base = names.index(UNAIDED) if UNAIDED in names else 0
    return (names[1 - base], names[base]), codes != base


def levels_of(labels: ArrayLike) -> list[object]:
    """The distinct labels in the order of `group_codes`."""
    given = np.asarray(labels)
    return sorted(set(given.tolist()))


def in_both(aided: Bools, codes: Codes, size: int) -> Bools:
    """Which units (size,) have rows with and without aid."""
    return (np.bincount(codes[aided], minlength=size) > 0) & (np.bincount(codes[~aided], minlength=size) > 0)


def differences(values: Floats, aided: Bools, codes: Codes) -> Floats:
    """Mean aided minus mean unaided of each unit read in both arms."""
    size = int(codes.max()) + 1
    kept = in_both(aided, codes, size)
    sums = [
        np.bincount(codes[w], values[w], size)[kept] / np.bincount(codes[w], minlength=size)[kept]
        for w in (aided, ~aided)
    ]
    return sums[0] - sums[1]


def paired_t(differences: Floats, *, confidence: float = 0.95) -> FixedEffect:
    """The mean of differences, one per reader, with the t test that it is 0; fewer than two: NaN with a note.

    >>> round(paired_t(np.array([1.0, 2, 3])).p, 4)
    0.0742
    """
    n = differences.size
    value = float(differences.mean()) if n else nan
    if n < 2:
        return FixedEffect(value, nan, nan, nan, nan, nan, nan, note=codes.note("few_paired_readers", n=n))
    se, df = float(differences.std(ddof=1)) / sqrt(n), float(n - 1)
    if se == 0:
        return FixedEffect(value, 0.0, df, nan, nan, value, value, note=codes.note("zero_variance"))
    half = critical(confidence, df) * se
    return FixedEffect(value, se, df, value / se, 2 * upper(abs(value) / se, df), value - half, value + half)
