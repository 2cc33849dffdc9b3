"""Rows of the estimates table: an estimate, its key, and the numbers of cases and patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
import polars as pl

from overread import codes, tables
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.score_matrix import Bools, Floats, ScoreMatrix
from overread.stats.estimate import Estimate

MEAN = "(mean)"
_PROPORTIONS = frozenset(
    {
        Metric.AUC,
        Metric.PREVALENCE,
        Metric.SENSITIVITY,
        Metric.SPECIFICITY,
        Metric.SENSITIVITY_AT_SPECIFICITY,
        Metric.SPECIFICITY_AT_SENSITIVITY,
        Metric.PPV,
        Metric.NPV,
        Metric.F1,
        Metric.ACCURACY,
        Metric.UNDERDIAGNOSIS,
        Metric.PERCENT_AGREEMENT,
    }
)
_FROM_MINUS_ONE = frozenset(
    {
        Metric.AUC_DIFFERENCE,
        Metric.AUC_DROP,
        Metric.SENSITIVITY_DIFFERENCE,
        Metric.SPECIFICITY_DIFFERENCE,
        Metric.COHEN_KAPPA,
        Metric.LIGHT_KAPPA,
        Metric.FLEISS_KAPPA,
        Metric.GWET_AC1,
        Metric.KRIPPENDORFF_ALPHA,
    }
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of cases with and without the finding, and of their patients."""

    present: int = 0
    absent: int = 0
    patients_present: int = 0
    patients_absent: int = 0
    patients: int = 0

    @property
    def cases(self) -> int:
        """Number of cases with a reference standard for the finding."""
        return self.present + self.absent

    def at_least(self, present: int, absent: int) -> bool:
        """Return whether there are at least these numbers of patients with and without the finding."""
        return self.patients_present >= present and self.patients_absent >= absent


@dataclass(frozen=True, slots=True)
class EstimateKey:
    """The key of an estimate, except metric and `at`."""

    analysis: Analysis
    finding: str
    rater: str
    population: str
    subgroup: str = ""
    level: str = ""
    contrast: str = ""
    reference: str = ""
    policy: str = ""
    arm: str = "model"

    def to(self, **changes: Any) -> EstimateKey:
        """Return the key with some fields replaced."""
        return replace(self, **changes)


def count(truth: Floats, patient: np.ndarray) -> Counts:
    """Count cases whose truth is 1 or 0 (NaN is not counted) and their patients."""
    present, absent = truth == 1, truth == 0
    return Counts(
        int(present.sum()),
        int(absent.sum()),
        patients_in(patient[present]),
        patients_in(patient[absent]),
        patients_in(patient[present | absent]),
    )


def patients_in(patient: np.ndarray) -> int:
    """Return the number of different patients.

    >>> patients_in(np.array([3, 0, 3]))
    2
    """
    return int(np.count_nonzero(np.bincount(patient))) if patient.size else 0


def patients_text(n: int) -> str:
    """A number of patients in words.

    >>> patients_text(1), patients_text(1200)
    ('1 patient', '1,200 patients')
    """
    return f"{n:,} patient{'' if n == 1 else 's'}"


def counts_at(panel: ScoreMatrix, rater: str, finding: str, cases: Bools) -> Counts:
    """Count the cases of a mask (n_cases,) with a score and a reference standard."""
    chosen = np.flatnonzero(cases & panel.stated(rater, finding))
    return count(panel.truths(finding)[chosen], panel.patient[chosen])


