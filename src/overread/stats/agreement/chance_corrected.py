"""Agreement of several readers on categories: raw, and beyond chance after Fleiss and after Gwet."""

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
from overread.stats.quantiles import critical
from overread.stats.resampling.replicates import NO_SPREAD, NOTHING, Statistic, resampled
from overread.stats.sampling_design import Sampling

Chance = Callable[[Floats], tuple[Floats, Floats]]  # shares (b, q) -> agreement by chance (b,), its gradient (b, q)


def percent_agreement(
    ratings: ArrayLike,
    *,
    of: str = "pairs",
    weights: str | None = None,
    categories: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """The chance that two readers of a case agree (of="pairs"), or that all its readers do (of="all").

    Parameters: ratings (n_cases, n_readers), numbers or text, NaN = not read; weights "linear", "quadratic" or
    "ordinal" give partial credit; categories (q,), all possible ones, where the most distant may be unused; cluster
    (n_cases,), the patient of each case; rng: patients are resampled `replicates` times in place of the formula.

    Returns an Estimate, a case counting once however many read it; no p, for no agreement at all is no question. A
    case with one read says nothing about agreement and is counted in the note. Fewer than two readers: NaN, noted.
    Gwet (2008) doi:10.1348/000711006X126600. Checked against irrCAC 1.0 and irr 0.84.1 (R 4.2.2).

    >>> e = percent_agreement([[1, 1, 1], [1, 0, 1], [0, 0, np.nan], [0, 1, np.nan]])
    >>> round(e.value, 4), round(e.se, 4)
    (0.5833, 0.25)
    """
    check_word(of, ("pairs", "all"), where="percent_agreement", name="of")
    given = _Asked("percent_agreement", cluster, rng, replicates, confidence)
    made = rated(ratings, where=given.where, cluster=cluster, categories=categories, numeric=weights is not None)
    matrix = agreement_weights(made.values, weights, where=given.where)
    if of == "all":
        if weights is not None:
            raise InputError("percent_agreement: weights", 'none with of="all"', repr(weights))
        return replace(_coefficient(made, matrix, None, given, whole=True), p=nan)
    return replace(_coefficient(made, matrix, None, given), p=nan)


def fleiss_kappa(
    ratings: ArrayLike,
    *,
    weights: str | None = None,
    categories: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Agreement of two readers of a case beyond what the pooled shares of the categories would give by chance.

    Parameters: as in `percent_agreement`. For one category against the rest give `ratings == category`.

    Returns an Estimate: interval by Gwet's error and Student's t, cut at 1; p of kappa = 0 by the error under that
    hypothesis where every case has as many reads (Fleiss, Nee & Landis), else by Gwet's. One category only: NaN with
    a note. With two readers this is Scott's pi.
    Assumes that readers are exchangeable. Fleiss (1971) doi:10.1037/h0031619; Fleiss, Nee & Landis (1979)
    doi:10.1037/0033-2909.86.5.974; Gwet (2008) doi:10.1348/000711006X126600.
    Checked against irr 0.84.1 and irrCAC 1.0 (R 4.2.2).

    >>> e = fleiss_kappa([[1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]])
    >>> round(e.value, 4), round(e.se, 4)
    (0.3333, 0.3849)
    """
    given = _Asked("fleiss_kappa", cluster, rng, replicates, confidence)
    made = rated(ratings, where=given.where, cluster=cluster, categories=categories, numeric=weights is not None)
    matrix = agreement_weights(made.values, weights, where=given.where)
    result = _coefficient(made, matrix, lambda share: (_form(share, matrix), 2 * share @ matrix), given)
    if rng is None and cluster is None and weights is None:
        return _with_null_error(result, made)
    return result


def gwet_ac(
    ratings: ArrayLike,
    *,
    weights: str | None = None,
    categories: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Gwet's AC1 (AC2 with weights): agreement beyond chance that stays sensible where one category is rare.

    Parameters: as in `percent_agreement`; categories (q,), all possible ones: their number enters the chance
    agreement, so give them where some may be unused (all readers say absent: AC1 is 1 with categories=[0, 1]).

    Returns an Estimate: interval by Gwet's error and Student's t, cut at 1; p of AC = 0. One possible category: NaN
    with a note. Assumes independent cases, or patients with `cluster`.
    Gwet (2008) doi:10.1348/000711006X126600. Checked against irrCAC 1.0 (R 4.2.2).

    >>> e = gwet_ac([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]])
    >>> round(e.value, 4), round(fleiss_kappa([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]]).value, 4)
    (0.781, 0.6591)
    """
    given = _Asked("gwet_ac", cluster, rng, replicates, confidence)
    made = rated(ratings, where=given.where, cluster=cluster, categories=categories, numeric=weights is not None)
    matrix = agreement_weights(made.values, weights, where=given.where)
    q = made.n_categories
    scale = float(matrix.sum()) / (q * (q - 1)) if q > 1 else nan
    return _coefficient(made, matrix, lambda s: (scale * (s * (1 - s)).sum(axis=1), scale * (1 - 2 * s)), given)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the caller asked of the interval."""

    where: str
    cluster: ArrayLike | None
    rng: np.random.Generator | None
    replicates: int
    confidence: float


def _coefficient(
    made: Ratings, matrix: Floats, chance: Chance | None, asked: _Asked, *, whole: bool = False
) -> Estimate:
    check_confidence(asked.confidence, where=asked.where)
    counts, sample = made.counts, made.sample
    reads = counts.sum(axis=1)
    several = reads >= 2
    method = codes.method("gwet")
    if not several.any():
        return Estimate(nan, method=method, note=codes.notes(codes.note("no_two_reads"), made.note))
    if chance is not None and made.n_categories < 2:
        return Estimate(nan, method=method, note=codes.notes(codes.note("single_category"), made.note))
    agreed = np.zeros(len(counts))
    pairs = reads[several] * (reads[several] - 1)
    agreed[several] = (counts * (counts @ matrix - 1)).sum(axis=1)[several] / pairs
    agreed = np.floor(agreed) if whole else agreed
    statistic = _statistic(agreed, several * 1.0, counts / reads[:, None], chance)
    single = int((~several).sum())
    note = codes.note("single_reads", n=single) if single else codes.NONE
    if asked.rng is not None:
        result = resampled(statistic, sample, rng=asked.rng, replicates=asked.replicates, confidence=asked.confidence)
        return replace(result, note=codes.notes(result.note, note, made.note))
    fixed = sample.patient is None
    if single and fixed:
        note = codes.notes(note, codes.note("single_reads_disagree"))
    value, influence = _influence(agreed, several, counts / reads[:, None], chance, fixed=fixed)
    note = codes.notes(note, made.note)
    if isnan(value):
        note = codes.notes(codes.note("single_category"), note)
        return Estimate(nan, method=method, note=note)
    return linear_estimate(value, influence, sample, pair=made.complete_pair, confidence=asked.confidence, note=note)


def _statistic(agreed: Floats, several: Floats, share: Floats, chance: Chance | None) -> Statistic:
    def statistic(weights: Floats) -> Floats:
        pairs, n = weights @ several, weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may hold no pair, or one category
            observed = (weights @ agreed) / pairs
            if chance is None:
                return np.asarray(observed)
            expected, _ = chance((weights @ share) / n[:, None])
            return np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), nan)

    return statistic


def _influence(
    agreed: Floats, several: Bools, share: Floats, chance: Chance | None, *, fixed: bool
) -> tuple[float, Floats]:
    """The coefficient, and n times what each case adds to it.

    Gwet divides by a fixed number of cases with two reads, so that a case with one read counts as one without
    agreement. Over patients (not fixed) that number varies with the sample, as the denominator of any ratio does.
    """
    scale = several.size / several.sum()
    observed = float(agreed.sum() / several.sum())
    by_case = scale * agreed - observed if fixed else scale * several * (agreed - observed)
    if chance is None:
        return observed, by_case
    expected_all, gradient = chance(share.mean(axis=0)[None, :])
    expected = float(expected_all[0])
    if not expected < 1 - 1e-12:
        return nan, np.full(agreed.size, nan)
    value = (observed - expected) / (1 - expected)
    by_chance = share @ gradient[0]
    by_case = by_case - expected * (scale * several - 1) if fixed else by_case
    return value, (by_case - (1 - value) * (by_chance - by_chance.mean())) / (1 - expected)


def linear_estimate(
    value: float, influence: Floats, sample: Sampling, *, pair: bool, confidence: float, note: codes.Text = codes.NONE
) -> Estimate:
    """The estimate from n times what each case adds to it (n_cases,): Student's t, cut at 1, patients independent.

    A pair of readers who both read every case: the sum of squares is divided by n, as Fleiss, Cohen & Everitt and
    Gwet (2008) do; several readers: by n - 1 (Gwet's book and irrCAC); patients: by their number less 1.
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


def _with_null_error(result: Estimate, made: Ratings) -> Estimate:
    """p by the error of Fleiss, Nee & Landis under no agreement beyond chance, for equally many reads per case."""
    counts = made.counts
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
    """Share' W share for each row of share (b, q)."""
    return np.einsum("bq,bq->b", share @ matrix, share)
