"""Proportions with their intervals: independent trials, trials clustered in patients, and two independent groups."""

from __future__ import annotations

from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Floats, call_array, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.sampling_design import Sampling, everyone, involved, sampling


def proportion(successes: int, trials: int, *, method: str = "wilson", confidence: float = 0.95) -> Estimate:
    """The probability of success in independent trials.

    Parameters: successes and trials, counts; method "wilson" (score interval) or "exact" (Clopper-Pearson).
    Returns an Estimate, `se` = sqrt(p(1-p)/n). Without trials: NaN with a note. Raises InputError on impossible counts.
    Assumes independent trials; for several cases of a patient use `clustered_proportion`.
    Wilson (1927) doi:10.1080/01621459.1927.10502953; Clopper & Pearson (1934) doi:10.1093/biomet/26.4.404.
    Checked against R binom 1.1.1.1 and binom.test (R 4.2.2).

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
    """The score interval of a proportion p seen in `size` trials, which may be an effective, fractional number.

    >>> low, high = wilson(0.0, 10)
    >>> low, round(high, 5)
    (0.0, 0.27753)
    """
    z2 = float(ndtri(0.5 + confidence / 2)) ** 2
    centre = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = sqrt(z2 * (p * (1 - p) / size + z2 / (4 * size * size))) / (1 + z2 / size)
    return (0.0 if p == 0 else max(centre - half, 0.0)), (1.0 if p == 1 else min(centre + half, 1.0))


def _exact(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


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
    """The probability of success when a patient (cluster) has several trials.

    Parameters: success bool (n,); cluster (n,); weights, strata (n,) and finite, see `sampling`; method "wilson" (score
    interval at the effective sample size, n over the design effect, never above n; n where every patient has one trial)
    or "wald".
    Returns an Estimate; `se` is that of the ratio estimator, with the factor C/(C-1) of C clusters. At 0 % or 100 %,
    or with one cluster, the design effect cannot be seen; then the trials of a patient are taken as one (conservative).
    Assumes independent clusters, enough of them (about 20) for the variance.
    Rao & Scott (1992) doi:10.2307/2532311; Obuchowski (1998)
    doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I;
    Genders et al. (2012) doi:10.1148/radiol.12120509. Checked against the formula in R 4.2.2 and a slow twin.

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
    size, right = sample.totals(everyone(hits.size)), sample.totals(hits)  # (n_patients,)
    p = float(right.sum() / size.sum())
    variance = sample.variance((right - p * size) / size.sum(), involved(size))
    if method == "wilson":
        return rate(p, variance, hits.size, size, sample, confidence=confidence)
    half = float(ndtri(0.5 + confidence / 2)) * sqrt(variance)
    note = (sample.note or codes.note("one_patient")) if isnan(variance) else codes.NONE
    words = codes.methods(codes.method("ratio_estimator"), sample.words, codes.method("scale_wald"))
    return Estimate(p, p - half, p + half, se=sqrt(variance), method=words, note=note)


def rate(p: float, variance: float, n_cases: int, size: Floats, sample: Sampling, *, confidence: float) -> Estimate:
    """A rate with the Wilson interval at its effective sample size.

    Parameters: p; its linearised variance; n_cases in the denominator; size (n_patients,), the weight of each patient
    in the denominator, from which Kish's size is taken where no spread between patients can be seen; sample.

    >>> pairs = sampling(40, where="rate", cluster=np.arange(40) // 2)
    >>> rate(0.5, 0.0125, 40, np.full(20, 2.0), pairs, confidence=0.95).method
    'Wilson, effective sample size 20.0, linearised variance, clustered by patient'
    """
    if sample.note:
        return Estimate(p, method=codes.methods(codes.method("ratio_estimator"), sample.words), note=sample.note)
    drawn_alike = sample.weights is None and sample.stratum is None and sample.undrawn is None
    if drawn_alike and involved(size) == n_cases:  # a patient has one case here: n independent trials
        low, high = wilson(p, n_cases, confidence)
        return Estimate(p, low, high, se=sqrt(variance), method=codes.method("wilson"))
    if sample.census:
        words = codes.methods(codes.method("census"), sample.words)
        return Estimate(p, p, p, se=0.0, method=words, note=codes.note("whole_population"))
    if variance <= 1e-20 * p * (1 - p):  # rounding, where every stratum is all hits or none
        variance = 0.0
    if variance == 0 and 0 < p < 1 and sample.undrawn is not None:
        words = codes.methods(codes.method("no_sampling_variance"), sample.words)
        return Estimate(p, p, p, se=0.0, method=words, note=codes.note("homogeneous_strata"))
    note, most = codes.NONE, float(n_cases) if sample.undrawn is None else inf
    if variance == 0 and 0 < p < 1 and sample.stratum is not None:
        note = codes.note("no_variation_within_strata")
    if 0 < p < 1 and variance >= 0:
        effective = min(p * (1 - p) / variance, most) if variance > 0 else float(n_cases)
    else:
        effective, note = kish(size), codes.note("no_variation_between_patients")
    low, high = wilson(p, effective, confidence)
    method = codes.methods(codes.method("wilson_effective", n=round(effective, 1)), sample.words)
    return Estimate(p, low, high, se=sqrt(variance), method=method, note=note)


def kish(totals: Floats) -> float:
    """Kish's effective number of units of unequal weight: (sum w)^2 / sum w^2.

    >>> kish(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    return float(totals.sum() ** 2 / np.dot(totals, totals))


def independent_difference(
    successes_a: int, trials_a: int, successes_b: int, trials_b: int, *, confidence: float = 0.95
) -> Estimate:
    """The probability in group A minus that in group B, different cases (two hospitals, say).

    Parameters: counts. Returns an Estimate: Newcombe's hybrid of two Wilson intervals, `p` of the pooled score test
    (the chi-square test without continuity correction). Without trials in a group: NaN with a note.
    Assumes independent trials. Newcombe (1998) doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I
    (method 10). Checked against the formula and prop.test in R 4.2.2.

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
