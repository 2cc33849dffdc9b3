"""Placement values of the cases and the variance of an AUC that follows from them.

The variance of every empirical AUC here (DeLong 1988, Obuchowski 1997, weights, strata) is computed from influence
values of the cases. These take one sort and a few linear passes, so that the cost at a million cases is close to that
of np.argsort.
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
    """Grouping of the cases: patient code of each case and, optionally, sampling stratum of each case."""

    cluster: Codes | None = None  # (n_cases,) codes 0 … n_clusters-1; None = every case is its own patient
    n_clusters: int = 0
    stratum: Codes | None = None  # (n_cases,) codes 0 … n_strata-1; constant within a patient
    n_strata: int = 0
    undrawn: Floats | None = None  # (n_strata,) or (1,), see `sampling_design.undrawn`


@dataclass(frozen=True, slots=True)
class AucVariance:
    """Covariance matrix of estimates on the same cases; NaN with a note where it is undefined."""

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
    """Encode patients and sampling strata of the cases.

    Parameters
    ----------
    n_cases : int
        Number of cases.
    cluster : array_like, shape (n_cases,), or None
        Patient identifier of each case; None treats every case as an independent patient.
    strata : array_like, shape (n_cases,), or None
        Sampling stratum of each case; None means simple random sampling.
    where : str
        Name of the calling function, used in error messages.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    finite : bool, default False
        Whether variances are those of a finite population whose size is the sum of `weights`.

    Returns
    -------
    ClassGroups
        Integer codes of patients and strata, and the share of each stratum that was not sampled.

    Raises
    ------
    InputError
        If a label array has another shape or a missing label, or `finite` is set without weights.

    Notes
    -----
    The correction for a finite population is described in `overread.stats.sampling_design.undrawn`.

    Examples
    --------
    >>> groups_of(3, ["a", "b", "a"], None, where="auc").n_clusters
    2
    """
    patient, n_clusters = (None, 0) if cluster is None else group_codes(cluster, n_cases, where=where)
    stratum, n_strata = (None, 0) if strata is None else group_codes(strata, n_cases, where=where, name="strata")
    share_undrawn = None
    if finite and n_cases:
        share_undrawn = undrawn(weights, np.zeros(n_cases, np.intp) if stratum is None else stratum, where=where)
    return ClassGroups(patient, n_clusters, stratum, n_strata, share_undrawn)


def placements(y: Bools, score: Floats, weights: Floats | None = None) -> tuple[float, Floats]:
    """Empirical AUC and placement value of each case.

    The placement value of a present case is the (weighted) proportion of absent cases that score lower; that of an
    absent case is the proportion of present cases that score higher. Ties count one half.

    Parameters
    ----------
    y : ndarray of bool, shape (n_cases,)
        Reference standard; both classes must occur.
    score : ndarray of float64, shape (n_cases,)
        Finite scores.
    weights : ndarray of float64, shape (n_cases,), optional
        Inverse inclusion probabilities.

    Returns
    -------
    auc : float
        Weighted mean of the placement values of the present cases.
    placement : ndarray of float64, shape (n_cases,)
        Placement value of each case.

    Notes
    -----
    Unweighted counts are exact: no rounding occurs before the final division.

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595

    Examples
    --------
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
    wins = np.where(present, absent_below, n_present - present_below)
    total = np.where(present, n_absent, n_present)
    placement = np.empty(y.size)
    placement[order] = wins / total
    if weights is None:
        return float(wins[present].sum() / (n_absent * n_present)), placement
    present_weights = weights[y]
    return float((present_weights * placement[y]).sum() / present_weights.sum()), placement


def _midway(ranked: Floats, cumulative: Floats) -> Floats:
    """Cumulative counts with every member of a group of ties at the middle of its group."""
    start = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    size = np.diff(start, append=ranked.size)
    last = cumulative[start + size - 1]
    previous = np.concatenate(([0.0], last[:-1]))
    return np.repeat((previous + last) / 2, size)


def centred(y: Bools, auc: float, placement: Floats, weights: Floats | None = None) -> Floats:
    """Influence values (n_cases,): w (placement - AUC) / (total weight of the class). They sum to 0 in each class."""
    if weights is None:
        n_present = int(np.count_nonzero(y))
        influence: Floats = (placement - auc) / np.where(y, float(n_present), float(y.size - n_present))
        return influence
    total_present = weights[y].sum()
    influence = weights * (placement - auc) / np.where(y, total_present, weights.sum() - total_present)
    return influence


