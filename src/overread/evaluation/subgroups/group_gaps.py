"""Gaps between subgroups: largest minus smallest value, for one finding and for the mean over findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext, macro_note
from overread.evaluation.context.auc_terms import AucTerm, joint_covariance, linear_estimate, mean_area
from overread.evaluation.context.estimate_rows import (
    MEAN,
    Counts,
    EstimateKey,
    Row,
    add_notes,
    mean_row,
    not_estimable,
    row,
)
from overread.stats.multiplicity import holm
from overread.stats.simultaneous import largest_gap

GAPS = {
    Metric.AUC: Metric.GAP_AUC,
    Metric.SENSITIVITY: Metric.GAP_SENSITIVITY,
    Metric.SPECIFICITY: Metric.GAP_SPECIFICITY,
    Metric.UNDERDIAGNOSIS: Metric.GAP_UNDERDIAGNOSIS,
}
ALL = "all"  # the level of the mean over every case that has a value in the column


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """One metric in every group of a column, by finding and level, or the reason why there is no estimate."""

    metric: Metric
    at: str
    levels: tuple[str, ...]
    found: Mapping[str, Mapping[str, AucTerm | Text]]
    note: Text = codes.NONE

    def areas(self, finding: str) -> dict[str, AucTerm]:
        """Return the estimates of a finding by level."""
        return {level: one for level, one in self.found.get(finding, {}).items() if isinstance(one, AucTerm)}

    def refused(self, finding: str) -> dict[str, Text]:
        """Return the reason for every level without an estimate."""
        return {level: one for level, one in self.found.get(finding, {}).items() if isinstance(one, Text)}


@dataclass(frozen=True, slots=True)
class GapPart:
    """The findings and groups of a mean over findings, and the reason for every excluded group."""

    findings: tuple[str, ...]
    levels: tuple[str, ...]
    lost: Mapping[str, Text]


def gap_rows(context: AnalysisContext, place: EstimateKey, measure: Measure) -> list[Row]:
    """Return the gap of every finding, or the reason why there is none."""
    return [
        _gap(context, place.to(finding=finding), measure, measure.areas(finding), measure.refused(finding))
        for finding in measure.found
    ]


def mean_rows(
    context: AnalysisContext, place: EstimateKey, measure: Measure, *, everyone: Mapping[str, AucTerm] | None = None
) -> list[Row]:
    """Return the mean over findings in every group and in all groups together, and its gap.

    The mean is over the same findings in every group (see `gap_part`). `everyone` holds the estimates of these findings
    over all cases of the column; without them there is no row of level "all".
    """
    part, n_patients, confidence = gap_part(context, measure), context.panel.n_patients, context.config.confidence
    note = macro_note(context, part.findings)
    means = {v: mean_area([measure.areas(f)[v] for f in part.findings], n_patients) for v in part.levels}
    shown: dict[str, AucTerm | None] = {level: means.get(level) for level in measure.levels}
    if everyone:
        shown[ALL] = mean_area([everyone[f] for f in part.findings], n_patients)
    rows = []
    for level, mean in shown.items():
        estimate = not_estimable(part.lost.get(level, codes.NONE))
        if mean is not None:
            estimate = linear_estimate([(1.0, mean)], n_patients, confidence=confidence)
        estimate = add_notes(estimate, codes.NONE if mean is None and level in part.lost else note, measure.note)
        over = part.findings if mean is not None else ()
        spot = place.to(level=level)
        rows.append(mean_row(spot, measure.metric, estimate, over=over, at=measure.at, confidence=confidence))
    of_mean = replace(measure, note=codes.notes(note, measure.note))
    return [*rows, _gap(context, place.to(finding=MEAN), of_mean, means, part.lost)]


def gap_part(context: AnalysisContext, measure: Measure) -> GapPart:
    """Select the groups and findings of a mean over findings.

    A group is included if at least half of the findings that are evaluable in any group are evaluable in it. The mean
    is over the findings that are evaluable in all included groups.
    """
    found = [f for f in context.macro() if measure.areas(f)]
    held = {level: sum(level in measure.areas(f) for f in found) for level in measure.levels}
    levels = tuple(level for level, n in held.items() if n and 2 * n >= len(found))
    used = tuple(f for f in found if levels and set(levels) <= set(measure.areas(f)))
    lost = {
        level: codes.note("few_findings_in_group", n=n, of=len(found))
        if found
        else codes.note("no_finding_in_every_group")
        for level, n in held.items()
        if level not in levels
    }
    if not used:
        return GapPart((), (), lost | dict.fromkeys(levels, codes.note("no_finding_in_every_group")))
    return GapPart(used, levels, lost)


def _gap(
    context: AnalysisContext,
    place: EstimateKey,
    measure: Measure,
    areas: Mapping[str, AucTerm],
    refused: Mapping[str, Text],
) -> Row:
    metric, confidence = GAPS[measure.metric], context.config.confidence
    still = {level: no_spread(one) for level, one in areas.items()}
    areas = {level: one for level, one in areas.items() if not still[level]}
    refused = dict(refused) | {level: why for level, why in still.items() if why}
    left = codes.notes(*(codes.note("group_excluded", group=g, reason=str(why)) for g, why in refused.items()))
    if len(areas) < 2:
        missing = not_estimable(codes.note(f"{'one' if areas else 'no'}_group_evaluable"), left, measure.note)
        return row(place, metric, missing, at=measure.at, confidence=confidence)
    levels = list(areas)
    values = np.array([areas[level].value for level in levels])
    found = largest_gap(values, joint_covariance(list(areas.values()), context.panel.n_patients), confidence=confidence)
    spot = place.to(level=levels[found.best], contrast=f"level:{levels[found.worst]}")
    compared = codes.note("groups_compared", n=len(levels), groups=tuple(levels))
    estimate = add_notes(found.gap, compared, left, measure.note)
    counts = together(list(areas.values()))
    return row(spot, metric, estimate, at=measure.at, counts=counts, test={"null": 0.0}, confidence=confidence)


def no_spread(one: AucTerm) -> Text:
    """Return why a difference from this term has no valid interval: its variance is 0 or undefined."""
    spread = float(np.abs(one.influence).sum()) + one.unseen
    if spread > 0:
        return codes.NONE
    return codes.note("no_variation" if spread == 0 else "group_variance_undefined")


def together(areas: Sequence[AucTerm]) -> Counts | None:
    """Sum the cases of disjoint groups and count their patients; None for a mean over findings."""
    counts = [one.counts for one in areas]
    if not any(c.cases for c in counts):
        return None
    patients = int(np.count_nonzero(np.bincount(np.concatenate([one.patients for one in areas]))))
    return Counts(sum(c.present for c in counts), sum(c.absent for c in counts), patients=patients)


def adjusted(rows: Sequence[Row], words: str) -> list[Row]:
    """Adjust the p values of tests of equality by Holm within their family, which is named in the rows.

    A family holds the tests of one metric for one rater and population over all columns; tests of the mean over
    findings and tests of single findings are separate families.
    """
    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, one in enumerate(rows):
        if one["metric"] in GAPS.values() and one["p"] == one["p"]:
            families.setdefault((one["metric"], one["at"], one["finding"] == MEAN), []).append(i)
    adjusted_rows = [dict(one) for one in rows]
    for (metric, at, mean), members in families.items():
        own_metric = next(own for own, gap in GAPS.items() if gap == metric)
        name = f"equal {'AUC' if own_metric == Metric.AUC else own_metric}{f' at {at}' if at else ''}"
        n = len(members)
        text = f"{name} in all groups, {words}, {'mean over findings' if mean else 'single findings'}: {n} tests"
        for i, p in zip(members, holm([rows[i]["p"] for i in members]), strict=True):
            adjusted_rows[i] |= {"p_adjusted": float(p), "family": text.replace(": 1 tests", ": 1 test")}
    return adjusted_rows
