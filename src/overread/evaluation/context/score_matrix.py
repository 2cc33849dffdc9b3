"""Joined scores as arrays: cases by findings by raters, with the patient, site and groups of every case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import codes
from overread.codes import Text
from overread.errors import InputError
from overread.evaluation.context.strata import merge_small_strata, sampling_strata
from overread.evaluation.join.label_states import Pair
from overread.evaluation.join.matching import Join

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.intp]
NONE = -1  # the code of a case that has no value in a column


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of the cases as codes; NONE for a missing value."""

    codes: Codes  # (n_cases,)
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMatrix:
    """Scores, reference standard and case attributes as arrays; cases are ordered by `case_id`.

    truth is 1 present, 0 absent, NaN without a label; score is NaN if the rater has none; weight is None if all cases
    have the same weight. reference and policy are the texts reported with every estimate.
    """

    case_id: tuple[str, ...]
    patient: Codes  # (n_cases,) 0 … n_patients-1
    patients: tuple[str, ...]
    site: Column
    pairs: Column
    groups: Mapping[str, Column]
    weight: Floats | None
    findings: tuple[str, ...]
    raters: tuple[str, ...]
    truth: Floats  # (n_findings, n_cases)
    score: Floats  # (n_raters, n_findings, n_cases)
    reference: str = ""
    policy: str = ""
    strata: Codes | None = None  # (n_cases,) what the patients of a weighted sample were drawn within
    unstratified: Text = codes.NONE  # why the sampling strata are not used
    finite: bool = False  # estimates are about the population that was drawn from, as large as the sum of the weights
    decisions: frozenset[Pair] = frozenset()  # raters and findings whose values are decisions, 1 or 0, and no scores
    across_sites: bool = True  # whether an AUC over several sites compares cases of different sites

    @property
    def n_patients(self) -> int:
        """Number of patients of the cases."""
        return len(self.patients)

    def at(self, sites: Sequence[str]) -> Bools:
        """Return whether each case is from one of these sites (n_cases,)."""
        indices = [i for i, s in enumerate(self.site.levels) if s in sites]
        inside: Bools = np.isin(self.site.codes, indices)
        return inside

    def pair_strata(self, cases: Codes) -> Codes | None:
        """Return the strata within which the cases (by index) are compared in an AUC; None = all pairs.

        The strata of `pairs_within` are within sites; without them a site is one stratum.
        """
        pairs, site = self.pairs.codes[cases], self.site.codes[cases]
        if not self.across_sites and (site != site[:1]).any():
            return site * (len(self.pairs.levels) + 1) + pairs + 1
        return pairs if (pairs != NONE).any() else None

    def stated(self, rater: str, finding: str) -> Bools:
        """Return whether each case has a reference standard and a score (n_cases,)."""
        r, f = self.raters.index(rater), self.findings.index(finding)
        stated: Bools = ~(np.isnan(self.truth[f]) | np.isnan(self.score[r, f]))
        return stated

    def scores(self, rater: str, finding: str) -> Floats:
        """Return the scores of a rater for a finding (n_cases,), NaN if missing."""
        score: Floats = self.score[self.raters.index(rater), self.findings.index(finding)]
        return score

    def truths(self, finding: str) -> Floats:
        """Return the truth of a finding (n_cases,), NaN without a label."""
        truth: Floats = self.truth[self.findings.index(finding)]
        return truth

    def gives(self, rater: str, finding: str) -> bool:
        """Return whether the finding is an output of the rater."""
        return finding in self.findings and bool((~np.isnan(self.scores(rater, finding))).any())

    def ranks(self, rater: str, finding: str) -> bool:
        """Return whether the rater has scores of the finding, which rank the cases, and not decisions."""
        return (rater, finding) not in self.decisions and self.gives(rater, finding)

    def ranks_any(self, rater: str) -> bool:
        """Return whether the rater has scores, and not decisions, of any finding."""
        return any(self.ranks(rater, f) for f in self.findings) or not any(r == rater for r, _ in self.decisions)


