"""AUCs with the contribution of every patient to their variance, so that means and contrasts have a standard error.

A term is the AUC of one rater for one finding on one set of cases; pairs are compared within strata where strata are
given. Rates are handled in the same way. A linear combination of terms (over findings, sites, raters) combines the
contributions, so that the covariance from shared cases and patients is accounted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from overread import codes
from overread.codes import Text
from overread.evaluation.context.estimate_rows import Counts, count, without_interval
from overread.evaluation.context.score_matrix import Bools, Codes, Floats, ScoreMatrix
from overread.evaluation.context.strata import merge_small_strata
from overread.stats import roc
from overread.stats.estimate import Estimate
from overread.stats.roc.delong import one_class
from overread.stats.sampling_design import undrawn

FEW_FOR_WALD = 50  # patients of a class below which the interval is on the logit scale with a t quantile
FEWEST = 10  # patients of a class below which there is no interval
METHOD = codes.method("influence_values")


@dataclass(frozen=True, slots=True, eq=False)
class AucTerm:
    """An AUC or a rate, with the contribution of each patient to its error (the squares sum to the variance).

    In a stratified sample, contributions are centred within strata and cover every patient of the sample. `unseen` is
    variance that the sample cannot show: that of a rate of 0 or 1.
    """

    value: float
    patients: Codes  # (k,) codes of the patients behind it
    influence: Floats  # (k,)
    counts: Counts
    note: Text = codes.NONE
    unseen: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The cases of one estimate: truth, score, patient, stratum of pairs, weight and sampling stratum, all (n,)."""

    truth: Bools
    score: Floats
    patient: Codes
    pairs: Codes | None
    weight: Floats | None
    strata: Codes | None = None
    finite: bool = False

    @property
    def drawn(self) -> dict[str, Any]:
        """Return the sampling design as keyword arguments of a statistic: cluster, weights, strata, finite."""
        return {"cluster": self.patient, "weights": self.weight, "strata": self.strata, "finite": self.finite}


def select(panel: ScoreMatrix, rater: str, finding: str, cases: Bools, *, within: bool = True) -> Cases:
    """Select the cases of the mask with a score and a reference standard; `within` keeps the strata of pairs."""
    index = np.flatnonzero(cases & panel.stated(rater, finding))
    return Cases(
        panel.truths(finding)[index] == 1,
        panel.scores(rater, finding)[index],
        panel.patient[index],
        panel.pair_strata(index) if within else None,
        None if panel.weight is None else panel.weight[index],
        None if panel.strata is None else merge_small_strata(panel.strata[index], panel.patient[index]),
        panel.finite,
    )


def area_of(panel: ScoreMatrix, cases: Cases) -> AucTerm:
    """Compute the AUC of these cases with the contribution of each patient; NaN with a note if undefined."""
    counts = count(cases.truth.astype(np.float64), cases.patient)
    undefined = AucTerm(nan, np.empty(0, np.intp), np.empty(0), counts)
    if note := one_class(cases.truth):
        return replace(undefined, note=note)
    value, influence = roc.influence(
        cases.truth, cases.score, cluster=cases.patient, weights=cases.weight, stratum=cases.pairs
    )
    if np.isnan(value):
        return replace(undefined, note=codes.note("no_stratum_with_both_classes"))
    note = codes.note("single_patient_of_class") if np.isnan(influence).any() else codes.NONE
    return AucTerm(value, *per_patient(panel, cases.patient, influence), counts, note)


def per_patient(panel: ScoreMatrix, patient: Codes, influence: Floats) -> tuple[Codes, Floats]:
    """Sum influence values per case (n,) by patient, scaled so that their squares sum to the variance.

    With sampling strata the sums of the patients are centred at the mean of all sampled patients of the stratum.
    """
    sampled = np.bincount(patient, minlength=panel.n_patients) > 0
    summed = np.bincount(patient, influence, minlength=panel.n_patients).astype(np.float64)
    involved = int(sampled.sum())
    scale = sqrt(involved / max(involved - 1, 1))
    left = _undrawn(panel)
    if panel.strata is None:
        patients = np.flatnonzero(sampled)
        return patients, summed[patients] * scale * sqrt(float(left[0]))
    stratum = np.empty(panel.n_patients, np.intp)
    stratum[panel.patient] = panel.strata
    size = np.maximum(np.bincount(stratum), 1)
    spread = np.sqrt(left * size / np.maximum(size - 1, 1))
    within = (summed - (np.bincount(stratum, summed) / size)[stratum]) * spread[stratum]
    return np.arange(panel.n_patients), within * scale * sqrt((panel.n_patients - 1) / panel.n_patients)


