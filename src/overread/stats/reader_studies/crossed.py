"""Analysis of fully crossed reader studies by the method of Obuchowski and Rockette."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from overread import codes
from overread.stats.arrays import Bools, Codes, Floats
from overread.stats.estimate import Estimate
from overread.stats.reader_studies.covariance import covariance_of
from overread.stats.reader_studies.obuchowski_rockette import (
    Components,
    DifferenceSpread,
    arm_spread,
    components_of,
    difference_spread,
    reader_variance,
)
from overread.stats.reader_studies.study_results import (
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


def crossed_study(truth: Bools, scores: Floats, cluster: Codes | None, asked: Asked, unread: codes.Text) -> ReaderStudy:
    """Obuchowski-Rockette analysis of a reader study with a validated design.

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

    Returns
    -------
    ReaderStudy
        Result of the study.

    Notes
    -----
    `compare_arms` validates its input and calls this function.

    References
    ----------
    * Obuchowski NA, Rockette HE (1995). Hypothesis testing of diagnostic accuracy for multiple readers and multiple
      tests: an ANOVA approach with dependent observations. Communications in Statistics - Simulation and Computation
      24:285-308. doi:10.1080/03610919508813243
    * Hillis SL (2007). A comparison of denominator degrees of freedom methods for multiple observer ROC analysis.
      Statistics in Medicine 26:596-619. doi:10.1002/sim.2532

    Examples
    --------
    >>> from overread.stats.reader_studies.study_results import Asked
    >>> asked = Asked("auc", "jackknife", "random", "random", None, "difference", 0.95)
    >>> scores = np.array([[[5.0, 3, 1, 2], [4, 5, 1, 1]], [[4.0, 2, 3, 1], [3, 4, 2, 1]]])
    >>> study = crossed_study(np.array([True, True, False, False]), scores, None, asked, codes.NONE)
    >>> study.difference.value
    0.125
    """
    n_arms, n_readers, n_cases = scores.shape
    rater_values = covariance_of(truth, scores.reshape(-1, n_cases), asked.metric, asked.covariance, cluster)
    values = rater_values.values.reshape(n_arms, n_readers)
    rates = {"sensitivity": int(truth.sum()), "specificity": int((~truth).sum())}
    parts = components_of(values, rater_values.covariance, rates.get(asked.metric, int(n_cases)))
    one_reader = codes.note("one_reader") if n_readers == 1 and asked.readers == "random" else None
    note = codes.notes(class_note(truth, asked.metric) or rater_values.note, one_reader, parts.negative, unread)
    method = codes.methods(
        codes.method("obuchowski_rockette", readers=asked.readers, cases=asked.cases),
        codes.method("rater_covariance", kind=asked.covariance),
        codes.method("clustered_by_patient") if cluster is not None else None,
    )
    arms, pairs, spread = _estimates(values.mean(axis=1), n_readers, parts, asked, (method, note))
    df = (float(n_arms - 1), (n_arms - 1.0) * (n_readers - 1) if asked.cases == "fixed" else spread.df)
    f, p = equality(parts.ms_arm, n_readers / 2 * spread.variance, df)
    variances = np.einsum("ijij->ij", parts.covariance)
    per_reader = tuple(
        reader_result(values[:, j], variances[:, j], dict.fromkeys(pairs, reader_variance(parts, j)), asked)
        for j in range(n_readers)
    )
    return ReaderStudy(arms, only_pair(pairs, n_arms), pairs, f, df, p, parts, per_reader, method, note)


def _estimates(
    means: Floats, n_readers: int, parts: Components, asked: Asked, words: tuple[codes.Text, codes.Text]
) -> tuple[tuple[Estimate, ...], dict[tuple[int, int], Estimate], DifferenceSpread]:
    """Estimates of the arms and of their differences, and the variance that all differences share."""
    method, note = words
    arms, pairs = [], {}

    def raw(value: float, spread: DifferenceSpread, scaled: codes.Text) -> Estimate:
        se, why = root(spread.variance)
        return Estimate(float(value), se=se, method=codes.methods(method, scaled), note=codes.notes(note, why))

    for arm, mean in enumerate(means):
        spread = arm_spread(parts, arm, n_readers, readers=asked.readers, cases=asked.cases)
        arms.append(mean_estimate(raw(mean, spread, arm_scale(spread.df, asked)), spread.df, asked))
    spread = difference_spread(parts, len(means), n_readers, readers=asked.readers, cases=asked.cases)
    for a, b in combinations(range(len(means)), 2):
        pairs[a, b] = pair_estimate(raw(means[a] - means[b], spread, scale(spread.df)), spread.df, asked)
    return tuple(arms), pairs, spread


def _design(asked: Asked) -> str:
    """Description of the random and fixed effects."""
    if asked.cases.startswith("within"):
        return f"{asked.readers} readers, cases {asked.cases}"
    return f"{asked.readers} readers, {asked.cases} cases"
