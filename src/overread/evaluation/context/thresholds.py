"""Frozen thresholds and recalibrations, and the cases on which they may be tested.

Models of overread have both in model.json. For other predictions thresholds may be given; they are then locked, and all
cases are tested. Otherwise they are fitted on a tuning set, or on a random half of the patients, and are then tested on
the other half only. Decisions have no threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Text
from overread.errors import InputError
from overread.evaluation.context.estimate_rows import count
from overread.evaluation.context.score_matrix import Bools, Floats, ScoreMatrix
from overread.evaluation.context.site_populations import Population
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.finding_mapping import Mapped
from overread.evaluation.join.label_states import DECISION
from overread.stats import calibration, rates
from overread.stats.calibration.recalibration import Recalibration

FEWEST = 10  # patients of a class that a recalibration of two parameters needs


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold (call = score >= threshold); NaN with a note if it could not be determined."""

    value: float
    note: Text = codes.NONE


@dataclass(frozen=True, slots=True)
class GivenPoints:
    """The given thresholds of one finding by name, and where they come from."""

    sources: tuple[str, ...]
    points: Mapping[str, Threshold]


Given = Mapping[str, Mapping[str, GivenPoints]]  # by rater and finding


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """Thresholds by finding and operating point, recalibrations by finding, and the cases on which they may be tested.

    origin is "model.json", "tune", "half", "given" or "decision"; words describes it in text. lines is empty if the
    scores are already recalibrated. own holds the findings whose operating points have another origin than the others;
    thresholds includes theirs.
    """

    origin: str
    words: Text
    tested: Bools  # (n_cases,)
    thresholds: Mapping[str, Mapping[str, Threshold]]
    lines: Mapping[str, Recalibration] = field(default_factory=dict)
    own: Mapping[str, Frozen] = field(default_factory=dict)

    def part(self, finding: str) -> Frozen:
        """Return the origin, words and tested cases that apply to a finding."""
        return self.own.get(finding, self)

    def words_over(self, findings: Iterable[str]) -> Text:
        """Return the words of these findings, each once; those of the rater without any finding."""
        return codes.notes(*(self.part(f).words for f in findings)) or self.words

    def moved(self, tested: Callable[[Bools], Bools]) -> Frozen:
        """Return the same thresholds for other cases; `tested` converts the mask of the cases that may be tested."""
        return replace(self, tested=tested(self.tested), own={f: p.moved(tested) for f, p in self.own.items()})

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


def from_tune(
    tune: ScoreMatrix, rater: str, panel: ScoreMatrix, config: EvaluationConfig, *, settled: Collection[str] = ()
) -> Frozen:
    """Fit thresholds and recalibrations on the tuning cases; all test cases may be used for testing.

    Findings of `settled` have operating points already.
    """
    everything = np.ones(len(tune.case_id), dtype=bool)
    if rater not in tune.raters:
        raise InputError(
            "tune",
            f"predictions by '{rater}'",
            f"only by {', '.join(tune.raters)}",
            do="Score the tuning cases with it.",
        )
    thresholds, lines = _fit(tune, rater, everything, config, settled)
    tested = np.ones(len(panel.case_id), dtype=bool)
    return Frozen("tune", codes.note("fitted_on_tuning"), tested, thresholds, lines)


def from_half(
    panel: ScoreMatrix,
    rater: str,
    inside: tuple[Population, ...],
    half: Bools,
    config: EvaluationConfig,
    *,
    settled: Collection[str] = (),
) -> Frozen:
    """Fit thresholds and recalibrations on the internal cases of one half of the patients (n_patients,).

    They are tested on the cases of all other patients, including external ones. Without an internal population the half
    is taken over all cases. Findings of `settled` have operating points already.
    """
    sites = [s for p in inside if p.internal for s in p.sites] or list(panel.site.levels)
    internal = panel.at(sites)
    fitting = internal & half[panel.patient]
    patients = np.bincount(panel.patient[fitting], minlength=panel.n_patients) > 0
    tested = ~patients[panel.patient]
    thresholds, lines = _fit(panel, rater, fitting, config, settled)
    others = np.unique(panel.patient[tested]).size
    words = codes.note("fitted_on_half", fitted=int(patients.sum()), tested=others)
    return Frozen("half", words, tested, thresholds, lines)


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdSources:
    """Where the thresholds of raters may come from, in this order: given, model.json, tuning cases, half of the
    patients.
    """

    given: Given
    models: Mapping[str, Mapping[str, Any]]
    tuned: ScoreMatrix | None
    half: Bools  # (n_patients,)


