"""Paired grades such as trust: signed rank test, sign test, and comparison of two arms with the reader as the unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats, check_confidence, check_word, group_codes, score_array
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.rates.paired_rates import mcnemar_p
from overread.stats.rates.proportions import proportion
from overread.stats.reader_studies.reader_means import differences, in_both, paired_t, two_arms
from overread.stats.reading_time.crossed_effects import FixedEffect
from overread.stats.result_text import described

ZEROS = ("drop", "pratt")
METHODS = ("exact", "asymptotic", "corrected")
SUMMARIES = ("mean", "net")
EXACT = 200  # largest number of differences for which the exact distribution is the default
DIGITS = 10  # decimals to which differences must agree to be ties


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Result of Wilcoxon's signed rank test, with effect sizes.

    Attributes
    ----------
    w_plus : float
        Sum of the ranks of positive differences.
    w_minus : float
        Sum of the ranks of negative differences.
    z : float
        Standardised statistic without continuity correction.
    p : float
        Two-sided p value.
    shift : Estimate
        Hodges-Lehmann estimate of the shift.
    rank_biserial : float
        Rank-biserial correlation, (W+ - W-) / (W+ + W-).
    n_pairs : int
        Number of pairs.
    n_zero : int
        Number of pairs with a difference of 0.
    method : str
        Variant of the test.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `signed_rank` returns this result.
    """

    __repr__ = described

    w_plus: float  # sum of the ranks of positive differences
    w_minus: float
    z: float  # without continuity correction
    p: float  # two-sided
    shift: Estimate  # Hodges-Lehmann
    rank_biserial: float  # (W+ - W-) / (W+ + W-)
    n_pairs: int
    n_zero: int
    method: codes.Text
    note: codes.Text = codes.NONE


@dataclass(frozen=True, slots=True)
class SignTest:
    """Result of the sign test.

    Attributes
    ----------
    share : Estimate
        Proportion of positive differences among those that are not 0; p is that of a proportion of 0.5.
    positive : int
        Number of positive differences.
    negative : int
        Number of negative differences.
    zero : int
        Number of differences equal to 0.

    Notes
    -----
    `sign_test` returns this result.
    """

    __repr__ = described

    share: Estimate  # of positive ones among those that are not 0; null 0.5
    positive: int
    negative: int
    zero: int


@dataclass(frozen=True, slots=True, eq=False)
class TrustDifference:
    """Difference in grades between two arms, with one value per reader, and tests of these values.

    Attributes
    ----------
    mean : FixedEffect
        Mean over readers, with t test.
    rank : SignedRank
        Signed rank test over readers.
    arms : tuple of str
        Names of the two arms; values are first minus second.
    readers : tuple of str
        Readers with reads in both arms.
    per_reader : ndarray of float64, shape (n_readers,)
        Value of each reader.
    n_pairs : tuple of int
        Number of cases of each reader; without `case`, the number of reads of the smaller arm.
    method : str
        Summary and pairing.

    Notes
    -----
    `trust_difference` returns this result.
    """

    __repr__ = described

    mean: FixedEffect  # over readers, t
    rank: SignedRank  # over readers
    arms: tuple[str, str]
    readers: tuple[str, ...]
    per_reader: Floats  # (n_readers,)
    n_pairs: tuple[int, ...]  # cases of each reader that enter; without `case` the reads of the smaller arm
    method: codes.Text


