"""AUC of each rater by subgroup, with means over findings and gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.codes import Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext
from overread.evaluation.context.auc_terms import AucTerm, Cases, area_of, auc_estimate, select
from overread.evaluation.context.estimate_rows import Row, count, not_estimable, row
from overread.evaluation.context.score_matrix import Bools
from overread.evaluation.context.site_populations import POOLED
from overread.evaluation.progress import advancing
from overread.evaluation.subgroups.case_groups import CaseGroups, few_evaluable
from overread.evaluation.subgroups.group_gaps import ALL, Measure, gap_part, gap_rows, mean_rows


def auc_rows(context: AnalysisContext, groups: CaseGroups) -> tuple[list[Row], list[Measure]]:
    """Estimate the AUC of every finding by subgroup, its means, and the gaps; also return the measure. Nothing for
    decisions.
    """
    if not context.panel.ranks_any(groups.rater):
        return [], []
    rows, confidence = [], context.config.confidence
    found: dict[str, dict[str, AucTerm | Text]] = {}
    for finding in advancing([f for f in groups.findings(context) if context.panel.ranks(groups.rater, f)]):
        for level, mask in groups.levels.items():
            cases = _cases(context, groups, finding, mask)
            counts = count(cases.truth.astype(np.float64), cases.patient)
            if not counts.cases:  # the row of the whole population says where nothing is stated
                continue
            one: AucTerm | Text = few_evaluable(context, counts)
            if context.evaluable(counts):
                area = area_of(context.panel, cases)
                one = area if area.value == area.value else area.note
            found.setdefault(finding, {})[level] = one
            estimate = (
                not_estimable(one) if isinstance(one, Text) else auc_estimate(cases, counts, confidence=confidence)
            )
            place = groups.place(context, finding, level)
            rows.append(row(place, Metric.AUC, estimate, counts=counts, confidence=confidence))
    measure = Measure(Metric.AUC, "", tuple(groups.levels), found)
    everyone = {
        f: area_of(context.panel, _cases(context, groups, f, groups.cases)) for f in gap_part(context, measure).findings
    }
    means = mean_rows(context, groups.place(context), measure, everyone=everyone)
    rows += [_counted(context, groups, one) for one in means]
    return rows + gap_rows(context, groups.place(context), measure), [measure]


def _cases(context: AnalysisContext, groups: CaseGroups, finding: str, mask: Bools) -> Cases:
    """Return the cases of a mask; in a population of several sites pairs are compared within a site only, unless the
    evaluation compares all pairs.
    """
    selected = select(context.panel, groups.rater, finding, mask)
    if len(groups.population.sites) < 2 or context.aggregation == POOLED:
        return selected
    panel = context.panel
    index = np.flatnonzero(mask & panel.stated(groups.rater, finding))
    pairs = panel.site.codes[index] * (len(panel.pairs.levels) + 1) + panel.pairs.codes[index] + 1
    return replace(selected, pairs=pairs if np.unique(pairs).size > 1 else None)


def _counted(context: AnalysisContext, groups: CaseGroups, one: Row) -> Row:
    """Add the numbers of cases and patients of the group to a mean over findings."""
    if one["contrast"] or not one["level"]:
        return one
    mask = groups.cases if one["level"] == ALL else groups.levels[one["level"]]
    patients = int(np.count_nonzero(np.bincount(context.panel.patient[mask])))
    return one | {"n_cases": int(mask.sum()), "n_patients": patients}
