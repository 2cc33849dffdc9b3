"""Agreement of several readers on categories: percent agreement, Fleiss' kappa, and Gwet's AC1 and AC2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtr

from overread import codes
from overread.errors import InputError
from overread.stats.agreement.ratings import Ratings, agreement_weights, rated
from overread.stats.arrays import Bools, Floats, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.quantiles import critical
from overread.stats.random_numbers import Random
from overread.stats.resampling.replicates import NO_SPREAD, NOTHING, Statistic, resampled
from overread.stats.sampling_design import Sampling

Chance = Callable[
    [Floats], tuple[Floats, Floats]
]  # proportions (b, q) -> chance agreement (b,) and its gradient (b, q)


@named("agreement")
def percent_agreement(
    ratings: ArrayLike,
    *,
    of: str = "pairs",
    weights: str | None = None,
    categories: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Percent agreement: probability that two readers of a case, or all its readers, choose the same category.

    Parameters
    ----------
    ratings : array_like, shape (n_cases, n_readers)
        Category of each case by each reader, numbers or text; NaN = not read.
    of : {"pairs", "all"}, default "pairs"
        Whether two readers of a case or all its readers must agree.
    weights : {"linear", "quadratic", "ordinal"}, optional
        Partial credit for unequal categories: by the distance of their numbers, its square, or the number of pairs of
        categories between them. By default only equal categories agree.
    categories : array_like, shape (q,), optional
        All possible categories; by default those that occur.
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
        The agreement, with each case weighted equally. There is no p value. NaN with a note if no case has two reads.

    Raises
    ------
    InputError
        If `ratings` has another shape, an option is unknown, or `weights` is given with `of` "all".

    Notes
    -----
    Cases with one read contribute no agreement and are counted in the note. Cases, or patients with `cluster`, are
    assumed to be independent. Checked against irrCAC 1.0 and irr 0.84.1 (R 4.2.2).

    References
    ----------
    * Gwet KL (2008). Computing inter-rater reliability and its variance in the presence of high agreement. British
      Journal of Mathematical and Statistical Psychology 61:29-48. doi:10.1348/000711006X126600

    Examples
    --------
    >>> e = percent_agreement([[1, 1, 1], [1, 0, 1], [0, 0, np.nan], [0, 1, np.nan]])
    >>> round(e.value, 4), round(e.se, 4)
    (0.5833, 0.25)
    """
    check_word(of, ("pairs", "all"), where="percent_agreement", name="of")
    options = _Asked("percent_agreement", cluster, rng, replicates, confidence)
    usable = rated(ratings, where=options.where, cluster=cluster, categories=categories, numeric=weights is not None)
    matrix = agreement_weights(usable.values, weights, where=options.where)
    if of == "all":
        if weights is not None:
            raise InputError("percent_agreement: weights", 'none with of="all"', repr(weights))
        return replace(_coefficient(usable, matrix, None, options, whole=True), p=nan)
    return replace(_coefficient(usable, matrix, None, options), p=nan)


