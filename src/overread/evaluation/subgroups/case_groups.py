"""Subgroups of the cases of a population by one column or by the combination of two columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overread import codes
from overread.codes import Analysis, Text
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.estimate_rows import Counts, EstimateKey
from overread.evaluation.context.score_matrix import Bools, Column
from overread.evaluation.context.site_populations import Population
from overread.evaluation.join.case_tables import band_names

CROSS = " × "


@dataclass(frozen=True, slots=True, eq=False)
class CaseGroups:
    """Subgroups of one rater in one population: the cases (n_cases,) of every level of a column, in order."""

    rater: str
    population: Population
    name: str
    levels: Mapping[str, Bools]

    @property
    def cases(self) -> Bools:
        """The cases with a value in the column."""
        cases: Bools = np.logical_or.reduce(list(self.levels.values()))
        return cases

    def place(self, context: AnalysisContext, finding: str = "", level: str = "") -> EstimateKey:
        """Return the key of an estimate of one level."""
        place = context.place(Analysis.SUBGROUPS, finding, self.rater, self.population)
        return place.to(subgroup=self.name, level=level)

    def findings(self, context: AnalysisContext) -> list[str]:
        """Return the findings of the rater with a reference standard for a case of the column."""
        panel = context.panel
        given = [f for f in panel.findings if panel.gives(self.rater, f)]
        return [f for f in given if (self.cases & panel.stated(self.rater, f)).any()]


def split_by_groups(context: AnalysisContext, rater: str, population: Population) -> list[CaseGroups]:
    """Return the subgroups by every configured column, by site, and by the configured pairs of columns."""
    inside = population_cases(context, population)
    columns = dict(context.panel.groups)
    if len(population.sites) > 1:
        columns["site"] = context.panel.site
    masks = {
        name: {level: inside & (column.codes == column.levels.index(level)) for level in ordered(context, name, column)}
        for name, column in columns.items()
    }
    for first, second in context.config.subgroup_intersections:
        if first in masks and second in masks:
            masks[f"{first}{CROSS}{second}"] = {
                f"{a}{CROSS}{b}": one & other for a, one in masks[first].items() for b, other in masks[second].items()
            }
    non_empty = {name: {k: v for k, v in levels.items() if v.any()} for name, levels in masks.items()}
    return [CaseGroups(rater, population, name, levels) for name, levels in non_empty.items() if levels]


def ordered(context: AnalysisContext, name: str, column: Column) -> list[str]:
    """Return the levels of a column in the order of the report: age bands by age, others by name."""
    order = band_names(context.config.age_bands) if name == "age_band" else sorted(column.levels)
    return [level for level in order if level in column.levels]


def few_evaluable(context: AnalysisContext, counts: Counts) -> Text:
    """Return a note if the group has too few patients with or without the finding."""
    config = context.config
    n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
    needed = {"least_present": config.minimum_present, "least_absent": config.minimum_absent}
    return codes.note("few_patients_evaluable", **n_by_class, **needed)
