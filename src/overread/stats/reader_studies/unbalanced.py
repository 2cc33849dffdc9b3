"""Reader studies with missing, split or unbalanced reads: U-statistics, from the scores to the study."""

from __future__ import annotations

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
    truth: Bools, scores: Floats, cluster: Codes | None, asked: Asked, unread: codes.Text
) -> ReaderStudy:
    """Truth (n_cases,), scores (n_arms, n_readers, n_cases), NaN = not read."""
    n_arms, n_readers, _ = scores.shape
    found = moments_of(truth, scores, asked.metric, cluster, centred=asked.covariance == "u-centred")
    idle = int(np.isnan(found.reader_values).any(axis=0).sum())
    lacking = codes.note("idle_readers", n=idle, readers=n_readers) if idle else None
    note = codes.notes(class_note(truth, asked.metric) or found.note, lacking, unread)
    method = codes.methods(
        _statistics(asked.covariance),
        codes.method("reads_pooled"),
        codes.method("clustered_by_patient") if cluster is not None else None,
    )
    values, identity = arm_values(found, n_arms, asked.metric), np.eye(n_arms)
    arms, pairs, df = [], {}, (float(n_arms - 1), nan)
    for weights in identity:
        raw, at = _weighted(values, weights, found, asked, (method, note))
        arms.append(mean_estimate(raw, rounded(at), metric=asked.metric, confidence=asked.confidence))
    for a, b in combinations(range(n_arms), 2):
        raw, at = _weighted(values, identity[a] - identity[b], found, asked, (method, note))
        pairs[a, b] = pair_estimate(raw, rounded(at), asked)
        df = (df[0], at if n_arms == 2 else nan)
    f, p = nan, nan
    if n_arms == 2:
        f, p = equality(pairs[0, 1].value ** 2, pairs[0, 1].se ** 2, (1.0, rounded(df[1])))
    elif n_arms > 2:
        note = codes.notes(note, codes.note("no_joint_test"))
    own = found.reader_covariance
    differences = [{(a, b): float(v[a, a] + v[b, b] - 2 * v[a, b]) for a, b in pairs} for v in np.moveaxis(own, 2, 0)]
    per_reader = tuple(
        reader_result(found.reader_values[:, j], np.diag(own[..., j]), differences[j], asked) for j in range(n_readers)
    )
    return ReaderStudy(tuple(arms), only_pair(pairs, n_arms), pairs, f, df, p, found, per_reader, method, note)


def _weighted(
    values: Floats, weights: Floats, found: Moments, asked: Asked, words: tuple[codes.Text, codes.Text]
) -> tuple[Estimate, float]:
    """A weighted sum of arms without its interval, and its degrees of freedom."""
    covariance = found.covariance_biased if asked.covariance == "v-statistic" else found.covariance
    variance = float(weights @ covariance @ weights)
    variance = 0.0 if abs(variance) < ROUNDING else variance
    df = degrees_of_freedom(found, weights, variance)
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
    """Of BDG degrees of freedom, those of the quantile: rounded down, normal above 50, as iMRMC has it.

    A whole number that arithmetic left a rounding short of itself stays itself.

    >>> rounded(12.8), rounded(50.1), rounded(2 - 1e-12)
    (12.0, inf, 2.0)
    """
    return df if isnan(df) else inf if df > 50 else float(floor(df * (1 + 1e-9)))
