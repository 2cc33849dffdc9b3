"""All analyses of subgroups: estimates by group, gaps, differences of named groups, and their contrasts."""

from __future__ import annotations

from overread.codes import Analysis
from overread.evaluation.context.analysis_context import AnalysisContext
from overread.evaluation.context.estimate_rows import Row
from overread.evaluation.context.site_populations import Population
from overread.evaluation.progress import advancing
from overread.evaluation.subgroups.case_groups import split_by_groups
from overread.evaluation.subgroups.difference_contrasts import contrast_rows, model_pairs
from overread.evaluation.subgroups.group_aucs import auc_rows
from overread.evaluation.subgroups.group_differences import Differences, difference_rows, differences
from overread.evaluation.subgroups.group_gaps import Measure, adjusted
from overread.evaluation.subgroups.group_rates import rate_rows, underdiagnosis, underdiagnosis_rows

BY_GROUP = (auc_rows, rate_rows, underdiagnosis_rows)
"""What is estimated in the groups of a column: each returns rows, gaps among them, and measures."""


def subgroup_rows(context: AnalysisContext) -> list[Row]:
    """Estimate AUC, rates at frozen thresholds and under-diagnosis by subgroup; the gaps; the signed differences and
    ratios of two groups; and the contrasts of these differences between models.
    """
    rows: list[Row] = []
    found: dict[tuple[str, Population], Differences] = {}
    for rater in advancing(context.raters):
        for population in advancing(context.populations[rater]):
            mine: list[Row] = []
            signed: Differences = {}
            for groups in advancing(split_by_groups(context, rater, population)):
                measures: list[Measure] = []
                for analysis in advancing(BY_GROUP):
                    group_rows, measured = analysis(context, groups)
                    mine, measures = mine + group_rows, measures + measured
                signed |= differences(context, groups, measures)
            mine += underdiagnosis(context, rater, population) if mine else []
            rows += adjusted(mine, f"{rater}, {population.name}")
            rows += difference_rows(context, context.place(Analysis.SUBGROUPS, "", rater, population), signed)
            found[rater, population] = signed
    return rows + contrast_rows(context, Analysis.SUBGROUPS, found, model_pairs(context))