def build_scores(joined: Join, *, policy: str = "", finite: bool = False) -> ScoreMatrix:
    """Return the joined scores as arrays, with findings in the order of the vocabulary."""
    cases, scores = joined.cases, joined.scores
    findings = joined.vocabulary.ordered(scores["finding"].unique())
    raters = scores["rater"].unique().sort().to_list()
    patients = cases["patient_id"].unique().sort()
    place = scores.select(
        _code("case_id", cases["case_id"]), _code("finding", findings), _code("rater", raters), "score", "truth"
    )
    c, f, r = (place[name].to_numpy().astype(np.intp) for name in ("case_id", "finding", "rater"))
    truth = np.full((len(findings), cases.height), np.nan)
    truth[f, c] = place["truth"].cast(pl.Float64).to_numpy()
    score = np.full((len(raters), len(findings), cases.height), np.nan)
    score[r, f, c] = place["score"].to_numpy()
    weight = cases["weight"].fill_null(1.0).to_numpy()
    if finite and (weight == 1).all():
        raise InputError(
            "evaluation.finite_population",
            "weights of the images, which sum to the population",
            "none, or 1 everywhere",
            do="Draw the sample with `overread sample`, or leave finite_population out.",
        )
    fixed = ("case_id", "patient_id", "site", "weight", "pairs_within", "stratum")
    named = [n for n in cases.columns if n not in fixed]
    patient = _codes(cases["patient_id"], patients.to_list())
    strata, unstratified = sampling_strata(cases, patient)
    return ScoreMatrix(
        case_id=tuple(cases["case_id"]),
        patient=patient,
        patients=tuple(patients),
        site=column(cases["site"]),
        pairs=column(cases["pairs_within"]),
        groups={n: column(cases[n]) for n in named},
        weight=None if (weight == weight[0]).all() and not finite else weight,
        findings=findings,
        raters=tuple(raters),
        truth=truth,
        score=score,
        reference="+".join(sorted(scores["source"].unique().to_list())),
        policy=policy,
        strata=strata,
        unstratified=unstratified,
        finite=finite,
        decisions=joined.decisions,
    )


def subset_cases(whole: ScoreMatrix, cases: Codes, findings: Sequence[str]) -> ScoreMatrix:
    """Return the matrix of these cases, by index and in that order, and of these findings; patients are renumbered."""
    patients, patient = np.unique(whole.patient[cases], return_inverse=True)
    rows = np.array([whole.findings.index(f) for f in findings], dtype=np.intp)
    return replace(
        whole,
        case_id=tuple(whole.case_id[i] for i in cases),
        patient=patient.astype(np.intp),
        patients=tuple(whole.patients[i] for i in patients),
        site=replace(whole.site, codes=whole.site.codes[cases]),
        pairs=replace(whole.pairs, codes=whole.pairs.codes[cases]),
        groups={n: replace(c, codes=c.codes[cases]) for n, c in whole.groups.items()},
        weight=None if whole.weight is None else whole.weight[cases],
        strata=None if whole.strata is None else merge_small_strata(whole.strata[cases], patient),
        findings=tuple(findings),
        truth=whole.truth[np.ix_(rows, cases)],
        score=whole.score[:, rows][:, :, cases],
    )


def column(values: pl.Series) -> Column:
    """A column as codes of its sorted levels."""
    levels = values.drop_nulls().unique().sort().to_list()
    return Column(_codes(values, levels), tuple(levels))


def _code(name: str, known: Sequence[str] | pl.Series) -> pl.Expr:
    levels = list(known)
    return pl.col(name).cast(pl.String).replace_strict(levels, list(range(len(levels))), return_dtype=pl.Int64)


def _codes(values: pl.Series, levels: Sequence[str]) -> Codes:
    if not levels:
        return np.full(values.len(), NONE, dtype=np.intp)
    codes = values.cast(pl.String).replace_strict(
        list(levels), list(range(len(levels))), default=NONE, return_dtype=pl.Int64
    )
    return codes.fill_null(NONE).to_numpy().astype(np.intp)
