"""Comparison of the rates of two or more raters on the same cases."""

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
from overread.stats.estimate_names import named
from overread.stats.rates.proportions import wilson
from overread.stats.result_text import described
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

Compared = Callable[[Bools, Bools, Bools, codes.Text], Estimate]
HALVINGS = 54  # bisections of an interval of width 2 until it is as narrow as rounding
MCNEMAR = ("exact", "mid-p", "asymptotic")


@dataclass(frozen=True, slots=True)
class PairedRates:
    """Differences of the rates of raters A and B (A - B) on the same cases.

    Attributes
    ----------
    sensitivity : Estimate
        Difference on the present cases.
    specificity : Estimate
        Difference on the absent cases.
    accuracy : Estimate
        Difference on all cases.

    Notes
    -----
    `mcnemar` and `paired_difference` return this result.
    """

    __repr__ = described

    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class PairedPredictive:
    """Differences of the predictive values of raters A and B (A - B) on the same cases.

    Attributes
    ----------
    ppv : Estimate
        Difference of the positive predictive values.
    npv : Estimate
        Difference of the negative predictive values.

    Notes
    -----
    `compare_predictive_values` returns this result.
    """

    __repr__ = described

    ppv: Estimate
    npv: Estimate


@named("difference in {}")
def mcnemar(y: ArrayLike, call_a: ArrayLike, call_b: ArrayLike, *, method: str = "exact") -> PairedRates:
    """McNemar's test of equal sensitivity, specificity and accuracy of two raters on the same cases.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    call_a, call_b : array_like of bool, shape (n_cases,)
        Calls of raters A and B on the same cases: True (or 1) means "present".
    method : {"exact", "mid-p", "asymptotic"}, default "exact"
        Exact binomial test, its less conservative mid-p version, or the chi-square test without continuity correction.

    Returns
    -------
    PairedRates
        Differences A - B with p values. The notes give the numbers of discordant pairs. There is no interval; see
        `paired_difference`. An empty class gives NaN with a note.

    Raises
    ------
    InputError
        If a value is neither true/false nor 1/0, an array has another shape, or `method` is unknown.

    Notes
    -----
    Cases are assumed to be independent; for several cases per patient use `paired_difference` with `cluster`. If the
    numbers of discordant pairs are equal, or there are none, p = 1. Checked against R 4.2.2, `mcnemar.test`, and
    exact2x2 1.7.0.

    References
    ----------
    * McNemar Q (1947). Note on the sampling error of the difference between correlated proportions or percentages.
      Psychometrika 12:153-157. doi:10.1007/BF02295996
    * Fagerland MW, Lydersen S, Laake P (2013). The McNemar test for binary matched-pairs data: mid-p and asymptotic are
      better than exact conditional. BMC Medical Research Methodology 13:91. doi:10.1186/1471-2288-13-91

    Examples
    --------
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
    """P value of McNemar's test from the numbers of discordant pairs.

    Parameters
    ----------
    only_a : int
        Number of pairs in which only A is correct.
    only_b : int
        Number of pairs in which only B is correct.
    method : {"exact", "mid-p", "asymptotic"}, default "exact"
        As for `mcnemar`.

    Returns
    -------
    float
        Two-sided p value; 1 if the two numbers are equal.

    Raises
    ------
    InputError
        If `method` is unknown.

    Notes
    -----
    With k the smaller number and X binomial with the number of discordant pairs and probability 1/2: exact
    p = 2 P(X <= k), mid-p = 2 P(X <= k) - P(X = k).

    References
    ----------
    * Fagerland MW, Lydersen S, Laake P (2013). The McNemar test for binary matched-pairs data: mid-p and asymptotic are
      better than exact conditional. BMC Medical Research Methodology 13:91. doi:10.1186/1471-2288-13-91

    Examples
    --------
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