@named("Fleiss' kappa")
def fleiss_kappa(
    ratings: ArrayLike,
    *,
    weights: str | None = None,
    categories: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Fleiss' kappa: agreement of two readers of a case beyond chance, given pooled category proportions.

    The expected agreement by chance is the sum of the squared pooled proportions of the categories.

    Parameters
    ----------
    ratings : array_like, shape (n_cases, n_readers)
        Category of each case by each reader, numbers or text; NaN = not read. For one category against the others pass
        `ratings == category`.
    weights : {"linear", "quadratic", "ordinal"}, optional
        Partial credit for unequal categories: by the distance of their numbers, its square, or the number of pairs of
        categories between them. By default only equal categories agree.
    categories : array_like, shape (q,), optional
        All possible categories; by default those that occur.
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
        Kappa with an interval from Gwet's standard error and Student's t, clipped at 1. The p value is that of kappa =
        0. NaN with a note if only one category occurs.

    Raises
    ------
    InputError
        If `ratings` has another shape or an option is unknown.

    Notes
    -----
    The p value uses the standard error under kappa = 0 of Fleiss, Nee and Landis (1979) if all cases have equally many
    reads, otherwise Gwet's standard error. With two readers the coefficient is Scott's pi. Readers are assumed to be
    exchangeable. Checked against irr 0.84.1 and irrCAC 1.0 (R 4.2.2).

    References
    ----------
    * Fleiss JL (1971). Measuring nominal scale agreement among many raters. Psychological Bulletin 76:378-382.
      doi:10.1037/h0031619
    * Fleiss JL, Nee JCM, Landis JR (1979). Large sample variance of kappa in the case of different sets of raters.
      Psychological Bulletin 86:974-977. doi:10.1037/0033-2909.86.5.974
    * Gwet KL (2008). Computing inter-rater reliability and its variance in the presence of high agreement. British
      Journal of Mathematical and Statistical Psychology 61:29-48. doi:10.1348/000711006X126600

    Examples
    --------
    >>> e = fleiss_kappa([[1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]])
    >>> round(e.value, 4), round(e.se, 4)
    (0.3333, 0.3849)
    """
    options = _Asked("fleiss_kappa", cluster, rng, replicates, confidence)
    usable = rated(ratings, where=options.where, cluster=cluster, categories=categories, numeric=weights is not None)
    matrix = agreement_weights(usable.values, weights, where=options.where)
    result = _coefficient(usable, matrix, lambda share: (_form(share, matrix), 2 * share @ matrix), options)
    if rng is None and cluster is None and weights is None:
        return _with_null_error(result, usable)
    return result


@named("Gwet's AC")
def gwet_ac(
    ratings: ArrayLike,
    *,
    weights: str | None = None,
    categories: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Gwet's AC1 (AC2 with weights): agreement beyond chance that remains meaningful if one category is rare.

    Parameters
    ----------
    ratings : array_like, shape (n_cases, n_readers)
        Category of each case by each reader, numbers or text; NaN = not read.
    weights : {"linear", "quadratic", "ordinal"}, optional
        Partial credit for unequal categories: by the distance of their numbers, its square, or the number of pairs of
        categories between them. By default only equal categories agree.
    categories : array_like, shape (q,), optional
        All possible categories; by default those that occur. Their number determines the chance agreement, so that
        unused categories must be given (if all reads are "absent", AC1 is 1 with `categories=[0, 1]`).
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
        The coefficient with an interval from Gwet's standard error and Student's t, clipped at 1. The p value is that
        of a coefficient of 0. NaN with a note if only one category is possible.

    Raises
    ------
    InputError
        If `ratings` has another shape or an option is unknown.

    Notes
    -----
    Cases, or patients with `cluster`, are assumed to be independent. Checked against irrCAC 1.0 (R 4.2.2).

    References
    ----------
    * Gwet KL (2008). Computing inter-rater reliability and its variance in the presence of high agreement. British
      Journal of Mathematical and Statistical Psychology 61:29-48. doi:10.1348/000711006X126600

    Examples
    --------
    >>> e = gwet_ac([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]])
    >>> round(e.value, 4), round(fleiss_kappa([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]]).value, 4)
    (0.781, 0.6591)
    """
    options = _Asked("gwet_ac", cluster, rng, replicates, confidence)
    usable = rated(ratings, where=options.where, cluster=cluster, categories=categories, numeric=weights is not None)
    matrix = agreement_weights(usable.values, weights, where=options.where)
    q = usable.n_categories
    scale = float(matrix.sum()) / (q * (q - 1)) if q > 1 else nan
    return _coefficient(usable, matrix, lambda s: (scale * (s * (1 - s)).sum(axis=1), scale * (1 - 2 * s)), options)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Options of the interval."""

    where: str
    cluster: ArrayLike | None
    rng: Random | None
    replicates: int
    confidence: float


def _coefficient(
    usable: Ratings, matrix: Floats, chance: Chance | None, options: _Asked, *, whole: bool = False
) -> Estimate:
    """A coefficient (observed - chance) / (1 - chance) with its interval; `whole` counts only unanimous cases."""
    check_confidence(options.confidence, where=options.where)
    counts, sample = usable.counts, usable.sample
    reads = counts.sum(axis=1)
    several = reads >= 2
    method = codes.method("gwet")
    if not several.any():
        return Estimate(nan, method=method, note=codes.notes(codes.note("no_two_reads"), usable.note))
    if chance is not None and usable.n_categories < 2:
        return Estimate(nan, method=method, note=codes.notes(codes.note("single_category"), usable.note))
    agreement = np.zeros(len(counts))
    pairs = reads[several] * (reads[several] - 1)
    agreement[several] = (counts * (counts @ matrix - 1)).sum(axis=1)[several] / pairs
    agreement = np.floor(agreement) if whole else agreement
    statistic = _statistic(agreement, several * 1.0, counts / reads[:, None], chance)
    single = int((~several).sum())
    note = codes.note("single_reads", n=single) if single else codes.NONE
    if options.rng is not None:
        result = resampled(
            statistic, sample, rng=options.rng, replicates=options.replicates, confidence=options.confidence
        )
        return replace(result, note=codes.notes(result.note, note, usable.note))
    fixed = sample.patient is None
    if single and fixed:
        note = codes.notes(note, codes.note("single_reads_disagree"))
    value, influence = _influence(agreement, several, counts / reads[:, None], chance, fixed=fixed)
    note = codes.notes(note, usable.note)
    if isnan(value):
        note = codes.notes(codes.note("single_category"), note)
        return Estimate(nan, method=method, note=note)
    return linear_estimate(
        value, influence, sample, pair=usable.complete_pair, confidence=options.confidence, note=note
    )


def _statistic(agreement: Floats, several: Floats, share: Floats, chance: Chance | None) -> Statistic:
    """The coefficient as a function of case weights (b, n_cases), for the bootstrap."""

    def statistic(weights: Floats) -> Floats:
        pairs, n = weights @ several, weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # a replicate may contain no pair or only one category
            observed = (weights @ agreement) / pairs
            if chance is None:
                return np.asarray(observed)
            expected, _ = chance((weights @ share) / n[:, None])
            return np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), nan)

    return statistic


def _influence(
    agreement: Floats, several: Bools, share: Floats, chance: Chance | None, *, fixed: bool
) -> tuple[float, Floats]:
    """The coefficient, and n times the influence of each case.

    Gwet divides by a fixed number of cases with two reads, so that a case with one read counts as a case without
    agreement (`fixed`). Over patients that number varies with the sample, as the denominator of any ratio estimator
    does.
    """
    scale = several.size / several.sum()
    observed = float(agreement.sum() / several.sum())
    by_case = scale * agreement - observed if fixed else scale * several * (agreement - observed)
    if chance is None:
        return observed, by_case
    expected_all, gradient = chance(share.mean(axis=0)[None, :])
    expected = float(expected_all[0])
    if not expected < 1 - 1e-12:
        return nan, np.full(agreement.size, nan)
    value = (observed - expected) / (1 - expected)
    by_chance = share @ gradient[0]
    by_case = by_case - expected * (scale * several - 1) if fixed else by_case
    return value, (by_case - (1 - value) * (by_chance - by_chance.mean())) / (1 - expected)


def linear_estimate(
    value: float, influence: Floats, sample: Sampling, *, pair: bool, confidence: float, note: codes.Text = codes.NONE
) -> Estimate:
    """Estimate from n times the influence of each case (n_cases,): Student's t over independent patients, clipped at 1.

    For two readers who both read every case the sum of squares is divided by n, as in Fleiss, Cohen and Everitt (1969)
    and Gwet (2008); for several readers by n - 1, as in irrCAC; for patients by their number minus 1.
    """
    n, units, clustered = sample.n_cases, sample.n_patients, sample.patient is not None
    if units < 2:
        return Estimate(value, method=codes.method("gwet"), note=codes.notes(codes.note("one_unit"), note))
    method = codes.methods(
        codes.method("gwet"),
        codes.method("clustered_by_patient") if clustered else None,
        codes.method("scale_t", df=units - 1),
    )
    variance = sample.variance(sample.totals(influence / n), units)
    variance *= (n - 1) / n if pair and not clustered else 1.0
    se = sqrt(variance) if variance > NOTHING else 0.0
    half = critical(confidence, units - 1) * se
    p = float(2 * stdtr(units - 1, -abs(value) / se)) if se else nan
    note = codes.notes(None if se else NO_SPREAD, note)
    return Estimate(value, value - half, min(value + half, 1.0), se=se, p=p, method=method, note=note)


def _with_null_error(result: Estimate, usable: Ratings) -> Estimate:
    """Replace p by that of Fleiss, Nee and Landis (1979) if all cases have equally many reads."""
    counts = usable.counts
    reads = counts.sum(axis=1)
    if isnan(result.se) or (reads != reads[0]).any():
        return result
    m, n = float(reads[0]), len(reads)
    share = counts.sum(axis=0) / counts.sum()
    spread = float((share * (1 - share)).sum())
    third = float((share * (1 - share) * (1 - 2 * share)).sum())
    error = sqrt(2 * max(spread**2 - third, 0.0) / (n * m * (m - 1))) / spread
    if not error:
        return result
    p = float(2 * ndtr(-abs(result.value) / error))
    return replace(result, p=p, method=codes.methods(result.method, codes.method("fleiss_nee_landis")))


def _form(share: Floats, matrix: Floats) -> Floats:
    """Quadratic form share' W share for each row of share (b, q)."""
    form: Floats = np.einsum("bq,bq->b", share @ matrix, share)
    return form
