"""Reader studies: arms read by several readers on several cases, and a model against readers."""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, check_confidence, check_word, group_codes, truth_array
from overread.stats.margins import check_test
from overread.stats.reader_studies.covariance import METRICS, RaterCovariance, rater_covariance, read_array
from overread.stats.reader_studies.crossed import crossed_study
from overread.stats.reader_studies.obuchowski_rockette import Components
from overread.stats.reader_studies.study_results import Asked, ReaderResult, ReaderStudy, check_design
from overread.stats.reader_studies.u_statistics import Moments
from overread.stats.reader_studies.unbalanced import unbalanced_study

__all__ = [
    "Components",
    "Moments",
    "RaterCovariance",
    "ReaderResult",
    "ReaderStudy",
    "compare_arms",
    "model_against_readers",
    "rater_covariance",
]

U_STATISTICS = ("u-statistic", "u-centred", "v-statistic")
COVARIANCE = ("jackknife", "jackknife-all", "delong", "unbiased", *U_STATISTICS)
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
    margin: float | None = None,
    test: str | None = None,
    confidence: float = 0.95,
) -> ReaderStudy:
    """The mean reader's AUC (sensitivity, specificity, Youden's index) in each arm, and the differences of the arms.

    Parameters
    ----------
    y : bool (n_cases,), the truth.
    scores : float (n_arms, n_readers, n_cases), NaN = not read; 0/1 calls unless metric is "auc".
    metric : "auc", "sensitivity", "specificity" or "youden".
    covariance : Obuchowski-Rockette for "jackknife", "jackknife-all", "delong", "unbiased" (see `rater_covariance`),
        where every reader reads every case in every arm. Gallas's analysis where reads are missing, split or
        unbalanced, each read (for the AUC each pair of one reader) weighing 1: "u-statistic", unbiased, as iMRMC,
        may come out negative, then NaN; "u-centred", the same of deviations from the arm's value: equal to it in a
        crossed study, far steadier where the arms have other reads; "v-statistic", biased upwards, iMRMC's MLE.
    readers, cases : "random", or "fixed" for a statement about these readers or these cases alone. cases="within
        readers": each reader has cases of their own; "within arms": each arm has; cases are random in both.
    cluster : (n_cases,), the patient of each case: left out as a whole by the jackknife, the unit of independence in
        the other analyses; refused with "unbiased".
    margin, test : as in `roc.compare_aucs`, for the differences; `f` and `p` of the study always test equality.

    Returns
    -------
    ReaderStudy: .arms (mean reader, interval not cut; p against 0.5 for an AUC), .difference (arm 0 - arm 1), .pairs,
    .f .df .p (all arms equal), .components (as estimated), .per_reader (each reader as fixed). A negative component is
    said in .note; the test takes max(cov2 - cov3, 0). What cannot be computed is NaN with a note.

    Raises
    ------
    InputError on reads that the analysis is not made for, calls that are not yes/no, infinite scores, wrong shapes.

    Notes
    -----
    Random readers and cases: F with Hillis's df; fixed readers: chi-square; fixed cases: the readers' own spread.
    U-statistics: t with BDG df, rounded down, normal above 50, as iMRMC. Assumes independent patients and readers.
    Obuchowski & Rockette (1995) doi:10.1080/03610919508813243; Hillis (2007) doi:10.1002/sim.2532; Hillis (2014)
    doi:10.1002/sim.5926; Gallas (2006) doi:10.1016/j.acra.2005.11.030; Gallas et al. (2009)
    doi:10.1080/03610920802610084. Checked against MRMCaov 0.3.0, RJafroc 2.1.3 and iMRMC 2.1.0; coverage by simulation.

    >>> y = [1, 1, 1, 0, 0, 0]
    >>> aided, unaided = [[5, 4, 3, 1, 2, 3], [4, 5, 2, 1, 1, 3]], [[4, 2, 3, 2, 1, 3], [3, 4, 2, 2, 1, 4]]
    >>> result = compare_arms(y, [aided, unaided])
    >>> round(result.difference.value, 4), round(result.difference.se, 4), result.df[0]
    (0.1944, 0.1111, 1.0)
    """
    where = "compare_arms"
    asked = _ask(metric, covariance, readers, cases, margin, test, confidence, where)
    truth = truth_array(y, where=where)
    given = read_array(scores, truth.size, metric=metric, where=where, dimensions=3)
    codes = None if cluster is None else group_codes(cluster, truth.size, where=where)[0]
    return _study(truth, given, codes, asked, where)


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
    """The model's AUC (sensitivity, specificity, Youden's index) minus that of the mean reader, readers a sample.

    Parameters
    ----------
    y : bool (n_cases,). model_score : float (n_cases,), or calls 0/1 at a frozen threshold for the other metrics; NaN
        only where nobody read. reader_scores : float (n_readers, n_cases), NaN = not read.
    metric, covariance, readers, cases, cluster : as in `compare_arms`. With "u-statistic" each read weighs 1 and the
        model is weighted by the reads of each case, so that both are averages over the same reads.
    margin : 0 = two-sided test of a difference; above 0: non-inferiority of the model, or equivalence, as `test` says.

    Returns
    -------
    ReaderStudy: arm 0 is the model (on the cases read, weighted as above), arm 1 the mean reader; .difference = model -
    readers. The model in the place of every reader is an arm whose readers do not vary, so that this is Hillis's
    single-treatment analysis of the differences (model - reader) exactly.

    Raises
    ------
    InputError as `compare_arms`, and for a case that was read and that the model did not score.

    Notes
    -----
    Hillis (2007) doi:10.1002/sim.2532, section 5.3; Gallas et al. (2009) doi:10.1080/03610920802610084. With
    cluster, "u-statistic" takes pairs of different readers and different patients for those of different cases:
    exactly unbiased where readers and patients are independent. Checked against RJafroc 2.1.3 StCadVsRad; coverage of
    unbalanced reads with several images of a patient by simulation.

    >>> calls = [[1, 0, 1, 0, np.nan, 0], [1, 1, np.nan, 0, 1, 0]]
    >>> got = model_against_readers([1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 1], calls, metric="sensitivity",
    ...                             covariance="u-statistic")
    >>> round(got.arms[0].value, 2), round(got.arms[1].value, 2), round(got.difference.value, 2)
    (0.8, 0.8, 0.0)
    """
    where = "model_against_readers"
    asked = _ask(metric, covariance, readers, cases, margin or None, test, confidence, where)
    if cases.startswith("within"):
        raise InputError(f"{where}: cases", "random or fixed: the model reads what each reader reads", repr(cases))
    truth = truth_array(y, where=where)
    read = read_array(reader_scores, truth.size, metric=metric, where=where, dimensions=2)
    model = read_array(model_score, truth.size, metric=metric, where=f"{where}: model", dimensions=1)
    unscored = np.flatnonzero(np.isnan(model) & ~np.isnan(read).all(axis=0))
    if unscored.size:
        shown = [f"case {i}" for i in unscored[:6]]
        do = "Leave the case out for both, and count it."
        raise InputError(f"{where}: model_score", "a score of every case that was read", "NaN", examples=shown, do=do)
    if metric == "auc" and kinds(read) <= 2 < kinds(model):
        do = 'Compare rates at a threshold of the model: metric="sensitivity" and "specificity".'
        raise InputError(
            f"{where}: reader_scores",
            "graded scores of readers beside a graded model",
            "two values only",
            do=f"A call is a point, not an area. {do}",
        )
    alone = np.where(np.isnan(read), nan, model)
    codes = None if cluster is None else group_codes(cluster, truth.size, where=where)[0]
    return _study(truth, np.stack((alone, read)), codes, asked, where)


