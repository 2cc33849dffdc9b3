"""AUCs with what every patient contributes to their error, so that any mean or contrast of them has its own error.

An area is the AUC of one rater for one finding on one set of cases, compared only within strata of pairs where these
are stated; a rate is handled likewise. A linear combination of areas (over findings, sites, raters) combines the
contributions in the same way, so that cases and patients in common are allowed for whatever the combination is.
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
from overread.evaluation.context.score_matrix import NONE, Bools, Codes, Floats, ScoreMatrix
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
    """An AUC or a rate; per patient what that patient adds to its error (the squares sum to the variance).

    In a stratified sample the contributions are those within strata, of every patient of the sample. unseen is variance
    that the sample cannot show: that of a rate of 0 or 1.
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
        """How the cases came about, as statistics take it: cluster, weights, strata, finite."""
        return {"cluster": self.patient, "weights": self.weight, "strata": self.strata, "finite": self.finite}


def select(panel: ScoreMatrix, rater: str, finding: str, cases: Bools, *, within: bool = True) -> Cases:
    """The cases in the mask that the rater scored and whose truth is stated; `within`: keep the strata of pairs."""
    index = np.flatnonzero(cases & panel.stated(rater, finding))
    pairs = panel.pairs.codes[index]
    return Cases(
        panel.truths(finding)[index] == 1,
        panel.scores(rater, finding)[index],
        panel.patient[index],
        pairs if within and (pairs != NONE).any() else None,
        None if panel.weight is None else panel.weight[index],
        None if panel.strata is None else merge_small_strata(panel.strata[index], panel.patient[index]),
        panel.finite,
    )


def area_of(panel: ScoreMatrix, of: Cases) -> AucTerm:
    """The AUC of these cases and what each patient adds to its error; NaN with a note where undefined."""
    counts = count(of.truth.astype(np.float64), of.patient)
    undefined = AucTerm(nan, np.empty(0, np.intp), np.empty(0), counts)
    if note := one_class(of.truth):
        return replace(undefined, note=note)
    value, influence = roc.influence(of.truth, of.score, cluster=of.patient, weights=of.weight, stratum=of.pairs)
    if np.isnan(value):
        return replace(undefined, note=codes.note("no_stratum_with_both_classes"))
    note = codes.note("single_patient_of_class") if np.isnan(influence).any() else codes.NONE
    return AucTerm(value, *per_patient(panel, of.patient, influence), counts, note)


def per_patient(panel: ScoreMatrix, patient: Codes, influence: Floats) -> tuple[Codes, Floats]:
    """The patients behind influence values per case (n,), and what each adds, so that the squares sum to the variance.

    With sampling strata the sums of a patient count from the mean of its stratum, of all patients in the sample.
    """
    held = np.bincount(patient, minlength=panel.n_patients) > 0
    summed = np.bincount(patient, influence, minlength=panel.n_patients).astype(np.float64)
    involved = int(held.sum())
    scale = sqrt(involved / max(involved - 1, 1))
    left = _undrawn(panel)
    if panel.strata is None:
        patients = np.flatnonzero(held)
        return patients, summed[patients] * scale * sqrt(float(left[0]))
    stratum = np.empty(panel.n_patients, np.intp)
    stratum[panel.patient] = panel.strata
    size = np.maximum(np.bincount(stratum), 1)
    spread = np.sqrt(left * size / np.maximum(size - 1, 1))
    within = (summed - (np.bincount(stratum, summed) / size)[stratum]) * spread[stratum]
    return np.arange(panel.n_patients), within * scale * sqrt((panel.n_patients - 1) / panel.n_patients)


def _undrawn(panel: ScoreMatrix) -> Floats:
    """The share of every sampling stratum that was not drawn, (n_strata,) or (1,); 1 of an endless population."""
    stratum = np.zeros(panel.patient.size, np.intp) if panel.strata is None else panel.strata
    if not panel.finite:
        return np.ones(int(stratum.max(initial=0)) + 1)
    return undrawn(panel.weight, stratum, where="evaluation.finite_population")


def combined(terms: Iterable[tuple[float, AucTerm]], n_patients: int) -> tuple[float, float]:
    """The value and standard error of a linear combination of areas, given as (coefficient, area); NaN of none."""
    given, total = list(terms), np.zeros(n_patients)
    if not given:
        return nan, nan
    for coefficient, one in given:
        total[one.patients] += coefficient * one.influence
    unseen = sum(coefficient**2 * one.unseen for coefficient, one in given)
    return sum(coefficient * one.value for coefficient, one in given), sqrt(float(total @ total) + unseen)


def mean_area(areas: Sequence[AucTerm], n_patients: int) -> AucTerm:
    """The unweighted mean of areas as an area of its own, to be contrasted with others; its counts are empty."""
    total = np.zeros(n_patients)
    for one in areas:
        total[one.patients] += one.influence / len(areas)
    value = sum(one.value for one in areas) / len(areas)
    unseen = sum(one.unseen for one in areas) / len(areas) ** 2
    return AucTerm(value, np.arange(n_patients), total, Counts(), unseen=unseen)


def joint_covariance(areas: Sequence[AucTerm], n_patients: int) -> Floats:
    """The covariance (k, k) of several areas, patients in common allowed for."""
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
    """A linear combination of areas with its normal interval; with `null` the two-sided p that it equals that."""
    value, se = combined(terms, n_patients)
    if np.isnan(se):
        return Estimate(value, method=METHOD, note=note or codes.note("variance_undefined"))
    half = float(ndtri(0.5 + confidence / 2)) * se
    p = nan
    if null is not None:
        p = 2 * float(ndtr(-abs(value - null) / se)) if se > 0 else (1.0 if value == null else nan)
    return Estimate(value, value - half, value + half, se, p, METHOD, note)


def auc_estimate(of: Cases, counts: Counts, *, confidence: float) -> Estimate:
    """The AUC as it is reported: clustered DeLong; logit and t below 50 patients of a class; no interval below 10."""
    few = min(counts.patients_present, counts.patients_absent)
    given: dict[str, Any] = of.drawn | {
        "interval": "logit-t" if few < FEW_FOR_WALD else "wald",
        "confidence": confidence,
    }
    if of.pairs is None:
        made = roc.auc(of.truth, of.score, **given)
    else:  # no sampling strata or finite population beside strata of pairs: the variance is then a little too large
        given.pop("strata")
        given.pop("finite")
        made = roc.stratified_auc(of.truth, of.score, of.pairs, **given)
    if np.isnan(made.value) or few >= FEWEST:
        return made
    return without_interval(made, made.note, few_patients(counts, FEWEST))


def few_patients(counts: Counts, least: int) -> Text:
    """Too few patients of a class for an interval."""
    given = {"present": counts.patients_present, "absent": counts.patients_absent}
    return codes.note("few_patients_per_class", **given, least=least)
