"""Proportions with confidence intervals: independent trials, clustered trials, and two independent groups."""

from __future__ import annotations

from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Floats, call_array, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.sampling_design import Sampling, everyone, involved, sampling


@named("proportion")
def proportion(successes: int, trials: int, *, method: str = "wilson", confidence: float = 0.95) -> Estimate:
    """Proportion of successes in independent trials.

    Parameters
    ----------
    successes : int
        Number of successes.
    trials : int
        Number of trials.
    method : {"wilson", "exact"}, default "wilson"
        Wilson score interval or Clopper-Pearson interval.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The proportion p with its interval and standard error sqrt(p(1-p)/n). NaN with a note without trials.

    Raises
    ------
    InputError
        If the counts are not whole numbers with 0 <= successes <= trials, or `method` is unknown.

    Notes
    -----
    For several cases per patient use `clustered_proportion`. Checked against R 4.2.2 with binom 1.1.1.1 and
    `binom.test`.

    References
    ----------
    * Wilson EB (1927). Probable inference, the law of succession, and statistical inference. Journal of the American
      Statistical Association 22:209-212. doi:10.1080/01621459.1927.10502953
    * Clopper CJ, Pearson ES (1934). The use of confidence or fiducial limits illustrated in the case of the binomial.
      Biometrika 26:404-413. doi:10.1093/biomet/26.4.404

    Examples
    --------
    >>> e = proportion(81, 263)
    >>> round(e.low, 4), round(e.high, 4)
    (0.2553, 0.3662)
    """
    check_word(method, ("wilson", "exact"), where="proportion", name="method")
    check_confidence(confidence, where="proportion")
    if not 0 <= successes <= trials or successes != int(successes) or trials != int(trials):
        raise InputError("proportion", "whole counts with 0 <= successes <= trials", f"{successes} of {trials}")
    name = codes.method("wilson") if method == "wilson" else codes.method("clopper_pearson")
    if trials == 0:
        return Estimate(nan, method=name, note=codes.note("no_trials"))
    p = successes / trials
    low, high = wilson(p, trials, confidence) if method == "wilson" else _exact(successes, trials, confidence)
    return Estimate(p, low, high, se=sqrt(p * (1 - p) / trials), method=name)


