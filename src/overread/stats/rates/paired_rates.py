"""Two raters (or more) calling the same cases: are their rates the same, and by how much do they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, chdtrc, ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, call_array, check_confidence, check_word, truth_array
from overread.stats.estimate import Estimate
from overread.stats.rates.proportions import wilson
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

Compared = Callable[[Bools, Bools, Bools, codes.Text], Estimate]
HALVINGS = 54  # of an interval of at most 2: the last one is a rounding wide
MCNEMAR = ("exact", "mid-p", "asymptotic")


@dataclass(frozen=True, slots=True)
class PairedRates:
    """Rate of A minus rate of B on the same cases: on those present, on those absent, on all."""

    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class PairedPredictive:
    """Predictive value of A minus that of B on the same cases."""

    ppv: Estimate
    npv: Estimate


def mcnemar(y: ArrayLike, call_a: ArrayLike, call_b: ArrayLike, *, method: str = "exact") -> PairedRates:
    """Whether two raters of the same cases differ in sensitivity, specificity and accuracy.

    Parameters: y truth, call_a and call_b, bool (n_cases,); method "exact" (binomial), "mid-p" (less conservative) or
    "asymptotic" (chi-square, no continuity correction).
    Returns PairedRates: value = rate A - rate B, p, and the discordant pairs in the note; no interval (see
    `paired_difference`). With as many discordant pairs on either side, or none, p = 1.
    Assumes independent cases; for several cases of a patient use `paired_difference` with cluster.
    McNemar (1947) doi:10.1007/BF02295996; Fagerland et al. (2013) doi:10.1186/1471-2288-13-91.
    Checked against R 4.2.2 mcnemar.test and exact2x2 1.7.0.

    >>> mcnemar([1] * 6, [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 0]).sensitivity.p
    0.125
    """
    check_word(method, MCNEMAR, where="mcnemar", name="method")
    truth, a, b = _calls(y, call_a, call_b, "mcnemar")

    def compared(mask: Bools, right_a: Bools, right_b: Bools, empty: codes.Text) -> Estimate:
        name = codes.method("mcnemar", variant=method)
        n = int(np.count_nonzero(mask))
        if not n:
            return Estimate(nan, method=name, note=empty)
        only_a, only_b = _discordant(mask, right_a, right_b)
        p = mcnemar_p(only_a, only_b, method=method)
        note = codes.note("discordant", only_a=only_a, only_b=only_b)
        return Estimate((only_a - only_b) / n, p=p, method=name, note=note)

    return _three(truth, a, b, compared)


def mcnemar_p(only_a: int, only_b: int, *, method: str = "exact") -> float:
    """The p value of McNemar's test from the two numbers of discordant pairs.

    >>> mcnemar_p(17, 11, method="mid-p")
    0.264930...
    """
    check_word(method, MCNEMAR, where="mcnemar_p", name="method")
    pairs, fewer = only_a + only_b, min(only_a, only_b)
    if only_a == only_b:
        return 1.0
    if method == "asymptotic":
        return float(chdtrc(1, (only_a - only_b) ** 2 / pairs))
    tail = float(bdtr(fewer, pairs, 0.5))
    if method == "exact":
        return min(2 * tail, 1.0)
    return tail + (float(bdtr(fewer - 1, pairs, 0.5)) if fewer else 0.0)  # 2 P(X <= k) - P(X = k)


def cochran_q(calls: ArrayLike) -> Estimate:
    """Whether several raters have the same rate of yes on the same cases (McNemar for more than two).

    Parameters: calls bool (n_raters, n_cases): give the cases that are present to compare sensitivities, those
    that are absent to compare specificities. Returns an Estimate: value = Q, p from chi-square with n_raters - 1
    degrees of freedom. Where no case divides the raters: Q is not defined, NaN with a note.
    Assumes independent cases, enough of them that divide the raters (about 24 calls, Tate & Brown).
    Cochran (1950) doi:10.1093/biomet/37.3-4.256. Checked against R 4.2.2 mantelhaen.test.

    >>> round(cochran_q([[1, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]]).value, 4)
    2.6667
    """
    matrix = np.asarray(calls)
    if matrix.ndim != 2 or matrix.shape[0] < 2:
        raise InputError("calls", "an array (n_raters, n_cases) of two or more raters", f"shape {matrix.shape}")
    raters, n_cases = matrix.shape
    yes = call_array(matrix.ravel(), None, where="cochran_q", name="calls").reshape(raters, n_cases)
    by_rater, by_case = yes.sum(axis=1).astype(np.float64), yes.sum(axis=0).astype(np.float64)
    method = codes.method("cochran_q", df=raters - 1)
    divided = raters * by_case.sum() - (by_case**2).sum()
    if not divided:
        return Estimate(nan, method=method, note=codes.note("no_disagreement"))
    q = (raters - 1) * raters * float(((by_rater - by_rater.mean()) ** 2).sum()) / float(divided)
    return Estimate(q, p=float(chdtrc(raters - 1, q)), method=method)


def paired_difference(
    y: ArrayLike,
    call_a: ArrayLike,
    call_b: ArrayLike,
    *,
    method: str = "tango",
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> PairedRates:
    """Sensitivity, specificity and accuracy of A minus those of B on the same cases.

    Parameters: y truth, call_a and call_b, bool (n_cases,); method "tango" (score interval) or "newcombe" (hybrid of
    Wilson intervals, method 10); cluster (n_cases,), patient: then the interval is Wald's with the ratio estimator's
    variance, whatever the method, and the result's method says so.
    Returns PairedRates with interval; p tests no difference by the score test (McNemar without continuity correction,
    the test that belongs to Tango's interval), with cluster by the Wald test. No case of the class: NaN with a note.
    Assumes independent cases or clusters. Tango (1998)
    doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B; Newcombe (1998)
    doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C;
    Obuchowski (1998) doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I (clusters).
    Checked against R 4.2.2 (PropCIs 0.3.0) and slow twins.

    >>> e = paired_difference([1] * 6, [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 0]).sensitivity
    >>> round(e.value, 3), round(e.low, 3), round(e.high, 3)
    (0.667, 0.016, 0.903)
    """
    where = "paired_difference"
    check_word(method, ("tango", "newcombe"), where=where, name="method")
    check_confidence(confidence, where=where)
    truth, a, b = _calls(y, call_a, call_b, where)
    sample = sampling(truth.size, where=where, cluster=cluster)

    def compared(mask: Bools, right_a: Bools, right_b: Bools, empty: codes.Text) -> Estimate:
        if not mask.any():
            return Estimate(nan, method=_clustered_wald() if cluster is not None else _interval(method), note=empty)
        if cluster is not None:
            return _clustered(mask, right_a, right_b, sample, confidence)
        return _independent(mask, right_a, right_b, method, confidence)

    return _three(truth, a, b, compared)


def compare_predictive_values(
    y: ArrayLike,
    call_a: ArrayLike,
    call_b: ArrayLike,
    *,
    method: str = "kosinski",
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> PairedPredictive:
    """PPV and NPV of A minus those of B on the same cases.

    Parameters: y truth, call_a and call_b, bool (n_cases,); method of the test: "kosinski" (weighted generalised
    score) or "leisenring" (generalised score); cluster (n_cases,), patient: then p is the Wald test's.
    Returns PairedPredictive; interval by the delta method (Wald). A rater who never calls: NaN with a note.
    Assumes independent cases or clusters. Leisenring et al. (2000) doi:10.1111/j.0006-341X.2000.00345.x;
    Kosinski (2013) doi:10.1002/sim.5587. Checked against DTComPair 1.2.2 (R 4.2.2).

    >>> e = compare_predictive_values([1, 1, 0, 0, 1], [1, 1, 0, 1, 1], [1, 0, 0, 1, 1]).ppv
    >>> round(e.value, 4)
    0.0833
    """
    where = "compare_predictive_values"
    check_word(method, ("kosinski", "leisenring"), where=where, name="method")
    check_confidence(confidence, where=where)
    truth, a, b = _calls(y, call_a, call_b, where)
    sample = sampling(truth.size, where=where, cluster=cluster)
    ppv = _predictive(truth, a, b, sample, method, confidence, clustered=cluster is not None)
    npv = _predictive(~truth, ~a, ~b, sample, method, confidence, clustered=cluster is not None)
    return PairedPredictive(ppv, npv)


def _calls(y: ArrayLike, call_a: ArrayLike, call_b: ArrayLike, where: str) -> tuple[Bools, Bools, Bools]:
    truth = truth_array(y, where=where)
    a = call_array(call_a, truth.size, where=where, name="call_a")
    return truth, a, call_array(call_b, truth.size, where=where, name="call_b")


def _three(truth: Bools, a: Bools, b: Bools, compared: Compared) -> PairedRates:
    return PairedRates(
        compared(truth, a, b, codes.note("no_cases_of_class", outcome="present")),
        compared(~truth, ~a, ~b, codes.note("no_cases_of_class", outcome="absent")),
        compared(everyone(truth.size), a == truth, b == truth, codes.note("no_cases")),
    )


def _discordant(mask: Bools, right_a: Bools, right_b: Bools) -> tuple[int, int]:
    return int(np.count_nonzero(mask & right_a & ~right_b)), int(np.count_nonzero(mask & ~right_a & right_b))


def _interval(method: str) -> codes.Text:
    return codes.method("tango") if method == "tango" else codes.method("newcombe_paired")


def _clustered_wald() -> codes.Text:
    return codes.methods(
        codes.method("ratio_estimator"), codes.method("clustered_by_patient"), codes.method("scale_wald")
    )


def _independent(mask: Bools, right_a: Bools, right_b: Bools, method: str, confidence: float) -> Estimate:
    n, both = int(np.count_nonzero(mask)), int(np.count_nonzero(mask & right_a & right_b))
    only_a, only_b = _discordant(mask, right_a, right_b)
    value = (only_a - only_b) / n
    if method == "tango":
        low, high = _tango(only_a, only_b, n, confidence)
    else:
        low, high = _newcombe(both, only_a, only_b, n, confidence)
    se = sqrt(max((only_a + only_b) / n - value**2, 0.0) / n)
    p = mcnemar_p(only_a, only_b, method="asymptotic")
    return Estimate(value, low, high, se=se, p=p, method=_interval(method))


def _clustered(mask: Bools, right_a: Bools, right_b: Bools, sample: Sampling, confidence: float) -> Estimate:
    size = sample.totals(mask)
    difference = sample.totals((right_a.astype(np.float64) - right_b) * mask)
    value = float(difference.sum() / size.sum())
    variance = sample.variance((difference - value * size) / size.sum(), involved(size))
    return _wald(value, variance, confidence, _clustered_wald())


def _wald(value: float, variance: float, confidence: float, method: codes.Text) -> Estimate:
    se = sqrt(variance) if variance >= 0 else nan
    if not se > 0:
        return Estimate(value, se=se, method=method, note=codes.note("zero_variance_no_ci"))
    half = float(ndtri(0.5 + confidence / 2)) * se
    low, high = max(value - half, -1.0), min(value + half, 1.0)
    return Estimate(value, low, high, se=se, p=float(2 * ndtr(-abs(value) / se)), method=method)


def _tango(only_a: int, only_b: int, n: int, confidence: float) -> tuple[float, float]:
    """Differences that the score test does not reject; the score falls as the difference grows."""
    z = float(ndtri(0.5 + confidence / 2))

    def score(difference: float) -> float:
        linear = -only_a - only_b + (2 * n - only_a + only_b) * difference
        root = sqrt(max(linear**2 + 8 * n * only_b * difference * (1 - difference), 0.0))
        rare = (root - linear) / (4 * n)  # the probability of "only B", given the difference
        variance = n * (2 * rare + difference * (1 - difference))
        gap = only_a - only_b - n * difference
        return gap / sqrt(variance) if variance > 0 else (np.inf if gap > 0 else -np.inf if gap < 0 else 0.0)

    value, edge = (only_a - only_b) / n, 1 - 1e-12

    def limit(sign: int) -> float:
        if sign * value >= edge or sign * score(sign * edge) >= -z:
            return float(sign)
        inside, outside = value, sign * edge
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            if sign * score(middle) >= -z:
                inside = middle
            else:
                outside = middle
        return (inside + outside) / 2

    return limit(-1), limit(1)


def _newcombe(both: int, only_a: int, only_b: int, n: int, confidence: float) -> tuple[float, float]:
    neither = n - both - only_a - only_b
    p_a, p_b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(p_a, n, confidence), wilson(p_b, n, confidence)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    cross = float(both * neither - only_a * only_b)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)  # continuity correction of phi
    phi = cross / sqrt(margins) if margins else 0.0
    down, up = (p_a - low_a, high_b - p_b), (high_a - p_a, p_b - low_b)
    reach = [sqrt(max(s**2 - 2 * phi * s * t + t**2, 0.0)) for s, t in (down, up)]
    return p_a - p_b - reach[0], p_a - p_b + reach[1]


def _predictive(
    truth: Bools, a: Bools, b: Bools, sample: Sampling, method: str, confidence: float, *, clustered: bool
) -> Estimate:
    n_a, n_b = int(np.count_nonzero(a)), int(np.count_nonzero(b))
    test = codes.method("kosinski") if method == "kosinski" else codes.method("leisenring")
    name = _clustered_wald() if clustered else codes.methods(test, codes.method("delta"))
    if not (n_a and n_b):
        return Estimate(nan, method=name, note=codes.note("call_never_made"))
    value_a, value_b = (float(np.count_nonzero(truth & c) / np.count_nonzero(c)) for c in (a, b))
    influence = a * (truth - value_a) / n_a - b * (truth - value_b) / n_b
    variance = sample.variance(sample.totals(influence), involved(sample.totals(a | b)))
    wald = _wald(value_a - value_b, variance, confidence, name)
    if clustered:
        return wald
    score = _score_p(truth, a, b, method)
    return Estimate(wald.value, wald.low, wald.high, se=wald.se, p=score, method=name, note=wald.note)


def _score_p(truth: Bools, a: Bools, b: Bools, method: str) -> float:
    """The generalised score test of equal predictive values, weighted (Kosinski) or not (Leisenring)."""
    n_a, n_b = float(np.count_nonzero(a)), float(np.count_nonzero(b))
    right_a, right_b = np.count_nonzero(truth & a), np.count_nonzero(truth & b)
    pooled = (right_a + right_b) / (n_a + n_b)
    share = n_b / (n_a + n_b)
    by_case = (truth - pooled) * (b * (1 - share) - a * share)  # a case called by both enters with both calls
    if method == "leisenring":
        variance = float((by_case**2).sum())
        statistic = float(by_case.sum()) ** 2 / variance if variance else 0.0
    else:
        both = a & b
        shared = np.count_nonzero(both & truth) * (1 - pooled) ** 2 + np.count_nonzero(both & ~truth) * pooled**2
        variance = float(pooled * (1 - pooled) - 2 * shared / (n_a + n_b)) * (1 / n_a + 1 / n_b)
        statistic = (right_a / n_a - right_b / n_b) ** 2 / variance if variance > 0 else 0.0
    return float(chdtrc(1, statistic))
