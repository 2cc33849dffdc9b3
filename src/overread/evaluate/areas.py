"""AUCs with what every patient contributes to their error, so that any mean or contrast of them has its own error.

An area is the AUC of one rater for one finding on one set of cases, compared only within strata of pairs where these
are stated. A linear combination of areas (over findings, sites, raters) combines the contributions in the same way, so
that cases and patients in common are allowed for whatever the combination is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy.special import ndtr, ndtri

from overread.evaluate.panel import NONE, Bools, Codes, Floats, Panel
from overread.evaluate.rows import Counts, count
from overread.stats import roc
from overread.stats.estimate import Estimate
from overread.stats.placement import factors, groups_of, one_class, placements

FEW_FOR_WALD = 50  # patients of a class below which the interval is on the logit scale with a t quantile
FEWEST = 10  # patients of a class below which there is no interval
METHOD = "influence values summed per patient (DeLong 1988; Obuchowski 1997), normal"


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """An AUC; per patient what that patient adds to its error (the squares sum to the variance)."""

    value: float
    patients: Codes  # (k,) codes of the patients behind it
    influence: Floats  # (k,)
    counts: Counts
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The cases of one estimate: truth, score, patient, stratum of pairs and weight, all (n,)."""

    truth: Bools
    score: Floats
    patient: Codes
    pairs: Codes | None
    weight: Floats | None


def chosen(panel: Panel, rater: str, finding: str, cases: Bools, *, within: bool = True) -> Cases:
    """The cases in the mask that the rater scored and whose truth is stated; `within`: keep the strata of pairs."""
    index = np.flatnonzero(cases & panel.stated(rater, finding))
    pairs = panel.pairs.codes[index]
    return Cases(
        panel.truths(finding)[index] == 1,
        panel.scores(rater, finding)[index],
        panel.patient[index],
        pairs if within and (pairs != NONE).any() else None,
        None if panel.weight is None else panel.weight[index],
    )


def area(panel: Panel, rater: str, finding: str, cases: Bools, *, within: bool = True) -> Area:
    """The AUC of the cases in the mask and what each patient adds to its error; NaN with a note where undefined."""
    of = chosen(panel, rater, finding, cases, within=within)
    counts = count(of.truth.astype(np.float64), of.patient)
    value, influence, note = _influence(of)
    if note and np.isnan(value):
        return Area(nan, np.empty(0, np.intp), np.empty(0), counts, note)
    patients, place = np.unique(of.patient, return_inverse=True)
    scale = sqrt(patients.size / max(patients.size - 1, 1))
    return Area(value, patients, np.asarray(np.bincount(place, influence) * scale, np.float64), counts, note)


def _influence(of: Cases) -> tuple[float, Floats, str]:
    if note := one_class(of.truth):
        return nan, np.empty(0), note
    if of.pairs is None:
        value, influence = roc.influence(of.truth, of.score, cluster=of.patient, weights=of.weight)
        return value, influence, _undefined(influence)
    if of.weight is not None:
        return nan, np.empty(0), "weights and pairs within strata are not supported together"
    return within_pairs(of.truth, of.score, of.patient, of.pairs)


def within_pairs(truth: Bools, score: Floats, patient: Codes, pairs: Codes) -> tuple[float, Floats, str]:
    """The AUC over pairs of the same stratum and every case's influence: `roc.stratified_auc`, taken apart.

    Cases in a stratum of one class form no pair and have influence 0.
    """
    influence, total, weighted = np.zeros(truth.size), 0.0, 0.0
    made: list[tuple[Codes, Floats, int, int]] = []
    for stratum in np.unique(pairs):
        members = np.flatnonzero(pairs == stratum)
        m = int(truth[members].sum())
        n = members.size - m
        if m and n:
            value, placed = placements(truth[members], score[members])
            made.append((members, placed, m, n))
            total, weighted = total + m * n, weighted + m * n * value
    if not made:
        return nan, influence, "no stratum of pairs holds both classes"
    auc = weighted / total
    for members, placed, m, n in made:
        influence[members] = np.where(truth[members], n, m) * (placed - auc) / total
    used = np.concatenate([members for members, *_ in made])
    f_present, f_absent, f_both, note = factors(truth[used], groups_of(used.size, patient[used], None, where="pairs"))
    if note:
        return auc, np.full(truth.size, nan), note
    return auc, influence * np.where(truth, sqrt(f_present / f_both), sqrt(f_absent / f_both)), ""


def _undefined(influence: Floats) -> str:
    return (
        "one patient with the finding present, or absent: the variance is undefined"
        if np.isnan(influence).any()
        else ""
    )


def combined(terms: Iterable[tuple[float, Area]], n_patients: int) -> tuple[float, float]:
    """The value and standard error of a linear combination of areas, given as (coefficient, area)."""
    value, total = 0.0, np.zeros(n_patients)
    for coefficient, one in terms:
        value += coefficient * one.value
        np.add.at(total, one.patients, coefficient * one.influence)
    return value, sqrt(float(total @ total))


def mean_terms(areas: Sequence[Area], sign: float = 1.0) -> list[tuple[float, Area]]:
    """The terms of an unweighted mean of areas."""
    return [(sign / len(areas), one) for one in areas]


def linear_estimate(
    terms: Iterable[tuple[float, Area]],
    n_patients: int,
    *,
    confidence: float,
    null: float | None = None,
    note: str = "",
) -> Estimate:
    """A linear combination of areas with its normal interval; with `null` the two-sided p that it equals that."""
    value, se = combined(terms, n_patients)
    if np.isnan(se):
        return Estimate(value, method=METHOD, note=note or "the variance is undefined")
    half = float(ndtri(0.5 + confidence / 2)) * se
    p = nan
    if null is not None:
        p = 2 * float(ndtr(-abs(value - null) / se)) if se > 0 else (1.0 if value == null else nan)
    return Estimate(value, value - half, value + half, se, p, METHOD, note)


def auc_estimate(of: Cases, counts: Counts, *, confidence: float) -> Estimate:
    """The AUC as it is reported: clustered DeLong; logit and t below 50 patients of a class; no interval below 10."""
    few = min(counts.patients_present, counts.patients_absent)
    if of.pairs is not None:
        made = roc.stratified_auc(of.truth, of.score, of.pairs, cluster=of.patient, confidence=confidence)
    else:
        scale = "logit-t" if few < FEW_FOR_WALD else "wald"
        made = roc.auc(
            of.truth, of.score, cluster=of.patient, weights=of.weight, interval=scale, confidence=confidence
        )  # fmt: skip
    if np.isnan(made.value) or few >= FEWEST:
        return made
    note = (
        f"no interval: {counts.patients_present} patients with the finding and {counts.patients_absent} without it, "
        f"and at least {FEWEST} of each are needed"
    )
    return Estimate(made.value, method=made.method, note="; ".join(n for n in (made.note, note) if n))