def wilson(p: float, size: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion.

    Parameters
    ----------
    p : float
        Observed proportion.
    size : float
        Number of trials, or an effective (fractional) sample size.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    low, high : float
        Confidence limits within [0, 1].

    Notes
    -----
    The limits solve (p - limit)^2 = z^2 limit (1 - limit) / size.

    References
    ----------
    * Wilson EB (1927). Probable inference, the law of succession, and statistical inference. Journal of the American
      Statistical Association 22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> low, high = wilson(0.0, 10)
    >>> low, round(high, 5)
    (0.0, 0.27753)
    """
    z2 = float(ndtri(0.5 + confidence / 2)) ** 2
    centre = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = sqrt(z2 * (p * (1 - p) / size + z2 / (4 * size * size))) / (1 + z2 / size)
    return (0.0 if p == 0 else max(centre - half, 0.0)), (1.0 if p == 1 else min(centre + half, 1.0))


def _exact(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Clopper-Pearson interval."""
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


@named("proportion")
def clustered_proportion(
    success: ArrayLike,
    *,
    cluster: ArrayLike,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    method: str = "wilson",
    confidence: float = 0.95,
) -> Estimate:
    """Proportion of successes with several trials per patient.

    Parameters
    ----------
    success : array_like of bool, shape (n,)
        Outcome of each trial.
    cluster : array_like, shape (n,)
        Patient identifier of each trial.
    weights : array_like of float, shape (n,), optional
        Inverse inclusion probabilities.
    strata : array_like, shape (n,), optional
        Sampling stratum of each trial.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    method : {"wilson", "wald"}, default "wilson"
        Wilson score interval at the effective sample size, or Wald interval.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The proportion with its interval and the standard error of the ratio estimator. NaN with a note without trials.

    Raises
    ------
    InputError
        If a value is neither true/false nor 1/0, an array has another shape, or `method` is unknown.

    Notes
    -----
    The variance has the factor C/(C-1) for C clusters. The effective sample size is n over the design effect, at most
    n; it is n if every patient has one trial. At 0 % or 100 %, or with one cluster, the design effect cannot be
    estimated and the trials of a patient count as one (conservative). Clusters are assumed to be independent; about 20
    are needed for the variance. Checked against the formula in R 4.2.2 and a brute-force reference implementation.

    References
    ----------
    * Rao JNK, Scott AJ (1992). A simple method for the analysis of clustered binary data. Biometrics 48:577-585.
      doi:10.2307/2532311
    * Obuchowski NA (1998). On the comparison of correlated proportions for clustered data. Statistics in Medicine
      17:1495-1507. doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I
    * Genders TSS et al. (2012). Methods for calculating sensitivity and specificity of clustered data: a tutorial.
      Radiology 265:910-916. doi:10.1148/radiol.12120509

    Examples
    --------
    >>> e = clustered_proportion([1, 1, 0, 1], cluster=[1, 1, 2, 3])
    >>> e.value, round(e.se, 4)
    (0.75, 0.2864)
    """
    check_word(method, ("wilson", "wald"), where="clustered_proportion", name="method")
    check_confidence(confidence, where="clustered_proportion")
    hits = call_array(success, None, where="clustered_proportion", name="success")
    sample = sampling(
        hits.size, where="clustered_proportion", cluster=cluster, weights=weights, strata=strata, finite=finite
    )
    if not hits.size:
        return Estimate(nan, method=codes.method("ratio_estimator"), note=codes.note("no_trials"))
    size, successes = sample.totals(everyone(hits.size)), sample.totals(hits)  # (n_patients,)
    p = float(successes.sum() / size.sum())
    variance = sample.variance((successes - p * size) / size.sum(), involved(size))
    if method == "wilson":
        return rate(p, variance, hits.size, size, sample, confidence=confidence)
    half = float(ndtri(0.5 + confidence / 2)) * sqrt(variance)
    note = (sample.note or codes.note("one_patient")) if isnan(variance) else codes.NONE
    words = codes.methods(codes.method("ratio_estimator"), sample.words, codes.method("scale_wald"))
    return Estimate(p, p - half, p + half, se=sqrt(variance), method=words, note=note)


def rate(p: float, variance: float, n_cases: int, size: Floats, sample: Sampling, *, confidence: float) -> Estimate:
    """Estimate of a rate with the Wilson score interval at its effective sample size.

    Parameters
    ----------
    p : float
        Rate.
    variance : float
        Linearised variance of the rate.
    n_cases : int
        Number of cases in the denominator.
    size : ndarray of float64, shape (n_patients,)
        Weight of each patient in the denominator.
    sample : Sampling
        Sampling design.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The rate with its interval and standard error; the method gives the effective sample size.

    Notes
    -----
    The effective sample size is p (1 - p) / variance. Kish's effective sample size is used if the variance between
    patients cannot be estimated.

    References
    ----------
    * Rao JNK, Scott AJ (1992). A simple method for the analysis of clustered binary data. Biometrics 48:577-585.
      doi:10.2307/2532311
    * Genders TSS et al. (2012). Methods for calculating sensitivity and specificity of clustered data: a tutorial.
      Radiology 265:910-916. doi:10.1148/radiol.12120509

    Examples
    --------
    >>> pairs = sampling(40, where="rate", cluster=np.arange(40) // 2)
    >>> rate(0.5, 0.0125, 40, np.full(20, 2.0), pairs, confidence=0.95).method
    'Wilson, effective sample size 20.0, linearised variance, clustered by patient'
    """
    if sample.note:
        return Estimate(p, method=codes.methods(codes.method("ratio_estimator"), sample.words), note=sample.note)
    simple_design = sample.weights is None and sample.stratum is None and sample.undrawn is None
    if simple_design and involved(size) == n_cases:  # one case per patient: n independent trials
        low, high = wilson(p, n_cases, confidence)
        return Estimate(p, low, high, se=sqrt(variance), method=codes.method("wilson"))
    if sample.census:
        words = codes.methods(codes.method("census"), sample.words)
        return Estimate(p, p, p, se=0.0, method=words, note=codes.note("whole_population"))
    if variance <= 1e-20 * p * (1 - p):  # rounding error if every stratum has successes only or none
        variance = 0.0
    if variance == 0 and 0 < p < 1 and sample.undrawn is not None:
        words = codes.methods(codes.method("no_sampling_variance"), sample.words)
        return Estimate(p, p, p, se=0.0, method=words, note=codes.note("homogeneous_strata"))
    note, largest = codes.NONE, float(n_cases) if sample.undrawn is None else inf
    if variance == 0 and 0 < p < 1 and sample.stratum is not None:
        note = codes.note("no_variation_within_strata")
    if 0 < p < 1 and variance >= 0:
        effective = min(p * (1 - p) / variance, largest) if variance > 0 else float(n_cases)
    else:
        effective, note = kish(size), codes.note("no_variation_between_patients")
    low, high = wilson(p, effective, confidence)
    method = codes.methods(codes.method("wilson_effective", n=round(effective, 1)), sample.words)
    return Estimate(p, low, high, se=sqrt(variance), method=method, note=note)


def kish(totals: Floats) -> float:
    """Kish's effective sample size of units with unequal weights.

    Parameters
    ----------
    totals : ndarray of float64, shape (n_units,)
        Weight of each unit.

    Returns
    -------
    float
        (sum w)^2 / sum w^2.

    Notes
    -----
    Kish L (1965). Survey Sampling. Wiley.

    Examples
    --------
    >>> kish(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    return float(totals.sum() ** 2 / np.dot(totals, totals))


@named("difference in proportions")
def independent_difference(
    successes_a: int, trials_a: int, successes_b: int, trials_b: int, *, confidence: float = 0.95
) -> Estimate:
    """Difference of the proportions of two independent groups.

    Parameters
    ----------
    successes_a : int
        Number of successes in group A.
    trials_a : int
        Number of trials in group A.
    successes_b : int
        Number of successes in group B.
    trials_b : int
        Number of trials in group B.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        Difference A - B with Newcombe's hybrid of two Wilson intervals and the p value of the pooled score test
        (chi-square test without continuity correction). NaN with a note if a group has no trials.

    Raises
    ------
    InputError
        If the counts of a group are not whole numbers with 0 <= successes <= trials.

    Notes
    -----
    Trials are assumed to be independent. Checked against the formula and `prop.test` in R 4.2.2.

    References
    ----------
    * Newcombe RG (1998). Interval estimation for the difference between independent proportions: comparison of eleven
      methods. Statistics in Medicine 17:873-890, method 10.
      doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Examples
    --------
    >>> e = independent_difference(56, 70, 48, 80)
    >>> round(e.value, 2), round(e.low, 4), round(e.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    a, b = (
        proportion(successes_a, trials_a, confidence=confidence),
        proportion(successes_b, trials_b, confidence=confidence),
    )
    if not (trials_a and trials_b):
        return Estimate(nan, method=codes.method("newcombe_independent"), note=codes.note("group_without_trials"))
    value = a.value - b.value
    low = value - sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    high = value + sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    pooled = (successes_a + successes_b) / (trials_a + trials_b)
    null = sqrt(pooled * (1 - pooled) * (1 / trials_a + 1 / trials_b))
    p = float(2 * ndtr(-abs(value) / null)) if null else 1.0
    return Estimate(value, low, high, se=sqrt(a.se**2 + b.se**2), p=p, method=codes.method("newcombe_independent"))
