"""Partial area under the ROC curve, with an interval from influence values."""

from __future__ import annotations

from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats, check_confidence, score_array, truth_array
from overread.stats.estimate import Estimate
from overread.stats.estimate_names import named
from overread.stats.quantiles import critical
from overread.stats.roc.delong import describe, groups_of, one_class, spread


@named("partial AUC")
def partial_auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    specificity: tuple[float, float] | None = None,
    sensitivity: tuple[float, float] | None = None,
    corrected: bool = False,
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Partial area under the ROC curve over a range of specificity or sensitivity.

    The estimand is the area under the polygon through the attainable points, between two specificities (by default 0.9
    and 1) or between two sensitivities.

    Parameters
    ----------
    y : array_like of bool, shape (n_cases,)
        Reference standard of each case: True (or 1) means that the finding is present.
    score : array_like of float, shape (n_cases,)
        Score of each case; higher means more likely present.
    specificity : tuple of float, optional
        Range (low, high) of specificity within [0, 1]; default (0.9, 1.0).
    sensitivity : tuple of float, optional
        Range (low, high) of sensitivity within [0, 1], instead of `specificity`. The area is then the one between the
        curve and the axis of specificity 0.
    corrected : bool, default False
        Whether to use McClish's scale, (1 + (area - min) / (max - min)) / 2, where min is the area under the diagonal
        and max the width of the range: 0.5 for an uninformative and 1 for a perfect score.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Estimate
        The area with its Wald interval, clipped to the possible range unless `cluster` is given. There is no p value,
        because 0.5 is not a null value of a partial area. NaN and zero variance as in `auc`.

    Raises
    ------
    InputError
        As for `auc`, and if the range is not 0 <= low < high <= 1 or both ranges are given.

    Notes
    -----
    The influence value of a present case is the part of the range in which it is called present, minus its mean. That
    of an absent case is minus the area of sensitivity gained beyond its own false positive rate, centred. The limits of
    the range are estimated quantiles, but no density is needed. The variance follows He Y, Escobar M (2008),
    Nonparametric statistical inference method for partial areas under receiver operating characteristic curves,
    Statistics in Medicine 27. Patients are assumed to be independent. Areas are checked against pROC 1.18.0; the range
    (0, 1) equals `auc` with DeLong's variance; the interval is checked against the bootstrap and by simulated coverage.

    References
    ----------
    * Dodd LE, Pepe MS (2003). Partial AUC estimation and regression. Biometrics 59:614-623. doi:10.1111/1541-0420.00071
    * McClish DK (1989). Analyzing a portion of the ROC curve. Medical Decision Making 9:190-195.
      doi:10.1177/0272989X8900900307

    Examples
    --------
    >>> result = partial_auc([1, 1, 1, 0, 0, 0], [6, 4, 2, 5, 3, 1], specificity=(0.5, 1.0))
    >>> round(result.value, 4)
    0.2222
    """
    where = "partial_auc"
    check_confidence(confidence, where=where)
    low, high = _range(specificity, sensitivity, where)
    truth = truth_array(y, where=where)
    scores = score_array(score, truth.shape, where=where)
    groups = groups_of(truth.size, cluster, None, where=where)
    kind = "specificity" if sensitivity is None else "sensitivity"
    method = codes.methods(
        codes.method("partial_auc", rate=kind, low=low, high=high),
        codes.method("mcclish") if corrected else None,
        describe(groups, weighted=False),
    )
    if note := one_class(truth):
        return Estimate(nan, method=method, note=note)
    # Exchanging the classes and reversing the scores turns a range of sensitivity into a range of specificity.
    mirrored = sensitivity is not None
    area, values = _area(truth ^ mirrored, -scores if mirrored else scores, 1 - high, 1 - low)
    variance = spread(values[None], truth, groups)
    se = nan if variance.note else sqrt(max(variance.covariance[0, 0], 0.0))
    largest, chance = high - low, ((1 - low) ** 2 - (1 - high) ** 2) / 2
    if corrected:
        area, se = (1 + (area - chance) / (largest - chance)) / 2, se / (2 * (largest - chance))
        largest = 1.0
    if isnan(se):
        return Estimate(area, method=method, note=variance.note)
    if se == 0:
        return Estimate(area, area, area, 0.0, method=method, note=codes.note("zero_variance"))
    half_width = critical(confidence, inf) * se
    bounds = (area - half_width, area + half_width)
    if cluster is None:
        floor = (1 - chance / (high - low - chance)) / 2 if corrected else 0.0
        bounds = (max(bounds[0], floor), min(bounds[1], largest))
    return Estimate(area, *bounds, se, method=method)


def _range(
    specificity: tuple[float, float] | None, sensitivity: tuple[float, float] | None, where: str
) -> tuple[float, float]:
    """Validated range (low, high) of specificity or sensitivity."""
    if specificity is not None and sensitivity is not None:
        raise InputError(where, "a range of specificity or of sensitivity", "both ranges", do="Give one of them.")
    low, high = sensitivity or specificity or (0.9, 1.0)
    if not 0 <= low < high <= 1:
        name = "specificity" if sensitivity is None else "sensitivity"
        raise InputError(f"{where}: {name}", "a range (low, high) with 0 <= low < high <= 1", f"({low}, {high})")
    return low, high


def _area(y: Bools, score: Floats, start: float, stop: float) -> tuple[float, Floats]:
    """Area between two false positive rates, and the influence value of every case.

    The polygon has one segment per distinct score. Within a segment, the proportion of its cases that is called present
    rises linearly from 0 to 1 in the false positive rate u. For a case of segment g, `_called_present(e)` is the
    integral of that proportion over u from 0 to e, and a present case contributes the difference between stop and
    start. An absent case of g shifts all later points of the curve to the right: it contributes minus the same integral
    taken against the slope of the curve.
    """
    _, segment = np.unique(-score, return_inverse=True)
    segment = segment.reshape(-1)
    n_present, n_absent = int(y.sum()), int((~y).sum())
    sensitivity = np.bincount(segment, y).cumsum() / n_present
    false_positive_rate = np.bincount(segment, ~y).cumsum() / n_absent
    u0, u1 = np.concatenate(([0.0], false_positive_rate[:-1])), false_positive_rate
    t0, t1 = np.concatenate(([0.0], sensitivity[:-1])), sensitivity
    gain = _called_present(u0, u1, stop) - _called_present(u0, u1, start)
    loss = _called_present_by_sensitivity(u0, u1, t0, t1, stop) - _called_present_by_sensitivity(u0, u1, t0, t1, start)
    area = float(gain[segment][y].sum() / n_present)
    mean_loss = float(loss[segment][~y].sum() / n_absent)
    return area, np.where(y, (gain[segment] - area) / n_present, (mean_loss - loss[segment]) / n_absent)


def _called_present(u0: Floats, u1: Floats, e: float) -> Floats:
    """Integral over u from 0 to e of the proportion of a segment's cases called present at false positive rate u."""
    width = np.where(u1 > u0, u1 - u0, 1.0)
    inside = np.clip(e - u0, 0.0, u1 - u0)
    integral: Floats = inside**2 / (2 * width) + np.maximum(e - u1, 0.0)
    return integral


def _called_present_by_sensitivity(u0: Floats, u1: Floats, t0: Floats, t1: Floats, e: float) -> Floats:
    """The integral of `_called_present` taken over sensitivity instead of u, up to the height of the curve at e."""
    edge = e + 1e-12  # range limits often coincide with a vertex; the result must not depend on rounding
    width = np.where(u1 > u0, u1 - u0, 1.0)
    share = np.where(u1 <= edge, 1.0, np.clip(e - u0, 0.0, None) / width)
    height = _height(u0, u1, t0, t1, edge)
    integral = share**2 * (t1 - t0) / 2 + np.maximum(height - t1, 0.0)
    return np.where(u0 <= edge, integral, 0.0)


def _height(u0: Floats, u1: Floats, t0: Floats, t1: Floats, edge: float) -> float:
    """Height of the curve at false positive rate `edge`; the upper end at a vertical rise."""
    first = int(np.searchsorted(u1, edge, side="right"))  # number of segments that end at or before the edge
    if first == u1.size:
        return 1.0
    share = max(edge - u0[first], 0.0) / (u1[first] - u0[first])
    return float(t0[first] + share * (t1[first] - t0[first]))
