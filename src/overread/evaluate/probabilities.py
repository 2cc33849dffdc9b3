"""Whether scores mean what they say: calibration line, Brier score, error and curve, as delivered and recalibrated."""

from __future__ import annotations

from typing import Any

import numpy as np

from overread.evaluate.areas import FEWEST, Cases, chosen
from overread.evaluate.fixed import curve_point
from overread.evaluate.rows import Counts, Place, Row, count, noted, people, row
from overread.evaluate.setting import Setting, everywhere
from overread.stats import calibration
from overread.stats.estimate import Estimate

LINE = ("calibration_intercept", "calibration_slope", "calibration_in_the_large")
METRICS = (*LINE, "brier", "ece")


def calibration_rows(setting: Setting) -> tuple[list[Row], list[Row]]:
    """Rows and curves of every rater, population and finding.

    Scores as delivered are judged on all cases, at "recalibration=none" ("frozen" where model.json holds the
    recalibration). Where one was fitted here, "recalibration=logistic" is judged on the cases it may be tested on.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    for rater in setting.raters:
        frozen = setting.frozen[rater]
        for population in setting.populations[rater]:
            for finding in setting.panel.findings:
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
                score = line(of.score) if not line.note.startswith("not ") else np.full(of.score.size, np.nan)
                note = f"{frozen.words}; {line.note}".removesuffix("; ")
                made = _judged(setting, place, of, score, ("logistic", "recalibrated", note))
                rows, curves = rows + made[0], curves + made[1]
    return rows, curves


def _judged(
    setting: Setting, place: Place, of: Cases, probability: np.ndarray, words: tuple[str, str, str]
) -> tuple[list[Row], list[Row]]:
    kind, curve, note = words
    counts = count(of.truth.astype(np.float64), of.patient)
    confidence, bins = setting.config.confidence, setting.config.ece_bins
    at, at_ece = f"recalibration={kind}", f"binning=mass;bins={bins};recalibration={kind}"
    why = _unfit(of, probability, counts)
    if why:
        missing = Estimate(np.nan, note="; ".join(n for n in (why, note) if n))
        return [
            row(place, m, missing, at=at_ece if m == "ece" else at, counts=counts, confidence=confidence)
            for m in METRICS
        ], []
    given: dict[str, Any] = of.drawn | {"confidence": confidence}
    line = calibration.calibration_line(of.truth, probability, **given)
    error = calibration.ece(of.truth, probability, bins=bins, **given)
    values = dict(zip(LINE, (line.intercept, line.slope, line.in_the_large), strict=True))
    values |= {"brier": calibration.brier(of.truth, probability, **given).brier, "ece": error.ece}
    noise = f"perfect probabilities would show {error.expected_if_calibrated:.4f}"
    rows = [
        row(
            place, m, noted(e, noise if m == "ece" else "", note), at=at_ece if m == "ece" else at, counts=counts,
            confidence=confidence,
        )
        for m, e in values.items()
    ]  # fmt: skip
    made = calibration.calibration_curve(of.truth, probability, bins=setting.config.calibration_bins, **given)
    at_curve = f"binning=mass;bins={setting.config.calibration_bins};recalibration={kind}"
    points = zip(made.probability, made.observed, made.low, made.high, strict=True)
    return rows, [
        curve_point(place, curve, i, (float(x), float(y), float(low), float(high)), at_curve)
        for i, (x, y, low, high) in enumerate(points)
    ]


def _unfit(of: Cases, probability: np.ndarray, counts: Counts) -> str:
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
