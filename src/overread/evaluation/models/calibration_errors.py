"""Calibration of scores: calibration line, Brier score, calibration errors and curves, before and after
recalibration.
"""

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
    """Return rows and curves of calibration for every rater, population and finding.

    Scores as delivered are evaluated on all cases, at "recalibration=none" ("frozen" if model.json has the
    recalibration). A recalibration that was fitted here, "recalibration=logistic", is evaluated on the cases not used
    for fitting.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    for rater in advancing(context.raters):
        frozen = context.frozen[rater]
        for population in advancing(context.populations[rater]):
            for finding in advancing(context.panel.findings):
                if not context.panel.ranks(rater, finding):
                    continue
                place = context.place(Analysis.STANDALONE, finding, rater, population)
                cases = population_cases(context, population)
                selected = select(context.panel, rater, finding, cases)
                if not selected.truth.size:  # the row of the AUC says that nothing is stated
                    continue
                results = _judged(
                    context, place, selected, selected.score, (frozen.recalibrated, "calibration", codes.NONE)
                )
                rows, curves = rows + results[0], curves + results[1]
                line = frozen.lines.get(finding)
                if line is None:
                    continue
                selected = select(context.panel, rater, finding, cases & frozen.tested)
                score = np.full(selected.score.size, np.nan) if np.isnan(line.slope) else line(selected.score)
                note = codes.notes(frozen.words, line.note)
                results = _judged(context, place, selected, score, ("logistic", "recalibrated", note))
                rows, curves = rows + results[0], curves + results[1]
    return rows, curves


def _judged(
    context: AnalysisContext, place: EstimateKey, cases: Cases, probability: Floats, words: tuple[str, str, Text]
) -> tuple[list[Row], list[Row]]:
    kind, curve, note = words
    counts = count(cases.truth.astype(np.float64), cases.patient)
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

    why = unfit(cases, probability, counts)
    if why:
        return rows_of(dict.fromkeys(METRICS, not_estimable(why))), []
    options: dict[str, Any] = cases.drawn | {"confidence": confidence}
    line = calibration.calibration_line(cases.truth, probability, **options)
    values: dict[Metric, Estimate] = dict(zip(LINE, (line.intercept, line.slope, line.in_the_large), strict=True))
    values |= {Metric.BRIER: calibration.brier(cases.truth, probability, **options).brier}
    values |= _binned_error(cases, probability, context.config.ece_bins, options) | _tests(cases, probability)
    smooth = calibration.smooth_curve(cases.truth, probability, **options)
    noise = _noise(smooth.expected_if_calibrated)
    values |= {m: add_notes(getattr(smooth, m), noise if m == Metric.ICI else codes.NONE) for m in SMOOTH}
    binned = calibration.calibration_curve(cases.truth, probability, bins=context.config.calibration_bins, **options)
    at_curve = f"binning=mass;bins={context.config.calibration_bins};{at}"
    points = _points(place, curve, at_curve, (binned.probability, binned.observed, binned.low, binned.high))
    points += _points(place, f"{curve}_smooth", at, (smooth.probability, smooth.observed, smooth.low, smooth.high))
    return rows_of(values), points


def _points(place: EstimateKey, curve: str, at: str, columns: tuple[Floats, Floats, Floats, Floats]) -> list[Row]:
    drawn = enumerate(zip(*columns, strict=True))
    return [curve_point(place, curve, i, (float(x), float(y), float(a), float(b)), at) for i, (x, y, a, b) in drawn]


def _noise(expected: float) -> Text:
    return codes.NONE if np.isnan(expected) else codes.note("expected_under_calibration", value=float(expected))


def _binned_error(cases: Cases, probability: Floats, bins: int, options: Mapping[str, Any]) -> dict[Metric, Estimate]:
    """Estimate the binned calibration error, and the same corrected for sampling error within bins."""
    error = calibration.ece(cases.truth, probability, bins=bins, **options)
    noise = _noise(error.expected_if_calibrated)
    left = Estimate(
        error.debiased,
        method=codes.method("ece_debiased", bins=bins),
        note=codes.note("no_ci_near_zero"),
    )
    return {Metric.ECE: add_notes(error.ece, noise), Metric.ECE_DEBIASED: left}


def _tests(cases: Cases, probability: Floats) -> dict[Metric, Estimate]:
    """Compute Spiegelhalter's z and the Hosmer-Lemeshow chi-square, which ignore clustering and weights."""
    if cases.weight is not None or np.unique(cases.patient).size < cases.patient.size:
        name = "test_needs_independent_cases" if cases.weight is None else "test_needs_unweighted_cases"
        return dict.fromkeys(TESTS, not_estimable(codes.note(name)))
    tests = {Metric.SPIEGELHALTER: calibration.spiegelhalter, Metric.HOSMER_LEMESHOW: calibration.hosmer_lemeshow}
    return {
        name: add_notes(test(cases.truth, probability), codes.note("test_statistic")) for name, test in tests.items()
    }


def unfit(cases: Cases, probability: Floats, counts: Counts) -> Text:
    """Return the reason why calibration and net benefit cannot be estimated; empty if they can."""
    if np.isnan(probability).any():
        return codes.note("no_recalibration")
    if not cases.truth.size:
        return codes.note("no_case")
    if probability.min() < 0 or probability.max() > 1:
        return codes.note("scores_not_probabilities")
    if not counts.at_least(FEWEST, FEWEST):
        n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
        return codes.note("few_patients_not_estimable", **n_by_class, least=FEWEST)
    return codes.NONE
