"""Cohen's kappa of two readers, unweighted and weighted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from overread import codes
from overread.errors import InputError
from overread.stats.agreement.ratings import agreement_weights, left_out_because, rated
from overread.stats.arrays import Codes, Floats, check_confidence, check_word
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.quantiles import critical
from overread.stats.random_numbers import Random
from overread.stats.resampling.replicates import NO_SPREAD, NOTHING, resampled
from overread.stats.sampling_design import Sampling


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Categories by two readers of the cases that both read."""

    a: Codes
    b: Codes
    matrix: Floats  # (q, q) how much two categories agree
    sample: Sampling
    note: codes.Text

    def statistic(self, weights: Floats) -> Floats:
        """Kappa under case weights (b, n_cases); NaN if only one category remains."""
        n = weights.sum(axis=1)
        one_hot = np.eye(len(self.matrix))
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = weights @ self.matrix[self.a, self.b] / n
            share_a, share_b = (weights @ one_hot[c] / n[:, None] for c in (self.a, self.b))
            expected = np.einsum("bq,bq->b", share_a @ self.matrix, share_b)
            return np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), nan)


@named("Cohen's kappa")
def cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weights: str | None = None,
    interval: str = "normal",
    cluster: ArrayLike | None = None,
    rng: Random | None = None,
    replicates: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Cohen's kappa: agreement of two readers beyond chance, with chance from the category proportions of each reader.

    Parameters
    ----------
    a, b : array_like, shape (n_cases,)
        Category of each case by readers A and B, numbers or text; NaN = not read.
    weights : {"linear", "quadratic"}, optional
        Partial credit by the distance of the category numbers or its square. By default only equal categories agree.
    interval : {"normal", "t"}, default "normal"
        Normal interval, or Student's t with n - 1 degrees of freedom clipped at 1 (as in irrCAC).
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    rng : numpy.random.Generator, optional
        If given, the interval is the percentile interval of a bootstrap over patients instead of the analytic one.
    replicates : int, default 2000
        Number of bootstrap replicates.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        Kappa with the large-sample standard error of Fleiss, Cohen and Everitt (1969); with `cluster`, its linearised
        terms are summed by patient with the factor C/(C-1). The p value is that of kappa = 0 with their standard error
        under that hypothesis (with `cluster`, with `se`). NaN with a note if both readers used the same single
        category.

    Raises
    ------
    InputError
        If the arrays have different shapes or an option is unknown.

    Notes
    -----
    Cases that only one reader read are omitted and counted in the note. Checked against vcd 1.4.11, psych 2.2.9 and
    irrCAC 1.0 (R 4.2.2).

    References
    ----------
    * Cohen J (1960). A coefficient of agreement for nominal scales. Educational and Psychological Measurement 20:37-46.
      doi:10.1177/001316446002000104
    * Cohen J (1968). Weighted kappa: nominal scale agreement provision for scaled disagreement or partial credit.
      Psychological Bulletin 70:213-220. doi:10.1037/h0026256
    * Fleiss JL, Cohen J, Everitt BS (1969). Large sample standard errors of kappa and weighted kappa. Psychological
      Bulletin 72:323-327. doi:10.1037/h0028106

    Examples
    --------
    >>> e = cohen_kappa([1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 1])
    >>> round(e.value, 4), round(e.se, 4)
    (0.4667, 0.3227)
    """
    where = "cohen_kappa"
    check_word(interval, ("normal", "t"), where=where, name="interval")
    check_confidence(confidence, where=where)
    pair = _pair(a, b, weights, cluster, where)
    clustered = cluster is not None
    method = codes.method("fleiss_cohen_everitt")
    method = codes.methods(method, codes.method("clustered_by_patient")) if clustered else method
    if not pair.a.size:
        return Estimate(nan, method=method, note=codes.notes(codes.note("no_common_reads"), pair.note))
    if rng is not None:
        result = resampled(pair.statistic, pair.sample, rng=rng, replicates=replicates, confidence=confidence)
        return replace(result, note=codes.notes(result.note, pair.note))
    return _analytic(pair, clustered, interval, confidence, method)


def _pair(a: ArrayLike, b: ArrayLike, weights: str | None, cluster: ArrayLike | None, where: str) -> _Pair:
    """Codes of the cases that both readers read."""
    if weights is not None:
        check_word(weights, ("linear", "quadratic"), where=where, name="weights")
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(where, "two arrays (n_cases,) of the same cases", f"shapes {first.shape} and {second.shape}")
    if "O" in (first.dtype.kind, second.dtype.kind) or {first.dtype.kind, second.dtype.kind} & set("US"):
        table = np.array(list(zip(first.tolist(), second.tolist(), strict=True)), dtype=object).reshape(-1, 2)
    else:
        table = np.stack([first, second], axis=1)
    usable = rated(table, where=where, cluster=cluster, numeric=weights is not None, least=2)
    matrix = agreement_weights(usable.values, weights, where=where)
    both = usable.codes if usable.codes.shape[1] == 2 else np.empty((0, 2), dtype=np.intp)
    note = left_out_because(usable.note, "not read by both readers")
    return _Pair(both[:, 0], both[:, 1], matrix, usable.sample, note)


def _analytic(pair: _Pair, clustered: bool, interval: str, confidence: float, method: codes.Text) -> Estimate:
    """Kappa with its large-sample interval and test."""
    n, q = pair.a.size, len(pair.matrix)
    share_a, share_b = (np.bincount(c, minlength=q) / n for c in (pair.a, pair.b))
    agreement = pair.matrix[pair.a, pair.b]
    observed, expected = float(agreement.mean()), float(share_a @ pair.matrix @ share_b)
    if not expected < 1 - 1e-12:
        note = codes.notes(codes.note("single_category"), pair.note)
        return Estimate(nan, method=method, note=note)
    value = (observed - expected) / (1 - expected)
    partner = pair.matrix @ share_b, pair.matrix.T @ share_a  # chance agreement of each category
    by_chance = partner[0][pair.a] + partner[1][pair.b]
    influence = _influence(agreement, by_chance, observed, expected)
    units = pair.sample.n_patients
    if units < 2:
        return Estimate(value, method=method, note=codes.notes(codes.note("one_unit"), pair.note))
    variance = pair.sample.variance(pair.sample.totals(influence), units)
    variance *= 1.0 if clustered else (n - 1) / n  # the paper divides by n
    se = sqrt(variance) if variance > NOTHING else 0.0
    half = critical(confidence, inf if interval == "normal" else units - 1) * se
    high = value + half if interval == "normal" else min(value + half, 1.0)
    null = se if clustered else _null_error(pair.matrix, share_a, share_b, expected, n)
    p = float(2 * ndtr(-abs(value) / null)) if null > 0 else nan
    readers = tuple(name for name, s in (("reader a", share_a), ("reader b", share_b)) if s.max() == 1)
    constant = codes.note("constant_reader", readers=readers) if readers else None
    note = codes.notes(constant, None if se else NO_SPREAD, pair.note)
    return Estimate(value, value - half, high, se=se, p=p, method=method, note=note)


def _influence(agreement: Floats, by_chance: Floats, observed: float, expected: float) -> Floats:
    """Influence of each case on kappa, divided by n: the linearisation of Fleiss, Cohen and Everitt (1969)."""
    influence = (agreement * (1 - expected) - by_chance * (1 - observed)) / (1 - expected) ** 2
    return np.asarray((influence - influence.mean()) / agreement.size)


def kappa_influence(a: Codes, b: Codes, matrix: Floats) -> tuple[float, Floats]:
    """Kappa of two readers from category codes (n_cases,) and weights (q, q), and the influence of each case, over n.

    NaN if both used the same single category.

    Examples
    --------
    >>> value, influence = kappa_influence(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), np.eye(2))
    >>> value, round(float(influence.sum()), 12)
    (0.5, 0.0)
    """
    n, q = a.size, len(matrix)
    share_a, share_b = (np.bincount(c, minlength=q) / n for c in (a, b))
    agreement = matrix[a, b]
    observed, expected = float(agreement.mean()), float(share_a @ matrix @ share_b)
    if not expected < 1 - 1e-12:
        return nan, np.full(n, nan)
    by_chance = (matrix @ share_b)[a] + (matrix.T @ share_a)[b]
    return (observed - expected) / (1 - expected), _influence(agreement, by_chance, observed, expected)


def _null_error(matrix: Floats, share_a: Floats, share_b: Floats, expected: float, n: int) -> float:
    """Standard error of kappa if kappa = 0."""
    margin = (matrix @ share_b)[:, None] + (matrix.T @ share_a)[None, :]
    spread = float(share_a @ (matrix - margin) ** 2 @ share_b) - expected**2
    return sqrt(max(spread, 0.0) / n) / (1 - expected)
