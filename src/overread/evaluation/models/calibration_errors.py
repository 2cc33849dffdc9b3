"""Whether scores mean what they say: calibration line, Brier score, errors and curves, as delivered, recalibrated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from overread.evaluation.context.analysis_context import AnalysisContext, everywhere
from overread.evaluation.context.auc_terms import FEWEST, Cases, chosen
from overread.evaluation.context.estimate_rows import Counts, EstimateKey, Row, count, noted, people, row
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.models.roc_rates import curve_point
from overread.evaluation.progress import advancing
from overread.stats import calibration
from overread.stats.estimate import Estimate

LINE = ("calibration_intercept", "calibration_slope", "calibration_in_the_large")
SMOOTH = ("ici", "e50", "e90", "emax")
TESTS = ("spiegelhalter", "hosmer_lemeshow")
BINNED = ("ece", "ece_debiased")
METRICS = (*LINE, "brier", *BINNED, *SMOOTH, *TESTS)
_NULLS = {"calibration_intercept": 0.0, "calibration_slope": 1.0, "calibration_in_the_large": 0.0}


def calibration_rows(setting: AnalysisContext) -> tuple[list[Row], list[Row]]:
    """Rows and curves of every rater, population and finding.

    Scores as delivered are judged on all cases, at "recalibration=none" ("frozen" where model.json holds the
    recalibration). Where one was fitted here, "recalibration=logistic" is judged on the cases it may be tested on.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    for rater in advancing(setting.raters):
        frozen = setting.frozen[rater]
        for population in advancing(setting.populations[rater]):
            for finding in advancing(setting.panel.findings):
                if not setting.panel.gives(rater, finding):
                    continue
                place = setting.place("standalone", finding, rater, population)
                cases = everywhere(setting, population)
                of = chosen(setting.panel, rater, finding, cases)
                if not of.truth.size:  # the row of the AUC says that nothing is stated
                    continue
                made = _judged(setting, place, of, of.score, (frozen.recalibrated, "calibration", ""))
                rows, curves = rows + made[0], curves + made[1]
                line = frozen.lines.get(finding)
                if line is None:
                    continue
                of = chosen(setting.panel, rater, finding, cases & frozen.tested)
                score = np.full(of.score.size, np.nan) if np.isnan(line.slope) else line(of.score)
                note = f"{frozen.words}; {line.note}".removesuffix("; ")
                made = _judged(setting, place, of, score, ("logistic", "recalibrated", note))
                rows, curves = rows + made[0], curves + made[1]
    return rows, curves


def _judged(
    setting: AnalysisContext, place: EstimateKey, of: Cases, probability: Floats, words: tuple[str, str, str]
) -> tuple[list[Row], list[Row]]:
    kind, curve, note = words
    counts = count(of.truth.astype(np.float64), of.patient)
    confidence, at = setting.config.confidence, f"recalibration={kind}"

    def rows_of(values: Mapping[str, Estimate]) -> list[Row]:
        binned = f"binning=mass;bins={setting.config.ece_bins};{at}"
        return [
            row(
                place,
                m,
                noted(e, note),
                at=binned if m in BINNED else at,
                counts=counts,
                confidence=confidence,
                test={"null": _NULLS[m]} if m in _NULLS else None,
            )
            for m, e in values.items()
        ]

    why = unfit(of, probability, counts)
    if why:
        return rows_of(dict.fromkeys(METRICS, Estimate(np.nan, note=why))), []
    given: dict[str, Any] = of.drawn | {"confidence": confidence}
    line = calibration.calibration_line(of.truth, probability, **given)
    values = dict(zip(LINE, (line.intercept, line.slope, line.in_the_large), strict=True))
    values |= {"brier": calibration.brier(of.truth, probability, **given).brier}
    values |= _binned_error(of, probability, setting.config.ece_bins, given) | _tests(of, probability)
    smooth = calibration.smooth_curve(of.truth, probability, **given)
    noise = _noise(smooth.expected_if_calibrated)
    values |= {m: noted(getattr(smooth, m), noise if m == "ici" else "") for m in SMOOTH}
    binned = calibration.calibration_curve(of.truth, probability, bins=setting.config.calibration_bins, **given)
    at_curve = f"binning=mass;bins={setting.config.calibration_bins};{at}"
    points = _points(place, curve, at_curve, (binned.probability, binned.observed, binned.low, binned.high))
    points += _points(place, f"{curve}_smooth", at, (smooth.probability, smooth.observed, smooth.low, smooth.high))
    return rows_of(values), points


def _points(place: EstimateKey, curve: str, at: str, columns: tuple[Floats, Floats, Floats, Floats]) -> list[Row]:
    drawn = enumerate(zip(*columns, strict=True))
    return [curve_point(place, curve, i, (float(x), float(y), float(a), float(b)), at) for i, (x, y, a, b) in drawn]


def _noise(expected: float) -> str:
    return "" if np.isnan(expected) else f"perfect probabilities would show {expected:.4f}"


def _binned_error(of: Cases, probability: Floats, bins: int, given: Mapping[str, Any]) -> dict[str, Estimate]:
    """The calibration error in bins as it is, and what is left of it once the noise of the bins is taken out."""
    error = calibration.ece(of.truth, probability, bins=bins, **given)
    noise = _noise(error.expected_if_calibrated)
    left = Estimate(
        error.debiased,
        method=f"{bins} bins, mass, less the noise of the bins (Kumar)",
        note="a point: near 0 no interval would hold",
    )
    return {"ece": noted(error.ece, noise), "ece_debiased": left}


def _tests(of: Cases, probability: Floats) -> dict[str, Estimate]:
    """Spiegelhalter's z and Hosmer-Lemeshow's chi-square, which know neither patients nor weights."""
    if of.weight is not None or np.unique(of.patient).size < of.patient.size:
        what = "weighted cases" if of.weight is not None else "patients with several cases"
        return dict.fromkeys(TESTS, Estimate(np.nan, note=f"this test assumes independent cases and there are {what}"))
    made = {"spiegelhalter": calibration.spiegelhalter, "hosmer_lemeshow": calibration.hosmer_lemeshow}
    return {name: noted(test(of.truth, probability), "a test: no interval") for name, test in made.items()}


def unfit(of: Cases, probability: Floats, counts: Counts) -> str:
    """Why calibration and net benefit of these probabilities cannot be estimated, or ""."""
    if np.isnan(probability).any():
        return "no recalibration could be fitted"
    if not of.truth.size:
        return "no case"
    if probability.min() < 0 or probability.max() > 1:
        return "the scores are not probabilities: they only rank"
    if not counts.reach(FEWEST, FEWEST):
        return (
            f"{people(counts.patients_present)} with the finding and {counts.patients_absent} without it, "
            f"at least {FEWEST} of each needed"
        )
    return ""
