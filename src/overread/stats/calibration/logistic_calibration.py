"""Whether probabilities mean what they say: the calibration line and tests; curves and errors from their modules."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, logit, ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats, check_confidence, probability_array, truth_array
from overread.stats.calibration.binning import bin_codes
from overread.stats.calibration.loess import SmoothCurve, smooth_curve
from overread.stats.calibration.logistic_fits import LogisticFit, logistic_fit, no_level, unfit
from overread.stats.calibration.recalibration import Recalibration, recalibrate
from overread.stats.calibration.reliability import (
    Brier,
    CalibrationCurve,
    CalibrationError,
    brier,
    calibration_curve,
    ece,
)
from overread.stats.estimate import Estimate
from overread.stats.sampling_design import Sampling, everyone, involved, sampling

__all__ = [
    "Brier",
    "CalibrationCurve",
    "CalibrationError",
    "CalibrationLine",
    "Recalibration",
    "SmoothCurve",
    "brier",
    "calibration_curve",
    "calibration_line",
    "ece",
    "hosmer_lemeshow",
    "recalibrate",
    "smooth_curve",
    "spiegelhalter",
]


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """logit P(present) = intercept + slope logit(probability), and the intercept with the slope fixed at 1."""

    intercept: Estimate
    slope: Estimate
    in_the_large: Estimate
    covariance: float  # of intercept and slope


def calibration_line(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
    confidence: float = 0.95,
) -> CalibrationLine:
    """Calibration intercept and slope (fitted jointly) and calibration in the large (slope fixed at 1).

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); cluster, patient; weights, inverse inclusion
    probabilities, strata and finite, see `sampling`.
    Returns a CalibrationLine; slope 1 and intercepts 0 are perfect, and `p` tests just that (Wald). Standard errors are
    the model's; with cluster, weights or strata the sandwich's. Probabilities of exactly 0 or 1 have no logit: they are
    left out of the fits, and the note counts them and those among them that were wrong. One class, equal
    probabilities or separated classes: NaN with a note. Raises InputError for probabilities outside [0, 1].
    Assumes that the logit of the truth is linear in the logit of the probability; independent cases or clusters.
    Cox (1958) doi:10.1093/biomet/45.3-4.562; Van Calster et al. (2016) doi:10.1016/j.jclinepi.2015.12.005.
    Checked against R 4.2.2: glm, rms 6.5.0 val.prob (whose "Intercept" is the joint one).

    >>> line = calibration_line([0, 0, 1, 0, 1, 1], [0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    >>> round(line.slope.value, 3), round(line.in_the_large.value, 3)
    (2.63, 0.084)
    """
    where = "calibration_line"
    check_confidence(confidence, where=where)
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    sample = sampling(truth.size, where=where, cluster=cluster, weights=weights, strata=strata, finite=finite)
    x, y_used, keep, note = _with_logit(truth, p)
    no_line, flat = unfit(y_used, x), no_level(y_used)
    z = float(ndtri(0.5 + confidence / 2))
    intercept = slope = Estimate(nan, method=codes.method("logistic_calibration"), note=codes.notes(no_line, note))
    in_the_large = Estimate(nan, method=codes.method("logistic_calibration"), note=codes.notes(flat, note))
    covariance = nan
    weight = None if sample.weights is None else sample.weights[keep]
    if not no_line:
        terms = np.stack([np.ones(x.size), x])
        fit = logistic_fit(terms, y_used.astype(np.float64), weights=weight)
        spread = _spread(fit, terms, keep, sample)
        intercept = _wald(fit.coefficients[0], spread[0, 0], 0, z, sample, note)
        slope, covariance = _wald(fit.coefficients[1], spread[1, 1], 1, z, sample, note), float(spread[0, 1])
    if not flat:
        level = np.ones((1, x.size))
        fit = logistic_fit(level, y_used.astype(np.float64), offset=x, weights=weight)
        in_the_large = _wald(fit.coefficients[0], _spread(fit, level, keep, sample)[0, 0], 0, z, sample, note)
    return CalibrationLine(intercept, slope, in_the_large, covariance)


def spiegelhalter(y: ArrayLike, probability: ArrayLike) -> Estimate:
    """Whether the Brier score is what it would be if the probabilities were right: Spiegelhalter's z.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,). Returns an Estimate: value = z, two-sided p,
    no interval. Where every probability is 0, 0.5 or 1 there is no such test: NaN with a note.
    Assumes independent cases. Spiegelhalter (1986) doi:10.1002/sim.4780050506. Checked against rms 6.5.0 (R 4.2.2).

    >>> round(spiegelhalter([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.7]).value, 4)
    -1.0835
    """
    where = "spiegelhalter"
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    spread = float(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
    if not spread:
        note = codes.note("no_spiegelhalter") if p.size else codes.note("no_cases")
        return Estimate(nan, method=codes.method("spiegelhalter"), note=note)
    z = float(np.sum((truth - p) * (1 - 2 * p))) / sqrt(spread)
    return Estimate(z, p=float(2 * ndtr(-abs(z))), method=codes.method("spiegelhalter"))


def hosmer_lemeshow(y: ArrayLike, probability: ArrayLike, *, groups: int = 10, external: bool = True) -> Estimate:
    """Whether observed and expected numbers agree in groups of equal size: Hosmer and Lemeshow's chi-square.

    Parameters: y truth bool (n_cases,); probability in [0, 1] (n_cases,); groups, at quantiles, ties together;
    external: the probabilities were not fitted on these cases (df = groups), else df = groups - 2.
    Returns an Estimate: value = chi-square, p, no interval; its method says how many groups there were after ties. A
    group where nothing (or everything) is expected: NaN with a note. Needs 3 groups when not external.
    Assumes independent cases and about five expected of either class per group; the result hangs on the grouping, so
    show the calibration curve beside it.
    Hosmer & Lemeshow (1980) doi:10.1080/03610928008827941. Checked against ResourceSelection 0.3.6 (R 4.2.2).

    >>> round(hosmer_lemeshow([0, 1, 0, 1], [0.2, 0.3, 0.6, 0.8], groups=2).value, 4)
    1.0476
    """
    where = "hosmer_lemeshow"
    truth = truth_array(y, where=where)
    p = probability_array(probability, truth.size, where=where)
    if groups < (2 if external else 3):
        raise InputError(f"{where}: groups", "at least 2 (3 when not external)", str(groups))
    if not p.size:
        return Estimate(nan, note=codes.note("no_cases"))
    group, used = bin_codes(p, groups, "mass")
    df = used if external else used - 2
    method = codes.method("hosmer_lemeshow", groups=used, df=df)
    size = np.bincount(group, minlength=used)
    expected, observed = np.bincount(group, p, minlength=used), np.bincount(group, truth, minlength=used)
    if (expected <= 0).any() or (expected >= size).any() or df < 1:
        return Estimate(nan, method=method, note=codes.note("no_hosmer_lemeshow"))
    value = float(np.sum((observed - expected) ** 2 * (1 / expected + 1 / (size - expected))))
    return Estimate(value, p=float(chdtrc(df, value)), method=method)


def _with_logit(truth: Bools, p: Floats) -> tuple[Floats, Bools, Bools, codes.Text]:
    """Logits of the probabilities that have one, their truth, which they are, and a note on the others."""
    keep = (p > 0) & (p < 1)
    if keep.all():
        return logit(p), truth, keep, codes.NONE
    wrong = int(np.count_nonzero((p == 1) & ~truth) + np.count_nonzero((p == 0) & truth))
    left = int(np.count_nonzero(~keep))
    return logit(p[keep]), truth[keep], keep, codes.note("exact_probabilities", n=left, wrong=wrong)


def _spread(fit: LogisticFit, terms: Floats, keep: Bools, sample: Sampling) -> Floats:
    """Covariance of the coefficients: inverse information, or the sandwich with scores summed per patient."""
    if sample.simple:
        return fit.covariance
    scores = np.zeros((len(terms), sample.n_cases))
    scores[:, keep] = terms * fit.residual
    size = sample.totals(keep if keep.any() else everyone(sample.n_cases))
    return sample.covariance(fit.covariance @ sample.totals(scores), involved(size))


def _wald(value: float, variance: float, null: float, z: float, sample: Sampling, note: codes.Text) -> Estimate:
    method = codes.method("logistic_calibration")
    if not sample.simple:
        method = codes.methods(method, codes.method("sandwich"), sample.words)
    if isnan(value):
        return Estimate(nan, method=method, note=codes.notes(codes.note("not_converged"), note))
    if sample.census:
        note = codes.notes(codes.note("whole_population"), note)
        return Estimate(float(value), float(value), float(value), se=0.0, method=method, note=note)
    if not variance > 0:
        return Estimate(float(value), method=method, note=codes.notes(sample.note or codes.note("one_patient"), note))
    se, value = sqrt(variance), float(value)
    p = float(2 * ndtr(-abs(value - null) / se))
    return Estimate(value, value - z * se, value + z * se, se=se, p=p, method=method, note=note)