def given_thresholds(table: pl.DataFrame | None) -> Given:
    """Return the checked table `thresholds` by rater and finding."""
    if table is None:
        return {}
    found: dict[str, dict[str, GivenPoints]] = {}
    for (rater, finding), rows in table.partition_by("model", "finding", as_dict=True, maintain_order=True).items():
        sources = tuple(dict.fromkeys(s or "a table of thresholds" for s in rows["source"]))
        points = dict(zip(rows["name"], map(Threshold, rows["threshold"]), strict=True))
        found.setdefault(str(rater), {})[str(finding)] = GivenPoints(sources, points)
    return found


def locked_points(panel: ScoreMatrix, rater: str, given: Given) -> dict[str, Frozen]:
    """Return by finding the operating points that are not chosen here: decisions and given thresholds.

    Those of findings that the panel does not have are included. All cases are tested.
    """
    everything = np.ones(len(panel.case_id), dtype=bool)
    found = {}
    for finding, one in given.get(rater, {}).items():
        known = panel.scores(rater, finding) if finding in panel.findings and rater in panel.raters else np.empty(0)
        thresholds = {name: _checked_reach(threshold, known) for name, threshold in one.points.items()}
        words = codes.note("threshold_given", source=", ".join(one.sources))
        found[finding] = Frozen("given", words, everything, {finding: thresholds})
    decision = {DECISION: Threshold(0.5)}  # present = 1, absent = 0
    for finding in (f for r, f in sorted(panel.decisions) if r == rater):
        found[finding] = Frozen("decision", codes.note("decision_given"), everything, {finding: decision})
    return found


def _checked_reach(threshold: Threshold, score: Floats) -> Threshold:
    """Add a note to a given threshold that calls every case, or none, which another scale would explain."""
    known = score[~np.isnan(score)]
    if not known.size or known.min() < threshold.value <= known.max():
        return threshold
    name = "threshold_calls_none" if threshold.value > known.max() else "threshold_calls_all"
    return Threshold(threshold.value, codes.note(name, low=float(known.min()), high=float(known.max())))


def mapped_points(own: Mapping[str, Frozen], mapped: Mapped) -> tuple[dict[str, Threshold], Text]:
    """Return the given thresholds of the parts of a mapped output that apply to their maximum, and words on them.

    A threshold applies if all parts have it by the same name and with the same value: the maximum reaches it if one
    part does. `own` holds the locked operating points of the model by finding. Without given thresholds of all parts
    both results are empty; where values differ, the words say that they are not used.
    """
    parts = [own[p] for p in mapped.parts if p in own and own[p].origin == "given"]
    if len(parts) < len(mapped.parts):
        return {}, codes.NONE
    first, *rest = (part.thresholds[name] for part, name in zip(parts, mapped.parts, strict=True))
    shared = {n: t for n, t in first.items() if all(n in r for r in rest)}
    found = {n: t for n, t in shared.items() if all(r[n].value == t.value for r in rest)}
    if rest:  # whether every score of one part reaches its threshold is not known of the maximum
        found = {n: Threshold(t.value) for n, t in found.items()}
    differing = tuple(n for n in shared if n not in found)
    note = codes.note("part_thresholds_differ", parts=mapped.parts, names=differing) if differing else codes.NONE
    return found, codes.notes(*(part.words for part in parts), note) if found else note


def needs_fitting(panel: ScoreMatrix, rater: str, models: Mapping[str, Mapping[str, Any]], given: Given) -> bool:
    """Return whether thresholds of the rater have to be chosen on tuning cases or on half of the patients."""
    locked = locked_points(panel, rater, given)
    if locked and all(f in locked for f in panel.findings if panel.gives(rater, f)):
        return False
    return not models.get(rater, {}).get("operating_points")