def kinds(scores: Floats) -> int:
    """How many different values there are, NaN not counted.

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
    check_word(metric, METRICS, where=where, name="metric")
    check_word(covariance, COVARIANCE, where=where, name="covariance")
    check_word(readers, ("random", "fixed"), where=where, name="readers")
    check_word(cases, CASES, where=where, name="cases")
    check_confidence(confidence, where=where)
    if readers == cases == "fixed":
        raise InputError(where, "readers or cases that are a sample", "both fixed", do="Then nothing is uncertain.")
    if covariance in U_STATISTICS and (readers, cases) != ("random", "random"):
        raise InputError(
            f"{where}: covariance", "random readers and random cases for U-statistics", f"{readers}, {cases}"
        )
    return Asked(metric, covariance, readers, cases, margin, check_test(margin, test, where=where), confidence)


def _study(truth: Bools, scores: Floats, cluster: Codes | None, asked: Asked, where: str) -> ReaderStudy:
    seen = ~np.isnan(scores).all(axis=(0, 1))
    unread = codes.note("unread_cases", n=int((~seen).sum())) if not seen.all() else codes.NONE
    truth, scores = truth[seen], scores[..., seen]
    cluster = None if cluster is None else np.unique(cluster[seen], return_inverse=True)[1].reshape(-1)
    if asked.covariance in U_STATISTICS:
        return unbalanced_study(truth, scores, cluster, asked, unread)
    check_design(~np.isnan(scores), asked.cases, where=where)
    return crossed_study(truth, scores, cluster, asked, unread)