def _undrawn(panel: ScoreMatrix) -> Floats:
    """Return one minus the sampling fraction of every stratum, (n_strata,) or (1,); 1 for an infinite population."""
    stratum = np.zeros(panel.patient.size, np.intp) if panel.strata is None else panel.strata
    if not panel.finite:
        return np.ones(int(stratum.max(initial=0)) + 1)
    return undrawn(panel.weight, stratum, where="evaluation.finite_population")


def combined(terms: Iterable[tuple[float, AucTerm]], n_patients: int) -> tuple[float, float]:
    """Return the value and standard error of a linear combination of (coefficient, term) pairs; NaN if empty."""
    pairs, total = list(terms), np.zeros(n_patients)
    if not pairs:
        return nan, nan
    for coefficient, one in pairs:
        total[one.patients] += coefficient * one.influence
    unseen = sum(coefficient**2 * one.unseen for coefficient, one in pairs)
    return sum(coefficient * one.value for coefficient, one in pairs), sqrt(float(total @ total) + unseen)


def combined_term(terms: Iterable[tuple[float, AucTerm]], n_patients: int, counts: Counts | None = None) -> AucTerm:
    """Return a linear combination of (coefficient, term) pairs as a term, for use in further combinations."""
    pairs, total = list(terms), np.zeros(n_patients)
    for coefficient, one in pairs:
        total[one.patients] += coefficient * one.influence
    value = sum(coefficient * one.value for coefficient, one in pairs)
    unseen = sum(coefficient**2 * one.unseen for coefficient, one in pairs)
    return AucTerm(value, np.arange(n_patients), total, counts or Counts(), unseen=unseen)


def mean_area(areas: Sequence[AucTerm], n_patients: int) -> AucTerm:
    """Return the unweighted mean of terms as a term, for use in contrasts; its counts are empty."""
    total = np.zeros(n_patients)
    for one in areas:
        total[one.patients] += one.influence / len(areas)
    value = sum(one.value for one in areas) / len(areas)
    unseen = sum(one.unseen for one in areas) / len(areas) ** 2
    return AucTerm(value, np.arange(n_patients), total, Counts(), unseen=unseen)


def joint_covariance(areas: Sequence[AucTerm], n_patients: int) -> Floats:
    """Return the covariance matrix (k, k) of several terms, with shared patients accounted for."""
    total = np.zeros((len(areas), n_patients))
    for row, one in zip(total, areas, strict=True):
        row[one.patients] = one.influence
    return np.asarray(total @ total.T + np.diag([one.unseen for one in areas]), np.float64)


def mean_terms(areas: Sequence[AucTerm], sign: float = 1.0) -> list[tuple[float, AucTerm]]:
    """The terms of an unweighted mean of areas."""
    return [(sign / len(areas), one) for one in areas]


def linear_estimate(
    terms: Iterable[tuple[float, AucTerm]],
    n_patients: int,
    *,
    confidence: float,
    null: float | None = None,
    note: Text = codes.NONE,
) -> Estimate:
    """Estimate a linear combination of terms with a normal interval; with `null`, also the two-sided p value."""
    value, se = combined(terms, n_patients)
    if np.isnan(se):
        return Estimate(value, method=METHOD, note=note or codes.note("variance_undefined"))
    half = float(ndtri(0.5 + confidence / 2)) * se
    p = nan
    if null is not None:
        p = 2 * float(ndtr(-abs(value - null) / se)) if se > 0 else (1.0 if value == null else nan)
    return Estimate(value, value - half, value + half, se, p, METHOD, note)


def auc_estimate(cases: Cases, counts: Counts, *, confidence: float) -> Estimate:
    """Estimate the AUC by clustered DeLong; on the logit scale with t quantiles below 50 patients of a class, and
    without an interval below 10.
    """
    few = min(counts.patients_present, counts.patients_absent)
    options: dict[str, Any] = cases.drawn | {
        "interval": "logit-t" if few < FEW_FOR_WALD else "wald",
        "confidence": confidence,
    }
    if cases.pairs is None:
        estimate = roc.auc(cases.truth, cases.score, **options)
    else:  # no sampling strata or finite population beside strata of pairs: the variance is then a little too large
        options.pop("strata")
        options.pop("finite")
        estimate = roc.stratified_auc(cases.truth, cases.score, cases.pairs, **options)
    if np.isnan(estimate.value) or few >= FEWEST:
        return estimate
    return without_interval(estimate, estimate.note, few_patients(counts, FEWEST))


def few_patients(counts: Counts, least: int) -> Text:
    """Return a note if a class has too few patients for an interval."""
    n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
    return codes.note("few_patients_per_class", **n_by_class, least=least)