@named()
def signed_rank(
    a: ArrayLike,
    b: ArrayLike | None = None,
    *,
    zeros: str = "drop",
    method: str | None = None,
    confidence: float = 0.95,
) -> SignedRank:
    """Wilcoxon's signed rank test of paired grades, with the Hodges-Lehmann shift.

    The test is of a symmetric distribution of the differences A - B around 0.

    Parameters
    ----------
    a : array_like of float, shape (n,)
        Grades A, one for each independent unit (a reader, not a read); without `b`, the differences.
    b : array_like of float, shape (n,), optional
        Grades B of the same units.
    zeros : {"drop", "pratt"}, default "drop"
        Whether differences of 0 are dropped before ranking (Wilcoxon) or after ranking (Pratt).
    method : {"exact", "asymptotic", "corrected"}, optional
        "exact" is the permutation distribution of the observed ranks, ties included (default up to 200 differences);
        "asymptotic" is the normal approximation with the variance of tied ranks (default above 200); "corrected" adds a
        continuity correction of 1/2.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    SignedRank
        Rank sums, p value and effect sizes. `shift` is the median of the Walsh averages, which include differences of 0
        only with "pratt"; its interval inverts the test without ties. NaN with a note if all differences are 0.

    Raises
    ------
    InputError
        If a grade is NaN or infinite, the arrays have different shapes, or an option is unknown.

    Notes
    -----
    Units are assumed to be independent. Differences that agree to 10 decimals are ties. Checked against coin 1.4.2,
    exactRankTests 0.8.35 and `wilcox.test` (R 4.2.2), and against the enumeration of all 2^n signs.

    References
    ----------
    * Wilcoxon F (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1:80-83. doi:10.2307/3001968
    * Pratt JW (1959). Remarks on zeros and ties in the Wilcoxon signed rank procedures. Journal of the American
      Statistical Association 54:655-667. doi:10.1080/01621459.1959.10501526
    * Hodges JL, Lehmann EL (1963). Estimates of location based on rank tests. Annals of Mathematical Statistics
      34:598-611. doi:10.1214/aoms/1177704172
    * Kerby DS (2014). The simple difference formula: an approach to teaching nonparametric correlation. Comprehensive
      Psychology 3. doi:10.2466/11.IT.3.1

    Examples
    --------
    >>> result = signed_rank([4, 5, 3, 5, 4], [3, 3, 3, 2, 5])
    >>> result.w_plus, result.w_minus, result.p, result.n_zero
    (8.5, 1.5, 0.375, 1)
    """
    where = "signed_rank"
    check_word(zeros, ZEROS, where=where, name="zeros")
    check_confidence(confidence, where=where)
    d = _differences(a, b, where=where)
    n = int(np.count_nonzero(d))
    name = method or ("exact" if n <= EXACT else "asymptotic")
    check_word(name, METHODS, where=where, name="method")
    zeros_method = codes.method("zeros_dropped") if zeros == "drop" else codes.method("zeros_ranked")
    words = codes.methods(codes.method("signed_rank", variant=name), zeros_method)
    if n == 0:
        why = codes.note("zero_differences") if d.size else codes.note("no_pairs")
        nothing = Estimate(0.0 if d.size else nan, method=codes.method("hodges_lehmann"), note=why)
        return SignedRank(0.0, 0.0, nan, nan, nothing, nan, d.size, d.size, words, why)
    nonzero_or_all = d[d != 0] if zeros == "drop" else d
    ranks = _ranks(np.abs(nonzero_or_all))[nonzero_or_all != 0]
    is_positive = nonzero_or_all[nonzero_or_all != 0] > 0
    plus, total = float(ranks[is_positive].sum()), float(ranks.sum())
    spread = sqrt(float(ranks @ ranks)) / 2
    return SignedRank(
        w_plus=plus,
        w_minus=total - plus,
        z=(plus - total / 2) / spread,
        p=_p(ranks, plus, name),
        shift=_hodges_lehmann(nonzero_or_all, confidence=confidence),
        rank_biserial=(2 * plus - total) / total,
        n_pairs=d.size,
        n_zero=d.size - n,
        method=words,
        note=codes.note("smallest_p", n=n, p=2.0 ** (1 - n)) if name == "exact" and n < 8 else codes.NONE,
    )


@named()
def sign_test(a: ArrayLike, b: ArrayLike | None = None, *, confidence: float = 0.95) -> SignTest:
    """Sign test of paired grades: proportion of positive differences A - B among those that are not 0.

    Parameters
    ----------
    a : array_like of float, shape (n,)
        Grades A, one for each independent unit; without `b`, the differences.
    b : array_like of float, shape (n,), optional
        Grades B of the same units.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    SignTest
        Proportion with exact (Clopper-Pearson) interval and exact two-sided p value, and counts. NaN with a note if all
        differences are 0.

    Raises
    ------
    InputError
        If a grade is NaN or infinite, or the arrays have different shapes.

    Notes
    -----
    Units are assumed to be independent. See Conover WJ (1999), Practical Nonparametric Statistics, 3rd edition. Checked
    against `binom.test` (R 4.2.2).

    References
    ----------
    * Clopper CJ, Pearson ES (1934). The use of confidence or fiducial limits illustrated in the case of the binomial.
      Biometrika 26:404-413. doi:10.1093/biomet/26.4.404

    Examples
    --------
    >>> result = sign_test([4, 5, 3, 5, 4], [3, 3, 3, 2, 5])
    >>> result.positive, result.negative, result.zero, result.share.p
    (3, 1, 1, 0.625)
    """
    d = _differences(a, b, where="sign_test")
    positive, negative = int((d > 0).sum()), int((d < 0).sum())
    share = proportion(positive, positive + negative, method="exact", confidence=confidence)
    p = mcnemar_p(positive, negative) if positive + negative else nan
    why = codes.note("zero_differences") if d.size else codes.note("no_pairs")
    note = codes.NONE if positive + negative else why
    return SignTest(
        Estimate(share.value, share.low, share.high, share.se, p, codes.method("sign_test"), note),
        positive,
        negative,
        d.size - positive - negative,
    )


