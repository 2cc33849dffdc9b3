"""Frozen thresholds and recalibrations, and the cases on which they may be tested.

Models of overread have both in model.json. For other predictions they are fitted on a tuning set, or on a random half
of the patients, and are then tested on the other half only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Text
from overread.errors import InputError
from overread.evaluation.context.estimate_rows import count
from overread.evaluation.context.score_matrix import Bools, Floats, ScoreMatrix
from overread.evaluation.context.site_populations import Population
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import calibration, rates
from overread.stats.calibration.recalibration import Recalibration

FEWEST = 10  # patients of a class that a recalibration of two parameters needs


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold (call = score >= threshold); NaN with a note if it could not be determined."""

    value: float
    note: Text = codes.NONE


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """Thresholds by finding and operating point, recalibrations by finding, and the cases on which they may be tested.

    origin is "model.json", "tune" or "half"; words describes it in text. lines is empty if the scores are already
    recalibrated.
    """

    origin: str
    words: Text
    tested: Bools  # (n_cases,)
    thresholds: Mapping[str, Mapping[str, Threshold]]
    lines: Mapping[str, Recalibration] = field(default_factory=dict)

    @property
    def recalibrated(self) -> str:
        """Value of `at` for the calibration of the scores as delivered."""
        return "frozen" if self.origin == "model.json" else "none"


def from_model(record: Mapping[str, Any], panel: ScoreMatrix) -> Frozen:
    """Return the operating points of a model.json, whose scores are already recalibrated."""
    thresholds = {}
    for finding, points in (record.get("operating_points") or {}).items():
        thresholds[finding] = {
            name: Threshold(nan if p.get("threshold") is None else float(p["threshold"]), _model_note(p))
            for name, p in points.items()
        }
    words = codes.note("threshold_of_model")
    return Frozen("model.json", words, np.ones(len(panel.case_id), dtype=bool), thresholds)


def _model_note(point: Mapping[str, Any]) -> Text:
    """Return the note of the model record on one of its thresholds."""
    return codes.note("threshold_note_of_model", text=str(point["note"])) if point.get("note") else codes.NONE


def from_tune(tune: ScoreMatrix, rater: str, panel: ScoreMatrix, config: EvaluationConfig) -> Frozen:
    """Fit thresholds and recalibrations on the tuning cases; all test cases may be used for testing."""
    everything = np.ones(len(tune.case_id), dtype=bool)
    if rater not in tune.raters:
        raise InputError(
            "tune",
            f"predictions by '{rater}'",
            f"only by {', '.join(tune.raters)}",
            do="Score the tuning cases with it.",
        )
    thresholds, lines = _fit(tune, rater, everything, config)
    tested = np.ones(len(panel.case_id), dtype=bool)
    return Frozen("tune", codes.note("fitted_on_tuning"), tested, thresholds, lines)


def from_half(
    panel: ScoreMatrix, rater: str, inside: tuple[Population, ...], half: Bools, config: EvaluationConfig
) -> Frozen:
    """Fit thresholds and recalibrations on the internal cases of one half of the patients (n_patients,).

    They are tested on the cases of all other patients, including external ones. Without an internal population the half
    is taken over all cases.
    """
    sites = [s for p in inside if p.internal for s in p.sites] or list(panel.site.levels)
    internal = panel.at(sites)
    fitting = internal & half[panel.patient]
    patients = np.bincount(panel.patient[fitting], minlength=panel.n_patients) > 0
    tested = ~patients[panel.patient]
    thresholds, lines = _fit(panel, rater, fitting, config)
    others = np.unique(panel.patient[tested]).size
    words = codes.note("fitted_on_half", fitted=int(patients.sum()), tested=others)
    return Frozen("half", words, tested, thresholds, lines)


def half_of_patients(panel: ScoreMatrix, *, rng: np.random.Generator) -> Bools:
    """Draw the half of the patients, within sites, on whom thresholds are fitted (n_patients,)."""
    first = np.full(panel.n_patients, -1, dtype=np.intp)
    first[panel.patient[::-1]] = panel.site.codes[::-1]
    chosen = np.zeros(panel.n_patients, dtype=bool)
    for site in np.unique(first):
        members = rng.permutation(np.flatnonzero(first == site))
        chosen[members[: members.size // 2]] = True
    return chosen


def _fit(
    panel: ScoreMatrix, rater: str, cases: Bools, config: EvaluationConfig
) -> tuple[dict[str, dict[str, Threshold]], dict[str, Recalibration]]:
    thresholds, lines = {}, {}
    for finding in panel.findings:
        index = np.flatnonzero(cases & panel.stated(rater, finding))
        y, score = panel.truths(finding)[index] == 1, panel.scores(rater, finding)[index]
        weight = None if panel.weight is None else panel.weight[index]
        thresholds[finding] = {n: _threshold(y, score, target, weight) for n, target in config.points().items()}
        lines[finding] = _line(y, score, panel.patient[index], weight)
    return thresholds, lines


def _threshold(y: Bools, score: Floats, target: Mapping[str, float], weight: Floats | None) -> Threshold:
    step = rates.threshold_at(y, score, weights=weight, **target)
    kind, value = next(iter(target.items()))
    counted = int((~y).sum() if kind == "specificity" else y.sum())
    if np.isfinite(step.threshold) and counted * (1 - value) < 1:
        return Threshold(step.threshold, codes.note("coarse_threshold", rate=kind, n=counted, target=value))
    return Threshold(step.threshold, step.note)


def _line(y: Bools, score: Floats, patient: np.ndarray, weight: Floats | None) -> Recalibration:
    """Fit the logistic recalibration; without parameters and with a note if the cases do not allow it."""
    scale = "probability" if score.size and score.min() >= 0 and score.max() <= 1 else "score"
    counts = count(y.astype(np.float64), patient)
    if counts.at_least(FEWEST, FEWEST):
        return calibration.recalibrate(y, score, scale=scale, weights=weight)
    n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
    note = codes.note("not_recalibrated", **n_by_class, least=FEWEST)
    return calibration.Recalibration("logistic", scale, note=note)
