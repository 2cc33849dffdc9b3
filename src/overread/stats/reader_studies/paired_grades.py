"""Trust and other grades, paired: the signed rank and sign tests, and two arms with the reader as the unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats, check_confidence, check_word, group_codes, score_array
from overread.stats.estimate import Estimate
from overread.stats.rates.paired_rates import mcnemar_p
from overread.stats.rates.proportions import proportion
from overread.stats.reader_studies.reader_means import differences, in_both, paired_t, two_arms
from overread.stats.reading_time.crossed_effects import FixedEffect

ZEROS = ("drop", "pratt")
METHODS = ("exact", "asymptotic", "corrected")
SUMMARIES = ("mean", "net")
EXACT = 200  # differences up to which the exact distribution is the default
DIGITS = 10  # differences that agree to so many decimals are ties


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's test of paired grades with its effect sizes; NaN with a note where undefined."""

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
    """How many differences are positive and negative, and whether both are as likely."""

    share: Estimate  # of positive ones among those that are not 0; null 0.5
    positive: int
    negative: int
    zero: int


@dataclass(frozen=True, slots=True, eq=False)
class TrustDifference:
    """Grades of two arms, `arms[0]` minus `arms[1]`: one number per reader, and the two tests of these numbers."""

    mean: FixedEffect  # over readers, t
    rank: SignedRank  # over readers
    arms: tuple[str, str]
    readers: tuple[str, ...]
    per_reader: Floats  # (n_readers,)
    n_pairs: tuple[int, ...]  # cases of each reader that enter; without `case` the reads of the smaller arm
    method: codes.Text


