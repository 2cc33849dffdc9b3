"""Rows of the estimates table: an estimate, where it belongs, and how many cases it rests on."""

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
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """Cases present and absent, and the patients behind each and behind both."""

    present: int = 0
    absent: int = 0
    patients_present: int = 0
    patients_absent: int = 0
    patients: int = 0

    @property
    def cases(self) -> int:
        """Cases in which the finding is stated."""
        return self.present + self.absent

    def at_least(self, present: int, absent: int) -> bool:
        """Whether at least so many patients have the finding present, and absent."""
        return self.patients_present >= present and self.patients_absent >= absent


@dataclass(frozen=True, slots=True)
class EstimateKey:
    """Where an estimate belongs: everything of its key but the metric and what fixes it."""

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
        """The same place but for what is named."""
        return replace(self, **changes)


def count(truth: Floats, patient: np.ndarray) -> Counts:
    """Counts of cases whose truth is 1 or 0 (NaN is not counted) and of their patients."""
    present, absent = truth == 1, truth == 0
    return Counts(
        int(present.sum()),
        int(absent.sum()),
        patients_in(patient[present]),
        patients_in(patient[absent]),
        patients_in(patient[present | absent]),
    )


def patients_in(patient: np.ndarray) -> int:
    """How many different patients these codes name.

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
    """Counts of the cases in a mask (n_cases,) that the rater scored and whose truth is stated."""
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
    """One row of estimates; `test` may hold p_adjusted, family, null and n_readers."""
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
        "low": float(estimate.low),
        "high": float(estimate.high),
        "se": float(estimate.se),
        "p": float(estimate.p),
        "p_adjusted": nan,
        "family": "",
        "null": None,
        **numbers,
        "confidence": confidence,
        **_texts(estimate),
        **(test or {}),
    }


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
    """A row of a mean, with the findings that it is over, which the table does not keep."""
    return row(place.to(finding=MEAN), metric, estimate, at=at, test=test, confidence=confidence) | {"over": (*over,)}


def means_of_one(rows: Sequence[Row]) -> list[Row]:
    """The rows, in which a mean over one finding has the numbers and the method of that finding's own row.

    It is the same quantity. A mean over several has another interval (the bootstrap, or influence values) than a single
    finding (DeLong, Wilson), and one number must not have two intervals.
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
    made = []
    for one in rows:
        over = one.get("over", ())
        kept = {k: v for k, v in one.items() if k != "over"}
        if len(over) == 1 and (same := own.get((*(one[n] for n in names), over[0]))):
            kept |= {k: same[k] for k in ("estimate", "low", "high", "se", "p", "method", "method_code")}
            kept["note"] = codes.notes(same["note"], one["note"])
            kept["note_codes"] = codes.encode(kept["note"])
        made.append(kept)
    return made


def estimates_frame(rows: Sequence[Row]) -> pl.DataFrame:
    """The estimates table of these rows, in their order; the table's own check refuses a key that stands twice."""
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
    """The value and the method of an estimate, with the notes that say why it has no interval."""
    return Estimate(estimate.value, method=estimate.method, note=codes.notes(*notes))


def not_estimable(*notes: Text, method: Text = codes.NONE) -> Estimate:
    """NaN, with the notes that say why."""
    return Estimate(nan, method=method, note=codes.notes(*notes))


def share_text(share: float) -> str:
    """A rate as it stands in `at`, with two decimals or as many as it has.

    >>> share_text(0.9), share_text(0.975)
    ('0.90', '0.975')
    """
    short = f"{share:.2f}"
    return short if abs(float(short) - share) < 1e-12 else f"{share:g}"
