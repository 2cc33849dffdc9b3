"""Cohen's kappa of every pair of readers, and their mean (Light's kappa)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from overread import codes
from overread.stats.agreement.kappa import cohen_kappa, kappa_influence
from overread.stats.agreement.ratings import Ratings, agreement_weights, rated
from overread.stats.arrays import Floats, check_confidence
from overread.stats.estimate import Estimate
from overread.stats.quantiles import critical
from overread.stats.resampling.replicates import NO_SPREAD, NOTHING
from overread.stats.result_text import described


@dataclass(frozen=True, slots=True, eq=False)
class PairwiseKappa:
    """Cohen's kappa of every pair of readers with a common case.

    Attributes
    ----------
    mean : Estimate
        Unweighted mean of the kappas of the pairs with enough common cases (Light's kappa).
    pairs : tuple of (int, int)
        Columns of the two readers.
    kappas : tuple of Estimate
        Kappa of each pair, see `cohen_kappa`.
    n_common : tuple of int
        Common cases of each pair.

    Notes
    -----
    `pairwise_kappa` returns this result.
    """

    __repr__ = described

    mean: Estimate
    pairs: tuple[tuple[int, int], ...]
    kappas: tuple[Estimate, ...]
    n_common: tuple[int, ...]


def pairwise_kappa(
    ratings: ArrayLike,
    *,
    weights: str | None = None,
    least: int = 10,
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> PairwiseKappa:
    """Cohen's kappa of every pair of readers, and the mean over pairs: Light's kappa.

    Parameters
    ----------
    ratings : array_like, shape (n_cases, n_readers)
        Category of each case by each reader, numbers or text; NaN = not read.
    weights : {"linear", "quadratic"}, optional
        Partial credit by the distance of the category numbers or its square. By default only equal categories agree.
    least : int, default 10
        Smallest number of common cases of a pair that enters the mean.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    confidence : float, default 0.95
        Confidence level of the two-sided intervals, between 0 and 1.

    Returns
    -------
    PairwiseKappa
        The mean and the kappa of every pair with a common case. The mean is NaN with a note without a usable pair; the
        note counts the pairs that do not enter it.

    Raises
    ------
    InputError
        If `ratings` has another shape or an option is unknown.

    Notes
    -----
    The variance of the mean is that of the mean influence of each patient on all kappas (the linearised terms of
    Fleiss, Cohen and Everitt), so that the pairs may share readers and cases; the interval uses Student's t over
    patients and is clipped at 1. The readers are fixed: it says nothing about other readers. A pair in which both used
    the same single category has no kappa and does not enter the mean. Checked against irr 0.84.1 (R 4.2.2) and the
    mean of `cohen_kappa` over pairs.

    References
    ----------
    * Light RJ (1971). Measures of response agreement for qualitative data: some generalizations and alternatives.
      Psychological Bulletin 76:365-377. doi:10.1037/h0031643
    * Fleiss JL, Cohen J, Everitt BS (1969). Large sample standard errors of kappa and weighted kappa. Psychological
      Bulletin 72:323-327. doi:10.1037/h0028106

    Examples
    --------
    >>> k = pairwise_kappa([[1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]] * 3)
    >>> [round(e.value, 3) for e in k.kappas], round(k.mean.value, 4)
    ([0.0, 1.0, 0.0], 0.3333)
    """
    where = "pairwise_kappa"
    check_confidence(confidence, where=where)
    table = rated(ratings, where=where, cluster=cluster, numeric=weights is not None, every=True)
    patients = table.sample.patient
    pairs, kappas, common = [], [], []
    read = np.ascontiguousarray(table.codes.T >= 0)
    for i, j in combinations(range(table.codes.shape[1]), 2):
        both = np.flatnonzero(read[i] & read[j])
        if both.size:
            a, b = (table.values[table.codes[both, k]] for k in (i, j))
            own = None if patients is None else patients[both]
            kappas.append(cohen_kappa(a, b, weights=weights, cluster=own, confidence=confidence))
            pairs.append((i, j))
            common.append(int(both.size))
    usable = [p for p, e, n in zip(pairs, kappas, common, strict=True) if n >= least and e.value == e.value]
    mean = _mean(table, agreement_weights(table.values, weights, where=where), usable, confidence)
    if len(usable) < len(pairs):
        lost = codes.note("pairs_left_out", n=len(pairs) - len(usable), of=len(pairs), least=least)
        mean = replace(mean, note=codes.notes(mean.note, lost))
    return PairwiseKappa(mean, tuple(pairs), tuple(kappas), tuple(common))


def _mean(table: Ratings, matrix: Floats, pairs: Sequence[tuple[int, int]], confidence: float) -> Estimate:
    """Mean kappa of these pairs of columns, with the variance of the mean influence of each patient."""
    sample, clustered = table.sample, table.sample.patient is not None
    method = codes.methods(codes.method("mean_of_kappas"), codes.method("clustered_by_patient") if clustered else None)
    if not pairs:
        return Estimate(nan, method=method, note=codes.notes(codes.note("no_usable_pair"), table.note))
    influence, values, involved = np.zeros(len(table.codes)), [], np.zeros(len(table.codes), dtype=bool)
    read = np.ascontiguousarray(table.codes.T >= 0)
    for i, j in pairs:
        both = np.flatnonzero(read[i] & read[j])
        value, own = kappa_influence(table.codes[both, i], table.codes[both, j], matrix)
        values.append(value)
        influence[both] += own / len(pairs)
        involved[both] = True
    value = float(np.mean(values))
    units = int(np.count_nonzero(sample.totals(involved)))
    if units < 2:
        return Estimate(value, method=method, note=codes.notes(codes.note("one_unit"), table.note))
    variance = sample.variance(sample.totals(influence), units)
    se = sqrt(variance) if variance > NOTHING else 0.0
    half = critical(confidence, units - 1) * se
    p = float(2 * stdtr(units - 1, -abs(value) / se)) if se else nan
    method = codes.methods(method, codes.method("scale_t", df=units - 1))
    note = codes.notes(None if se else NO_SPREAD, table.note)
    return Estimate(value, value - half, min(value + half, 1.0), se=se, p=p, method=method, note=note)