@named("Cochran's Q")
def cochran_q(calls: ArrayLike) -> Estimate:
    """Cochran's Q test of equal rates of positive calls of several raters on the same cases.

    Parameters
    ----------
    calls : array_like of bool, shape (n_raters, n_cases)
        Calls of each rater. Pass the present cases to compare sensitivities and the absent cases to compare
        specificities.

    Returns
    -------
    Estimate
        The value is Q; p is from the chi-square distribution with n_raters - 1 degrees of freedom. NaN with a note if
        all raters agree on every case.

    Raises
    ------
    InputError
        If `calls` is not a two-dimensional array of at least two raters or contains other values than true/false or
        1/0.

    Notes
    -----
    Generalises McNemar's test without continuity correction. Cases are assumed to be independent; the approximation
    needs about 24 calls on cases on which raters disagree (Tate and Brown 1970). Checked against R 4.2.2,
    `mantelhaen.test`.

    References
    ----------
    * Cochran WG (1950). The comparison of percentages in matched samples. Biometrika 37:256-266.
      doi:10.1093/biomet/37.3-4.256

    Examples
    --------
    >>> round(cochran_q([[1, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]]).value, 4)
    2.6667
    """
    matrix = np.asarray(calls)
    if matrix.ndim != 2 or matrix.shape[0] < 2:
        raise InputError(
            "cochran_q: calls", "an array (n_raters, n_cases) of two or more raters", f"shape {matrix.shape}"
        )
    raters, n_cases = matrix.shape
    yes = call_array(matrix.ravel(), None, where="cochran_q", name="calls").reshape(raters, n_cases)
    by_rater, by_case = yes.sum(axis=1).astype(np.float64), yes.sum(axis=0).astype(np.float64)
    method = codes.method("cochran_q", df=raters - 1)
    divided = raters * by_case.sum() - (by_case**2).sum()
    if not divided:
        return Estimate(nan, method=method, note=codes.note("no_disagreement"))
    q = (raters - 1) * raters * float(((by_rater - by_rater.mean()) ** 2).sum()) / float(divided)
    return Estimate(q, p=float(chdtrc(raters - 1, q)), method=method)