def row(
    place: EstimateKey,
    metric: str,
    estimate: Estimate,
    *,
    at: str = "",
    counts: Counts | None = None,
    test: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> Row:
    """Return a row of estimates; `test` may hold p_adjusted, family, null and n_readers."""
    tested, estimate = estimate.p == estimate.p, without_zero_width(estimate)
    test = dict(test or {})
    if tested and estimate.p != estimate.p:
        test.pop("p_adjusted", None)
    numbers: Row = {"n_present": None, "n_absent": None, "n_cases": None, "n_patients": None, "n_readers": None}
    if counts is not None:
        numbers |= {
            "n_present": counts.present,
            "n_absent": counts.absent,
            "n_cases": counts.cases,
            "n_patients": counts.patients,
        }
    return {
        "analysis": str(Analysis(place.analysis)),
        "metric": str(Metric(metric)),
        "at": at,
        "finding": place.finding,
        "rater": place.rater,
        "arm": place.arm,
        "contrast": place.contrast,
        "population": place.population,
        "subgroup": place.subgroup,
        "level": place.level,
        "reference": place.reference,
        "policy": place.policy,
        "estimate": float(estimate.value),
        "low": _limited(metric, estimate.low),
        "high": _limited(metric, estimate.high),
        "se": float(estimate.se),
        "p": float(estimate.p),
        "p_adjusted": nan,
        "family": "",
        "null": None,
        **numbers,
        "confidence": confidence,
        **_texts(estimate),
        **test,
    }


def without_zero_width(estimate: Estimate) -> Estimate:
    """Return the estimate without an interval of zero width, which would state a certainty that no sample gives.

    It has no P value either: a test needs a variance.
    """
    if estimate.low != estimate.high:  # also without an interval: NaN
        return estimate
    kept = (codes.note(c.name, **dict(c.parameters)) for c in estimate.note.codes if c.name != "zero_variance")
    note = codes.notes(codes.note("zero_variance_no_ci"), *kept)
    return replace(estimate, low=nan, high=nan, se=nan, p=nan, note=note)


def _limited(metric: str, limit: float) -> float:
    """Cut a limit of an interval at the ends of the range of the metric; a normal interval knows no range.

    >>> _limited("auc", 1.02), _limited("auc_drop", -0.1), _limited("auc", nan)
    (1.0, -0.1, nan)
    """
    if metric in _PROPORTIONS:
        return float(np.clip(limit, 0.0, 1.0))
    return float(np.clip(limit, -1.0, 1.0)) if metric in _FROM_MINUS_ONE else float(limit)


def _texts(estimate: Estimate) -> Row:
    """The texts of an estimate with their codes; a text without codes is refused."""
    method, note = estimate.method, estimate.note
    return {"method": method, "method_code": codes.encode(method), "note": note, "note_codes": codes.encode(note)}


def mean_row(
    place: EstimateKey,
    metric: str,
    estimate: Estimate,
    *,
    over: Sequence[str],
    at: str = "",
    test: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> Row:
    """Return a row for a mean, with the findings of the mean, which are not a column of the table."""
    return row(place.to(finding=MEAN), metric, estimate, at=at, test=test, confidence=confidence) | {"over": (*over,)}


def means_of_one(rows: Sequence[Row]) -> list[Row]:
    """Replace a mean over a single finding by the estimate of that finding.

    Both are the same quantity. A mean over several findings has another type of interval (bootstrap or influence
    values) than a single finding (DeLong, Wilson), and one number must not have two intervals.
    """
    names = (
        "analysis",
        "metric",
        "at",
        "rater",
        "arm",
        "contrast",
        "population",
        "subgroup",
        "level",
        "reference",
        "policy",
    )
    own = {(*(r[n] for n in names), r["finding"]): r for r in rows if r["finding"] != MEAN}
    result = []
    for one in rows:
        over = one.get("over", ())
        columns = {k: v for k, v in one.items() if k != "over"}
        if len(over) == 1 and (same := own.get((*(one[n] for n in names), over[0]))):
            columns |= {k: same[k] for k in ("estimate", "low", "high", "se", "p", "method", "method_code")}
            columns["note"] = codes.notes(same["note"], one["note"])
            columns["note_codes"] = codes.encode(columns["note"])
        result.append(columns)
    return result


def estimates_frame(rows: Sequence[Row]) -> pl.DataFrame:
    """Return the estimates table of these rows, in their order; duplicate keys are refused."""
    if not rows:
        return tables.empty("estimates")
    types = {name: c.dtype for name, c in tables.schema("estimates").columns().items() if name in rows[0]}
    return tables.check(pl.DataFrame(list(rows), schema=types), "estimates", where="estimates")


def add_notes(estimate: Estimate, *notes: Text) -> Estimate:
    """The estimate with further notes.

    >>> add_notes(Estimate(0.5), codes.NONE, codes.note("no_second_reader")).note
    'no CI: one reader'
    """
    return replace(estimate, note=codes.notes(estimate.note, *notes))


def without_interval(estimate: Estimate, *notes: Text) -> Estimate:
    """Return the estimate without interval, with notes that give the reason."""
    return Estimate(estimate.value, method=estimate.method, note=codes.notes(*notes))


def not_estimable(*notes: Text, method: Text = codes.NONE) -> Estimate:
    """Return NaN with notes that give the reason."""
    return Estimate(nan, method=method, note=codes.notes(*notes))


def share_text(share: float) -> str:
    """Format a rate for the column `at`, with at least two decimals.

    >>> share_text(0.9), share_text(0.975)
    ('0.90', '0.975')
    """
    short = f"{share:.2f}"
    return short if abs(float(short) - share) < 1e-12 else f"{share:g}"
