"""Krippendorff's alpha for any level of measurement and with missing reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.agreement.chance_corrected import linear_estimate
from overread.stats.agreement.ratings import complete_pair, measured, rated, selected
from overread.stats.arrays import Floats, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.random_numbers import Random
from overread.stats.resampling.replicates import resampled

LEVELS = ("nominal", "ordinal", "interval", "ratio")
ROUNDING = 1e-12  # an expected disagreement below this proportion of its terms is rounding error


@dataclass(frozen=True, slots=True, eq=False)
class _Disagreement:
    """Disagreement observed within cases and expected between any reads, with the contribution of each case to both."""

    reads: Floats  # (n_cases,)
    sums: Callable[[Floats], tuple[Floats, Floats]]  # case weights (b, n_cases) -> observed (b,), expected (b,)
    observed_by_case: Floats  # (n_cases,) derivative of the sum at weights of 1
    expected_by_case: Floats  # (n_cases,)

    def alpha(self, weights: Floats) -> Floats:
        """Alpha under case weights (b, n_cases); NaN if all reads are equal."""
        observed, expected = self.sums(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(expected > 0, 1 - (weights @ self.reads - 1) * observed / expected, nan)

    def influence(self) -> Floats:
        """n times the influence of each case on alpha, linearised as in irrCAC (Gwet)."""
        (observed,), (expected,) = self.sums(np.ones((1, self.reads.size)))
        total, n = self.reads.sum(), self.reads.size
        within = self.reads * observed + total * self.observed_by_case
        # Gwet replaces total - 1 by total, except in a term of order 1/n for unequal numbers of reads per case.
        uneven = (self.reads * n / total - 1) * observed / n
        influence: Floats = (total * observed * self.expected_by_case / expected - within - uneven) / expected * n
        return influence


@named("Krippendorff's alpha")
def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    level: str = "nominal",
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Krippendorff's alpha: one minus the ratio of observed to expected disagreement.

    Parameters
    ----------
    ratings : array_like, shape (n_cases, n_readers)
        Rating of each case by each reader; NaN = not read. Readers may read different cases.
    level : {"nominal", "ordinal", "interval", "ratio"}, default "nominal"
        Level of measurement: categories (text or numbers), ranks among all reads, squared differences, or numbers with
        a zero point (0 or more).
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    rng : numpy.random.Generator, optional
        If given, the interval is the percentile interval of a bootstrap over patients instead of the analytic one.
    replicates : int, default 2000
        Number of bootstrap replicates.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        Alpha with an interval from the linearised standard error and Student's t, clipped at 1, and the p value of
        alpha = 0. NaN with a note if all reads are equal.

    Raises
    ------
    InputError
        If `ratings` has another shape, an option is unknown, or a number is negative at level "ratio".

    Notes
    -----
    Cases with fewer than two reads are omitted and counted in the note. At level "ordinal" the linearisation includes
    the ranks. Checked against krippendorff 0.9.0 (Python) and irrCAC 1.0 (R 4.2.2).

    References
    ----------
    * Krippendorff K (2004). Content Analysis: An Introduction to Its Methodology, 2nd edition, chapter 11. Sage.
    * Gwet KL (2014). Handbook of Inter-Rater Reliability, 4th edition. Advanced Analytics.

    Examples
    --------
    >>> e = krippendorff_alpha([[1, 1, np.nan], [2, 2, 3], [3, 3, 3], [1, np.nan, np.nan]])
    >>> round(e.value, 4), e.note
    (0.65, '1 case with fewer than two reads excluded')
    """
    where = "krippendorff_alpha"
    check_word(level, LEVELS, where=where, name="level")
    check_confidence(confidence, where=where)
    if level == "interval":
        numbers = measured(ratings, where=where)
        rows, columns, sample, note = selected(~np.isnan(numbers), where=where, cluster=cluster, least=2)
        table = numbers[rows][:, columns]
        pair = complete_pair(~np.isnan(numbers))
    else:
        usable = rated(ratings, where=where, cluster=cluster, numeric=level != "nominal", least=2)
        sample, note, table, pair = usable.sample, usable.note, usable.counts, usable.complete_pair
    if not len(table):
        return Estimate(nan, method=codes.method("gwet"), note=codes.notes(codes.note("no_two_reads"), note))
    if level == "interval":
        parts = _interval(table)
    elif level == "ordinal":
        parts = _ordinal(table)
    else:
        parts = _fixed(table, _distance(usable.values, level, where))
    alpha = float(parts.alpha(np.ones((1, sample.n_cases)))[0])
    if np.isnan(alpha):
        note = codes.notes(codes.note("single_category"), note)
        return Estimate(nan, method=codes.method("gwet"), note=note)
    if rng is None:
        return linear_estimate(alpha, parts.influence(), sample, pair=pair, confidence=confidence, note=note)
    result = resampled(parts.alpha, sample, rng=rng, replicates=replicates, confidence=confidence)
    return replace(result, note=codes.notes(result.note, note))