def signed_rank(
    a: ArrayLike,
    b: ArrayLike | None = None,
    *,
    zeros: str = "drop",
    method: str | None = None,
    confidence: float = 0.95,
) -> SignedRank:
    """Whether grades A and B of the same units differ: Wilcoxon's signed rank test of A - B, and by how much.

    Parameters
    ----------
    a, b : float (n,), one pair for each independent unit (a reader, not a read); without b, a holds the differences.
    zeros : "drop" leaves differences of 0 out (Wilcoxon); "pratt" ranks them with the others and then leaves them out.
    method : "exact" (the permutation distribution of the ranks as they are, ties included; the default up to 200
        differences), "asymptotic" (variance with ties, no correction; the default above) or "corrected" (by 1/2).

    Returns
    -------
    SignedRank. `.shift` is the median of the means of all pairs of differences (Walsh averages), those of 0 in it only
    with "pratt"; its interval inverts the test without ties. Nothing but zeros: NaN with a note.

    Raises
    ------
    InputError on NaN, mismatched shapes or unknown words.

    Notes
    -----
    Assumes that under the null a difference is as likely to be d as -d, independent units. Differences that agree to 10
    decimals are ties. Wilcoxon (1945) doi:10.2307/3001968; Pratt (1959) doi:10.1080/01621459.1959.10501526; Hodges &
    Lehmann (1963) doi:10.1214/aoms/1177704172; Kerby (2014) doi:10.2466/11.IT.3.1. Checked against coin 1.4.2,
    exactRankTests 0.8.35 and wilcox.test (R 4.2.2), and against all 2^n signs.

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
    used = d[d != 0] if zeros == "drop" else d
    ranks = _ranks(np.abs(used))[used != 0]
    up = used[used != 0] > 0
    plus, total = float(ranks[up].sum()), float(ranks.sum())
    spread = sqrt(float(ranks @ ranks)) / 2
    return SignedRank(
        w_plus=plus,
        w_minus=total - plus,
        z=(plus - total / 2) / spread,
        p=_p(ranks, plus, name),
        shift=_hodges_lehmann(used, confidence=confidence),
        rank_biserial=(2 * plus - total) / total,
        n_pairs=d.size,
        n_zero=d.size - n,
        method=words,
        note=codes.note("smallest_p", n=n, p=2.0 ** (1 - n)) if name == "exact" and n < 8 else codes.NONE,
    )


def sign_test(a: ArrayLike, b: ArrayLike | None = None, *, confidence: float = 0.95) -> SignTest:
    """Whether A - B is as often positive as negative, whatever the size of the differences.

    Parameters: a, b float (n,), one pair for each independent unit; without b, a holds the differences. Returns a
    SignTest; `.share` has the exact (Clopper-Pearson) interval and the exact two-sided p. Nothing but zeros: NaN with a
    note. Raises InputError on NaN or mismatched shapes. Conover, Practical Nonparametric Statistics, 3rd ed. (1999).
    Checked against binom.test (R 4.2.2).

    >>> result = sign_test([4, 5, 3, 5, 4], [3, 3, 3, 2, 5])
    >>> result.positive, result.negative, result.zero, result.share.p
    (3, 1, 1, 0.625)
    """
    d = _differences(a, b, where="sign_test")
    up, down = int((d > 0).sum()), int((d < 0).sum())
    share = proportion(up, up + down, method="exact", confidence=confidence)
    p = mcnemar_p(up, down) if up + down else nan
    why = codes.note("zero_differences") if d.size else codes.note("no_pairs")
    note = codes.NONE if up + down else why
    return SignTest(
        Estimate(share.value, share.low, share.high, share.se, p, codes.method("sign_test"), note),
        up,
        down,
        d.size - up - down,
    )


def trust_difference(
    trust: ArrayLike,
    *,
    arm: ArrayLike,
    reader: ArrayLike,
    case: ArrayLike | None = None,
    summary: str = "mean",
    confidence: float = 0.95,
) -> TrustDifference:
    """How much more trust readers have in one arm than in the other, for readers to come: the reader is the unit.

    Parameters
    ----------
    trust : float (n_reads,), the grade of each read, higher = more.
    arm : (n_reads,), two names; "unaided" is what is subtracted, without it the first in order.
    reader : (n_reads,), labels. case : (n_reads,), labels; only cases that a reader read in both arms enter, the
        difference taken within each. Without it all reads of an arm stand against all of the other.
    summary : a reader's number. "mean": the mean difference, which takes the steps between grades as equal. "net": how
        often the first arm's grade is higher minus how often it is lower, which takes only their order.

    Returns
    -------
    TrustDifference. What is tested is that readers' numbers spread evenly around 0: `.rank` by the signed rank test,
    `.mean` by t. Many cases of few readers make each number sure, never the sample of readers larger: with 5 readers no
    p of `.rank` is below 0.0625. Fewer than two readers in both arms: NaN with a note.

    Raises
    ------
    InputError on NaN grades, one arm or more than two, and unknown words.

    Notes
    -----
    Assumes that readers are a sample of readers. Checked by hand, by a loop over readers, and in its error of the first
    kind by simulation.

    >>> result = trust_difference([3, 4, 2, 4, 3, 3], arm=["unaided", "aided"] * 3, reader=[1, 1, 2, 2, 3, 3])
    >>> result.per_reader.tolist(), result.rank.p
    ([1.0, 2.0, 0.0], 0.5)
    """
    where = "trust_difference"
    check_word(summary, SUMMARIES, where=where, name="summary")
    grade = score_array(trust, (np.size(trust),), where=where, name="trust")
    arms, aided = two_arms(arm, grade.size, where=where)
    readers, n_readers = group_codes(reader, grade.size, where=where, name="reader")
    names = np.unique(np.asarray(reader))
    if case is None:
        numbers, sizes, kept = _unpaired(grade, aided, readers, n_readers, summary)
    else:
        cases, n_cases = group_codes(case, grade.size, where=where, name="case")
        cells = np.unique(readers * n_cases + cases, return_inverse=True)[1]
        numbers, sizes, kept = _paired(grade, aided, readers, cells, n_readers, summary)
    numbers = np.round(numbers, DIGITS)
    return TrustDifference(
        mean=paired_t(numbers, confidence=confidence),
        rank=signed_rank(numbers, confidence=confidence),
        arms=arms,
        readers=tuple(str(name) for name in names[kept]),
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
    first = score_array(a, (np.size(a),), where=where, name="a")
    second = np.zeros(first.size) if b is None else score_array(b, first.shape, where=where, name="b")
    return np.round(first - second, DIGITS)


def _ranks(size: Floats) -> Floats:
    """Ranks from 1, those of ties their mean."""
    _, codes, counts = np.unique(size, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]


def _p(ranks: Floats, plus: float, method: str) -> float:
    """The two-sided p of a sum of positive ranks; its distribution is symmetric about half of all."""
    total = float(ranks.sum())
    far = max(plus, total - plus)
    if method == "exact":
        return min(2 * float(_signs(ranks)[round(2 * far) :].sum()), 1.0)
    distance = far - total / 2 - (0.5 if method == "corrected" else 0.0)
    return min(2 * float(ndtr(-distance / (sqrt(float(ranks @ ranks)) / 2))), 1.0)


def _signs(ranks: Floats) -> Floats:
    """The probability of each sum of positive ranks under random signs, by twice the sum (ranks may be halves)."""
    doubled = np.rint(2 * ranks).astype(int)
    chance = np.zeros(int(doubled.sum()) + 1)
    chance[0] = 1.0
    reached = 0
    for step in doubled.tolist():
        chance[step : reached + step + 1] = (chance[step : reached + step + 1] + chance[: reached + 1]) / 2
        chance[:step] /= 2
        reached += step
    return chance


def _hodges_lehmann(d: Floats, *, confidence: float) -> Estimate:
    """The median of the means of all pairs, each difference with itself too; NaN limits where n cannot bear them."""
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
    """Each reader's number from the cases read in both arms, how many, and which readers have any."""
    steps = differences(grade, aided, cells)
    owner = np.zeros(int(cells.max()) + 1, dtype=np.intp)
    owner[cells] = readers
    owner = owner[in_both(aided, cells, owner.size)]
    sizes = np.bincount(owner, minlength=n_readers)
    values = steps if summary == "mean" else np.sign(np.round(steps, DIGITS))
    kept = sizes > 0
    return np.bincount(owner, values, n_readers)[kept] / sizes[kept], sizes[kept], kept


def _unpaired(grade: Floats, aided: Bools, readers: Codes, n_readers: int, summary: str) -> tuple[Floats, Codes, Bools]:
    """Each reader's number from all reads of one arm against all of the other."""
    kept = in_both(aided, readers, n_readers)
    numbers, sizes = [], []
    for k in np.flatnonzero(kept):
        one, other = grade[(readers == k) & aided], grade[(readers == k) & ~aided]
        above = np.sign(one[:, None] - other[None])
        numbers.append(float(above.mean()) if summary == "net" else float(one.mean() - other.mean()))
        sizes.append(min(one.size, other.size))
    return np.array(numbers), np.array(sizes, dtype=np.intp), kept
