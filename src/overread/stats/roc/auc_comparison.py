"""Comparisons of two AUCs on the same cases or on different patients: difference, non-inferiority, equivalence."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import check_confidence, score_array, truth_array, weight_array
from overread.stats.estimate import Estimate
from overread.stats.margins import check_test, with_test
from overread.stats.roc.delong import centred, describe, groups_of, one_class, placements, spread


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
    """The difference AUC(A) - AUC(B) of two scores on the same cases, its interval and test.

    Parameters
    ----------
    y : bool (n_cases,), the truth; score_a, score_b : float (n_cases,).
    cluster : (n_cases,), the patient of each case.
    margin : > 0, in units of AUC. test : "difference" (two-sided H0: A = B; the default without margin),
        "non-inferiority" (one-sided H0: A - B <= -margin; the default with one) or "equivalence" (two one-sided tests
        of |A - B| >= margin; p is the larger one). The two-sided 95 % interval above -margin is p < 0.025.
    weights, strata, finite : as in `auc`.

    Returns
    -------
    Estimate: value A - B, a Wald interval (not clipped), se, p. Scores that order the cases alike: 0, zero width, p =
    1 for the test of a difference (as pROC), NaN for a margin, and a note.

    Raises
    ------
    InputError on NaN scores, mismatched shapes, a margin that is not above 0 or a test that does not go with it.

    Notes
    -----
    Normal quantiles; assumes independent patients. DeLong, DeLong & Clarke-Pearson (1988) doi:10.2307/2531595;
    Obuchowski (1997) doi:10.2307/2533958. Checked against pROC 1.18.0 `roc.test(paired = TRUE)`; coverage by
    simulation.

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
    (value_a, placed_a), (value_b, placed_b) = (placements(truth, s, weight) for s in scores)
    difference = value_a - value_b
    values = centred(truth, difference, placed_a - placed_b, weight)
    variance = spread(values[None], truth, groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    raw = Estimate(difference, se=se, method=method, note=variance.note)
    return with_test(raw, inf, margin=margin, kind=kind, confidence=confidence)


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
    """The difference AUC(A) - AUC(B) of two scores on different patients, its interval and test.

    Parameters
    ----------
    y_a, score_a : (n_a,) and y_b, score_b : (n_b,), two sets of cases that share no patient.
    cluster : (cluster_a (n_a,), cluster_b (n_b,)), the patient of each case; a patient in both is refused.
    margin, test : as in `compare_aucs`.

    Returns
    -------
    Estimate: value A - B, interval and p from t with Satterthwaite's df, (V_a + V_b)^2 / (V_a^2/(n_a-1) +
    V_b^2/(n_b-1)), n = all cases of a set (its patients when clustered), as pROC has it.

    Raises
    ------
    InputError as `compare_aucs` does, and when a patient is in both sets.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson (1988) doi:10.2307/2531595; df as in pROC, Robin et al. (2011)
    doi:10.1186/1471-2105-12-77. Checked against pROC 1.18.0 `roc.test(paired = FALSE)`.

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
    scaled = sum(one.se**4 / (n - 1) for one, n in ((a, n_a), (b, n_b)) if n > 1)
    df = variance**2 / scaled if scaled > 0 else inf
    scale = codes.method("scale_t", df=round(df, 1)) if df < inf else codes.method("scale_wald")
    method = codes.methods(codes.method("unpaired"), a.method, scale)
    noted = [(codes.note("in_set", set=name), one.note) for name, one in (("A", a), ("B", b)) if one.note]
    note = codes.notes(*(part for pair in noted for part in pair))
    raw = Estimate(a.value - b.value, se=sqrt(variance), method=method, note=note)
    return with_test(raw, df, margin=margin, kind=kind, confidence=confidence)


def _single(y: ArrayLike, score: ArrayLike, cluster: ArrayLike | None, *, where: str) -> tuple[Estimate, int]:
    """The AUC of one set with its error, and how many independent units it has."""
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    groups = groups_of(truth.size, cluster, None, where=where)
    method = describe(groups, weighted=False)
    n = truth.size if cluster is None else groups.n_clusters
    if note := one_class(truth):
        return Estimate(nan, method=method, note=note), n
    value, placed = placements(truth, scores)
    variance = spread(centred(truth, value, placed)[None], truth, groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    return Estimate(value, se=se, method=method, note=variance.note), n


def _refuse_shared(cluster_a: ArrayLike, cluster_b: ArrayLike, *, where: str) -> None:
    shared = np.intersect1d(np.asarray(cluster_a), np.asarray(cluster_b))
    if shared.size:
        raise InputError(
            f"{where}: cluster",
            "no patient in both sets",
            f"{shared.size} patients in both",
            examples=shared[:6].tolist(),
            do="Compare on the same cases with compare_aucs, or put the site before each patient's identifier.",
        )