def by_cluster(values: Floats, y: Bools, groups: ClassGroups) -> tuple[Floats, Floats]:
    """Sum the influence values of present and of absent cases by patient: two arrays (k, n_clusters)."""
    if groups.cluster is None:
        return np.where(y, values, 0.0), np.where(y, 0.0, values)
    size = groups.n_clusters
    present = [np.bincount(groups.cluster[y], row[y], minlength=size) for row in values]
    absent = [np.bincount(groups.cluster[~y], row[~y], minlength=size) for row in values]
    return np.array(present), np.array(absent)


def factors(y: Bools, groups: ClassGroups) -> tuple[float, float, float, codes.Text]:
    """Small-sample factors of Obuchowski (1997) for present, absent and both classes, and a note if one is undefined.

    The factors are I10/(I10-1), I01/(I01-1) and I/(I-1), where I10 is the number of patients with a present case, I01
    the number with an absent case and I the number of patients. With one case per patient the first two are the factors
    m/(m-1) and n/(n-1) of DeLong et al. (1988).
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
    """Covariance matrix (k, k) of k estimates from their influence values (k, n_cases), for independent patients.

    Without strata this is the estimator of Obuchowski (1997), which equals that of DeLong et al. (1988) if every case
    is its own patient. With strata it is the linearised estimator of survey sampling: n_h/(n_h-1) times the centred sum
    of squares over the patients of stratum h.
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
    """Linearised covariance matrix for patients sampled within strata."""
    present, absent = by_cluster(values, y, groups)
    totals = present + absent
    stratum = stratum_of_cluster(groups)
    size = np.bincount(stratum, minlength=groups.n_strata)
    share_undrawn = np.ones(groups.n_strata) if groups.undrawn is None else groups.undrawn
    alone = (size == 1) & (share_undrawn > 0)
    if alone.any():
        note = codes.note("single_patient_strata", n=int(alone.sum()))
        return AucVariance(np.full((len(values), len(values)), nan), note)
    mean = np.array([np.bincount(stratum, row, minlength=groups.n_strata) for row in totals]) / size
    deviation = totals - mean[:, stratum]
    return AucVariance((deviation * (share_undrawn * size / np.maximum(size - 1, 1))[stratum]) @ deviation.T)


def stratum_of_cluster(groups: ClassGroups) -> Codes:
    """Sampling stratum of every patient.

    Parameters
    ----------
    groups : ClassGroups
        Grouping of the cases with sampling strata.

    Returns
    -------
    ndarray of intp, shape (n_clusters,)
        Stratum code of each patient.

    Raises
    ------
    InputError
        If a patient is in several strata.

    Notes
    -----
    Without patient identifiers the strata of the cases are returned.

    Examples
    --------
    >>> groups_with_strata = groups_of(3, ["a", "b", "a"], ["s", "t", "s"], where="auc")
    >>> stratum_of_cluster(groups_with_strata).tolist()
    [0, 1]
    """
    assert groups.stratum is not None
    if groups.cluster is None:
        return groups.stratum
    low = np.full(groups.n_clusters, groups.n_strata, dtype=np.intp)
    high = np.full(groups.n_clusters, -1, dtype=np.intp)
    np.minimum.at(low, groups.cluster, groups.stratum)
    np.maximum.at(high, groups.cluster, groups.stratum)
    split = int((low != high).sum())
    if split:
        raise InputError(
            "strata",
            "every patient in one stratum",
            f"{split} patients in several strata",
            do="Assign all cases of a patient to one stratum.",
        )
    return low


def satterthwaite(values: Floats, y: Bools, groups: ClassGroups) -> float:
    """Degrees of freedom of the variance of one AUC, for a t quantile; `values` has shape (n_cases,).

    The variance is a sum of independent components: patients with present cases only, with absent cases only, and with
    both. Satterthwaite's formula is df = (sum of components)^2 / sum of component^2 / (patients of the component - 1).
    Without clusters the components are S10/m and S01/n, which gives Welch's formula, df = (S10/m + S01/n)^2 /
    ((S10/m)^2/(m-1) + (S01/n)^2/(n-1)).
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
    """Reason why an AUC cannot be computed if a class is empty, or an empty string if both classes occur.

    Parameters
    ----------
    y : ndarray of bool, shape (n_cases,)
        Reference standard.

    Returns
    -------
    str
        Note for an estimate, or "".

    Notes
    -----
    An AUC is undefined without at least one present and one absent case.

    Examples
    --------
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
    """Name of the variance estimator, for the method of an estimate.

    Examples
    --------
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