def _distance(values: Floats, level: str, where: str) -> Floats:
    """Disagreement of two categories, (q, q)."""
    if level == "nominal":
        return 1 - np.eye(values.size)
    if values.min() < 0:
        raise InputError(
            f"{where}: ratings",
            'numbers of 0 or more at level "ratio"',
            f"{values.min():g}",
            do='Use level "interval" for numbers without a zero point.',
        )
    total = np.add.outer(values, values)
    return np.asarray((np.subtract.outer(values, values) / np.where(total > 0, total, 1)) ** 2)


def _fixed(counts: Floats, distance: Floats) -> _Disagreement:
    """Disagreement of category counts (n_cases, q) with given distances."""
    reads = counts.sum(axis=1)
    within = (counts * (counts @ distance)).sum(axis=1) / (reads - 1)

    def sums(weights: Floats) -> tuple[Floats, Floats]:
        pool = weights @ counts
        return weights @ within, np.einsum("bq,bq->b", pool @ distance, pool)

    return _Disagreement(reads, sums, within, 2 * counts @ (distance @ counts.sum(axis=0)))


def _interval(numbers: Floats) -> _Disagreement:
    """Disagreement of measurements (n_cases, n_readers), NaN = not read, as squared differences."""
    read = ~np.isnan(numbers)
    x = np.where(read, numbers - numbers[read][0], 0.0)  # equal numbers then have a difference of exactly 0
    reads, sum_, square = read.sum(axis=1) * 1.0, x.sum(axis=1), (x**2).sum(axis=1)
    within = _squared(reads, sum_, square) / (reads - 1)

    def sums(weights: Floats) -> tuple[Floats, Floats]:
        return weights @ within, _squared(weights @ reads, weights @ sum_, weights @ square)

    pooled = 2 * (reads * square.sum() + reads.sum() * square) - 4 * sum_.sum() * sum_
    return _Disagreement(reads, sums, within, pooled)


def _ordinal(counts: Floats) -> _Disagreement:
    """Disagreement of ordered categories (n_cases, q): squared differences of their mid-ranks among all reads."""
    reads = counts.sum(axis=1)

    def sums(weights: Floats) -> tuple[Floats, Floats]:
        pool = weights @ counts  # (b, q)
        rank = _midranks(pool)
        squares = _squared(reads[:, None], counts @ rank.T, counts @ (rank**2).T) / (reads - 1)[:, None]
        expected = _squared(pool.sum(axis=1), (pool * rank).sum(axis=1), (pool * rank**2).sum(axis=1))
        return np.einsum("bn,nb->b", weights, squares), expected

    pool, rank = counts.sum(axis=0), _midranks(counts.sum(axis=0))
    sum_, square, total = counts @ rank, counts @ rank**2, reads.sum()
    # A case changes the sums by its own reads and by the ranks of all other reads.
    rank_terms = (
        _midranks(counts)
        @ np.stack(
            [
                4 * rank * (counts.T @ (reads / (reads - 1))) - 4 * counts.T @ (sum_ / (reads - 1)),
                4 * pool * (total * rank - sum_.sum()),
            ]
        ).T
    )
    within = _squared(reads, sum_, square) / (reads - 1)
    pooled = 2 * (reads * square.sum() + total * square) - 4 * sum_.sum() * sum_
    return _Disagreement(reads, sums, within + rank_terms[:, 0], pooled + rank_terms[:, 1])


def _midranks(pool: Floats) -> Floats:
    """Mid-ranks of the categories from their counts."""
    return np.asarray(np.cumsum(pool, axis=-1) - pool / 2)


def _squared(n: Floats, sum_: Floats, square: Floats) -> Floats:
    """Sum of squared differences of all ordered pairs of n numbers; rounding below 0 is set to 0."""
    both = 2 * n * square
    pairs = both - 2 * sum_**2
    return np.where(pairs > ROUNDING * both, pairs, 0.0)