@named()
def trust_difference(
    trust: ArrayLike,
    *,
    arm: ArrayLike,
    reader: ArrayLike,
    case: ArrayLike | None = None,
    summary: str = "mean",
    baseline: str = "",
    confidence: float = 0.95,
) -> TrustDifference:
    """Difference in trust (or another grade) between two arms, with the reader as the unit of analysis.

    The estimand is the mean over the population of readers of a summary of each reader's differences between arms.

    Parameters
    ----------
    trust : array_like of float, shape (n_reads,)
        Grade of each read; higher = more trust.
    arm : array_like, shape (n_reads,)
        Arm of each read, two names. "unaided" is the reference; without it, the first name in sorted order.
    reader : array_like, shape (n_reads,)
        Reader of each read.
    case : array_like, shape (n_reads,), optional
        Case of each read. Differences are then taken within cases that a reader read in both arms; by default all reads
        of one arm are compared with all reads of the other.
    summary : {"mean", "net"}, default "mean"
        Summary by reader: mean difference (grades are equidistant), or proportion higher minus proportion lower (grades
        are ordinal).
    baseline : str, optional
        The reference arm, in place of the rule above.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    TrustDifference
        Value of each reader, signed rank test and t test over readers. NaN with a note for fewer than two readers with
        reads in both arms.

    Raises
    ------
    InputError
        If a grade is NaN or infinite, there are not exactly two arms, or `summary` is unknown.

    Notes
    -----
    Readers are assumed to be a sample of a population of readers; more cases per reader do not increase the number of
    readers. With 5 readers the p value of `rank` cannot be below 0.0625. Checked by hand, against a loop over readers,
    and by simulation of the type I error.

    Examples
    --------
    >>> result = trust_difference([3, 4, 2, 4, 3, 3], arm=["unaided", "aided"] * 3, reader=[1, 1, 2, 2, 3, 3])
    >>> result.per_reader.tolist(), result.rank.p
    ([1.0, 2.0, 0.0], 0.5)
    """
    where = "trust_difference"
    check_word(summary, SUMMARIES, where=where, name="summary")
    grade = score_array(trust, (np.size(trust),), where=where, name="trust")
    arms, aided = two_arms(arm, grade.size, where=where, baseline=baseline)
    readers, n_readers = group_codes(reader, grade.size, where=where, name="reader")
    names = np.unique(np.asarray(reader))
    if case is None:
        numbers, sizes, has_both_arms = _unpaired(grade, aided, readers, n_readers, summary)
    else:
        cases, n_cases = group_codes(case, grade.size, where=where, name="case")
        cells = np.unique(readers * n_cases + cases, return_inverse=True)[1]
        numbers, sizes, has_both_arms = _paired(grade, aided, readers, cells, n_readers, summary)
    numbers = np.round(numbers, DIGITS)
    return TrustDifference(
        mean=paired_t(numbers, confidence=confidence),
        rank=signed_rank(numbers, confidence=confidence),
        arms=arms,
        readers=tuple(str(name) for name in names[has_both_arms]),
        per_reader=numbers,
        n_pairs=tuple(sizes.tolist()),
        method=codes.methods(
            codes.method("mean_difference_per_reader", arm=arms[0], base=arms[1])
            if summary == "mean"
            else codes.method("net_share_per_reader", arm=arms[0], base=arms[1]),
            codes.method("all_reads") if case is None else codes.method("cases_in_both_arms"),
        ),
    )


