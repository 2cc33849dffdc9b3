"""Multireader multicase studies: comparison of arms and of a model with readers."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import (
    Bools,
    Codes,
    Floats,
    check_confidence,
    check_word,
    group_codes,
    truth_array,
    weight_array,
)
from overread.stats.margins import check_test
from overread.stats.reader_studies.covariance import METRICS, read_array
from overread.stats.reader_studies.crossed import crossed_study
from overread.stats.reader_studies.study_results import Asked, ReaderStudy, check_design, named_study
from overread.stats.reader_studies.unbalanced import unbalanced_study

U_STATISTICS = ("u-statistic", "u-centred", "v-statistic")
COVARIANCE = ("jackknife", "jackknife-all", "delong", "unbiased", *U_STATISTICS)
INTERVALS = ("wald", "logit")
CASES = ("random", "fixed", "within readers", "within arms")


def compare_arms(
    y: ArrayLike,
    scores: ArrayLike,
    *,
    metric: str = "auc",
    covariance: str = "jackknife",
    readers: str = "random",
    cases: str = "random",
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    margin: float | None = None,
    test: str | None = None,
    interval: str = "wald",
    confidence: float = 0.95,
) -> ReaderStudy:
    """Mean performance of the readers in each arm of a reader study, and differences between arms.

    The estimand is the mean over readers of the AUC (or sensitivity, specificity, Youden index) in each arm, for the
    population of readers and cases or for those of the study. With U-statistics and readers of unequal numbers of reads
    it is that of the pooled readers, in which a reader with more reads counts more; a note says so.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    scores : array_like of float, shape (n_arms, n_readers, n_cases)
        Scores of the readers, or calls 0 and 1 unless `metric` is "auc"; NaN = not read.
    metric : {"auc", "sensitivity", "specificity", "youden"}, default "auc"
        Measure of performance; all but "auc" require binary calls.
    covariance : str, default "jackknife"
        "jackknife", "jackknife-all", "delong" and "unbiased" give the Obuchowski-Rockette analysis of a fully crossed
        design (see `rater_covariance`). The others allow missing, split or unbalanced reads; each read (for the AUC,
        each pair of reads of one reader) has weight 1. "u-statistic" is unbiased, as in iMRMC, but may be negative and
        then gives NaN; "u-centred" applies it to deviations from the value of the arm, which is equal in a crossed
        study and more stable if the arms have different reads; "v-statistic" is biased upwards (the MLE of iMRMC).
    readers : {"random", "fixed"}, default "random"
        Whether conclusions refer to the population of readers or to these readers.
    cases : {"random", "fixed", "within readers", "within arms"}, default "random"
        Whether conclusions refer to the population of cases or to these cases. In the split-plot designs, in which
        cases are random, each reader or each arm has its own cases.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case, the unit of independence. Refused with `covariance` "unbiased".
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities of the cases, above 0. Accepted only with `covariance` "u-centred".
    margin : float, optional
        Non-inferiority or equivalence margin, above 0, in the unit of the difference.
    test : {"difference", "non-inferiority", "equivalence"}, optional
        Hypothesis test of the differences, as in `overread.stats.roc.compare_aucs`. The F test of the study is always
        that of equal arms.
    interval : {"wald", "logit"}, default "wald"
        Scale of the intervals of arms (of the mean of the readers and of each reader): that of the metric, as in the
        published programs, or the logit scale, which never leaves the range of the metric. Differences always have the
        former.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ReaderStudy
        Estimates of the arms (Wald intervals are not clipped; p of AUC = 0.5) and differences, F test of equal arms,
        variance components and results by reader. What cannot be computed is NaN with a note.

    Raises
    ------
    InputError
        If the reads do not have the design of the analysis, a call is not 0 or 1, a score is infinite, or an array has
        another shape.

    Notes
    -----
    Random readers and cases: F test with the degrees of freedom of Hillis (2007). Fixed readers: chi-square test. Fixed
    cases: variance between readers. U-statistics: t with BDG degrees of freedom, rounded down, normal above 50, as in
    iMRMC. With weights, each kernel has the product of the weights of its cases, and the variance is that of the
    linearised ratio. Negative variance components are reported in the note; the test uses max(cov2 - cov3, 0). Patients
    and readers are assumed to be independent. Checked against MRMCaov 0.3.0, RJafroc 2.1.3 and iMRMC 2.1.0, and by
    simulated coverage.

    References
    ----------
    * Obuchowski NA, Rockette HE (1995). Hypothesis testing of diagnostic accuracy for multiple readers and multiple
      tests: an ANOVA approach with dependent observations. Communications in Statistics - Simulation and Computation
      24:285-308. doi:10.1080/03610919508813243
    * Hillis SL (2007). A comparison of denominator degrees of freedom methods for multiple observer ROC analysis.
      Statistics in Medicine 26:596-619. doi:10.1002/sim.2532
    * Hillis SL (2014). A marginal-mean ANOVA approach for analyzing multireader multicase radiological imaging data.
      Statistics in Medicine 33:330-360. doi:10.1002/sim.5926
    * Gallas BD (2006). One-shot estimate of MRMC variance: AUC. Academic Radiology 13:353-362.
      doi:10.1016/j.acra.2005.11.030
    * Gallas BD et al. (2009). A framework for random-effects ROC analysis: biases with the bootstrap and other variance
      estimators. Communications in Statistics - Theory and Methods 38:2586-2603. doi:10.1080/03610920802610084

    Examples
    --------
    >>> y = [1, 1, 1, 0, 0, 0]
    >>> aided, unaided = [[5, 4, 3, 1, 2, 3], [4, 5, 2, 1, 1, 3]], [[4, 2, 3, 2, 1, 3], [3, 4, 2, 2, 1, 4]]
    >>> result = compare_arms(y, [aided, unaided])
    >>> round(result.difference.value, 4), round(result.difference.se, 4), result.df[0]
    (0.1944, 0.1111, 1.0)
    """
    where = "compare_arms"
    check_word(interval, INTERVALS, where=where, name="interval")
    asked = replace(_ask(metric, covariance, readers, cases, margin, test, confidence, where), interval=interval)
    truth = truth_array(y, where=where)
    score_array = read_array(scores, truth.size, metric=metric, where=where, dimensions=3)
    codes = None if cluster is None else group_codes(cluster, truth.size, where=where)[0]
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    if weight is not None and covariance != "u-centred":
        expected, do = 'covariance "u-centred" with weights', 'Set covariance="u-centred".'
        raise InputError(f"{where}: covariance", expected, repr(covariance), do=do)
    return named_study(_study(truth, score_array, codes, asked, where, weight), asked)


def model_against_readers(
    y: ArrayLike,
    model_score: ArrayLike,
    reader_scores: ArrayLike,
    *,
    metric: str = "auc",
    covariance: str = "jackknife",
    readers: str = "random",
    cases: str = "random",
    cluster: ArrayLike | None = None,
    margin: float = 0.0,
    test: str | None = None,
    confidence: float = 0.95,
) -> ReaderStudy:
    """Performance of a model minus that of the mean of the readers on the same cases.

    The estimand is the difference in AUC (or sensitivity, specificity, Youden index) between the model and the mean of
    the population of readers.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    model_score : array_like of float, shape (n_cases,)
        Scores of the model, or calls 0 and 1 at a prespecified threshold unless `metric` is "auc". NaN only where no
        reader read the case.
    reader_scores : array_like of float, shape (n_readers, n_cases)
        Scores or calls of the readers; NaN = not read.
    metric : {"auc", "sensitivity", "specificity", "youden"}, default "auc"
        Measure of performance; all but "auc" require binary calls.
    covariance : str, default "jackknife"
        As for `compare_arms`. With "u-statistic" each read has weight 1, and a case of the model has as much weight as
        it has reads, so that both values are means over the same reads.
    readers : {"random", "fixed"}, default "random"
        Whether conclusions refer to the population of readers or to these readers.
    cases : {"random", "fixed"}, default "random"
        Whether conclusions refer to the population of cases or to these cases.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case, the unit of independence.
    margin : float, default 0.0
        0 gives a two-sided test of a difference; above 0, the margin of the non-inferiority or equivalence test.
    test : {"difference", "non-inferiority", "equivalence"}, optional
        As for `compare_arms`.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    ReaderStudy
        Arm 0 is the model on the cases that were read, arm 1 the mean of the readers; `difference` is model - readers.

    Raises
    ------
    InputError
        As for `compare_arms`, and if a case was read but not scored by the model.

    Notes
    -----
    The model replaces each reader in an arm without variance between readers. The analysis is therefore exactly the
    single-treatment analysis of the differences model - reader (Hillis 2007, section 5.3). With `cluster`,
    "u-statistic" uses pairs of different readers and different patients, which is unbiased if readers and patients are
    independent. Checked against RJafroc 2.1.3 (`StCadVsRad`) and by simulated coverage of unbalanced
    reads with several images per patient.

    References
    ----------
    * Hillis SL (2007). A comparison of denominator degrees of freedom methods for multiple observer ROC analysis.
      Statistics in Medicine 26:596-619. doi:10.1002/sim.2532
    * Gallas BD et al. (2009). A framework for random-effects ROC analysis: biases with the bootstrap and other variance
      estimators. Communications in Statistics - Theory and Methods 38:2586-2603. doi:10.1080/03610920802610084

    Examples
    --------
    >>> calls = [[1, 0, 1, 0, np.nan, 0], [1, 1, np.nan, 0, 1, 0]]
    >>> study = model_against_readers([1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 1], calls, metric="sensitivity",
    ...                               covariance="u-statistic")
    >>> round(study.arms[0].value, 2), round(study.arms[1].value, 2), round(study.difference.value, 2)
    (0.8, 0.8, 0.0)
    """
    where = "model_against_readers"
    asked = _ask(metric, covariance, readers, cases, margin or None, test, confidence, where)
    if cases.startswith("within"):
        raise InputError(
            f"{where}: cases", "random or fixed, because the model and each reader have the same cases", repr(cases)
        )
    truth = truth_array(y, where=where)
    reads = read_array(reader_scores, truth.size, metric=metric, where=where, dimensions=2)
    model = read_array(model_score, truth.size, metric=metric, where=f"{where}: model", dimensions=1)
    unscored = np.flatnonzero(np.isnan(model) & ~np.isnan(reads).all(axis=0))
    if unscored.size:
        shown = [f"case {i}" for i in unscored[:6]]
        do = "Exclude the case for model and readers, and report the number."
        raise InputError(f"{where}: model_score", "a score of every case that was read", "NaN", examples=shown, do=do)
    if metric == "auc" and kinds(reads) <= 2 < kinds(model):
        do = 'Compare rates at a threshold of the model: metric="sensitivity" or "specificity".'
        raise InputError(
            f"{where}: reader_scores",
            "graded scores of readers beside a graded model",
            "two values only",
            do=f"A binary call has one operating point and no AUC. {do}",
        )
    model_reads = np.where(np.isnan(reads), nan, model)
    codes = None if cluster is None else group_codes(cluster, truth.size, where=where)[0]
    study = _study(truth, np.stack((model_reads, reads)), codes, asked, where)
    return named_study(study, asked, model=True)


def kinds(scores: Floats) -> int:
    """Number of distinct values, without NaN.

    Examples
    --------
    >>> kinds(np.array([0.0, 1.0, np.nan, 1.0]))
    2
    """
    return int(np.unique(scores[~np.isnan(scores)]).size)


def _ask(
    metric: str,
    covariance: str,
    readers: str,
    cases: str,
    margin: float | None,
    test: str | None,
    confidence: float,
    where: str,
) -> Asked:
    """Validated options of the analysis."""
    check_word(metric, METRICS, where=where, name="metric")
    check_word(covariance, COVARIANCE, where=where, name="covariance")
    check_word(readers, ("random", "fixed"), where=where, name="readers")
    check_word(cases, CASES, where=where, name="cases")
    check_confidence(confidence, where=where)
    if readers == cases == "fixed":
        raise InputError(
            where, "random readers or random cases", "both fixed", do="With both fixed there is no uncertainty."
        )
    if covariance in U_STATISTICS and (readers, cases) != ("random", "random"):
        raise InputError(
            f"{where}: covariance", "random readers and random cases for U-statistics", f"{readers}, {cases}"
        )
    return Asked(metric, covariance, readers, cases, margin, check_test(margin, test, where=where), confidence)


def _study(
    truth: Bools,
    scores: Floats,
    cluster: Codes | None,
    asked: Asked,
    where: str,
    weights: Floats | None = None,
) -> ReaderStudy:
    """Drop the cases that no reader read and run the analysis that `covariance` names."""
    read = ~np.isnan(scores).all(axis=(0, 1))
    unread = codes.note("unread_cases", n=int((~read).sum())) if not read.all() else codes.NONE
    truth, scores = truth[read], scores[..., read]
    cluster = None if cluster is None else np.unique(cluster[read], return_inverse=True)[1].reshape(-1)
    if asked.covariance in U_STATISTICS:
        weights = None if weights is None else weights[read]
        return unbalanced_study(truth, scores, cluster, asked, unread, weights=weights)
    check_design(~np.isnan(scores), asked.cases, where=where)
    return crossed_study(truth, scores, cluster, asked, unread)
