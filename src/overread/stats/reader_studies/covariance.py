"""Performance of several raters on one set of cases and its covariance, with raters as fixed effects."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, check_word, group_codes, truth_array
from overread.stats.reader_studies.pair_kernels import pair_sums
from overread.stats.result_text import described
from overread.stats.roc.delong import placements

METRICS = ("auc", "sensitivity", "specificity", "youden")
COVARIANCES = ("jackknife", "jackknife-all", "delong", "unbiased")


@dataclass(frozen=True, slots=True)
class RaterCovariance:
    """Performance of several raters and its covariance matrix.

    Attributes
    ----------
    values : ndarray of float64, shape (n_raters,)
        Performance of each rater.
    covariance : ndarray of float64, shape (n_raters, n_raters)
        Covariance matrix of the values; NaN where undefined.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `rater_covariance` returns this result.
    """

    __repr__ = described

    values: Floats  # (n_raters,)
    covariance: Floats  # (n_raters, n_raters)
    note: codes.Text = codes.NONE


def rater_covariance(
    y: ArrayLike, scores: ArrayLike, *, metric: str = "auc", method: str = "jackknife", cluster: ArrayLike | None = None
) -> RaterCovariance:
    """Performance of several raters on the same cases, and its covariance matrix.

    The estimand is the AUC, sensitivity, specificity or Youden index of each rater; raters are fixed, cases random.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    scores : array_like of float, shape (n_raters, n_cases)
        Scores of each rater, or calls 0 and 1 unless `metric` is "auc"; NaN = not read.
    metric : {"auc", "sensitivity", "specificity", "youden"}, default "auc"
        Measure of performance; all but "auc" require binary calls.
    method : {"jackknife", "jackknife-all", "delong", "unbiased"}, default "jackknife"
        Covariance estimator. "jackknife" omits each of the n cases that contribute to the metric in turn and has the
        factor (n-1)/n. "jackknife-all" omits cases of both classes also where one class contributes, so that the
        covariances of a rate have the factor ((n-1)/n) (m/(m-1)) with m cases of the class. "delong" uses sample
        covariances within each class. "unbiased" is the U-statistic estimator.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. The jackknife omits whole patients, "delong" becomes the estimator of
        Obuchowski (1997), and "unbiased" is refused.

    Returns
    -------
    RaterCovariance
        Values and covariance matrix; the covariance of raters without a common case is 0.

    Raises
    ------
    InputError
        If an array has another shape, a score is infinite, or a call is not 0 or 1.

    Notes
    -----
    Patients are assumed to be independent. Checked against MRMCaov 0.3.0 and RJafroc 2.1.3.

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958
    * Gallas BD (2006). One-shot estimate of MRMC variance: AUC. Academic Radiology 13:353-362.
      doi:10.1016/j.acra.2005.11.030

    Examples
    --------
    >>> result = rater_covariance([1, 1, 0, 0], [[3, 2, 1, 2], [4, 1, 2, 0]], method="delong")
    >>> result.values.tolist(), result.covariance.round(4).tolist()
    ([0.875, 0.75], [[0.0313, 0.0], [0.0, 0.125]])
    """
    where = "rater_covariance"
    check_word(metric, METRICS, where=where, name="metric")
    check_word(method, COVARIANCES, where=where, name="method")
    truth = truth_array(y, where=where)
    score_matrix = read_array(scores, truth.size, metric=metric, where=where, dimensions=2)
    codes = None if cluster is None else group_codes(cluster, truth.size, where=where)[0]
    return covariance_of(truth, score_matrix, metric, method, codes)


def read_array(scores: ArrayLike, n_cases: int, *, metric: str, where: str, dimensions: int) -> Floats:
    """Validated scores (..., n_cases) as float64, NaN = not read."""
    shape = {1: "(n_cases,)", 2: "(n_readers, n_cases)", 3: "(n_arms, n_readers, n_cases)"}[dimensions]
    try:
        value = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: scores", "numbers, NaN = not read", str(error)) from error
    if value.ndim != dimensions or value.shape[-1] != n_cases or not value.size:
        raise InputError(f"{where}: scores", f"an array {shape} with {n_cases} cases", f"shape {value.shape}")
    read = value[~np.isnan(value)]
    if not read.size:
        raise InputError(f"{where}: scores", "at least one read", "NaN only")
    wrong = read[np.isinf(read)] if metric == "auc" else read[(read != 0) & (read != 1)]
    if wrong.size:
        expected = "finite scores, NaN = not read" if metric == "auc" else f"calls 0 or 1 for {metric}, NaN = not read"
        do = "" if metric == "auc" else "Convert scores to calls at a prespecified threshold first."
        raise InputError(f"{where}: scores", expected, f"{wrong.size} other values", examples=wrong[:6].tolist(), do=do)
    return value


def covariance_of(y: Bools, scores: Floats, metric: str, method: str, cluster: Codes | None) -> RaterCovariance:
    """Compute `rater_covariance` from validated arrays; `cluster` holds a patient code for each case."""
    values, influence, counts = influences(y, scores, metric)
    used = [mask for mask, which in ((y, 0), (~y, 1)) if counts[which] is not None]
    least_read = [int(count.min()) for count in counts if count is not None]
    undefined_matrix = np.full((len(values), len(values)), nan)
    if min(least_read) == 0:
        return RaterCovariance(values, undefined_matrix, codes.note("rater_without_class"))
    if min(least_read) == 1:
        return RaterCovariance(values, undefined_matrix, codes.note("rater_single_case"))
    if method == "unbiased":
        if cluster is not None:
            raise InputError("cluster", "covariance jackknife, delong or u-statistic with patients", '"unbiased"')
        covariance = _unbiased(y, scores, metric)
    elif method == "delong":
        covariance = _delong(influence, scores, used, cluster)
    else:
        entering = np.logical_or.reduce(used) if method == "jackknife" else np.ones(y.size, dtype=np.bool_)
        if cluster is None:
            covariance = _jackknife(influence, scores, used, entering)
        else:
            covariance = _jackknife_patients(y, scores, metric, entering, cluster)
    undefined = bool(np.isnan(covariance).any())
    return RaterCovariance(values, covariance, codes.note("class_of_one_patient") if undefined else codes.NONE)


Counts = tuple[Floats | None, Floats | None]


def influences(y: Bools, scores: Floats, metric: str) -> tuple[Floats, Floats, Counts]:
    """Values (k,), influence values (k, n_cases), 0 where not read, and number of cases read (k,) of each class."""
    read = ~np.isnan(scores)
    n_present, n_absent = (read & y).sum(axis=1).astype(np.float64), (read & ~y).sum(axis=1).astype(np.float64)
    if metric == "auc":
        values, influence = np.full(len(scores), nan), np.zeros(scores.shape)
        for row, (score, seen) in enumerate(zip(scores, read, strict=True)):
            if n_present[row] and n_absent[row]:
                values[row], placement = placements(y[seen], score[seen])
                influence[row, seen] = (placement - values[row]) / np.where(y[seen], n_present[row], n_absent[row])
        return values, influence, (n_present, n_absent)
    values, influence = np.zeros(len(scores)), np.zeros(scores.shape)
    for name, mask, count in (("sensitivity", y, n_present), ("specificity", ~y, n_absent)):
        if metric in (name, "youden"):
            right = np.where(read & mask, scores if name == "sensitivity" else 1 - scores, 0.0)
            rate = np.divide(right.sum(axis=1), count, out=np.full(len(scores), nan), where=count > 0)
            values = values + rate
            share = (right - rate[:, None]) / np.maximum(count, 1)[:, None]
            influence = np.where(read & mask & (count > 0)[:, None], share, influence)
    if metric == "youden":
        return values - 1, influence, (n_present, n_absent)
    return values, influence, (n_present, None) if metric == "sensitivity" else (None, n_absent)


def _delong(influence: Floats, scores: Floats, used: list[Bools], cluster: Codes | None) -> Floats:
    """Sample covariances within each class; with patients, the estimator of Obuchowski (1997)."""
    if cluster is None:
        count = [(~np.isnan(scores[:, mask])).sum(axis=1, keepdims=True) for mask in used]
        parts = [influence[:, mask] * np.sqrt(n / (n - 1)) for mask, n in zip(used, count, strict=True)]
        return np.asarray(sum(part @ part.T for part in parts))
    sums = [_by_patient(influence[:, mask], cluster[mask], int(cluster.max()) + 1) for mask in used]
    units = [np.unique(cluster[mask]).size for mask in used]
    factor = [u / (u - 1) if u > 1 else nan for u in units]
    total = sum(f * (s @ s.T) for f, s in zip(factor, sums, strict=True))
    if len(used) == 2:
        both = np.unique(cluster).size
        cross = (both / (both - 1) if both > 1 else nan) * (sums[0] @ sums[1].T)
        total = total + cross + cross.T
    return np.asarray(total)


def _by_patient(values: Floats, cluster: Codes, size: int) -> Floats:
    """Sum the values of each row by patient."""
    return np.stack([np.bincount(cluster, row, minlength=size) for row in values])


def _jackknife(influence: Floats, scores: Floats, used: list[Bools], entering: Bools) -> Floats:
    """Jackknife covariance: omitting a case changes the value by -influence m/(m-1), with m cases of its class read."""
    deviation = np.zeros(influence.shape)
    for mask in used:
        count = (~np.isnan(scores[:, mask])).sum(axis=1, keepdims=True)
        deviation[:, mask] = influence[:, mask] * (count / (count - 1))
    n_cases = int((~np.isnan(scores[:, entering])).any(axis=0).sum())
    return (n_cases - 1) / n_cases * (deviation @ deviation.T)


def _jackknife_patients(y: Bools, scores: Floats, metric: str, entering: Bools, cluster: Codes) -> Floats:
    """Jackknife covariance that omits whole patients."""
    values, influence, _ = influences(y, scores, metric)
    read = ~np.isnan(scores)
    size = int(cluster.max()) + 1

    def per_patient(mask: Bools) -> tuple[Floats, Floats]:
        count = _by_patient((read & mask).astype(np.float64), cluster, size)
        return count, count.sum(axis=1, keepdims=True)

    (present, n_present), (absent, n_absent) = per_patient(y), per_patient(~y)
    moved = [_by_patient(np.where(mask, influence, 0.0), cluster, size) for mask in (y, ~y)]
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN if one patient has every case of a class
        if metric == "auc":
            # Inclusion-exclusion: all pairs, minus pairs with a present or an absent case of the patient, plus both.
            auc, pairs = values[:, None], n_present * n_absent
            lost = (moved[0] * n_present + present * auc) * n_absent + (moved[1] * n_absent + absent * auc) * n_present
            left = auc * pairs - lost + _within_patient(y, scores, cluster, size)
            without = left / ((n_present - present) * (n_absent - absent))
        else:
            without = np.broadcast_to(values[:, None], present.shape).copy()
            if metric != "specificity":
                without -= moved[0] * n_present / (n_present - present)
            if metric != "sensitivity":
                without -= moved[1] * n_absent / (n_absent - absent)
    without = without[:, np.bincount(cluster[read.any(axis=0) & entering], minlength=size) > 0]
    without = np.where(np.isfinite(without), without, nan)
    deviation = without - without.mean(axis=1, keepdims=True)
    units = without.shape[1]
    return np.asarray((units - 1) / units * (deviation @ deviation.T))


def _within_patient(y: Bools, scores: Floats, cluster: Codes, size: int) -> Floats:
    """Sum of wins over the pairs of cases within each patient, (k, n_patients); unread cases contribute 0."""
    total = np.zeros((len(scores), size))
    mixed = np.intersect1d(cluster[y], cluster[~y])
    for patient in mixed:
        present, absent = (np.flatnonzero((cluster == patient) & mask) for mask in (y, ~y))
        a, b = scores[:, present, None], scores[:, None, absent]
        total[:, patient] = ((a > b) + 0.5 * (a == b)).sum(axis=(1, 2))
    return total


def _unbiased(y: Bools, scores: Floats, metric: str) -> Floats:
    """Unbiased covariance: U_a U_b minus the mean product over pairs (for a rate: cases) without a common case."""
    read = (~np.isnan(scores)).astype(np.float64)
    present, absent = read[:, y], read[:, ~y]
    if metric == "auc":
        sums = pair_sums(scores[:, y], scores[:, ~y])
        rows, columns = sums.rows, sums.columns
        n_present, n_absent = present.sum(axis=1), absent.sum(axis=1)
        both_present, both_absent = present @ present.T, absent @ absent.T
        total, count = rows.sum(axis=1), n_present * n_absent
        apart = np.outer(total, total) - rows @ rows.T - columns @ columns.T + sums.products
        counts = np.outer(count, count) - both_present * np.outer(n_absent, n_absent)
        counts += both_absent * (both_present - np.outer(n_present, n_present))
        return np.outer(total / count, total / count) - _ratio(apart, counts)
    result = np.zeros((len(scores), len(scores)))
    for name, mask, seen in (("sensitivity", y, present), ("specificity", ~y, absent)):
        if metric in (name, "youden"):
            right = np.where(seen > 0, scores[:, mask] if name == "sensitivity" else 1 - scores[:, mask], 0.0)
            total, count = right.sum(axis=1), seen.sum(axis=1)
            apart, counts = np.outer(total, total) - right @ right.T, np.outer(count, count) - seen @ seen.T
            result += np.outer(total / count, total / count) - _ratio(apart, counts)
    return result


def _ratio(a: Floats, b: Floats) -> Floats:
    """Elementwise a / b, NaN where b is 0."""
    ratio: Floats = np.divide(a, b, out=np.full(a.shape, nan), where=b > 0)
    return ratio