def _differences(a: ArrayLike, b: ArrayLike | None, *, where: str) -> Floats:
    """Validated differences A - B, rounded so that equal ones are ties."""
    first = score_array(a, (np.size(a),), where=where, name="a")
    second = np.zeros(first.size) if b is None else score_array(b, first.shape, where=where, name="b")
    return np.round(first - second, DIGITS)


def _ranks(size: Floats) -> Floats:
    """Ranks from 1; ties have their mean rank."""
    _, codes, counts = np.unique(size, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]


def _p(ranks: Floats, plus: float, method: str) -> float:
    """Two-sided p value of a sum of positive ranks, whose distribution is symmetric around half the total."""
    total = float(ranks.sum())
    larger_sum = max(plus, total - plus)
    if method == "exact":
        return min(2 * float(_signs(ranks)[round(2 * larger_sum) :].sum()), 1.0)
    distance = larger_sum - total / 2 - (0.5 if method == "corrected" else 0.0)
    return min(2 * float(ndtr(-distance / (sqrt(float(ranks @ ranks)) / 2))), 1.0)


def _signs(ranks: Floats) -> Floats:
    """Probability of each sum of positive ranks under random signs, by twice the sum (ranks may be halves)."""
    doubled = np.rint(2 * ranks).astype(int)
    probability = np.zeros(int(doubled.sum()) + 1)
    probability[0] = 1.0
    largest = 0
    for step in doubled.tolist():
        probability[step : largest + step + 1] = (
            probability[step : largest + step + 1] + probability[: largest + 1]
        ) / 2
        probability[:step] /= 2
        largest += step
    return probability


def _hodges_lehmann(d: Floats, *, confidence: float) -> Estimate:
    """Hodges-Lehmann estimate: median of the Walsh averages; NaN limits if n is too small for the confidence level."""
    n, (first, second) = d.size, np.triu_indices(d.size)
    walsh = np.sort((d[first] + d[second]) / 2)
    tail = (1 - confidence) / 2
    if n <= EXACT:
        cut = int(np.searchsorted(np.cumsum(_signs(np.arange(1.0, n + 1))[::2]), tail))  # P(W <= cut - 1) < tail
    else:
        cut = floor(n * (n + 1) / 4 + float(ndtri(tail)) * sqrt(n * (n + 1) * (2 * n + 1) / 24))
    value = float(np.median(walsh))
    if cut < 1:
        few = codes.note("few_differences", n=n, confidence=confidence)
        return Estimate(value, method=codes.method("hodges_lehmann"), note=few)
    method = codes.methods(codes.method("hodges_lehmann"), codes.method("signed_rank_interval"))
    return Estimate(value, float(walsh[cut - 1]), float(walsh[-cut]), method=method)


def _paired(
    grade: Floats, aided: Bools, readers: Codes, cells: Codes, n_readers: int, summary: str
) -> tuple[Floats, Codes, Bools]:
    """Value of each reader from cases read in both arms, number of these cases, and mask of readers who have any."""
    steps = differences(grade, aided, cells)
    owner = np.zeros(int(cells.max()) + 1, dtype=np.intp)
    owner[cells] = readers
    owner = owner[in_both(aided, cells, owner.size)]
    sizes = np.bincount(owner, minlength=n_readers)
    values = steps if summary == "mean" else np.sign(np.round(steps, DIGITS))
    has_cases = sizes > 0
    return np.bincount(owner, values, n_readers)[has_cases] / sizes[has_cases], sizes[has_cases], has_cases


def _unpaired(grade: Floats, aided: Bools, readers: Codes, n_readers: int, summary: str) -> tuple[Floats, Codes, Bools]:
    """Value of each reader from all reads of one arm against all reads of the other."""
    has_both_arms = in_both(aided, readers, n_readers)
    numbers, sizes = [], []
    for k in np.flatnonzero(has_both_arms):
        aided_grades, unaided_grades = grade[(readers == k) & aided], grade[(readers == k) & ~aided]
        signs = np.sign(aided_grades[:, None] - unaided_grades[None])
        numbers.append(float(signs.mean()) if summary == "net" else float(aided_grades.mean() - unaided_grades.mean()))
        sizes.append(min(aided_grades.size, unaided_grades.size))
    return np.array(numbers), np.array(sizes, dtype=np.intp), has_both_arms
