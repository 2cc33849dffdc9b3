"""Placement values: for every case the share of the other class that it beats, and the variance that follows from them.

Everything about an empirical AUC (DeLong 1988, Obuchowski 1997, weights, strata) is a sum over cases of influence
values; they are found with one sort and a few linear passes, so that a million cases cost little more than
np.argsort.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, group_codes
from overread.stats.sampling_design import undrawn


@dataclass(frozen=True, slots=True)
class ClassGroups:
    """Which cases belong together: a patient code per case, and optionally the sampling stratum of each patient."""

    cluster: Codes | None = None  # (n_cases,) codes 0 … n_clusters-1; None = every case is its own patient
    n_clusters: int = 0
    stratum: Codes | None = None  # (n_cases,) codes 0 … n_strata-1; constant within a patient
    n_strata: int = 0
    undrawn: Floats | None = None  # (n_strata,) or (1,), see `sampling.undrawn`


@dataclass(frozen=True, slots=True)
class AucVariance:
    """The covariance of estimates that share their cases; NaN with a note where it is undefined."""

    covariance: Floats  # (k, k)
    note: codes.Text = codes.NONE


def groups_of(
    n_cases: int,
    cluster: ArrayLike | None,
    strata: ArrayLike | None,
    *,
    where: str,
    weights: Floats | None = None,
    finite: bool = False,
) -> ClassGroups:
    """The groups that a caller's labels state; None = every case is its own patient, no strata.

    finite: variances are those of a finite population, as large as the sum of the weights (n_cases,).

    >>> groups_of(3, ["a", "b", "a"], None, where="auc").n_clusters
    2
    """
    patient, n_clusters = (None, 0) if cluster is None else group_codes(cluster, n_cases, where=where)
    stratum, n_strata = (None, 0) if strata is None else group_codes(strata, n_cases, where=where, name="strata")
    left = None
    if finite and n_cases:
        left = undrawn(weights, np.zeros(n_cases, np.intp) if stratum is None else stratum, where=where)
    return ClassGroups(patient, n_clusters, stratum, n_strata, left)


def placements(y: Bools, score: Floats, weights: Floats | None = None) -> tuple[float, Floats]:
    """The AUC and, per case, the (weighted) share of the other class that the case beats; ties count one half.

    For a case with the finding the share of absent cases that score lower, for one without it the share of present
    cases that score higher. Both classes must occur. Unweighted counts are exact: no rounding enters before the
    division.

    >>> placements(np.array([True, False, False]), np.array([2.0, 2.0, 1.0]))
    (0.75, array([0.75, 0.5 , 1.  ]))
    """
    order = np.argsort(score)
    ranked, present = score[order], y[order]
    if weights is None:
        absent_below = np.cumsum(~present, dtype=np.float64)
        present_below = np.arange(1.0, y.size + 1) - absent_below
    else:
        ranked_weights = weights[order]
        absent_below = np.cumsum(np.where(present, 0.0, ranked_weights))
        present_below = np.cumsum(np.where(present, ranked_weights, 0.0))
    n_absent, n_present = absent_below[-1], present_below[-1]
    if not (ranked[1:] > ranked[:-1]).all():
        absent_below, present_below = _midway(ranked, absent_below), _midway(ranked, present_below)
    beaten = np.where(present, absent_below, n_present - present_below)
    total = np.where(present, n_absent, n_present)
    placed = np.empty(y.size)
    placed[order] = beaten / total
    if weights is None:
        return float(beaten[present].sum() / (n_absent * n_present)), placed
    mine = weights[y]
    return float((mine * placed[y]).sum() / mine.sum()), placed


def _midway(ranked: Floats, cumulative: Floats) -> Floats:
    """Cumulative counts where every member of a tie stands in the middle of its tie."""
    start = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    size = np.diff(start, append=ranked.size)
    through = cumulative[start + size - 1]
    before = np.concatenate(([0.0], through[:-1]))
    return np.repeat((before + through) / 2, size)


def centred(y: Bools, auc: float, placed: Floats, weights: Floats | None = None) -> Floats:
    """Influence values (n_cases,): w (placement - AUC) / (total weight of the class); they sum to 0 in each class."""
    if weights is None:
        n_present = int(np.count_nonzero(y))
        return (placed - auc) / np.where(y, float(n_present), float(y.size - n_present))
    total_present = weights[y].sum()
    return weights * (placed - auc) / np.where(y, total_present, weights.sum() - total_present)


def by_cluster(values: Floats, y: Bools, groups: ClassGroups) -> tuple[Floats, Floats]:
    """Sums per patient of the values of present and of absent cases: two arrays (k, n_clusters)."""
    if groups.cluster is None:
        return np.where(y, values, 0.0), np.where(y, 0.0, values)
    size = groups.n_clusters
    present = [np.bincount(groups.cluster[y], row[y], minlength=size) for row in values]
    absent = [np.bincount(groups.cluster[~y], row[~y], minlength=size) for row in values]
    return np.array(present), np.array(absent)


def factors(y: Bools, groups: ClassGroups) -> tuple[float, float, float, codes.Text]:
    """Obuchowski's small-sample factors for present, absent and both, and a note where one of them is undefined.

    I10/(I10-1), I01/(I01-1), I/(I-1) with I10 the patients who have a present case, I01 those who have an absent one,
    I all; with one case per patient the first two are DeLong's m/(m-1) and n/(n-1).
    """
    if groups.cluster is None:
        n_present = int(np.count_nonzero(y))
        counts, unit = (n_present, y.size - n_present, y.size), "case"
    else:
        has = [np.bincount(groups.cluster[mask], minlength=groups.n_clusters) > 0 for mask in (y, ~y)]
        counts, unit = (int(has[0].sum()), int(has[1].sum()), int((has[0] | has[1]).sum())), "patient"
    note = codes.notes(
        codes.note("single_present", unit=unit) if counts[0] == 1 else None,
        codes.note("single_absent", unit=unit) if counts[1] == 1 else None,
    )
    ratio = [count / (count - 1) if count > 1 else nan for count in counts]
    return ratio[0], ratio[1], ratio[2], note


def spread(values: Floats, y: Bools, groups: ClassGroups) -> AucVariance:
    """The covariance (k, k) of k estimates from their influence values (k, n_cases), patients independent.

    Without strata Obuchowski's estimator (DeLong's when every case is its own patient). With strata the linearised
    estimator of survey sampling: n_h/(n_h-1) times the centred sum of squares over the patients of stratum h.
    """
    if groups.stratum is not None:
        return _stratified_spread(values, y, groups)
    f_present, f_absent, f_both, note = factors(y, groups)
    if note:
        return AucVariance(np.full((len(values), len(values)), nan), note)
    present, absent = by_cluster(values, y, groups)
    covariance = f_present * (present @ present.T) + f_absent * (absent @ absent.T)
    if groups.cluster is not None:
        cross = f_both * (present @ absent.T)
        covariance = covariance + cross + cross.T
    return AucVariance(covariance if groups.undrawn is None else covariance * groups.undrawn[0])


def _stratified_spread(values: Floats, y: Bools, groups: ClassGroups) -> AucVariance:
    present, absent = by_cluster(values, y, groups)
    totals = present + absent
    stratum = stratum_of_cluster(groups)
    size = np.bincount(stratum, minlength=groups.n_strata)
    left = np.ones(groups.n_strata) if groups.undrawn is None else groups.undrawn
    alone = (size == 1) & (left > 0)
    if alone.any():
        note = codes.note("single_patient_strata", n=int(alone.sum()))
        return AucVariance(np.full((len(values), len(values)), nan), note)
    mean = np.array([np.bincount(stratum, row, minlength=groups.n_strata) for row in totals]) / size
    deviation = totals - mean[:, stratum]
    return AucVariance((deviation * (left * size / np.maximum(size - 1, 1))[stratum]) @ deviation.T)


def stratum_of_cluster(groups: ClassGroups) -> Codes:
    """The stratum of every patient (n_clusters,); a patient in two strata is refused."""
    assert groups.stratum is not None
    if groups.cluster is None:
        return groups.stratum
    low = np.full(groups.n_clusters, groups.n_strata, dtype=np.intp)
    high = np.full(groups.n_clusters, -1, dtype=np.intp)
    np.minimum.at(low, groups.cluster, groups.stratum)
    np.maximum.at(high, groups.cluster, groups.stratum)
    split = int((low != high).sum())
    if split:
        raise InputError("strata", "every patient in one stratum", f"{split} patients in several strata")
    return low


def satterthwaite(values: Floats, y: Bools, groups: ClassGroups) -> float:
    """Degrees of freedom of the variance of one AUC, for a t quantile; values (n_cases,).

    The variance is a sum of independent pieces: patients with present cases only, with absent cases only, with both.
    df = (sum of pieces)^2 / sum of piece^2 / (patients in the piece - 1). Without clusters the pieces are S10/m and
    S01/n and this is Welch's formula, df = (S10/m + S01/n)^2 / ((S10/m)^2/(m-1) + (S01/n)^2/(n-1)).
    """
    present, absent = by_cluster(values[None], y, groups)
    squares = (present[0] + absent[0]) ** 2
    if groups.cluster is None:
        kinds = [y, ~y]
    else:
        has = [np.bincount(groups.cluster[mask], minlength=groups.n_clusters) > 0 for mask in (y, ~y)]
        kinds = [has[0] & ~has[1], has[1] & ~has[0], has[0] & has[1]]
    pieces, terms = 0.0, 0.0
    for kind in kinds:
        count = int(kind.sum())
        piece = float(squares[kind].sum()) * count / max(count - 1, 1)
        pieces, terms = pieces + piece, terms + piece**2 / max(count - 1, 1)
    return pieces**2 / terms if terms > 0 else nan


def one_class(y: Bools) -> codes.Text:
    """Why an AUC cannot be computed for want of a class, or "" where both occur.

    >>> one_class(np.array([True, True]))
    'NE: all cases (n = 2) had the finding present'
    """
    n_present = int(np.count_nonzero(y))
    if y.size == 0:
        return codes.note("no_cases")
    if n_present in (0, y.size):
        return codes.note("one_class", n=y.size, outcome="present" if n_present else "absent")
    return codes.NONE


def describe(groups: ClassGroups, *, weighted: bool) -> codes.Text:
    """The name of the variance, for an estimate's method.

    >>> describe(ClassGroups(), weighted=False)
    'DeLong'
    """
    clustered = groups.cluster is not None
    if groups.stratum is not None or weighted:
        return codes.methods(
            codes.method("hajek") if weighted else None,
            codes.method("linearised"),
            codes.method("clustered_by_patient") if clustered else None,
            codes.method("strata") if groups.stratum is not None else None,
            codes.method("finite_population") if groups.undrawn is not None else None,
        )
    return codes.method("obuchowski") if clustered else codes.method("delong")
