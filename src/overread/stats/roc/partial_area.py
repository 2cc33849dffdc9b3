"""The area under a part of the ROC curve, with an interval from its influence values."""

from __future__ import annotations

from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats, check_confidence, score_array, truth_array
from overread.stats.estimate import Estimate
from overread.stats.quantiles import critical
from overread.stats.roc.delong import describe, groups_of, one_class, spread


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
    """Area under the ROC curve between two specificities (default 0.9 and 1) or two sensitivities.

    Parameters
    ----------
    y : bool (n_cases,); score : float (n_cases,); cluster : (n_cases,), the patient of each case.
    specificity or sensitivity : the range (low, high) within [0, 1]; one of them. For a sensitivity range the area lies
        between the curve and the axis of specificity 0.
    corrected : McClish's scale, 0.5 for a useless and 1 for a perfect score: (1 + (area - min) / (max - min)) / 2 with
        min the area under the diagonal and max the width of the range.

    Returns
    -------
    Estimate with a Wald interval (clipped to what is possible without cluster, raw with it). The curve is the polygon
    through the attainable points. NaN and zero variance as in `auc`; no p, for 0.5 is not a null value here.

    Raises
    ------
    InputError as `auc` does, and for a range that is not 0 <= low < high <= 1.

    Notes
    -----
    Influence of a present case: the part of the range in which it is called present, minus its mean; of an absent
    case: minus the area of sensitivity gained beyond its own false positive rate, centred (the range's quantile is
    estimated, yet no density is needed). Dodd & Pepe (2003) doi:10.1111/1541-0420.00071; variance as in He & Escobar
    (Statistics in Medicine 2008); correction: McClish (1989) doi:10.1177/0272989X8900900307. Areas checked against
    pROC 1.18.0; the range (0, 1) is `auc` with DeLong's variance; the interval against bootstrap and simulation.

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
    # A range of sensitivity is a range of specificity of the mirrored question: absent for present, scores reversed.
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
    half = critical(confidence, inf) * se
    bounds = (area - half, area + half)
    if cluster is None:
        floor = (1 - chance / (high - low - chance)) / 2 if corrected else 0.0
        bounds = (max(bounds[0], floor), min(bounds[1], largest))
    return Estimate(area, *bounds, se, method=method)


def _range(
    specificity: tuple[float, float] | None, sensitivity: tuple[float, float] | None, where: str
) -> tuple[float, float]:
    if specificity is not None and sensitivity is not None:
        raise InputError(where, "a range of specificity or one of sensitivity", "both")
    low, high = sensitivity or specificity or (0.9, 1.0)
    if not 0 <= low < high <= 1:
        name = "specificity" if sensitivity is None else "sensitivity"
        raise InputError(f"{where}: {name}", "a range (low, high) with 0 <= low < high <= 1", f"({low}, {high})")
    return low, high


def _area(y: Bools, score: Floats, start: float, stop: float) -> tuple[float, Floats]:
    """Area between two false positive rates, and the influence value of every case.

    The polygon has one segment per distinct score. Within it the share of its cases that is called present rises from
    0 to 1 linearly in the false positive rate u. For a case of segment g, `called(e)` is that share integrated over u
    up to e; a present case gains called(stop) - called(start). An absent case of g moves all later points of the
    curve to the right: it loses the same integral taken against the curve's slope.
    """
    _, segment = np.unique(-score, return_inverse=True)
    segment = segment.reshape(-1)
    n_present, n_absent = int(y.sum()), int((~y).sum())
    hits = np.bincount(segment, y).cumsum() / n_present
    alarms = np.bincount(segment, ~y).cumsum() / n_absent
    u0, u1 = np.concatenate(([0.0], alarms[:-1])), alarms
    t0, t1 = np.concatenate(([0.0], hits[:-1])), hits
    gain = _called(u0, u1, stop) - _called(u0, u1, start)
    loss = _passed(u0, u1, t0, t1, stop) - _passed(u0, u1, t0, t1, start)
    area = float(gain[segment][y].sum() / n_present)
    mean_loss = float(loss[segment][~y].sum() / n_absent)
    return area, np.where(y, (gain[segment] - area) / n_present, (mean_loss - loss[segment]) / n_absent)


def _called(u0: Floats, u1: Floats, e: float) -> Floats:
    """Integral over u from 0 to e of the share of a segment's cases called present at false positive rate u."""
    width = np.where(u1 > u0, u1 - u0, 1.0)
    inside = np.clip(e - u0, 0.0, u1 - u0)
    return inside**2 / (2 * width) + np.maximum(e - u1, 0.0)


def _passed(u0: Floats, u1: Floats, t0: Floats, t1: Floats, e: float) -> Floats:
    """The same integral taken against the rise of the curve, that is over sensitivity up to the curve's height at e."""
    edge = e + 1e-12  # a range ends on a step of the curve as often as not; which side rounding takes must not matter
    width = np.where(u1 > u0, u1 - u0, 1.0)
    share = np.where(u1 <= edge, 1.0, np.clip(e - u0, 0.0, None) / width)
    height = _height(u0, u1, t0, t1, edge)
    passed = share**2 * (t1 - t0) / 2 + np.maximum(height - t1, 0.0)
    return np.where(u0 <= edge, passed, 0.0)


def _height(u0: Floats, u1: Floats, t0: Floats, t1: Floats, edge: float) -> float:
    """The curve's height at false positive rate `edge`, the upper end of a vertical step."""
    done = int(np.searchsorted(u1, edge, side="right"))  # segments that end at or before the edge
    if done == u1.size:
        return 1.0
    share = max(edge - u0[done], 0.0) / (u1[done] - u0[done])
    return float(t0[done] + share * (t1[done] - t0[done]))