def frozen_points(
    panel: ScoreMatrix,
    rater: str,
    inside: tuple[Population, ...],
    sources: ThresholdSources,
    config: EvaluationConfig,
) -> Frozen:
    """Return the operating points of a rater: given ones and decisions, else those of model.json, of tuning cases, or
    of half of the patients.
    """
    locked = locked_points(panel, rater, sources.given)
    if not needs_fitting(panel, rater, sources.models, sources.given):
        whole = np.ones(len(panel.case_id), dtype=bool)
        frozen = Frozen("given", codes.notes(*(p.words for p in locked.values())), whole, {})
        if sources.models.get(rater, {}).get("operating_points"):
            frozen = from_model(sources.models[rater], panel)
    elif sources.tuned is not None:
        frozen = from_tune(sources.tuned, rater, panel, config, settled=locked)
    else:
        frozen = from_half(panel, rater, inside, sources.half, config, settled=locked)
    if not locked:
        return frozen
    thresholds = {**frozen.thresholds, **{f: p.thresholds[f] for f, p in locked.items() if f in panel.findings}}
    ordered = {f: thresholds[f] for f in (*panel.findings, *thresholds) if f in thresholds}
    return replace(frozen, thresholds=ordered, own=locked)


def origin_sentences(panel: ScoreMatrix, rater: str, frozen: Frozen) -> list[str]:
    """Return where the operating points of a rater come from, with the findings where it differs between them."""
    findings: dict[Text, list[str]] = {}
    for finding in (f for f in panel.findings if panel.gives(rater, f)):
        findings.setdefault(frozen.part(finding).words, []).append(finding)
    if len(findings) < 2:
        return [f"Thresholds of {rater}: {next(iter(findings), frozen.words)}."]
    return [f"Thresholds of {rater} for {', '.join(some)}: {words}." for words, some in findings.items()]


def point_at(name: str) -> str:
    """Return the value of the column `at` of an operating point.

    >>> point_at("spec90"), point_at("decision")
    ('operating_point=spec90', 'decision')
    """
    return name if name == DECISION else f"operating_point={name}"


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
    panel: ScoreMatrix, rater: str, cases: Bools, config: EvaluationConfig, settled: Collection[str]
) -> tuple[dict[str, dict[str, Threshold]], dict[str, Recalibration]]:
    thresholds, lines = {}, {}
    for finding in (f for f in panel.findings if f not in settled):
        index = np.flatnonzero(cases & panel.stated(rater, finding))
        y, score = panel.truths(finding)[index] == 1, panel.scores(rater, finding)[index]
        weight = None if panel.weight is None else panel.weight[index]
        thresholds[finding] = {n: _threshold(y, score, target, weight) for n, target in config.points().items()}
        lines[finding] = _line(y, score, panel.patient[index], weight)
    return thresholds, lines


def _threshold(y: Bools, score: Floats, target: Mapping[str, float], weight: Floats | None) -> Threshold:
    """Choose a threshold; its note names the fitting cases as such, because it stands beside the rates of others."""
    step = rates.threshold_at(y, score, weights=weight, **target)
    kind, value = next(iter(target.items()))
    counted = int((~y).sum() if kind == "specificity" else y.sum())
    one_class = codes.note("threshold_of_one_class", n=y.size, outcome="present" if y.any() else "absent")
    if np.isfinite(step.threshold):
        coarse = codes.note("coarse_threshold", rate=kind, n=counted, target=value)
        alone = one_class if y.all() or not y.any() else None
        return Threshold(step.threshold, codes.notes(coarse if counted * (1 - value) < 1 else None, alone))
    if not counted:
        missing = "absent" if kind == "specificity" else "present"
        return Threshold(step.threshold, codes.note("threshold_without_class", outcome=missing))
    return Threshold(step.threshold, codes.notes(codes.note("threshold_not_attained", rate=kind), _ties(step.note)))


def _ties(note: Text) -> Text:
    """Return which share of the fitting cases is tied at the highest score, where this is the reason."""
    tied = next((code for code in note.codes if code.name == "specificity_unattainable"), None)
    return codes.NONE if tied is None else codes.note("fitting_scores_tied", share=tied["share"], score=tied["score"])


def _line(y: Bools, score: Floats, patient: np.ndarray, weight: Floats | None) -> Recalibration:
    """Fit the logistic recalibration; without parameters and with a note if the cases do not allow it."""
    scale = "probability" if score.size and score.min() >= 0 and score.max() <= 1 else "score"
    counts = count(y.astype(np.float64), patient)
    if counts.at_least(FEWEST, FEWEST):
        return calibration.recalibrate(y, score, scale=scale, weights=weight)
    n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
    note = codes.note("not_recalibrated", **n_by_class, least=FEWEST)
    return calibration.Recalibration("logistic", scale, note=note)
