"""Gaps between the groups of a column: best minus worst, for one finding and in the mean over findings."""

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
    """One metric in every group of a column: by finding and level the area, or the words that say why there is none."""

    metric: Metric
    at: str
    levels: tuple[str, ...]
    found: Mapping[str, Mapping[str, AucTerm | Text]]
    note: Text = codes.NONE

    def areas(self, finding: str) -> dict[str, AucTerm]:
        """The areas of a finding by level."""
        return {level: one for level, one in self.found.get(finding, {}).items() if isinstance(one, AucTerm)}

    def refused(self, finding: str) -> dict[str, Text]:
        """Why the other levels have none."""
        return {level: one for level, one in self.found.get(finding, {}).items() if isinstance(one, Text)}


@dataclass(frozen=True, slots=True)
class GapPart:
    """The findings and the groups of a mean over findings, and why each other group takes no part."""

    findings: tuple[str, ...]
    levels: tuple[str, ...]
    lost: Mapping[str, Text]


def gap_rows(context: AnalysisContext, place: EstimateKey, measure: Measure) -> list[Row]:
    """The gap of every finding, or why there is none."""
    return [
        _gap(context, place.to(finding=finding), measure, measure.areas(finding), measure.refused(finding))
        for finding in measure.found
    ]


def mean_rows(
    context: AnalysisContext, place: EstimateKey, measure: Measure, *, everyone: Mapping[str, AucTerm] | None = None
) -> list[Row]:
    """The mean over findings in every group, in all of them together, and its gap.

    It is over the same findings in every group (`taking_part`). everyone: the areas of these findings over all cases of
    the column; without them there is no row of level "all".
    """
    part, n_patients, confidence = gap_part(context, measure), context.panel.n_patients, context.config.confidence
    note = macro_note(context, part.findings)
    means = {v: mean_area([measure.areas(f)[v] for f in part.findings], n_patients) for v in part.levels}
    shown: dict[str, AucTerm | None] = {level: means.get(level) for level in measure.levels}
    if everyone:
        shown[ALL] = mean_area([everyone[f] for f in part.findings], n_patients)
    rows = []
    for level, mean in shown.items():
        made = not_estimable(part.lost.get(level, codes.NONE))
        if mean is not None:
            made = linear_estimate([(1.0, mean)], n_patients, confidence=confidence)
        made = add_notes(made, codes.NONE if mean is None and level in part.lost else note, measure.note)
        over = part.findings if mean is not None else ()
        spot = place.to(level=level)
        rows.append(mean_row(spot, measure.metric, made, over=over, at=measure.at, confidence=confidence))
    of_mean = replace(measure, note=codes.notes(note, measure.note))
    return [*rows, _gap(context, place.to(finding=MEAN), of_mean, means, part.lost)]


def gap_part(context: AnalysisContext, measure: Measure) -> GapPart:
    """Which groups and findings a mean is over.

    A group takes part in which at least half of the findings are evaluable that are so in any; the mean is over the
    findings that are evaluable in all groups that take part.
    """
    found = [f for f in context.macro() if measure.areas(f)]
    held = {level: sum(level in measure.areas(f) for f in found) for level in measure.levels}
    levels = tuple(level for level, n in held.items() if n and 2 * n >= len(found))
    used = tuple(f for f in found if levels and set(levels) <= set(measure.areas(f)))
    lost = {
        level: codes.note("few_findings_in_group", n=n, of=len(found))
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
    still = {level: _no_spread(one) for level, one in areas.items()}
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
    made = add_notes(found.gap, compared, left, measure.note)
    counts = _together([one.counts for one in areas.values()], _patients(areas))
    return row(spot, metric, made, at=measure.at, counts=counts, test={"null": 0.0}, confidence=confidence)


def _no_spread(one: AucTerm) -> Text:
    spread = float(np.abs(one.influence).sum()) + one.unseen
    if spread > 0:
        return codes.NONE
    return codes.note("no_variation" if spread == 0 else "group_variance_undefined")


def _patients(areas: Mapping[str, AucTerm]) -> int:
    return int(np.count_nonzero(np.bincount(np.concatenate([one.patients for one in areas.values()]))))


def _together(counts: Sequence[Counts], patients: int) -> Counts | None:
    """Cases of all groups, which share none; of a mean there are none to count."""
    if not any(c.cases for c in counts):
        return None
    return Counts(sum(c.present for c in counts), sum(c.absent for c in counts), patients=patients)


def adjusted(rows: Sequence[Row], words: str) -> list[Row]:
    """The rows with the p of every test of equality adjusted by Holm within its family, which is named.

    A family holds the tests of one metric in one rater and population over all columns; those of the mean over findings
    are a family, those of single findings another.
    """
    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, one in enumerate(rows):
        if one["metric"] in GAPS.values() and one["p"] == one["p"]:
            families.setdefault((one["metric"], one["at"], one["finding"] == MEAN), []).append(i)
    made = [dict(one) for one in rows]
    for (metric, at, mean), members in families.items():
        of = next(own for own, gap in GAPS.items() if gap == metric)
        name = f"equal {'AUC' if of == Metric.AUC else of}{f' at {at}' if at else ''}"
        n = len(members)
        text = f"{name} in all groups, {words}, {'mean over findings' if mean else 'single findings'}: {n} tests"
        for i, p in zip(members, holm([rows[i]["p"] for i in members]), strict=True):
            made[i] |= {"p_adjusted": float(p), "family": text.replace(": 1 tests", ": 1 test")}
    return made
