"""Whether scores mean what they say: calibration line, Brier score, errors and curves, as delivered, recalibrated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.auc_terms import FEWEST, Cases, select
from overread.evaluation.context.estimate_rows import (
    Counts,
    EstimateKey,
    Row,
    add_notes,
    count,
    not_estimable,
    row,
)
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.models.roc_rates import curve_point
from overread.evaluation.progress import advancing
from overread.stats import calibration
from overread.stats.estimate import Estimate

LINE = (Metric.CALIBRATION_INTERCEPT, Metric.CALIBRATION_SLOPE, Metric.CALIBRATION_IN_THE_LARGE)
SMOOTH = (Metric.ICI, Metric.E50, Metric.E90, Metric.EMAX)
TESTS = (Metric.SPIEGELHALTER, Metric.HOSMER_LEMESHOW)
BINNED = (Metric.ECE, Metric.ECE_DEBIASED)
METRICS = (*LINE, Metric.BRIER, *BINNED, *SMOOTH, *TESTS)
_NULLS = {Metric.CALIBRATION_INTERCEPT: 0.0, Metric.CALIBRATION_SLOPE: 1.0, Metric.CALIBRATION_IN_THE_LARGE: 0.0}


def calibration_rows(context: AnalysisContext) -> tuple[list[Row], list[Row]]:
    """Rows and curves of every rater, population and finding.

    Scores as delivered are judged on all cases, at "recalibration=none" ("frozen" where model.json holds the
    recalibration). Where one was fitted here, "recalibration=logistic" is judged on the cases it may be tested on.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    for rater in advancing(context.raters):
        frozen = context.frozen[rater]
        for population in advancing(context.populations[rater]):
            for finding in advancing(context.panel.findings):
                if not context.panel.gives(rater, finding):
                    continue
                place = context.place(Analysis.STANDALONE, finding, rater, population)
                cases = population_cases(context, population)
                of = select(context.panel, rater, finding, cases)
                if not of.truth.size:  # the row of the AUC says that nothing is stated
                    continue
                made = _judged(context, place, of, of.score, (frozen.recalibrated, "calibration", codes.NONE))
                rows, curves = rows + made[0], curves + made[1]
                line = frozen.lines.get(finding)
                if line is None:
                    continue
                of = select(context.panel, rater, finding, cases & frozen.tested)
                score = np.full(of.score.size, np.nan) if np.isnan(line.slope) else line(of.score)
                note = codes.notes(frozen.words, line.note)
                made = _judged(context, place, of, score, ("logistic", "recalibrated", note))
                rows, curves = rows + made[0], curves + made[1]
    return rows, curves


def _judged(
    context: AnalysisContext, place: EstimateKey, of: Cases, probability: Floats, words: tuple[str, str, Text]
) -> tuple[list[Row], list[Row]]:
    kind, curve, note = words
    counts = count(of.truth.astype(np.float64), of.patient)
    confidence, at = context.config.confidence, f"recalibration={kind}"

    def rows_of(values: Mapping[Metric, Estimate]) -> list[Row]:
        binned = f"binning=mass;bins={context.config.ece_bins};{at}"
        return [
            row(
                place,
                m,
                add_notes(e, note),
                at=binned if m in BINNED else at,
                counts=counts,
                confidence=confidence,
                test={"null": _NULLS[m]} if m in _NULLS else None,
            )
            for m, e in values.items()
        ]

    why = unfit(of, probability, counts)
    if why:
        return rows_of(dict.fromkeys(METRICS, not_estimable(why))), []
    given: dict[str, Any] = of.drawn | {"confidence": confidence}
    line = calibration.calibration_line(of.truth, probability, **given)
    values: dict[Metric, Estimate] = dict(zip(LINE, (line.intercept, line.slope, line.in_the_large), strict=True))
    values |= {Metric.BRIER: calibration.brier(of.truth, probability, **given).brier}
    values |= _binned_error(of, probability, context.config.ece_bins, given) | _tests(of, probability)
    smooth = calibration.smooth_curve(of.truth, probability, **given)
    noise = _noise(smooth.expected_if_calibrated)
    values |= {m: add_notes(getattr(smooth, m), noise if m == Metric.ICI else codes.NONE) for m in SMOOTH}
    binned = calibration.calibration_curve(of.truth, probability, bins=context.config.calibration_bins, **given)
    at_curve = f"binning=mass;bins={context.config.calibration_bins};{at}"
    points = _points(place, curve, at_curve, (binned.probability, binned.observed, binned.low, binned.high))
    points += _points(place, f"{curve}_smooth", at, (smooth.probability, smooth.observed, smooth.low, smooth.high))
    return rows_of(values), points


def _points(place: EstimateKey, curve: str, at: str, columns: tuple[Floats, Floats, Floats, Floats]) -> list[Row]:
    drawn = enumerate(zip(*columns, strict=True))
    return [curve_point(place, curve, i, (float(x), float(y), float(a), float(b)), at) for i, (x, y, a, b) in drawn]


def _noise(expected: float) -> Text:
    return codes.NONE if np.isnan(expected) else codes.note("expected_under_calibration", value=float(expected))


def _binned_error(of: Cases, probability: Floats, bins: int, given: Mapping[str, Any]) -> dict[Metric, Estimate]:
    """The calibration error in bins as it is, and what is left of it once the noise of the bins is taken out."""
    error = calibration.ece(of.truth, probability, bins=bins, **given)
    noise = _noise(error.expected_if_calibrated)
    left = Estimate(
        error.debiased,
        method=codes.method("ece_debiased", bins=bins),
        note=codes.note("no_ci_near_zero"),
    )
    return {Metric.ECE: add_notes(error.ece, noise), Metric.ECE_DEBIASED: left}


def _tests(of: Cases, probability: Floats) -> dict[Metric, Estimate]:
    """Spiegelhalter's z and Hosmer-Lemeshow's chi-square, which know neither patients nor weights."""
    if of.weight is not None or np.unique(of.patient).size < of.patient.size:
        name = "test_needs_independent_cases" if of.weight is None else "test_needs_unweighted_cases"
        return dict.fromkeys(TESTS, not_estimable(codes.note(name)))
    made = {Metric.SPIEGELHALTER: calibration.spiegelhalter, Metric.HOSMER_LEMESHOW: calibration.hosmer_lemeshow}
    return {name: add_notes(test(of.truth, probability), codes.note("test_statistic")) for name, test in made.items()}


def unfit(of: Cases, probability: Floats, counts: Counts) -> Text:
    """Why calibration and net benefit of these probabilities cannot be estimated; empty where they can."""
    if np.isnan(probability).any():
        return codes.note("no_recalibration")
    if not of.truth.size:
        return codes.note("no_case")
    if probability.min() < 0 or probability.max() > 1:
        return codes.note("scores_not_probabilities")
    if not counts.at_least(FEWEST, FEWEST):
        given = {"present": counts.patients_present, "absent": counts.patients_absent}
        return codes.note("few_patients_not_estimable", **given, least=FEWEST)
    return codes.NONE