@named("difference in {}")
def paired_difference(
    y: ArrayLike,
    call_a: ArrayLike,
    call_b: ArrayLike,
    *,
    method: str = "tango",
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> PairedRates:
    """Differences in sensitivity, specificity and accuracy of two raters on the same cases, with confidence intervals.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    call_a, call_b : array_like of bool, shape (n_cases,)
        Calls of raters A and B on the same cases: True (or 1) means "present".
    method : {"tango", "newcombe"}, default "tango"
        Score interval of Tango (1998) or hybrid of Wilson intervals (Newcombe 1998, method 10). Ignored with `cluster`.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. The interval is then a Wald interval with the variance of the ratio estimator.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    PairedRates
        Differences A - B with intervals and two-sided p values. An empty class gives NaN with a note.

    Raises
    ------
    InputError
        If a value is neither true/false nor 1/0, an array has another shape, or `method` is unknown.

    Notes
    -----
    The p value is that of the score test (McNemar's test without continuity correction, which agrees with Tango's
    interval) or, with `cluster`, of the Wald test. Cases or clusters are assumed to be independent. Checked against R
    4.2.2 with PropCIs 0.3.0 and brute-force reference implementations.

    References
    ----------
    * Tango T (1998). Equivalence test and confidence interval for the difference in proportions for the paired-sample
      design. Statistics in Medicine 17:891-908. doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B
    * Newcombe RG (1998). Improved confidence intervals for the difference between binomial proportions based on paired
      data. Statistics in Medicine 17:2635-2650.
      doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C
    * Obuchowski NA (1998). On the comparison of correlated proportions for clustered data. Statistics in Medicine
      17:1495-1507. doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I

    Examples
    --------
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


@named("difference in {}")
def compare_predictive_values(
    y: ArrayLike,
    call_a: ArrayLike,
    call_b: ArrayLike,
    *,
    method: str = "kosinski",
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> PairedPredictive:
    """Differences in positive and negative predictive value of two raters on the same cases.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    call_a, call_b : array_like of bool, shape (n_cases,)
        Calls of raters A and B on the same cases: True (or 1) means "present".
    method : {"kosinski", "leisenring"}, default "kosinski"
        Test: weighted generalised score (Kosinski 2013) or generalised score (Leisenring et al. 2000).
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. The p value is then that of the Wald test.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    PairedPredictive
        Differences A - B with delta-method (Wald) intervals. NaN with a note if a rater makes no such call.

    Raises
    ------
    InputError
        If a value is neither true/false nor 1/0, an array has another shape, or `method` is unknown.

    Notes
    -----
    Cases or clusters are assumed to be independent. Checked against DTComPair 1.2.2 (R 4.2.2).

    References
    ----------
    * Leisenring W, Alonzo T, Pepe MS (2000). Comparisons of predictive values of binary medical diagnostic tests for
      paired designs. Biometrics 56:345-351. doi:10.1111/j.0006-341X.2000.00345.x
    * Kosinski AS (2013). A weighted generalized score statistic for comparison of predictive values of diagnostic
      tests. Statistics in Medicine 32:964-977. doi:10.1002/sim.5587

    Examples
    --------
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
    """Validated truth and calls of both raters."""
    truth = truth_array(y, where=where)
    a = call_array(call_a, truth.size, where=where, name="call_a")
    return truth, a, call_array(call_b, truth.size, where=where, name="call_b")


def _three(truth: Bools, a: Bools, b: Bools, compared: Compared) -> PairedRates:
    """Comparison on the present cases, the absent cases and all cases."""
    return PairedRates(
        compared(truth, a, b, codes.note("no_cases_of_class", outcome="present")),
        compared(~truth, ~a, ~b, codes.note("no_cases_of_class", outcome="absent")),
        compared(everyone(truth.size), a == truth, b == truth, codes.note("no_cases")),
    )


def _discordant(mask: Bools, right_a: Bools, right_b: Bools) -> tuple[int, int]:
    """Numbers of pairs in which only A and only B is correct."""
    return int(np.count_nonzero(mask & right_a & ~right_b)), int(np.count_nonzero(mask & ~right_a & right_b))


def _interval(method: str) -> codes.Text:
    return codes.method("tango") if method == "tango" else codes.method("newcombe_paired")


def _clustered_wald() -> codes.Text:
    return codes.methods(
        codes.method("ratio_estimator"), codes.method("clustered_by_patient"), codes.method("scale_wald")
    )


def _independent(mask: Bools, right_a: Bools, right_b: Bools, method: str, confidence: float) -> Estimate:
    """Difference of two paired proportions of independent cases."""
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
    """Difference of two paired proportions with the ratio estimator over patients (Obuchowski 1998)."""
    size = sample.totals(mask)
    difference = sample.totals((right_a.astype(np.float64) - right_b) * mask)
    value = float(difference.sum() / size.sum())
    variance = sample.variance((difference - value * size) / size.sum(), involved(size))
    return _wald(value, variance, confidence, _clustered_wald())


def _wald(value: float, variance: float, confidence: float, method: codes.Text) -> Estimate:
    """Wald interval and test of a difference, within [-1, 1]."""
    se = sqrt(variance) if variance >= 0 else nan
    if not se > 0:
        return Estimate(value, se=se, method=method, note=codes.note("zero_variance_no_ci"))
    half = float(ndtri(0.5 + confidence / 2)) * se
    low, high = max(value - half, -1.0), min(value + half, 1.0)
    return Estimate(value, low, high, se=se, p=float(2 * ndtr(-abs(value) / se)), method=method)


def _tango(only_a: int, only_b: int, n: int, confidence: float) -> tuple[float, float]:
    """Limits of the interval of Tango (1998): the differences that the score test does not reject, by bisection."""
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
    """Limits of the hybrid interval of Newcombe (1998), method 10."""
    neither = n - both - only_a - only_b
    p_a, p_b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(p_a, n, confidence), wilson(p_b, n, confidence)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    cross = float(both * neither - only_a * only_b)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)  # continuity correction of phi
    phi = cross / sqrt(margins) if margins else 0.0
    distances_down, distances_up = (p_a - low_a, high_b - p_b), (high_a - p_a, p_b - low_b)
    half_widths = [sqrt(max(s**2 - 2 * phi * s * t + t**2, 0.0)) for s, t in (distances_down, distances_up)]
    return p_a - p_b - half_widths[0], p_a - p_b + half_widths[1]


def _predictive(
    truth: Bools, a: Bools, b: Bools, sample: Sampling, method: str, confidence: float, *, clustered: bool
) -> Estimate:
    """Difference of one predictive value."""
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
    """P value of the generalised score test of equal predictive values, weighted (Kosinski) or not (Leisenring)."""
    n_a, n_b = float(np.count_nonzero(a)), float(np.count_nonzero(b))
    right_a, right_b = np.count_nonzero(truth & a), np.count_nonzero(truth & b)
    pooled = (right_a + right_b) / (n_a + n_b)
    share = n_b / (n_a + n_b)
    by_case = (truth - pooled) * (b * (1 - share) - a * share)  # a case called by both raters contributes both calls
    if method == "leisenring":
        variance = float((by_case**2).sum())
        statistic = float(by_case.sum()) ** 2 / variance if variance else 0.0
    else:
        both = a & b
        shared = np.count_nonzero(both & truth) * (1 - pooled) ** 2 + np.count_nonzero(both & ~truth) * pooled**2
        variance = float(pooled * (1 - pooled) - 2 * shared / (n_a + n_b)) * (1 / n_a + 1 / n_b)
        statistic = (right_a / n_a - right_b / n_b) ** 2 / variance if variance > 0 else 0.0
    return float(chdtrc(1, statistic))
