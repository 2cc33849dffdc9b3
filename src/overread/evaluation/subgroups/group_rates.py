"""Rates at frozen thresholds by subgroup: sensitivity, specificity and under-diagnosis, and their gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.auc_terms import AucTerm
from overread.evaluation.context.estimate_rows import (
    Counts,
    EstimateKey,
    Row,
    add_notes,
    count,
    counts_at,
    not_estimable,
    patients_in,
    row,
)
from overread.evaluation.context.rate_terms import rate_estimate, rate_term
from overread.evaluation.context.score_matrix import Bools, Codes
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.subgroups.case_groups import CaseGroups
from overread.evaluation.subgroups.group_gaps import Measure, gap_rows, mean_rows

NO_FINDING = "no_finding"
LEVEL = codes.note("level_follows_threshold")


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The cases of a rate by index (n,), which of them are hits (n,), and the required number of patients."""

    metric: Metric
    at: str
    index: Codes
    hit: Bools
    counts: Counts
    least: int
    outcome: str
    words: Text
    whole: int = 0  # patients of the group where thresholds were fitted on half of them, 0 where they were not


def rate_rows(context: AnalysisContext, groups: CaseGroups) -> tuple[list[Row], list[Measure]]:
    """Estimate sensitivity and specificity of every finding at every frozen threshold by subgroup, with means and
    gaps; also return the measures.
    """
    rows: list[Row] = []
    found: dict[tuple[Metric, str], dict[str, dict[str, AucTerm | Text]]] = {}
    for finding in groups.findings(context):
        for level, mask in groups.levels.items():
            for share in shares(context, groups.rater, finding, mask):
                rate_row, outcome = judged(context, share, groups.place(context, finding, level))
                found.setdefault((share.metric, share.at), {}).setdefault(finding, {})[level] = outcome
                rows.append(rate_row)
    levels, frozen = tuple(groups.levels), context.frozen[groups.rater]
    measures = [Measure(metric, at, levels, one, frozen.words_over(one)) for (metric, at), one in found.items()]
    for measure in measures:
        rows += mean_rows(context, groups.place(context), measure)
        rows += gap_rows(context, groups.place(context), measure)
    return rows, measures


def shares(context: AnalysisContext, rater: str, finding: str, mask: Bools) -> Iterator[Share]:
    """Yield sensitivity and specificity of a finding at every frozen threshold, on the tested cases of the mask."""
    panel, config, frozen = context.panel, context.config, context.frozen[rater].part(finding)
    index = np.flatnonzero(mask & frozen.tested & panel.stated(rater, finding))
    if not index.size:  # the rows of the AUC say whether any case is stated
        return
    score, present = panel.scores(rater, finding)[index], panel.truths(finding)[index] == 1
    counts = count(present.astype(np.float64), panel.patient[index])
    whole = counts_at(panel, rater, finding, mask) if frozen.origin == "half" else Counts()
    for point, threshold in frozen.thresholds.get(finding, {}).items():
        if threshold.value != threshold.value:
            continue
        at, words = point_at(point), codes.notes(frozen.words, threshold.note)
        called = score >= threshold.value
        yield Share(
            Metric.SENSITIVITY,
            at,
            index[present],
            called[present],
            counts,
            config.minimum_present,
            "with the finding",
            words,
            whole.patients_present,
        )
        yield Share(
            Metric.SPECIFICITY,
            at,
            index[~present],
            ~called[~present],
            counts,
            config.minimum_absent,
            "without the finding",
            words,
            whole.patients_absent,
        )


def judged(context: AnalysisContext, share: Share, place: EstimateKey) -> tuple[Row, AucTerm | Text]:
    """Return the row of a rate, and its term or the reason why there is none."""
    panel, confidence = context.panel, context.config.confidence
    n_patients = patients_in(panel.patient[share.index])
    outcome: AucTerm | Text
    if n_patients < share.least:
        few: dict[str, Any] = {"n": n_patients, "outcome": share.outcome, "least": share.least}
        outcome = codes.note("few_patients_rate", **few)
        if share.whole >= share.least:
            outcome = codes.note("few_patients_halved", **few, whole=share.whole)
        estimate = not_estimable(outcome)
    else:
        outcome = rate_term(panel, share.index, share.hit, share.counts)
        estimate = rate_estimate(panel, share.index, share.hit, confidence=confidence)
    estimate = add_notes(estimate, share.words)
    return row(place, share.metric, estimate, at=share.at, counts=share.counts, confidence=confidence), outcome


