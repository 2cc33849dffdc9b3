"""Comparison of two AUCs on the same cases or on different patients: difference, non-inferiority, equivalence."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import check_confidence, score_array, truth_array, weight_array
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.margins import check_test, with_test
from overread.stats.roc.delong import centred, describe, groups_of, one_class, placements, spread


@named("difference in AUC")
def compare_aucs(
    y: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    margin: float | None = None,
    test: str | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> Estimate:
    """Difference AUC(A) - AUC(B) of two scores on the same cases, with confidence interval and test.

    The estimand is the difference of two areas under the ROC curve in one population of cases (a paired design).

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score_a, score_b : array_like of float, shape (n_cases,)
        Scores A and B of each case; higher means more likely present.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    margin : float, optional
        Non-inferiority or equivalence margin, above 0, in the unit of the difference.
    test : {"difference", "non-inferiority", "equivalence"}, optional
        Hypothesis test. "difference" (two-sided, H0: A = B) is the default without `margin`; "non-inferiority"
        (one-sided, H0: A - B <= -margin) is the default with it; "equivalence" is two one-sided tests of H0: abs(A - B)
        >= margin, and p is the larger of the two p values.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The difference, its Wald interval (not clipped), standard error and p value. Scores that order the cases alike
        have a difference of 0 with a zero-width interval and a note; p is then 1 for the test of a difference (as in
        pROC) and NaN for tests with a margin. If a class is empty, the value is NaN with a note.

    Raises
    ------
    InputError
        If an array has another shape, a score is NaN or infinite, `margin` is not above 0, or `test` does not go with
        `margin`.

    Notes
    -----
    The variance is that of DeLong et al. (1988) for paired scores or, with `cluster`, that of Obuchowski (1997);
    quantiles are normal. Patients are assumed to be independent. The lower limit of the two-sided 95 % interval is
    above -margin exactly when the one-sided p value is below 0.025. Checked against pROC 1.18.0, `roc.test(paired =
    TRUE)`, and by simulated coverage.

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595
    * Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53:567-578.
      doi:10.2307/2533958

    Examples
    --------
    >>> result = compare_aucs([1, 1, 0, 0, 0], [5, 3, 4, 2, 1], [5, 1, 3, 4, 2])
    >>> round(result.value, 4), round(result.se, 4)
    (0.3333, 0.3727)
    """
    where = "compare_aucs"
    kind = check_test(margin, test, where=where)
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    scores = [score_array(s, truth.shape, where=where, name=n) for s, n in ((score_a, "score_a"), (score_b, "score_b"))]
    weight = None if weights is None else weight_array(weights, truth.size, where=where)
    groups = groups_of(truth.size, cluster, strata, where=where, weights=weight, finite=finite)
    variance_method = describe(groups, weighted=weight is not None)
    method = codes.methods(codes.method("paired"), variance_method, codes.method("scale_wald"))
    if note := one_class(truth):
        return Estimate(nan, method=method, note=note)
    (value_a, placements_a), (value_b, placements_b) = (placements(truth, s, weight) for s in scores)
    difference = value_a - value_b
    values = centred(truth, difference, placements_a - placements_b, weight)
    variance = spread(values[None], truth, groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    raw = Estimate(difference, se=se, method=method, note=variance.note)
    return with_test(raw, inf, margin=margin, kind=kind, confidence=confidence)


@named("difference in AUC")
def compare_independent_aucs(
    y_a: ArrayLike,
    score_a: ArrayLike,
    y_b: ArrayLike,
    score_b: ArrayLike,
    *,
    cluster: tuple[ArrayLike, ArrayLike] | None = None,
    margin: float | None = None,
    test: str | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Difference AUC(A) - AUC(B) in two samples of different patients, with confidence interval and test.

    The estimand is the difference of the areas under the ROC curve in two populations, such as two hospitals.

    Parameters
    ----------
    y_a : array_like of bool, shape (n_a,)
        Reference standard of the cases of sample A.
    score_a : array_like of float, shape (n_a,)
        Scores of the cases of sample A.
    y_b : array_like of bool, shape (n_b,)
        Reference standard of the cases of sample B.
    score_b : array_like of float, shape (n_b,)
        Scores of the cases of sample B.
    cluster : tuple of two array_like, shapes (n_a,) and (n_b,), optional
        Patient identifiers of the cases of both samples. No patient may be in both.
    margin : float, optional
        Non-inferiority or equivalence margin, above 0, in the unit of the difference.
    test : {"difference", "non-inferiority", "equivalence"}, optional
        Hypothesis test. "difference" (two-sided, H0: A = B) is the default without `margin`; "non-inferiority"
        (one-sided, H0: A - B <= -margin) is the default with it; "equivalence" is two one-sided tests of H0: abs(A - B)
        >= margin, and p is the larger of the two p values.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The difference, its interval (not clipped), standard error and p value.

    Raises
    ------
    InputError
        As for `compare_aucs`, and if a patient is in both samples.

    Notes
    -----
    Quantiles are those of Student's t with Satterthwaite's degrees of freedom as in pROC, (V_a + V_b)^2 / (V_a^2/(n_a -
    1) + V_b^2/(n_b - 1)), where V is the variance of an AUC and n the number of cases of a sample (patients if
    clustered). Checked against pROC 1.18.0, `roc.test(paired = FALSE)`.

    References
    ----------
    * DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver
      operating characteristic curves: a nonparametric approach. Biometrics 44:837-845. doi:10.2307/2531595
    * Robin X et al. (2011). pROC: an open-source package for R and S+ to analyze and compare ROC curves. BMC
      Bioinformatics 12:77. doi:10.1186/1471-2105-12-77

    Examples
    --------
    >>> result = compare_independent_aucs([1, 1, 0, 0], [4, 2, 3, 1], [1, 1, 0, 0, 0], [5, 1, 3, 4, 2])
    >>> round(result.value, 4), round(result.se, 4), result.method
    (0.25, 0.6124, 'difference of independent samples, DeLong, t interval, 6... df')
    """
    where = "compare_independent_aucs"
    kind = check_test(margin, test, where=where)
    check_confidence(confidence, where=where)
    if cluster is not None:
        _refuse_shared(*cluster, where=where)
    cluster_a, cluster_b = (None, None) if cluster is None else cluster
    a, n_a = _single(y_a, score_a, cluster_a, where=f"{where}, set A")
    b, n_b = _single(y_b, score_b, cluster_b, where=f"{where}, set B")
    variance = a.se**2 + b.se**2
    scaled = sum(sample_auc.se**4 / (n - 1) for sample_auc, n in ((a, n_a), (b, n_b)) if n > 1)
    df = variance**2 / scaled if scaled > 0 else inf
    scale = codes.method("scale_t", df=round(df, 1)) if df < inf else codes.method("scale_wald")
    method = codes.methods(codes.method("unpaired"), a.method, scale)
    noted = [(codes.note("in_set", set=name), one.note) for name, one in (("A", a), ("B", b)) if one.note]
    note = codes.notes(*(part for pair in noted for part in pair))
    raw = Estimate(a.value - b.value, se=sqrt(variance), method=method, note=note)
    return with_test(raw, df, margin=margin, kind=kind, confidence=confidence)


def _single(y: ArrayLike, score: ArrayLike, cluster: ArrayLike | None, *, where: str) -> tuple[Estimate, int]:
    """AUC of one sample with its standard error, and the number of independent units of the sample."""
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    groups = groups_of(truth.size, cluster, None, where=where)
    method = describe(groups, weighted=False)
    n = truth.size if cluster is None else groups.n_clusters
    if note := one_class(truth):
        return Estimate(nan, method=method, note=note), n
    value, placement = placements(truth, scores)
    variance = spread(centred(truth, value, placement)[None], truth, groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    return Estimate(value, se=se, method=method, note=variance.note), n


def _refuse_shared(cluster_a: ArrayLike, cluster_b: ArrayLike, *, where: str) -> None:
    """Raise if a patient is in both samples."""
    shared = np.intersect1d(np.asarray(cluster_a), np.asarray(cluster_b))
    if shared.size:
        raise InputError(
            f"{where}: cluster",
            "different patients in the two samples",
            f"{shared.size} patients in both",
            examples=shared[:6].tolist(),
            do="For two scores of the same cases use compare_aucs; otherwise prefix each identifier with its site.",
        )
