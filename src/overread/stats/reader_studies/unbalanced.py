"""Analysis of reader studies with missing, split or unbalanced reads by U-statistics."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import floor, inf, isnan, nan

import numpy as np

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats
from overread.stats.estimate import Estimate
from overread.stats.reader_studies.study_results import (
    ROUNDING,
    Asked,
    ReaderStudy,
    arm_scale,
    class_note,
    equality,
    mean_estimate,
    only_pair,
    pair_estimate,
    reader_result,
    root,
    scale,
)
from overread.stats.reader_studies.u_statistics import Moments, arm_values, degrees_of_freedom, moments_of


def unbalanced_study(
    truth: Bools,
    scores: Floats,
    cluster: Codes | None,
    asked: Asked,
    unread: codes.Text,
    *,
    weights: Floats | None = None,
) -> ReaderStudy:
    """U-statistic analysis of a reader study of any design.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_cases,)
        Reference standard.
    scores : ndarray of float64, shape (n_arms, n_readers, n_cases)
        Scores or calls; NaN = not read.
    cluster : ndarray of intp, shape (n_cases,), or None
        Patient code of each case.
    asked : Asked
        Options of the analysis.
    unread : str
        Note on cases that no reader read, or "".
    weights : ndarray of float64, shape (n_cases,), optional
        Inverse inclusion probabilities of the cases.

    Returns
    -------
    ReaderStudy
        Result of the study.

    Notes
    -----
    `compare_arms` validates its input and calls this function.

    References
    ----------
    * Gallas BD (2006). One-shot estimate of MRMC variance: AUC. Academic Radiology 13:353-362.
      doi:10.1016/j.acra.2005.11.030
    * Gallas BD et al. (2009). A framework for random-effects ROC analysis: biases with the bootstrap and other variance
      estimators. Communications in Statistics - Theory and Methods 38:2586-2603. doi:10.1080/03610920802610084

    Examples
    --------
    >>> from overread.stats.reader_studies.study_results import Asked
    >>> asked = Asked("sensitivity", "u-statistic", "random", "random", None, "difference", 0.95)
    >>> calls = np.array([[[1.0, 0, 1], [1, nan, 1]], [[0.0, 0, 1], [1, 1, nan]]])
    >>> study = unbalanced_study(np.array([True, True, True]), calls, None, asked, codes.NONE)
    >>> round(study.difference.value, 4)
    0.2
    """
    n_arms, n_readers, _ = scores.shape
    centred = asked.covariance == "u-centred"
    moments = moments_of(truth, scores, asked.metric, cluster, centred=centred, weights=weights)
    valued = ~np.isnan(moments.reader_values)  # (n_arms, n_readers)
    of_one_arm = n_arms > 1 and bool((valued.sum(axis=0) <= 1).all())  # every reader has an arm of his or her own
    n_idle = int((~(valued.any(axis=0) if of_one_arm else valued.all(axis=0))).sum())
    lacking = codes.note("idle_readers", n=n_idle, readers=n_readers) if n_idle else None
    pooled = codes.note("readers_pooled") if moments.pooled else None
    note = codes.notes(class_note(truth, asked.metric) or moments.note, lacking, pooled, unread)
    method = codes.methods(
        _statistics(asked.covariance),
        codes.method("reads_pooled"),
        None if weights is None else codes.method("weighted"),
        codes.method("clustered_by_patient") if cluster is not None else None,
    )
    values, identity = arm_values(moments, n_arms, asked.metric), np.eye(n_arms)
    arms, pairs, df = [], {}, (float(n_arms - 1), nan)
    for weights in identity:
        raw, arm_df = _weighted(values, weights, moments, asked, (method, note))
        scaled = codes.methods(method, arm_scale(rounded(arm_df), asked))
        arms.append(mean_estimate(replace(raw, method=scaled), rounded(arm_df), asked))
    for a, b in combinations(range(n_arms), 2):
        raw, arm_df = _weighted(values, identity[a] - identity[b], moments, asked, (method, note))
        pairs[a, b] = pair_estimate(raw, rounded(arm_df), asked)
        df = (df[0], arm_df if n_arms == 2 else nan)
    f, p = nan, nan
    if n_arms == 2:
        f, p = equality(pairs[0, 1].value ** 2, pairs[0, 1].se ** 2, (1.0, rounded(df[1])))
    elif n_arms > 2:
        note = codes.notes(note, codes.note("no_joint_test"))
    own = moments.reader_covariance
    differences = [{(a, b): float(v[a, a] + v[b, b] - 2 * v[a, b]) for a, b in pairs} for v in np.moveaxis(own, 2, 0)]
    per_reader = tuple(
        reader_result(moments.reader_values[:, j], np.diag(own[..., j]), differences[j], asked)
        for j in range(n_readers)
    )
    return ReaderStudy(tuple(arms), only_pair(pairs, n_arms), pairs, f, df, p, moments, per_reader, method, note)


def _weighted(
    values: Floats, weights: Floats, moments: Moments, asked: Asked, words: tuple[codes.Text, codes.Text]
) -> tuple[Estimate, float]:
    """Weighted sum of arms without its interval, and its degrees of freedom."""
    covariance = moments.covariance_biased if asked.covariance == "v-statistic" else moments.covariance
    variance = float(weights @ covariance @ weights)
    variance = 0.0 if abs(variance) < ROUNDING else variance
    df = degrees_of_freedom(moments, weights, variance)
    se, why = root(variance)
    if isnan(df) and not isnan(se):
        se, why = nan, codes.note("undefined_df")
    method = codes.methods(words[0], scale(rounded(df)))
    return Estimate(float(weights @ values), se=se, method=method, note=codes.notes(words[1], why)), df


def _statistics(covariance: str) -> codes.Text:
    if covariance == "u-centred":
        return codes.method("u_statistics_centred")
    return codes.method("v_statistics") if covariance == "v-statistic" else codes.method("u_statistics")


def rounded(df: float) -> float:
    """Degrees of freedom of the quantile as in iMRMC: rounded down, infinite above 50.

    Rounding error below an integer is ignored.

    Examples
    --------
    >>> rounded(12.8), rounded(50.1), rounded(2 - 1e-12)
    (12.0, inf, 2.0)
    """
    return df if isnan(df) else inf if df > 50 else float(floor(df * (1 + 1e-9)))