def underdiagnosis_rows(context: AnalysisContext, groups: CaseGroups) -> tuple[list[Row], list[Measure]]:
    """Estimate the under-diagnosis rate by subgroup at every operating point, and the gaps; also return the
    measures.
    """
    rows: list[Row] = []
    measures = []
    for finding, point, ill, missed in missed_cases(context, groups.rater):
        outcomes: dict[str, AucTerm | Text] = {}
        for level, mask in groups.levels.items():
            share = missed_share(context, groups.rater, point, mask & ill, missed)
            rate_row, outcomes[level] = judged(context, share, groups.place(context, finding, level))
            rows.append(rate_row)
        called = _called(context, groups.rater, point)
        own = _called_note(context, groups.rater, called)
        words = codes.notes(context.frozen[groups.rater].words_over(called), own, LEVEL)
        measure = Measure(Metric.UNDERDIAGNOSIS, point_at(point), tuple(groups.levels), {finding: outcomes}, words)
        measures.append(measure)
        rows += gap_rows(context, groups.place(context), measure)
    return rows, measures


def underdiagnosis(context: AnalysisContext, rater: str, population: Population) -> list[Row]:
    """Estimate the under-diagnosis rate of the whole population."""
    rows = []
    for finding, point, ill, missed in missed_cases(context, rater):
        share = missed_share(context, rater, point, population_cases(context, population) & ill, missed)
        rows.append(judged(context, share, context.place(Analysis.SUBGROUPS, finding, rater, population))[0])
    return rows


def missed_cases(context: AnalysisContext, rater: str) -> Iterator[tuple[str, str, Bools, Bools]]:
    """Yield by operating point the finding, the diseased cases, and those called healthy (n_cases,).

    As defined by Seyyed-Kalantari et al. (2021): the false positives of No Finding among cases with a finding. A rater
    that does not score No Finding calls a case healthy if it calls none of its findings; a case is then diseased if one
    of these findings is present (finding ""). Cases without a score for all of them are excluded.
    """
    panel, thresholds = context.panel, context.frozen[rater].thresholds
    for point in dict.fromkeys(p for points in thresholds.values() for p in points):
        known = {f: thresholds[f][point].value for f in _called(context, rater, point)}
        if NO_FINDING in known:
            ill = panel.stated(rater, NO_FINDING) & (panel.truths(NO_FINDING) == 0)
            yield NO_FINDING, point, ill, panel.scores(rater, NO_FINDING) >= known[NO_FINDING]
        elif known:
            scores = np.stack([panel.scores(rater, f) for f in known])  # (n_findings, n_cases)
            called = scores >= np.array(list(known.values()))[:, None]
            present = np.logical_or.reduce([panel.truths(f) == 1 for f in known])
            unscored = np.logical_or.reduce(np.isnan(scores))
            yield "", point, present & ~unscored, ~np.logical_or.reduce(called)


def _called(context: AnalysisContext, rater: str, point: str) -> list[str]:
    """Return the findings of whose calls under-diagnosis is made: No Finding if the rater calls it, else all others."""
    thresholds = context.frozen[rater].thresholds
    known = [f for f, p in thresholds.items() if point in p and p[point].value == p[point].value]
    known = [f for f in known if context.panel.gives(rater, f)]
    return [NO_FINDING] if NO_FINDING in known else known


def _called_note(context: AnalysisContext, rater: str, called: list[str]) -> Text:
    """Name the findings of under-diagnosis where other findings of the rater have no threshold at this point."""
    given = [f for f in context.panel.findings if context.panel.gives(rater, f) and f != NO_FINDING]
    if called == [NO_FINDING] or len(called) == len(given):
        return codes.NONE
    return codes.note("called_findings", n=len(called), of=len(given), findings=tuple(called))


def missed_share(context: AnalysisContext, rater: str, point: str, ill: Bools, missed: Bools) -> Share:
    """Return the under-diagnosis of the diseased cases `ill` (n_cases,) at an operating point."""
    panel, frozen, called = context.panel, context.frozen[rater], _called(context, rater, point)
    index = np.flatnonzero(ill & np.logical_and.reduce([frozen.part(f).tested for f in called]))
    counts = count(np.ones(index.size), panel.patient[index])
    return Share(
        Metric.UNDERDIAGNOSIS,
        point_at(point),
        index,
        missed[index],
        counts,
        context.config.minimum_present,
        "with a finding",
        codes.notes(frozen.words_over(called), _called_note(context, rater, called), LEVEL),
        patients_in(panel.patient[ill]) if any(frozen.part(f).origin == "half" for f in called) else 0,
    )
