"""Differences between two arms by reader, and the t test with the reader as the unit of analysis."""

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


def two_arms(arm: ArrayLike, n: int, *, where: str, baseline: str = "") -> tuple[tuple[str, str], Bools]:
    """Names of two arms, the compared one first, and mask of the reads of the compared arm.

    Parameters
    ----------
    arm : array_like, shape (n,)
        Arm of each read.
    n : int
        Number of reads.
    where : str
        Name of the calling function, used in error messages.
    baseline : str, optional
        The reference arm; by default "unaided", without it the first name in sorted order.

    Returns
    -------
    names : tuple of str
        Compared arm and reference arm.
    aided : ndarray of bool, shape (n,)
        Whether a read is of the compared arm.

    Raises
    ------
    InputError
        If there are not exactly two arms, or the baseline is none of them.

    Notes
    -----
    More than two arms are compared pairwise.

    Examples
    --------
    >>> two_arms(["unaided", "aided", "aided"], 3, where="reading_time_ratio")
    (('aided', 'unaided'), array([False,  True,  True]))
    """
    codes, n_arms = group_codes(arm, n, where=where, name="arm")
    names = [str(name) for name in levels_of(arm)]
    if n_arms != 2:
        do = "Pass the reads of two arms; compare more arms two at a time."
        raise InputError(f"{where}: arm", "two arms", ", ".join(names) or "no reads", do=do)
    if baseline and baseline not in names:
        raise InputError(f"{where}: baseline", f"one of {', '.join(names)}", repr(baseline))
    wanted = baseline or UNAIDED
    base = names.index(wanted) if wanted in names else 0
    return (names[1 - base], names[base]), codes != base


def levels_of(labels: ArrayLike) -> list[object]:
    """Distinct labels in sorted order, which is the order of the codes of `group_codes`.

    Parameters
    ----------
    labels : array_like, shape (n,)
        Labels.

    Returns
    -------
    list
        Distinct labels.

    Notes
    -----
    The order is that of Python's `sorted`.

    Examples
    --------
    >>> levels_of(["b", "a", "b"])
    ['a', 'b']
    """
    array = np.asarray(labels)
    return sorted(set(array.tolist()))


def in_both(aided: Bools, codes: Codes, size: int) -> Bools:
    """Mask of the units that have rows in both arms.

    Parameters
    ----------
    aided : ndarray of bool, shape (n,)
        Whether a row is of the compared arm.
    codes : ndarray of intp, shape (n,)
        Unit of each row.
    size : int
        Number of units.

    Returns
    -------
    ndarray of bool, shape (size,)
        Whether a unit has rows in both arms.

    Notes
    -----
    Units without rows are False.

    Examples
    --------
    >>> in_both(np.array([True, False, True]), np.array([0, 0, 1]), 2).tolist()
    [True, False]
    """
    return (np.bincount(codes[aided], minlength=size) > 0) & (np.bincount(codes[~aided], minlength=size) > 0)


def differences(values: Floats, aided: Bools, codes: Codes) -> Floats:
    """Mean difference (compared arm minus reference arm) of each unit with rows in both arms.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Values.
    aided : ndarray of bool, shape (n,)
        Whether a row is of the compared arm.
    codes : ndarray of intp, shape (n,)
        Unit of each row.

    Returns
    -------
    ndarray of float64, shape (n_units,)
        Difference of the means of each unit.

    Notes
    -----
    Units without rows in both arms are omitted; `in_both` identifies them.

    Examples
    --------
    >>> differences(np.array([3.0, 1.0, 5.0]), np.array([True, False, True]), np.array([0, 0, 1])).tolist()
    [2.0]
    """
    size = int(codes.max()) + 1
    has_both_arms = in_both(aided, codes, size)
    sums = [
        np.bincount(codes[w], values[w], size)[has_both_arms] / np.bincount(codes[w], minlength=size)[has_both_arms]
        for w in (aided, ~aided)
    ]
    return sums[0] - sums[1]


def paired_t(differences: Floats, *, confidence: float = 0.95) -> FixedEffect:
    """Paired t test of differences, one for each reader.

    Parameters
    ----------
    differences : ndarray of float64, shape (n_readers,)
        Difference of each reader.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    FixedEffect
        Mean difference with interval and p value; NaN with a note for fewer than two readers or equal differences.

    Notes
    -----
    Differences are assumed to be independent and approximately normal.

    Examples
    --------
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
